"""Regular blocks of CSV are read as all others are. Real: both ways to read them; Hypothesis gives the bytes."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gata_assets.curation.readers.csv_records import split_records
from gata_assets.curation.readers.raw_block import READABLE
from gata_assets.curation.readers.regular_csv import regular_lines

# What readers of CSV may take for more than a text, and what ends fields and lines.
_PIECES = (
    "a",
    "b ",
    " ",
    "é",
    "\ufeff",
    "\0",
    "null",
    "NaN",
    "#",
    "1e5",
    "\t",
    ";",
    ",",
    ",",
    "\n",
    "\n",
    "\r\n",
    "\r",
)
_TEXTS = st.lists(st.sampled_from((*_PIECES, '"')), max_size=30).map("".join)
_LINES = st.integers(1, 4).flatmap(
    lambda fields: st.tuples(
        st.just(fields),
        st.lists(
            st.lists(
                st.sampled_from(("", "a", " b", "é", "\ufeffx", "\0", "null", "NaN", "#c", "-")),
                min_size=fields,
                max_size=fields,
            ).map(",".join),
            max_size=8,
        ).map("\n".join),
    )
)


def require_same(block: bytes, fields: int, separator: str, *, is_last: bool) -> bool:
    """Compare both ways where the block is regular; returns whether it is."""
    lines = regular_lines(block, fields, separator, is_last=is_last)
    if lines is None:
        return False
    data = np.frombuffer(block, dtype=np.uint8)
    records = split_records(data, fields, is_last=is_last, separator=ord(separator))
    assert (records.faults == READABLE).all()
    assert (records.used, records.used_lines, len(records.faults)) == (lines.used, lines.count, lines.count)
    assert records.lines.tolist() == list(range(lines.count))
    found = lines.texts(fields, separator, {place: f"c{place}" for place in range(fields)})
    for place in range(fields):
        assert found[f"c{place}"].to_list() == records.texts(data, place).to_list()
    return True


@given(_TEXTS, st.integers(1, 4), st.sampled_from(",;\t"), st.booleans())
def test_any_block_that_is_regular_is_read_as_others_are(text: str, fields: int, separator: str, is_last: bool) -> None:
    require_same(text.encode(), fields, separator, is_last=is_last)


@given(_LINES, st.sampled_from(["", "\n"]), st.sampled_from(["\n", "\r\n"]), st.booleans())
@example((1, "a\n#c\nnull"), "\n", "\n", True)
@example((2, "#c,\n,-\nnull,NaN"), "", "\r\n", False)
def test_lines_with_the_fields_of_the_header_are_read_as_others_are(
    fields_and_text: tuple[int, str], end: str, line_end: str, is_last: bool
) -> None:
    fields, text = fields_and_text
    block = (text + end).replace("\n", line_end).encode()
    is_regular = require_same(block, fields, ",", is_last=is_last)
    # Of one field, an empty text is an empty line, which is no record.
    if fields > 1 and text and not text.startswith("\ufeff") and (is_last or "\n" in text + end):
        assert is_regular


@pytest.mark.parametrize(
    "block",
    [b"", b"a,b", b"a\n", b'a,"b"\n', b"a,b\n\nc,d\n", b"a\r,b\n", b"a,b\r\r\n", b"a,b,c\n,\n", b"\xef\xbb\xbfa,b\n"],
)
def test_what_is_not_regular_is_left_to_the_other_reader(block: bytes) -> None:
    assert regular_lines(block, 2, ",", is_last=False) is None


def test_columns_are_chosen_by_their_places() -> None:
    lines = regular_lines(b"1,2,3\n4,,6\n", 3, ",", is_last=True)
    assert lines is not None
    found = lines.texts(3, ",", {2: "c", 1: "b"})
    assert found.equals(pl.DataFrame({"c": ["3", "6"], "b": ["2", None]}))
