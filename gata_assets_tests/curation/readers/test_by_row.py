"""JSON Lines of many senders: what would refuse a file rejects the row alone. Pure; nothing is faked."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from gata_assets.curation.files.formats import RawFormat, is_of_events
from gata_assets.curation.readers.raw_block import RAGGED, READABLE, UNREADABLE
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.errors import RawFileError
from gata_assets.interactions.tables import INTERACTIONS, TABLES
from gata_assets.tables.spec import UnknownColumns, read_by_row

GOOD = b'{"user_id": "u1", "item_id": "i1", "interaction_type": "view", "timestamp": "2026-01-02T03:04:05Z"}'
UNKNOWN = GOOD.replace(b"}", b', "unheard_of": 1}')
SPECS = {kind: replace(TABLES[INTERACTIONS], unknown_columns=kind) for kind in UnknownColumns}


@pytest.mark.parametrize(
    ("lines", "kind", "faults"),
    [
        ([UNKNOWN, GOOD], UnknownColumns.REFUSE_FILE, [RAGGED, READABLE]),
        ([UNKNOWN, GOOD], UnknownColumns.REJECT_ROW, [RAGGED, READABLE]),
        ([UNKNOWN, GOOD], UnknownColumns.IGNORE, [READABLE, READABLE]),
        ([b'{"user_id": "u1"}'], UnknownColumns.REFUSE_FILE, [READABLE]),
        ([b'"no object"', b'""'], UnknownColumns.REFUSE_FILE, [UNREADABLE, UNREADABLE]),
    ],
    ids=repr,
)
def test_each_row_is_read_alone(lines: list[bytes], kind: UnknownColumns, faults: list[int]) -> None:
    content = b"".join(line + b"\n" for line in lines)
    [block] = read_blocks(io.BytesIO(content), RawFormat.JSON_LINES, read_by_row(SPECS[kind]))
    assert block().faults.tolist() == faults
    if kind is UnknownColumns.REFUSE_FILE:
        with pytest.raises(RawFileError):
            [pending() for pending in read_blocks(io.BytesIO(content), RawFormat.JSON_LINES, SPECS[kind])]


def test_rows_are_read_by_the_same_rules_and_so_under_the_same_digest() -> None:
    spec = TABLES[INTERACTIONS]
    assert read_by_row(spec) is read_by_row(spec)
    assert read_by_row(spec).digest == spec.digest


def test_files_of_events_are_known_by_their_names() -> None:
    mark = "0123456789abcdef" * 2
    assert is_of_events(f"acme/raw/t/2026-01-10/events-http-2026011009-{mark[:16]}-{mark}.jsonl.zst")
    for name in (f"events-{mark}.jsonl.zst", f"events-http-2026011009-{mark}.jsonl.zst", f"events-http-{mark}.csv"):
        assert not is_of_events(f"acme/raw/t/2026-01-10/{name}")
