"""Rows of raw files: every record comes out once with its line, in any format and cut anywhere into blocks.

All real, nothing is faked; Python's csv and datetime modules are the oracles.
"""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gata_assets.curation.files.csv_records import LONGEST_RECORD, RAGGED, READABLE, UNREADABLE, split_records
from gata_assets.curation.files.formats import RawFormat, parse_format
from gata_assets.curation.files.readers import RawRows, read_blocks
from gata_assets.curation.layout import DataType
from gata_assets.errors import RawFileError
from gata_assets.tables.columns.utf8 import (
    A_NUMBER,
    NO_NUMBER,
    NOT_TOLD,
    Texts,
    find_codes,
    parse_instants,
    parse_ratings,
)
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.raw_worlds import encode, interaction

VALUE = canary("a user")

HEADER = "user_id,item_id,interaction_type,timestamp\n"
FIELDS = st.text(st.sampled_from('ab,"\n\r é'), max_size=5)


def read(content: bytes, kind: RawFormat = RawFormat.CSV, *, block_bytes: int = 64) -> list[RawRows]:
    return [block() for block in read_blocks(io.BytesIO(content), kind, DataType.INTERACTIONS, block_bytes=block_bytes)]


def users(blocks: list[RawRows]) -> list[str]:
    return [user or "" for block in blocks for user in block.columns["user_id"].as_series()]


def lines(blocks: list[RawRows]) -> list[int]:
    return [line for block in blocks for line in block.lines.tolist()]


def faults(blocks: list[RawRows]) -> list[int]:
    return [fault for block in blocks for fault in block.faults.tolist()]


@given(rows=st.lists(st.lists(FIELDS, min_size=4, max_size=4), max_size=8), block_bytes=st.integers(52, 400))
def test_what_the_csv_module_writes_is_read_back_however_it_is_cut(rows: list[list[str]], block_bytes: int) -> None:
    text = io.StringIO(newline="")
    text.write(HEADER)
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    blocks = read(text.getvalue().encode(), block_bytes=block_bytes)
    names = ("user_id", "item_id", "interaction_type", "timestamp")
    found = [
        list(row) for block in blocks for row in zip(*(block.columns[name].as_series() for name in names), strict=True)
    ]
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


def test_records_that_cannot_be_told_come_with_their_fault_and_text() -> None:
    rows = 'u1,i1,view,t\nu2,i2\nu3,i3,view,t,more\n"u4"x,i4,view,t\nu5,i5,view,"not closed\nu6,i6,view,t\n'
    blocks = read((HEADER + rows).encode(), block_bytes=1_000)
    assert faults(blocks) == [READABLE, RAGGED, RAGGED, UNREADABLE, UNREADABLE, READABLE]
    texts = [text for block in blocks for text in block.fault_texts.values()]
    assert texts == ["u2,i2", "u3,i3,view,t,more", '"u4"x,i4,view,t', 'u5,i5,view,"not closed']
    assert users(blocks) == ["u1", "", "", "", "", "u6"]
    assert lines(blocks) == [2, 3, 4, 5, 6, 7]


def test_a_quote_that_does_not_close_costs_its_line_alone_however_long_the_file_is() -> None:
    good = "u,i,view,t\n" * (LONGEST_RECORD // 5)
    blocks = read(f'{HEADER}"u,i,view,t\n{good}'.encode(), block_bytes=3_000_000)
    assert faults(blocks) == [UNREADABLE] + [READABLE] * (LONGEST_RECORD // 5)


@pytest.mark.parametrize("block_bytes", [64, 300, 100_000])
def test_a_quote_that_does_not_close_costs_its_line_alone_though_a_later_row_has_quotes(block_bytes: int) -> None:
    good = "u,i,view,t\n" * 20
    content = f'{HEADER}"u,i,view,t\n{good}"u",i,view,t\n{good}'.encode()
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
    assert rows.columns["user_id"].as_series().to_list() == [None, "u1"]
    assert rows.columns["rating"].as_series().to_list() == [None, "4.5"]


def test_json_values_and_what_is_in_a_context_become_texts() -> None:
    row = {"user_id": 7, "item_id": "é", "interaction_type": "view", "timestamp": "t", "rating": 4.5}
    content = json.dumps(row | {"context": {"location": "AT", "device_type": None}})
    (rows,) = read(content.encode(), RawFormat.JSON_LINES, block_bytes=1_000)
    values = {name: texts.as_series().to_list() for name, texts in rows.columns.items()}
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
        '{"context": {"colour": 1}}',
        '{"location": "AT", "context": {"location": "DE"}}',
        "[" * 100_000,
        "9" * 5_000,
    ],
)
def test_a_json_line_that_is_no_flat_object_is_a_row_at_fault(line: str) -> None:
    good = encode([interaction()], "jsonl").decode()
    blocks = read(f"{good}\n{line}\n{good}".encode(), RawFormat.JSON_LINES, block_bytes=1_000_000)
    assert faults(blocks) == [READABLE, UNREADABLE, READABLE]
    assert lines(blocks) == [1, 3, 4]


