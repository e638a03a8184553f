"""A table of pages from raw files to curated days: staged Parquet, quarantine, replay, places, other formats.

Real: validation, curation and tracing, on a directory and on S3 over HTTP, and the readers of Parquet of DuckDB and
pandas. Nothing is faked.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.landing import Landing
from gata_assets.curation.reports import Report, StagedPart
from gata_assets.curation.staged.day_parts import DayPartReader, read_day, reading_days
from gata_assets.curation.staged.divided_rows import DividedRows
from gata_assets.curation.staged.parquet_writer import StagedParquetWriter
from gata_assets.curation.tracing.key_values import key_values
from gata_assets.curation.tracing.places import trace_rows
from gata_assets.errors import DamagedTableError, MappingError, RawFileError, TableSpecError
from gata_assets.ingestion.http.json_schema import json_schema
from gata_assets.ingestion.kafka.origin import Origin
from gata_assets.ingestion.kafka.relay.messages import row_message
from gata_assets.ingestion.schemas.avro_schema import avro_schema
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.consistency import require_consistent
from gata_assets.tables.description import describe_table
from gata_assets.tables.mapped_table import mapped
from gata_assets.tables.outcomes import broken
from gata_assets.tables.raw_mapping import mapping_from
from gata_assets_tests.support.page_worlds import CASES, case, curator_of_cases

FIRST, SECOND = date(2026, 1, 2), date(2026, 1, 3)
PAGE = {
    "cases": [
        case(2, opened_at="2026-01-03T00:00:00Z", person_id=7, subject="b", url="u"),
        case(1, via={"channel": "web"}, tags=["x"], notes=None),
        case(0, subject="no number"),
        case(3, opened_at="2026-01-02T23:59:59.999999Z", person_id="7"),
        5,
    ],
    "people": [{"id": 7, "name": "Ada"}],
    "notes": [{"case_id": 1, "text": "n"}],
    "end_of_stream": True,
}


def land(curator: TableCurator, directory: Path, content: object, name: str = "page.json") -> Report:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return Landing(curator).land("cases", name, path, parse_format(name)).report


def staged(curator: TableCurator, report: Report) -> pl.DataFrame:
    with curator.store.local_copy(report.parts[0].key) as path:
        return pl.read_parquet(path)


def local(directory: Path) -> TableCurator:
    directory.mkdir(parents=True, exist_ok=True)
    return curator_of_cases(LocalStore(str(directory)))


def test_pages_become_one_parquet_file_with_places_and_a_part_for_each_day(
    any_store: ObjectStore, tmp_path: Path
) -> None:
    curator = curator_of_cases(any_store)
    report = land(curator, tmp_path, PAGE)
    assert (report.rows, report.valid, report.rejected) == (5, 3, 2)
    assert report.rejected_by_rule == {"case_id_is_at_least_1": 1, "row_is_readable": 1}
    assert [(part.day, part.rows, part.spans) for part in report.parts] == [(FIRST, 2, ()), (SECOND, 1, ())]
    assert len({(part.key, part.sha256) for part in report.parts}) == 1
    rows = staged(curator, report)
    assert rows.schema == pl.Schema(CASES.staged_schema)
    # By event time, so that a row group has few days.
    assert rows.select("case_id", "source_record").rows() == [(1, 2), (3, 4), (2, 1)]
    assert set(rows["source_file"]) == {report.raw_key.rpartition("/")[2]}
    assert set(rows["loaded_at"]) == {report.landed_at}
    assert rows.select("via", "channel", "tags", "person", "notes", "more").rows() == [
        ('{"channel": "web"}', "web", '["x"]', None, '[{"case_id": 1, "text": "n"}]', None),
        (None, None, None, '{"id": 7, "name": "Ada"}', None, None),
        (None, None, None, '{"id": 7, "name": "Ada"}', None, '{"url":"u"}'),
    ]
    [unreadable] = [
        row for block in curator.read_quarantine(report.tables[-1]) for row in block.to_dicts() if row["row"]
    ]
    assert (unreadable["row"], unreadable["source_record"]) == ("5", 5)


def test_days_are_curated_from_it_and_traced_back(any_store: ObjectStore, tmp_path: Path) -> None:
    curator = curator_of_cases(any_store)
    report = land(curator, tmp_path, PAGE)
    curated = list(curator.curate("cases", report.days))
    assert [(one.day, one.rows, one.is_written) for one in curated] == [(FIRST, 2, True), (SECOND, 1, True)]
    assert curator.stale("cases") == []
    for number, record, day in ((1, 2, FIRST), (2, 1, SECOND)):
        [found] = trace_rows(curator, key_values(CASES, {"case_id": str(number)}))
        assert (found.partition, [(place.record, place.counts) for place in found.places]) == (
            str(day),
            [(record, True)],
        )
    # Validated again, it is the same file.
    assert curator.validate(report.raw_key).parts == report.parts


def test_a_row_that_comes_twice_counts_once_wherever_it_was(tmp_path: Path) -> None:
    curator = local(tmp_path / "store")
    for name, rows in (("a.json", [case(1), case(1)]), ("b.jsonl", [case(1), case(2)])):
        land(curator, tmp_path / "in", {"cases": rows}, name)
    [day] = curator.curate("cases", [FIRST])
    assert (day.rows, day.dropped, broken(one for found in day.outcomes.values() for one in found)) == (2, 2, [])


def test_the_order_of_files_changes_no_byte_of_curated_days(tmp_path: Path) -> None:
    pages = [
        {"cases": [case(1, url=1), case(2, opened_at="2026-01-03T00:00:00Z")]},
        {"cases": [case(2, opened_at="2026-01-03T00:00:00Z"), case(3)], "people": []},
        [case(4), case(1, url=1), case(1)],
    ]
    found = set()
    for number, order in enumerate(permutations(pages)):
        curator = local(tmp_path / str(number))
        for place, page in enumerate(order):
            land(curator, tmp_path / f"in{number}", page, f"{place}.json")
        found.add(tuple(one.sha256 for one in curator.curate("cases", [FIRST, SECOND])))
    assert len(found) == 1


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_flat_files_keep_other_columns_as_texts(ending: str, tmp_path: Path) -> None:
    rows = [
        {"id": "1", "opened_at": "2026-01-02T03:04:05Z", "tags": '[ "a"]', "city": "Oslo", "size": None},
        {"id": "2", "opened_at": "2026-01-02T03:04:05Z", "tags": "a, b", "city": None, "size": None},
        {"id": "3", "opened_at": "2026-01-02T03:04:05Z", "tags": None, "city": 'R"m', "size": "5"},
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), content)
    curator = local(tmp_path / "store")
    report = land(
        curator, tmp_path, text.getvalue().encode() if ending == "csv" else content.getvalue(), f"flat.{ending}"
    )
    assert report.rejected_by_rule == {"tags_is_json": 1}
    assert staged(curator, report).select("case_id", "tags", "more").rows() == [
        (1, '[ "a"]', '{"city":"Oslo"}'),
        (3, None, '{"city":"R\\"m","size":"5"}'),
    ]
    [row] = next(curator.read_quarantine(report.tables[-1])).to_dicts()
    assert (row["tags"], row["more"]) == ("a, b", None)


def test_a_flat_file_has_no_column_twice_and_none_of_nested_values(tmp_path: Path) -> None:
    curator = local(tmp_path / "store")
    with pytest.raises(RawFileError, match="has columns twice: city"):
        land(curator, tmp_path, b"id,opened_at,city,city\n1,2026-01-02,a,b\n", "a.csv")
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{"id": "1", "opened_at": "2026-01-02", "sizes": [1]}]), content)
    with pytest.raises(RawFileError, match="a column sizes of type list"):
        land(curator, tmp_path, content.getvalue(), "a.parquet")


def test_another_name_is_mapped_and_the_rest_kept(tmp_path: Path) -> None:
    spec = mapped(CASES, mapping_from({"columns": {"tags": "words", "subject": []}}))
    assert spec.sources["words"] == "tags"
    with pytest.raises(MappingError, match="more takes what the table has no column for"):
        mapped(CASES, mapping_from({"columns": {"more": "rest"}}))


class CountingStore(LocalStore):
    """A directory that counts the copies of each object."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self.copies = Counter[str]()

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """See LocalStore."""
        self.copies[key] += 1
        return super().local_copy(key)


