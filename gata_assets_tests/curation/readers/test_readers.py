"""Rows of raw files: every record comes out once with its line, in any format and cut anywhere into blocks.

All real, nothing is faked; Python's csv module is the oracle.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gata_assets.curation.files.formats import RawFormat, parse_format
from gata_assets.curation.readers.csv_records import LONGEST_RECORD, split_records
from gata_assets.curation.readers.raw_block import RAGGED, READABLE, UNREADABLE, RawBlock
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.errors import RawFileError
from gata_assets.interactions.tables import INTERACTIONS, ITEMS, TABLES
from gata_assets.tables.columns.conversion import convert
from gata_assets.tables.mapped_table import mapped
from gata_assets.tables.raw_mapping import RawMapping
from gata_assets.tables.spec import TableSpec, UnknownColumns
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.raw_worlds import encode, interaction

VALUE = canary("a user")

HEADER = "user_id,item_id,interaction_type,timestamp\n"
FIELDS = st.text(st.sampled_from('ab,"\n\r é'), max_size=5)


def read(
    content: bytes,
    kind: RawFormat = RawFormat.CSV,
    *,
    block_bytes: int = 64,
    spec: TableSpec = TABLES[INTERACTIONS],
) -> list[RawBlock]:
    return [block() for block in read_blocks(io.BytesIO(content), kind, spec, block_bytes=block_bytes)]


def users(blocks: list[RawBlock]) -> list[str]:
    return [user or "" for block in blocks for user in block.texts["user_id"]]


def lines(blocks: list[RawBlock]) -> list[int]:
    return [line for block in blocks for line in block.lines.tolist()]


def faults(blocks: list[RawBlock]) -> list[int]:
    return [fault for block in blocks for fault in block.faults.tolist()]


@given(rows=st.lists(st.lists(FIELDS, min_size=4, max_size=4), max_size=8), block_bytes=st.integers(52, 400))
def test_what_the_csv_module_writes_is_read_back_however_it_is_cut(rows: list[list[str]], block_bytes: int) -> None:
    text = io.StringIO(newline="")
    text.write(HEADER)
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    blocks = read(text.getvalue().encode(), block_bytes=block_bytes)
    names = ("user_id", "item_id", "interaction_type", "timestamp")
    found = [list(row) for block in blocks for row in block.texts.select(names).iter_rows()]
    assert [[one or "" for one in row] for row in found] == rows
    starts = [2 + sum(field.count("\n") for earlier in rows[:n] for field in earlier) + n for n in range(len(rows))]
    assert lines(blocks) == starts


@given(content=st.text(st.sampled_from('ab,"\n\r'), max_size=60), cut=st.integers(1, 60))
@example(content='"a"\r', cut=3)
@example(content='a,b,c,"d\n1,2,3,4\n', cut=5)
def test_records_are_the_same_wherever_the_bytes_are_cut(content: str, cut: int) -> None:
    data = np.frombuffer(content.encode(), dtype=np.uint8)
    whole = split_records(data, 4, is_last=True)
    first = split_records(data[:cut], 4, is_last=False)
    second = split_records(data[first.used :], 4, is_last=True)
    assert [*first.faults, *second.faults] == whole.faults.tolist()
    assert [*first.lines, *(second.lines + first.used_lines)] == whole.lines.tolist()
    spans = [*first.spans.tolist(), *(second.spans + first.used).tolist()]
    assert spans == whole.spans.tolist()
    assert whole.used == len(data)


@given(content=st.binary(max_size=200))
def test_every_line_with_something_on_it_belongs_to_a_record(content: bytes) -> None:
    data = np.frombuffer(content, dtype=np.uint8)
    records = split_records(data, 4, is_last=True)
    covered = np.zeros(len(data) + 1, dtype=bool)
    for start, end in records.spans.tolist():
        assert not covered[start:end].any()
        covered[start:end] = True
    assert set(np.unique(data[~covered[:-1]])) <= {10, 13}


def test_records_that_cannot_be_read_come_with_their_fault_and_text() -> None:
    rows = 'u1,i1,view,t\nu2,i2\nu3,i3,view,t,more\n"u4"x,i4,view,t\nu5,i5,view,"not closed\nu6,i6,view,t\n'
    blocks = read((HEADER + rows).encode(), block_bytes=1_000)
    assert faults(blocks) == [READABLE, RAGGED, RAGGED, UNREADABLE, UNREADABLE, READABLE]
    texts = [text for block in blocks for text in block.fault_texts.values()]
    assert texts == ["u2,i2", "u3,i3,view,t,more", '"u4"x,i4,view,t', 'u5,i5,view,"not closed']
    assert users(blocks) == ["u1", "", "", "", "", "u6"]
    assert lines(blocks) == [2, 3, 4, 5, 6, 7]


def test_a_quote_that_does_not_close_costs_its_line_alone_however_long_the_file_is() -> None:
    valid = "u,i,view,t\n" * (LONGEST_RECORD // 5)
    blocks = read(f'{HEADER}"u,i,view,t\n{valid}'.encode(), block_bytes=3_000_000)
    assert faults(blocks) == [UNREADABLE] + [READABLE] * (LONGEST_RECORD // 5)


@pytest.mark.parametrize("block_bytes", [64, 300, 100_000])
def test_a_quote_that_does_not_close_costs_its_line_alone_though_a_later_row_has_quotes(block_bytes: int) -> None:
    valid = "u,i,view,t\n" * 20
    content = f'{HEADER}"u,i,view,t\n{valid}"u",i,view,t\n{valid}'.encode()
    assert faults(read(content, block_bytes=block_bytes)) == [UNREADABLE] + [READABLE] * 41


def test_byte_order_marks_windows_line_ends_and_empty_lines_change_nothing() -> None:
    plain = HEADER + 'u1,i1,view,t\n"u\n2",i2,view,t\n'
    windows = "\ufeff" + plain.replace("\n", "\r\n").replace('"u\r\n2"', '"u\n2"')
    for block_bytes in (60, 64, 71, 1_000):
        assert users(read(windows.encode(), block_bytes=block_bytes)) == ["u1", "u\n2"]
        assert lines(read(windows.encode(), block_bytes=block_bytes)) == [2, 3]
    assert lines(read(plain.replace("\n", "\n\n", 2).encode())) == [3, 5]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_missing_value_is_empty_in_every_format(ending: str) -> None:
    content = encode([interaction(user_id=None), interaction(rating="4.5")], ending)
    (rows,) = read(content, parse_format(ending).format, block_bytes=10_000)
    assert rows.texts["user_id"].to_list() == [None, "u1"]
    assert rows.texts["rating"].to_list() == [None, "4.5"]


def test_json_values_and_what_is_in_a_context_become_texts() -> None:
    row = {"user_id": 7, "item_id": "é", "interaction_type": "view", "timestamp": "t", "rating": 4.5}
    content = json.dumps(row | {"context": {"location": "AT", "device_type": None}})
    (rows,) = read(content.encode(), RawFormat.JSON_LINES, block_bytes=1_000)
    values = rows.texts.to_dict(as_series=False)
    assert (values["user_id"], values["item_id"], values["rating"]) == (["7"], ["é"], ["4.5"])
    assert (values["location"], values["device_type"], values["session_id"]) == (["AT"], [None], [None])


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "7",
        '{"user_id": ["u"]}',
        '{"user_id": "\\ud800"}',
        '{"context": 3}',
        '{"location": "AT", "context": {"location": "DE"}}',
        "[" * 100_000,
        "9" * 5_000,
    ],
)
def test_a_json_line_that_is_no_flat_object_is_a_row_at_fault(line: str) -> None:
    valid = encode([interaction()], "jsonl").decode()
    blocks = read(f"{valid}\n{line}\n{valid}".encode(), RawFormat.JSON_LINES, block_bytes=1_000_000)
    assert faults(blocks) == [READABLE, UNREADABLE, READABLE]
    assert lines(blocks) == [1, 3, 4]


@pytest.mark.parametrize("is_nested", [False, True])
@pytest.mark.parametrize(("first", "block_bytes"), [(0, 10**6), (1_500, 10**6), (1_500, 2_000)])
def test_an_unknown_json_field_is_dealt_with_alike_wherever_it_first_occurs(
    first: int, block_bytes: int, is_nested: bool
) -> None:
    unknown: Mapping[str, object] = {"context": {"colour": "red"}} if is_nested else {"colour": "red"}
    rows: list[Mapping[str, object]] = [*[interaction()] * first, interaction() | unknown, interaction(user_id="u2")]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    modes = {mode: replace(TABLES[INTERACTIONS], unknown_columns=mode) for mode in UnknownColumns}

    def read_as(mode: UnknownColumns) -> list[RawBlock]:
        return read(content, RawFormat.JSON_LINES, block_bytes=block_bytes, spec=modes[mode])

    assert faults(read_as(UnknownColumns.REJECT_ROW)) == [READABLE] * first + [RAGGED, READABLE]
    ignored = read_as(UnknownColumns.IGNORE)
    assert faults(ignored) == [READABLE] * (first + 2)
    assert ignored[0].texts.columns == [column.name for column in TABLES[INTERACTIONS].raw_columns]
    named = "context.colour" if is_nested else "colour"
    with pytest.raises(RawFileError, match=f"not known: {named}"):
        read_as(UnknownColumns.REFUSE_FILE)


def test_an_unknown_column_of_a_header_is_ignored_or_the_file_refused() -> None:
    content = HEADER.replace("\n", ",colour\n").encode() + b"u1,i1,view,t,red\n"
    ignoring = replace(TABLES[INTERACTIONS], unknown_columns=UnknownColumns.IGNORE)
    assert users(read(content, spec=ignoring)) == ["u1"]
    for mode in (UnknownColumns.REJECT_ROW, UnknownColumns.REFUSE_FILE):
        with pytest.raises(RawFileError, match="not known: colour"):
            read(content, spec=replace(TABLES[INTERACTIONS], unknown_columns=mode))


def test_a_name_that_may_be_a_value_is_not_shown() -> None:
    content = json.dumps(interaction() | {f"{VALUE}@example.org": "x"}).encode()
    spec = replace(TABLES[INTERACTIONS], unknown_columns=UnknownColumns.REFUSE_FILE)
    with pytest.raises(RawFileError, match="not known: …") as error:
        read(content, RawFormat.JSON_LINES, spec=spec)
    assert VALUE not in str(error.value)


@pytest.mark.parametrize("kind", list(RawFormat))
def test_other_names_and_another_separator_are_read_in_every_format(kind: RawFormat) -> None:
    spec = mapped(TABLES[INTERACTIONS], RawMapping(columns={"user_id": ("Customer ID",)}, separator=";"))
    row = {"Customer ID": "u1", **{name: value for name, value in interaction().items() if name != "user_id"}}
    content = encode([row], str(kind))
    content = content.replace(b",", b";") if kind is RawFormat.CSV else content
    assert users(read(content, kind, block_bytes=1_000, spec=spec)) == ["u1"]


@pytest.mark.parametrize("unknown", list(UnknownColumns))
def test_a_later_json_line_may_use_the_other_name_and_none_may_use_both(unknown: UnknownColumns) -> None:
    spec = replace(
        mapped(TABLES[INTERACTIONS], RawMapping(columns={"user_id": ("user_id", "customer")})), unknown_columns=unknown
    )
    rows = [interaction(), interaction(user_id=None, customer="u2"), interaction(customer="u3")]
    blocks = read(encode(rows, "jsonl"), RawFormat.JSON_LINES, block_bytes=10_000, spec=spec)
    assert users(blocks) == ["u1", "u2", ""]
    assert faults(blocks) == [READABLE, READABLE, UNREADABLE]
    assert blocks[0].fault_texts == {2: encode(rows[2:], "jsonl").decode().rstrip()}


@pytest.mark.parametrize("unknown", list(UnknownColumns))
@pytest.mark.parametrize("first", ["location", "place"])
def test_names_that_come_after_those_of_the_first_lines_lose_nothing(unknown: UnknownColumns, first: str) -> None:
    spec = replace(
        mapped(TABLES[INTERACTIONS], RawMapping(columns={"location": ("location", "place")})), unknown_columns=unknown
    )
    given: list[tuple[dict[str, object], str | None]] = [
        *[({first: f"L{number}"}, f"L{number}") for number in range(1_500)],
        ({"location": "AT"}, "AT"),
        ({"place": "DE"}, "DE"),
        ({"place": "IT", "location": None}, "IT"),
        ({"context": {"location": "FR"}}, "FR"),
        ({"context": {"place": "CH"}}, "CH"),
        ({"context": {"place": "CH", "location": "CH"}}, None),
        ({"context": {"location": "CH"}, "place": "CH"}, None),
        ({"location": "CH", "place": "CH"}, None),
        ({"context": None, "place": 7}, "7"),
    ]
    content = "".join(json.dumps(interaction() | values) + "\n" for values, _ in given).encode()
    blocks = read(content, RawFormat.JSON_LINES, block_bytes=50_000, spec=spec)
    assert [text for block in blocks for text in block.texts["location"]] == [text for _, text in given]
    assert faults(blocks) == [READABLE if text else UNREADABLE for _, text in given]


@pytest.mark.parametrize("kind", [RawFormat.CSV, RawFormat.JSON_LINES])
def test_a_byte_that_is_no_utf_8_costs_its_row_alone(kind: RawFormat) -> None:
    content = encode([interaction(user_id=f"u{number}") for number in range(5)], str(kind))
    blocks = read(content.replace(b"u2", b"u\xff"), kind, block_bytes=100_000)
    assert faults(blocks) == [READABLE, READABLE, UNREADABLE, READABLE, READABLE]
    assert users(blocks) == ["u0", "u1", "", "u3", "u4"]
    assert "u\ufffd" in blocks[0].fault_texts[2]


def test_a_record_of_several_lines_with_a_byte_that_is_no_utf_8_costs_itself_alone() -> None:
    content = HEADER.encode() + b'u1,i1,view,t\n"u\n\xff2",i1,view,t\nu3,i1,view,t\n'
    blocks = read(content, block_bytes=1_000)
    assert faults(blocks) == [READABLE, UNREADABLE, READABLE]
    assert lines(blocks) == [2, 3, 5]


def test_a_header_that_is_no_utf_8_refuses_the_file() -> None:
    with pytest.raises(RawFileError, match="is not UTF-8"):
        read(HEADER.encode().replace(b"user_id", b"us\xe9r_id") + b"u1,i1,view,t\n")


@pytest.mark.parametrize("returns", ["", "\r", "\r\r", "\r\r\r"])
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize("block_bytes", [64, 65, 66, 67, 1_000])
def test_a_line_ends_after_any_number_of_carriage_returns(returns: str, quote: str, end: str, block_bytes: int) -> None:
    rows = [f"i{n},view,t,{quote}u{n}{quote}" for n in range(4)]
    text = f"{returns}\n".join(["item_id,interaction_type,timestamp,user_id", *rows]) + returns + end
    blocks = read(text.encode(), block_bytes=block_bytes)
    assert (users(blocks), lines(blocks)) == (["u0", "u1", "u2", "u3"], [2, 3, 4, 5])
    assert faults(blocks) == [READABLE] * 4
    as_json = f"{returns}\n".join(json.dumps(interaction(user_id=f"u{n}")) for n in range(4)) + returns + end
    assert users(read(as_json.encode(), RawFormat.JSON_LINES)) == ["u0", "u1", "u2", "u3"]


@pytest.mark.parametrize("row", ["u0\r,i1,view,t", "u0\r\r,i1,view,t", '"u0"\r,i1,view,t'])
def test_a_carriage_return_before_a_comma_makes_no_other_user(row: str) -> None:
    assert faults(read(f"{HEADER}u0,i1,view,t\n{row}\nu1,i1,view,t\n".encode())) == [READABLE, UNREADABLE, READABLE]


def test_blank_lines_are_no_rows_and_count_as_lines() -> None:
    content = HEADER + "\n" * 200_000 + "u1,i1,view,t\r\n" + "\r\n" * 100_000 + "\r\r\nu2,i1,view,t\n\r"
    for block_bytes in (1_000, 1_000_000):
        blocks = read(content.encode(), block_bytes=block_bytes)
        assert (users(blocks), lines(blocks)) == (["u1", "u2"], [200_002, 300_004])


@pytest.mark.parametrize("end", ["", "\n", "\r\r\n", "\n\n", "\r"])
@pytest.mark.parametrize("block_bytes", [20, 1_000])
def test_a_header_alone_has_no_rows_whatever_it_ends_with(end: str, block_bytes: int) -> None:
    assert users(read((HEADER.strip() + end).encode(), block_bytes=block_bytes)) == []


@pytest.mark.parametrize("kind", [RawFormat.CSV, RawFormat.JSON_LINES])
def test_many_short_lines_are_blocks_of_a_limited_number_of_rows(kind: RawFormat) -> None:
    first = {RawFormat.CSV: HEADER.encode(), RawFormat.JSON_LINES: encode([interaction()], "jsonl")}[kind]
    blocks = read(first + b"x\n" * 250_000, kind, block_bytes=1_000_000)
    assert sum(map(len, blocks)) == 250_000 + (kind is RawFormat.JSON_LINES)
    assert max(map(len, blocks)) <= 60_000


@pytest.mark.parametrize("kind", list(RawFormat))
def test_rows_are_numbered_through_the_whole_file(kind: RawFormat) -> None:
    content = encode([interaction(user_id=f"u{number}" * 9) for number in range(50)], str(kind))
    blocks = read(content, kind, block_bytes=400)
    assert [number for block in blocks for number in block.records.tolist()] == list(range(1, 51))


def test_instants_and_numbers_of_parquet_become_texts_and_a_context_its_columns() -> None:
    table = pl.DataFrame(
        {
            "user_id": [1],
            "item_id": ["i"],
            "interaction_type": pl.Series(["view"], dtype=pl.Categorical),
            "timestamp": pl.Series([datetime(2026, 1, 2, 3, tzinfo=UTC)]).dt.convert_time_zone("Asia/Tokyo"),
            "rating": pl.Series([4.5], dtype=pl.Float32),
            "context": [{"device_type": "mobile", "location": None, "session_id": "s"}],
        }
    )
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    (rows,) = read(buffer.getvalue(), RawFormat.PARQUET)
    values = rows.texts.row(0, named=True)
    assert values == {
        **{"user_id": "1", "item_id": "i", "interaction_type": "view", "timestamp": "2026-01-02T03:00:00.000000Z"},
        **{"rating": "4.5", "device_type": "mobile", "location": None, "session_id": "s"},
    }


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b"", RawFormat.CSV, "is empty"),
        (b"\n", RawFormat.CSV, "is empty"),
        (b"", RawFormat.JSON_LINES, "is empty"),
        (b"", RawFormat.PARQUET, "is empty"),
        (b"user_id,timestamp\n", RawFormat.CSV, r"lacks the columns item_id, interaction_type\."),
        (f"{VALUE},i7,view,2026\n".encode(), RawFormat.CSV, r"lacks the columns .* \(of its own, 4 are not known\)"),
        (
            b"User ID,Seen Item,what,when (UTC)\n",
            RawFormat.CSV,
            r"4 are not known: User ID, Seen Item, what, when \(UTC\)\)",
        ),
        (f"{VALUE}\nx\n".encode(), RawFormat.CSV, r"of its own, 1 are not known\)"),
        (f"{VALUE},b,c,d@e\n".encode(), RawFormat.CSV, r"of its own, 4 are not known\)"),
        (HEADER.replace(",", ";").encode(), RawFormat.CSV, "has semicolons between its columns"),
        (HEADER.replace(",", "\t").encode(), RawFormat.CSV, "has tabs between its columns"),
        ((HEADER.strip() + ",colour\n").encode(), RawFormat.CSV, "not known: colour"),
        ((HEADER.strip() + ",user_id\n").encode(), RawFormat.CSV, "columns twice: user_id"),
        (HEADER.encode("utf-16"), RawFormat.CSV, "is not UTF-8"),
        (b"PAR1 and no more", RawFormat.PARQUET, "damaged or cut off"),
        (f'{{"user_id": "{VALUE}"}}\n'.encode(), RawFormat.JSON_LINES, "lacks the columns item_id"),
        (b"no json\n", RawFormat.JSON_LINES, "not JSON Lines"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_and_shows_no_value(content: bytes, kind: RawFormat, said: str) -> None:
    with pytest.raises(RawFileError, match=said) as error:
        read(content, kind, block_bytes=1_000)
    assert VALUE not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "number"),
    [(pa.timestamp("ms"), 1_767_323_045 * 10**9), (pa.timestamp("us", "UTC"), -(2**63)), (pa.date32(), 2**31 - 1)],
)
def test_a_number_of_parquet_that_is_no_instant_is_the_text_of_its_row(kind: pa.DataType, number: int) -> None:
    physical = pa.int32() if kind == pa.date32() else pa.int64()
    table = pa.table(
        {
            "user_id": ["u1", "u2"],
            "item_id": ["i1", "i1"],
            "interaction_type": ["view", "view"],
            "timestamp": pa.array([number, 0], physical).view(kind),
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    (block,) = read(buffer.getvalue(), RawFormat.PARQUET)
    texts = block.texts["timestamp"]
    assert texts.to_list()[0] == str(number)
    assert convert(texts, TABLES[ITEMS].column("available_at")).is_null().to_list() == [True, False]


def test_a_parquet_file_with_a_column_that_is_not_utf_8_is_refused() -> None:
    content = encode([interaction()], "parquet").replace(b"session_id", b"session_\xff\xff")
    with pytest.raises(RawFileError, match="damaged"):
        read(content, RawFormat.PARQUET)
