"""CSV with many columns, of which a table has few: the others cost no memory.

Real: the reader; the peak of memory is that of a process of its own. Nothing is faked.
"""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.readers.csv_records import split_records
from gata_assets.curation.readers.raw_block import RawBlock
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.errors import RawFileError
from gata_assets.interactions.tables import INTERACTIONS, TABLES
from gata_assets.tables.spec import UnknownColumns

SPEC = replace(TABLES[INTERACTIONS], unknown_columns=UnknownColumns.IGNORE)
NAMES = ("user_id", "item_id", "interaction_type", "timestamp")


def read(content: str) -> list[RawBlock]:
    return [block() for block in read_blocks(io.BytesIO(content.encode()), RawFormat.CSV, SPEC)]


def test_columns_anywhere_in_a_wide_file_are_read() -> None:
    others = [f"x{number}" for number in range(9_996)]
    header = [*others[:5_000], *NAMES[::-1], *others[5_000:]]
    lines = [header, *([f"{name} {number}" for name in header] for number in range(3))]
    blocks = read("\n".join(map(",".join, lines)))
    for name in NAMES:
        assert [text for block in blocks for text in block.texts[name]] == [f"{name} {number}" for number in range(3)]


def test_more_columns_are_refused_with_their_number() -> None:
    header = [*NAMES, *(f"x{number}" for number in range(9_997))]
    with pytest.raises(RawFileError, match=r"has 10,001 columns, and at most 10,000 are read: .* columns of the table"):
        read(",".join(header) + "\n")


@given(
    content=st.text(st.sampled_from('ab,"\n\r'), max_size=60), wanted=st.permutations(range(4)), few=st.integers(0, 4)
)
def test_wanted_fields_are_those_of_all(content: str, wanted: list[int], few: int) -> None:
    data = np.frombuffer(content.encode(), dtype=np.uint8)
    whole, some = split_records(data, 4, is_last=True), split_records(data, 4, is_last=True, wanted=wanted[:few])
    assert some.faults.tolist() == whole.faults.tolist()
    for place, field in enumerate(wanted[:few]):
        assert some.texts(data, place).to_list() == whole.texts(data, field).to_list()


PEAK = r"""
import re, sys
from dataclasses import replace
from pathlib import Path
from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.interactions.tables import TABLES
from gata_assets.tables.spec import UnknownColumns

def peak():
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

spec = replace(TABLES["interactions"], unknown_columns=UnknownColumns.IGNORE)
with open(sys.argv[1], "rb") as stream:
    before, rows = peak(), 0
    for block in read_blocks(stream, RawFormat.CSV, spec):
        rows += len(block())
print(rows, peak() - before)
"""


@pytest.mark.process
def test_many_columns_and_lines_take_no_memory_of_both(tmp_path: Path) -> None:
    path, lines = tmp_path / "a.csv", 20_000
    header = ",".join([*NAMES, *(f"x{number}" for number in range(9_000))])
    path.write_text(header + "\n" + "x\n" * lines)
    command = [sys.executable, "-c", PEAK, str(path)]
    found, grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(found) == lines
    # The places of all fields of a block are 1.4 GB.
    assert int(grown) < 200_000_000