def many_days(directory: Path) -> tuple[pl.DataFrame, CountingStore, tuple[StagedPart, ...]]:
    """2,000 rows of 90 days, staged in row groups of about a day."""
    start = datetime(2023, 1, 1, tzinfo=UTC)
    at = [start + timedelta(days=number * 7 % 90, seconds=number) for number in range(2_000)]
    rows = pl.DataFrame(
        {"case_id": range(2_000), "opened_at": at, "source_record": range(1, 2_001)},
        schema_overrides={"opened_at": pl.Datetime("us", "UTC")},
    )
    store, key = CountingStore(str(directory / "store")), "acme/staged/cases/x.parquet"
    with StagedParquetWriter(directory / "file", "opened_at", bytes_of_a_group=500) as writer:
        writer.add(rows.to_arrow(compat_level=pl.CompatLevel.oldest()))
        parts = writer.parts(key)
    store.write_file(key, directory / "file")
    return rows.with_columns(day=pl.col("opened_at").dt.date()), store, parts


@pytest.mark.parametrize(("most_rows", "copies"), [(1, 45), (500, 3), (1_000_000, 1)])
def test_each_day_of_a_file_is_read_whatever_is_read_at_once(most_rows: int, copies: int, tmp_path: Path) -> None:
    rows, store, parts = many_days(tmp_path)
    assert len(parts) == 90
    folder = tmp_path / "divided"
    folder.mkdir()
    reader = DayPartReader(store, "opened_at", folder, most_rows)
    reader.expect(parts[::2])
    for part in parts[::2]:
        found = sorted(reader.read(part)["case_id"].to_pylist())
        assert found == sorted(rows.filter(pl.col("day") == part.day)["case_id"])
    # A file is copied once for all days that are read at once, and what was read is not on disk any more.
    assert store.copies[parts[0].key] == copies
    assert list(folder.iterdir()) == []


