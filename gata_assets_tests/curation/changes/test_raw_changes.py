"""Raw files of changes: operations, commit times, and what deletes are excused from, in each format.

Real: raw files as CSV, JSON Lines and Parquet, and validation. Faked: the store, in memory; the clock is an argument.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import polars as pl
import pytest

from gata_assets.curation.reports import Report
from gata_assets_tests.shop.engine import PLACES, curator
from gata_assets_tests.support.memory_store import MemoryStore

NOW = datetime(2026, 1, 9, tzinfo=UTC)
DAY = "year=2026/month=01/day=02/"
ENDINGS = ("csv", "jsonl", "parquet")
PRODUCT = {"product_id": "p1", "name": "Pan", "category": None, "price": "10.00", "cost": None, "currency": "EUR"}
TIME = "2026-01-02 03:04:05.678900"
Row = Mapping[str, str | None]


def content_of(rows: Sequence[Row], ending: str) -> bytes:
    frame = pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String()))
    if ending == "csv":
        return frame.write_csv().encode()
    if ending == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in frame.to_dicts()).encode()
    sink = BytesIO()
    frame.write_parquet(sink)
    return sink.getvalue()


def validate(rows: Sequence[Row], ending: str, folder: str = DAY) -> tuple[Report, list[dict[str, Any]]]:
    """The report of a file of products, and its staged rows."""
    store = MemoryStore()
    store.write(f"{PLACES.raw('products')}{folder}LOAD00000001.{ending}", content_of(rows, ending))
    [report] = curator(store, NOW).validate_new("products")
    staged = [row for part in report.parts for row in pl.read_parquet(store.read(part.key)).to_dicts()]
    return report, staged


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("operation", [{}, {"Op": "I"}, {"Op": None}], ids=["no column", "I", "nothing"])
def test_a_full_load_inserts(ending: str, operation: Row) -> None:
    report, [row] = validate([{**operation, **PRODUCT}], ending)
    assert (report.rows, row["is_delete"]) == (1, False)
    assert row["committed_at"] == datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_delete_needs_its_key_only(ending: str) -> None:
    whole = {"Op": "D", "dms_timestamp": TIME, **PRODUCT}
    rows = [
        {**dict.fromkeys(whole), "Op": "D", "dms_timestamp": TIME, "product_id": "p1"},
        {**whole, "product_id": "p2", "price": "-1", "currency": "none", "cost": "much"},
        {**whole, "product_id": None},
    ]
    report, staged = validate(rows, ending)
    assert dict(report.rejected_by_rule) == {"product_id_is_given": 1}
    assert [row["product_id"] for row in staged] == ["p1", "p2"]
    # Of the first delete nothing counts as missing, of the last its key.
    assert report.figures is not None
    assert report.figures.missing == 1
    for row in staged:
        assert row["is_delete"]
        assert {row[name] for name in ("name", "price", "cost", "currency")} == {None}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("operation", ["X", "i", "INSERT"])
def test_an_unknown_operation_is_rejected(ending: str, operation: str) -> None:
    report, staged = validate([{"Op": operation, "dms_timestamp": TIME, **PRODUCT}], ending)
    assert dict(report.rejected_by_rule) == {"operation_is_known": 1}
    assert staged == []


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("folder", [DAY, ""])
def test_a_row_without_a_commit_time_is_rejected_where_the_file_has_the_column(ending: str, folder: str) -> None:
    rows = [{"Op": "U", "dms_timestamp": at, **PRODUCT} for at in (TIME, None, "soon", "2026-02-30 00:00:00")]
    report, [row] = validate(rows, ending, folder)
    assert report.rejected_by_rule["committed_at_is_given"] == 3
    assert row["committed_at"] == datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("folder", ["", "year=2026/month=02/day=30/", "2026-01-02/"])
def test_a_file_without_a_column_and_a_day_is_refused_with_its_reason(ending: str, folder: str) -> None:
    report, staged = validate([{"Op": "U", **PRODUCT}], ending, folder)
    assert report.refused is not None
    assert "does not say when its changes were committed: it has no column of that (committed_at, dms_timestamp" in (
        report.refused
    )
    assert staged == []


def test_all_formats_give_the_same_staged_rows() -> None:
    rows: list[Row] = [
        {"Op": "I", "dms_timestamp": TIME, **PRODUCT},
        {"Op": "U", "dms_timestamp": "2026-01-02T03:04:05Z", **PRODUCT, "name": "Ä pan", "cost": "1"},
        {"Op": "D", "dms_timestamp": TIME, **PRODUCT, "price": "none"},
    ]
    found = [validate(rows, ending)[1] for ending in ENDINGS]
    # Lines are counted with the header of CSV.
    plain = [[{name: row[name] for name in row if name != "source_line"} for row in staged] for staged in found]
    assert plain[0] == plain[1] == plain[2]
    assert len(plain[0]) == len(rows)


@pytest.mark.parametrize("ending", ["jsonl"])
def test_commit_times_of_later_lines_alone_refuse_the_file(ending: str) -> None:
    store = MemoryStore()
    first = json.dumps({"Op": "I", **PRODUCT}) + "\n"
    late = json.dumps({"Op": "I", "dms_timestamp": TIME, **PRODUCT}) + "\n"
    store.write(f"{PLACES.raw('products')}{DAY}LOAD00000001.{ending}", (first * 5_000 + late).encode())
    [report] = curator(store, NOW).validate_new("products")
    # The first lines alone tell which columns a file has.
    assert report.refused is not None
    assert "says of some rows when they were committed" in report.refused