def test_a_later_json_line_with_an_unknown_name_is_a_row_at_fault() -> None:
    content = encode([interaction()] * 1_500, "jsonl") + encode([interaction(colour="red")], "jsonl")
    assert faults(read(content, RawFormat.JSON_LINES, block_bytes=10**6)) == [READABLE] * 1_500 + [RAGGED]


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
    values = {name: texts.as_series().to_list()[0] for name, texts in rows.columns.items()}
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
        (b"", RawFormat.PARQUET, "damaged or cut off"),
        (b"user_id,timestamp\n", RawFormat.CSV, r"lacks the columns item_id, interaction_type\."),
        (f"{VALUE},i7,view,2026\n".encode(), RawFormat.CSV, r"lacks the columns .* \(of its own, 4 are not known\)"),
        (HEADER.replace(",", ";").encode(), RawFormat.CSV, "has semicolons between its columns"),
        (HEADER.replace(",", "\t").encode(), RawFormat.CSV, "has tabs between its columns"),
        ((HEADER.strip() + ",colour\n").encode(), RawFormat.CSV, "not known: colour"),
        ((HEADER.strip() + ",user_id\n").encode(), RawFormat.CSV, "columns twice: user_id"),
        (HEADER.encode("utf-16"), RawFormat.CSV, "is not UTF-8"),
        (HEADER.encode() + "é,i,view,t\n".encode("latin-1"), RawFormat.CSV, "is not UTF-8"),
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
    texts = block.columns["timestamp"]
    assert texts.as_series().to_list()[0] == str(number)
    assert parse_instants(texts, also_days=True)[1].tolist() == [False, True]


def test_a_parquet_file_with_a_column_that_is_not_utf_8_is_refused() -> None:
    content = encode([interaction()], "parquet").replace(b"session_id", b"session_\xff\xff")
    with pytest.raises(RawFileError, match="damaged"):
        read(content, RawFormat.PARQUET)


def test_a_file_with_columns_alone_has_no_rows() -> None:
    assert users(read(HEADER.encode())) == []


@given(instant=st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_an_instant_is_read_as_python_reads_it(instant: datetime) -> None:
    micros = (instant - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution)
    for text in (instant.isoformat(), instant.isoformat(" "), instant.isoformat().replace("+00:00", "Z")):
        values, are = parse_instants(Texts.of(pl.Series([text])))
        assert (values[0], are[0]) == (micros, True)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-01-02T03:04+02:00", "2026-01-02T01:04:00+00:00"),
        ("2026-01-02T03:04:05-0530", "2026-01-02T08:34:05+00:00"),
        ("2026-01-02T23:04:05+01", "2026-01-02T22:04:05+00:00"),
        ("2026-01-02T03:04:05.1234567Z", "2026-01-02T03:04:05.123456+00:00"),
        ("2024-02-29T00:00:00", "2024-02-29T00:00:00+00:00"),
    ],
)
def test_offsets_and_fine_fractions_are_understood(text: str, same: str) -> None:
    values, are = parse_instants(Texts.of(pl.Series([text])))
    assert are[0]
    assert values[0] == int(datetime.fromisoformat(same).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-01-02", "2026-02-29T00:00:00Z", "2026-13-01T00:00Z", "0000-01-01T00:00", "20260102T030405Z"),
        *("2026-01-02T24:00:00Z", "2026-01-02T03:60:00Z", "2026-01-02T03:04:60Z", "2026-01-02T3:04", "2026-1-2T03:04Z"),
        *(
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05 Z",
            "2026-01-02T03:04:05+2",
            "2026-01-02T03:04ZZ",
            "1767323045",
        ),
    ],
)
def test_other_texts_are_no_instants(text: str) -> None:
    assert not parse_instants(Texts.of(pl.Series([text])))[1][0]


def test_a_day_alone_is_an_instant_where_days_are_wanted() -> None:
    values, are = parse_instants(Texts.of(pl.Series(["2026-01-02", "2026-02-30"])), also_days=True)
    assert are.tolist() == [True, False]
    assert values[0] == (date(2026, 1, 2) - date(1970, 1, 1)).days * 86_400_000_000


def test_names_are_found_whole() -> None:
    codes = find_codes(Texts.of(pl.Series(["like", "lik", "likes", "", "view"])), ["view", "like"])
    assert codes.tolist() == [1, 255, 255, 255, 0]


@given(text=st.from_regex(r"\A[0-9](\.[0-9]{1,2})?\Z") | st.text("0159.,-+ e", max_size=6))
@example("4.5")
@example("5.")
@example(".5")
@example("1.234")
def test_a_rating_is_read_as_python_reads_it_or_left_to_who_reads_any_number(text: str) -> None:
    (rating,), (found,) = parse_ratings(Texts.of(pl.Series([text])))
    if found == A_NUMBER:
        assert rating == np.float32(float(text))
    else:
        assert found == (NOT_TOLD if text else NO_NUMBER)
        assert re.fullmatch(r"[0-9](\.[0-9]{1,2})?", text) is None
