"""Tables of changes that are declared here: from raw files to curated partitions, quarantine and parked rows.

Real: raw files as CSV, and the curator. Faked: the store, in memory; the clock is an argument.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar

import pandera.polars as pa
import polars as pl
import pytest

from gata_assets.curation.changes.curator import ChangesCurator
from gata_assets.curation.policy import CurationRules
from gata_assets.storage.datasets import find_manifest
from gata_assets.tables.declaration import spec_of, tables_by_name
from gata_assets_tests.support.memory_store import MemoryStore

Instant = Annotated[pl.Datetime, "us", "UTC"]
Money = Annotated[pl.Decimal, 18, 2]
CHANGES = {"operation": ["Op"], "committed_at": ["ts"]}
DECLARED: dict[str, Any] = {"changes": CHANGES, "repetitions": "latest", "unknown_columns": "ignore"}


class Trips(pa.DataFrameModel):
    """Trips."""

    trip_id: str = pa.Field(unique=True, str_length={"min_value": 1})
    left_at: Instant
    fare: Money = pa.Field(ge=0)
    way: str = pa.Field(isin=("train", "ship"))

    class Config:
        strict = True
        ordered = True
        metadata: ClassVar = {
            **DECLARED,
            "table": "trips",
            "key": ["trip_id"],
            "event_time": "left_at",
            "partition_by": "day",
            "totals": {"fare_is_sum_of_legs": {"column": "fare", "parts": "legs", "amount": pl.col("price")}},
        }


class Legs(pa.DataFrameModel):
    """The legs of trips."""

    leg_id: str = pa.Field(str_length={"min_value": 1})
    trip_id: str = pa.Field(metadata={"references": {"table": "trips", "column": "trip_id", "mode": "part"}})
    price: Money = pa.Field(gt=0)

    class Config:
        strict = True
        ordered = True
        metadata: ClassVar = {**DECLARED, "table": "legs", "key": ["leg_id"]}


class Tickets(pa.DataFrameModel):
    """What was checked on trips, which wait for them."""

    check_id: str = pa.Field(unique=True, str_length={"min_value": 1})
    trip_id: str = pa.Field(metadata={"references": {"table": "trips", "column": "trip_id", "mode": "park"}})
    way: str

    class Config:
        strict = True
        ordered = True
        metadata: ClassVar = {
            **DECLARED,
            "table": "checks",
            "key": ["check_id"],
            "parent_rules": {"way_is_that_of_trip": pl.col("way") == pl.col("trips.way")},
        }


class Curator(ChangesCurator):
    tables = tables_by_name(map(spec_of, (Trips, Legs, Tickets)))
    parked = timedelta(days=2)


RULES = CurationRules(datetime(2000, 1, 1, tzinfo=UTC), timedelta(days=400))
START = datetime(2026, 1, 1, tzinfo=UTC)
TRIPS = """Op,ts,trip_id,left_at,fare,way
I,2026-01-01 01:00:00,t1,2026-01-01T08:00:00Z,30.00,train
I,2026-01-01 01:00:00,t2,2026-01-02T08:00:00Z,10.00,ship
I,2026-01-01 01:00:00,t3,2026-01-02T08:00:00Z,-1,ship
"""
LEGS = """Op,ts,leg_id,trip_id,price
I,2026-01-01 01:00:00,l1,t1,10
I,2026-01-01 01:00:00,l2,t1,20.00
I,2026-01-01 01:00:00,l3,t2,11
I,2026-01-01 01:00:00,l4,t9,1
"""
CHECKS = """Op,ts,check_id,trip_id,way
I,2026-01-01 02:00:00,k1,t1,train
I,2026-01-01 02:00:00,k2,t1,ship
I,2026-01-01 02:00:00,k3,t2,ship
"""


@pytest.fixture
def store() -> MemoryStore:
    found = MemoryStore()
    places = Curator(found, "rail", RULES, START).places
    for table, content in (("trips", TRIPS), ("legs", LEGS), ("checks", CHECKS)):
        found.write(f"{places.raw(table)}2026-01-01/first.csv", content.encode())
    return found


def curate(store: MemoryStore, now: datetime) -> Curator:
    curator = Curator(store, "rail", RULES, now)
    for table in curator.tables:
        for report in curator.validate_new(table):
            assert report.refused is None
    list(curator.curate())
    return curator


def rows_in(store: MemoryStore, curator: Curator, ending: str) -> dict[str, list[tuple[str, str]]]:
    """The first column of rows, and their partition, by table."""
    found: dict[str, list[tuple[str, str]]] = {table: [] for table in curator.tables}
    folder = curator.places.curated("trips")
    for partition in store.list_folders(folder):
        manifest = find_manifest(store, f"{folder}{partition}/").manifest
        assert manifest is not None
        for table in found:
            entry = manifest.find(f"{table}{ending}.parquet")
            if entry:
                rows = pl.read_parquet(store.read(f"{folder}{partition}/{entry[0]}"))
                verdicts = rows["verdict"] if ending else pl.Series([partition] * len(rows), dtype=pl.String)
                found[table] += zip(rows.to_series(0).to_list(), verdicts.to_list(), strict=True)
    return found


def test_units_that_are_declared_elsewhere_are_curated_by_day(store: MemoryStore) -> None:
    curator = curate(store, START + timedelta(days=1))
    assert rows_in(store, curator, "") == {
        "trips": [("t1", "2026-01-01")],
        "legs": [("l1", "2026-01-01"), ("l2", "2026-01-01")],
        "checks": [("k1", "2026-01-01")],
    }
    waiting = {table: sorted(rows) for table, rows in rows_in(store, curator, "_waiting").items()}
    assert waiting == {
        "trips": [("t2", "parked")],
        "legs": [("l3", "parked"), ("l4", "parked")],
        "checks": [("k2", "quarantined"), ("k3", "parked")],
    }
    [report] = curator.reports("trips")
    assert dict(report.rejected_by_rule) == {"fare_is_not_negative": 1}


def test_what_waited_long_enough_is_quarantined_and_what_is_completed_is_curated(store: MemoryStore) -> None:
    curate(store, START + timedelta(days=1))
    curator = curate(store, START + timedelta(days=5))
    waiting = rows_in(store, curator, "_waiting")
    assert {verdict for rows in waiting.values() for _, verdict in rows} == {"quarantined"}
    update = "Op,ts,leg_id,trip_id,price\nU,2026-01-03 00:00:00,l3,t2,10.00\n"
    store.write(f"{curator.places.raw('legs')}2026-01-03/second.csv", update.encode())
    curator = curate(store, START + timedelta(days=5))
    assert rows_in(store, curator, "")["trips"] == [("t1", "2026-01-01"), ("t2", "2026-01-02")]
    assert rows_in(store, curator, "")["checks"] == [("k1", "2026-01-01"), ("k3", "2026-01-02")]
