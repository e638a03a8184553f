"""Staged rows of any table, merged into curated rows, and what of it is not written.

Real: tables that are declared here, the merge, pandera, a curator of a directory. Nothing is faked; staged rows come
from Hypothesis or from the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Annotated

import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.curated.merge import merge_partitions, merge_rows
from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.landing import Landing
from gata_assets.curation.policy import CurationRules
from gata_assets.errors import DataRuleError
from gata_assets.storage.local import LocalStore
from gata_assets.tables.columns.hashing import hash_ids
from gata_assets.tables.declaration import row_rule, spec_of
from gata_assets.tables.outcomes import broken
from gata_assets.tables.spec import TableSpec

DAY = date(2026, 1, 2)
FIRST = datetime(2026, 1, 2, tzinfo=UTC)


class Readings(pa.DataFrameModel):
    """Readings of meters, by day."""

    meter_id: str = pa.Field(str_length={"min_value": 1})
    read_at: Annotated[pl.Datetime, "us", "UTC"]
    kind: str = pa.Field(isin=("heat", "power"))
    value: float = pa.Field(nullable=True, le=100)
    kind_code: pl.UInt8 = pa.Field(metadata={"code_of": "kind"})
    meter_key: pl.UInt64 = pa.Field(metadata={"key_of": "meter_id"})
    heat_has_a_value = row_rule("heat_has_a_value", (pl.col("kind") != "heat") | pl.col("value").is_not_null())

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True
        metadata = {"table": "readings", "event_time": "read_at", "partition_by": "day"}  # noqa: RUF012


class Prices(pa.DataFrameModel):
    """The latest price of each article in each currency."""

    article: str
    currency: str = pa.Field(isin=("EUR", "SEK"))
    price: pl.Float32 = pa.Field(nullable=True)
    currency_code: pl.UInt8 = pa.Field(metadata={"code_of": "currency"})

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True
        metadata = {"table": "prices", "key": ["article", "currency"], "repetitions": "latest"}  # noqa: RUF012


READINGS, PRICES = spec_of(Readings), spec_of(Prices)
Row = tuple[str, datetime, int, float | None]
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "ä", "B"]),
        st.integers(0, 3).map(lambda second: FIRST + timedelta(seconds=second)),
        st.sampled_from([0, 1]),
        st.sampled_from([None, 0.0, -0.0, 1.5, -7.25]),
    ),
    max_size=30,
)


def staged(spec: TableSpec, rows: Sequence[tuple[object, ...]], *without: str) -> pl.DataFrame:
    """A staged part, without some columns that may be null."""
    return pl.DataFrame(list(rows), schema=spec.staged_schema, orient="row").drop(without)


def readings(rows: Sequence[Row]) -> pl.DataFrame:
    names = ("meter_id", "read_at", "value", "kind_code")
    frame = pl.DataFrame(
        [(meter, at, value, code) for meter, at, code, value in rows],
        schema={name: READINGS.staged_schema[name] for name in names},
        orient="row",
    )
    return frame.select(*READINGS.staged_schema)


@given(ROWS, st.integers(0, 1_000))
def test_neither_the_order_nor_the_division_of_rows_changes_exact_tables(rows: list[Row], seed: int) -> None:
    random = Random(seed)
    shuffled = random.sample(rows, len(rows))
    cut = random.randint(0, len(rows))
    curated, repeated = merge_rows(READINGS, [readings(rows)])
    others, repeated_again = merge_rows(READINGS, [readings(shuffled[:cut]), readings(shuffled[cut:])])
    assert curated.equals(others)
    assert curated["value"].cast(pl.String).to_list() == others["value"].cast(pl.String).to_list()
    assert repeated == repeated_again == len(rows) - len({(meter, at, code, value) for meter, at, code, value in rows})
    assert curated["read_at"].is_sorted()


def test_words_come_back_from_codes_and_keys_from_ids() -> None:
    curated, _ = merge_rows(READINGS, [readings([("b", FIRST, 1, None), ("a", FIRST, 0, 2.0)])])
    assert curated.columns == list(READINGS.curated_schema)
    assert curated["kind"].to_list() == ["heat", "power"]
    assert curated["meter_key"].to_list() == hash_ids(pl.Series(["a", "b"])).to_list()


def test_the_latest_row_of_a_key_is_that_of_the_last_file_and_line() -> None:
    first = staged(PRICES, [("pen", 1.0, 0, 2), ("pen", 2.0, 0, 9), ("pen", 20.0, 1, 3)])
    second = staged(PRICES, [("pen", None, 0, 2), ("ink", None, 0, 3)], "price")
    curated, dropped = merge_rows(PRICES, [first, second])
    assert curated.rows() == [("ink", "EUR", None, 0), ("pen", "EUR", None, 0), ("pen", "SEK", 20.0, 1)]
    assert dropped == 2
    assert merge_rows(PRICES, [second, first])[0].rows()[1] == ("pen", "EUR", 2.0, 0)
    assert merge_rows(PRICES, [])[0].schema == pl.Schema(PRICES.curated_schema)


def test_rows_that_break_a_rule_or_are_of_another_day_are_counted() -> None:
    part = readings([("a", FIRST, 0, None), ("", FIRST, 1, 101.0), ("b", FIRST + timedelta(days=1), 1, 3.0)])
    (merged,) = merge_partitions(READINGS, {DAY: [part.to_arrow()]}).values()
    failed = {outcome.rule: outcome.failed for outcome in broken(merged.outcomes)}
    assert failed.pop("read_at is of the day") == 1
    assert {rule.partition("(")[0].split()[-1]: count for rule, count in failed.items()} == {
        "heat_has_a_value": 1,
        "str_length": 1,
        "less_than_or_equal_to": 1,
    }


def test_a_file_of_before_a_table_was_curated_by_day_is_named_with_the_remedy(tmp_path: Path) -> None:
    store, now = LocalStore(str(tmp_path / "store")), FIRST + timedelta(days=1)
    rules = CurationRules(FIRST - timedelta(days=9), timedelta(hours=1))
    whole = replace(READINGS, partition_by=None)
    before = TableCurator(store, "acme", rules, now, {"readings": whole})
    path = tmp_path / "r.csv"
    path.write_text("meter_id,read_at,kind,value\na,2026-01-02T00:00:00Z,power,1\n")
    report = Landing(before).land("readings", "r.csv", path, parse_format("r.csv")).report
    assert [curated.rows for curated in before.curate("readings", [None])] == [1]
    after = TableCurator(store, "acme", rules, now, {"readings": READINGS})
    with pytest.raises(DataRuleError, match=rf"{report.file_id} was validated when readings was not curated by day"):
        after.parts("readings")
    after.validate(report.raw_key)
    assert list(after.parts("readings")) == [DAY]