def stage(store: LocalStore, directory: Path, name: str, rows: pl.DataFrame) -> tuple[StagedPart, ...]:
    """The parts of a staged file of rows."""
    key = f"acme/staged/cases/{name}.parquet"
    with StagedParquetWriter(directory / name, "opened_at", bytes_of_a_group=300) as writer:
        writer.add(rows.to_arrow(compat_level=pl.CompatLevel.oldest()))
        parts = writer.parts(key)
    store.write_file(key, directory / name)
    return parts


def test_days_of_several_files_are_read_by_file_whatever_columns_these_have(tmp_path: Path) -> None:
    rows, store, _ = many_days(tmp_path)
    thirds = [rows.drop("day").filter(pl.col("case_id") // 700 == number) for number in range(3)]
    thirds[1] = thirds[1].with_columns(subject=pl.lit("x"))
    parts = [part for number, third in enumerate(thirds) for part in stage(store, tmp_path, str(number), third)]
    assert len(parts) == 3 * 90
    store.write(parts[-1].key, b"damaged")
    with reading_days(store, "opened_at", parts) as reader:
        for part in reversed(parts):
            if part.key == parts[-1].key:
                with pytest.raises(DamagedTableError):
                    reader.read(part)
                continue
            third = thirds[int(Path(part.key).stem)]
            expected = third.filter(pl.col("opened_at").dt.date() == part.day).sort("source_record")
            found = pl.DataFrame(pl.from_arrow(reader.read(part)))
            assert found.sort("source_record").equals(expected)


@settings(max_examples=30)
@given(some.lists(some.lists(some.integers(0, 4), max_size=9), max_size=9), some.integers(1, 50))
def test_divided_rows_are_those_of_each_number_in_order(blocks: list[list[int]], rows_held: int) -> None:
    expected: dict[int, list[int]] = {}
    with TemporaryDirectory() as folder, DividedRows(Path(folder, "rows"), rows_held=rows_held) as divided:
        for place, block in enumerate(blocks):
            numbers = np.array(sorted(block), dtype=np.int64)
            values = [place * 10 + number for number in range(len(numbers))]
            found = list(divided.add(pa.table({"value": pa.array(values, pa.int64())}), numbers))
            assert found == [(of, len(expected.get(of, [])), block.count(of)) for of in sorted(set(block))]
            for number, value in zip(numbers.tolist(), values, strict=True):
                expected.setdefault(number, []).append(value)
        assert {number: divided.rows_of(number)["value"].to_pylist() for number in expected} == expected


def test_one_day_of_a_file_is_read_by_itself_from_a_few_row_groups(tmp_path: Path) -> None:
    rows, store, parts = many_days(tmp_path)
    with store.local_copy(parts[0].key) as path, pq.ParquetFile(path) as file:
        assert file.metadata.num_row_groups > 60
        for part in parts:
            assert part.day is not None
            found = read_day(path, "opened_at", part.day)["case_id"].to_pylist()
            assert sorted(found) == sorted(rows.filter(pl.col("day") == part.day)["case_id"])
            bounds = [file.metadata.row_group(group).column(1).statistics for group in range(file.num_row_groups)]
            assert sum(one.min.date() <= part.day <= one.max.date() for one in bounds) <= 3


def test_a_staged_file_that_was_changed_counts_as_lost_rows_of_each_of_its_days(tmp_path: Path) -> None:
    curator = local(tmp_path / "store")
    report = land(curator, tmp_path, PAGE)
    part = report.parts[0]
    content = bytearray(curator.store.read(part.key))
    content[len(content) // 2] ^= 1
    curator.store.write(part.key, bytes(content))
    with pytest.raises(DamagedTableError):
        curator.read_staged(part)
    assert [one.is_written for one in curator.curate("cases", report.days)] == [False, False]
    # Validated again, it is what it was.
    curator.validate(report.raw_key)
    assert [one.is_written for one in curator.curate("cases", report.days)] == [True, True]


def test_other_programs_read_a_staged_file(tmp_path: Path) -> None:
    curator = local(tmp_path / "store")
    part = land(curator, tmp_path, PAGE).parts[0]
    with curator.store.local_copy(part.key) as path, duckdb.connect() as connection:
        asks = "SELECT case_id, epoch_us(opened_at), tags ->> 0, person ->> 'name' FROM read_parquet(?) ORDER BY 1"
        found = connection.execute(asks, [str(path)]).fetchall()
        frame = pd.read_parquet(path).sort_values("case_id")
    opened = [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)]
    opened.append(datetime(2026, 1, 2, 23, 59, 59, 999_999, tzinfo=UTC))
    micros = [int(at.timestamp()) * 1_000_000 + at.microsecond for at in opened]
    assert found == [(1, micros[0], "x", None), (2, micros[1], None, "Ada"), (3, micros[2], None, "Ada")]
    assert frame["case_id"].tolist() == [1, 2, 3] and frame["opened_at"].tolist() == opened
    assert [json.loads(text) if isinstance(text, str) else None for text in frame["tags"]] == [["x"], None, None]
    assert {*frame.columns} >= {"source_file", "source_record", "loaded_at"}


def test_nothing_is_on_disk_where_no_part_is_a_day_of_a_file(tmp_path: Path) -> None:
    with reading_days(local(tmp_path).store, "opened_at", []) as reader:
        assert isinstance(reader, DayPartReader)


def test_schemas_say_that_json_is_any_and_other_fields_are_kept() -> None:
    schema = json_schema(CASES)
    assert schema["additionalProperties"] is True
    assert "more" not in schema["properties"]
    assert schema["properties"]["tags"] == {"description": "JSON.", "x-aliases": ["labels"]}
    fields = {field["name"]: field["type"] for field in avro_schema(CASES)["fields"]}
    assert fields["via"] == fields["channel"] == ["null", "string"]
    assert "more" not in fields
    page = describe_table(CASES)
    assert "all are kept in `more`, as a JSON object" in page
    assert "`notes` is all of the list `notes` whose `case_id` is the row's `id`" in page


def test_a_message_of_a_row_has_the_values_that_its_json_means(tmp_path: Path) -> None:
    curator = local(tmp_path / "store")
    rows = staged(curator, land(curator, tmp_path, PAGE)).sort("case_id").to_dicts()
    found = [json.loads(row_message("t", CASES, "acme", Origin("x", "y", 1), row).value) for row in rows]
    assert found[0]["via"] == {"channel": "web"}
    assert (found[0]["channel"], found[0]["tags"]) == ("web", ["x"])
    assert (found[1]["url"], found[1]["person"], found[1]["tags"]) == ("u", {"id": 7, "name": "Ada"}, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"staged_as": "arrow"}, 'staged_as is "parquet"'),
        ({"partition_by": None}, "staged_as is of tables by day"),
        ({"more": "subject"}, "more is a column of JSON"),
        ({"card_numbers": "truncate"}, "have no columns of JSON"),
    ],
)
def test_a_declaration_that_cannot_be_kept_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(TableSpecError, match=reason):
        require_consistent(replace(CASES, **changes))  # type: ignore[arg-type]
