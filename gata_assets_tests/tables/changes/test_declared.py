"""Declarations of tables of changes: what is refused, with which text.

All real; nothing is faked. Tables are declared here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import pandera.polars as pa
import polars as pl
import pytest

from gata_assets.errors import TableSpecError
from gata_assets.tables.changes.graph import TableGraph, build_graph
from gata_assets.tables.declaration import spec_of, tables_by_name

Instant = Annotated[pl.Datetime, "us", "UTC"]
Money = Annotated[pl.Decimal, 18, 2]
CHANGES = {"operation": ["Op"], "committed_at": ["ts"]}
TRIPS: dict[str, Any] = {"table": "trips", "key": ["trip_id"], "repetitions": "latest", "changes": CHANGES}
TRIPS |= {"event_time": "left_at", "partition_by": "day"}
LEGS: dict[str, Any] = {"table": "legs", "key": ["leg_id"], "repetitions": "latest", "changes": CHANGES}
TOTAL = {"column": "cost", "parts": "legs", "amount": pl.col("cost")}
PART = {"table": "trips", "column": "trip_id", "mode": "part"}
WAITS = {**PART, "mode": "park"}


def model(columns: Mapping[str, tuple[Any, Mapping[str, Any]]], metadata: Mapping[str, Any]) -> Any:
    """A model of these columns: their types, and their metadata."""
    fields = {name: pa.Field(nullable=False, metadata=dict(of) or None) for name, (_, of) in columns.items()}
    config = type("Config", (), {"strict": True, "ordered": True, "metadata": dict(metadata)})
    kinds = {name: kind for name, (kind, _) in columns.items()}
    return type("Model", (pa.DataFrameModel,), {**fields, "__annotations__": kinds, "Config": config})


def trips(**metadata: Any) -> Any:
    columns = {"trip_id": (str, {}), "left_at": (Instant, {}), "cost": (Money, {})}
    return model(columns, {**TRIPS, **metadata})


def legs(reference: Mapping[str, Any] = PART, **metadata: Any) -> Any:
    columns = {"leg_id": (str, {}), "trip_id": (str, {"references": reference}), "cost": (Money, {})}
    return model(columns, {**LEGS, **metadata})


def graph_of(*models: Any) -> TableGraph:
    return build_graph(tables_by_name(map(spec_of, models)))


def test_a_table_and_its_parts_are_a_unit() -> None:
    graph = graph_of(trips(totals={"trip_total": TOTAL}), legs())
    [unit] = graph.units
    assert (unit.root.table, [part.spec.table for part in unit.parts], unit.children) == ("trips", ["legs"], ())
    assert graph.whole == graph.children == ()
    assert graph.unit_of("legs") is unit
    assert graph.unit_of("others") is None


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ((lambda: trips(key=["trip_id", "left_at"]), legs), "the row that others are parts of has a key of one column"),
        ((lambda: trips(partition_by=None), legs), "it is partitioned by the day of its event_time"),
        ((trips, lambda: legs(key=["leg_id", "trip_id"])), "a row of a unit has a key of one column"),
        ((lambda: trips(totals={"t": {**TOTAL, "parts": "stops"}}), legs), "totals are of its parts"),
        ((lambda: trips(partition_by=None, totals={"t": TOTAL}),), "rules over several rows are of units"),
        (
            (lambda: trips(partition_by=None, parent_rules={"r": pl.col("cost") > 0}),),
            "rules over several rows are of units",
        ),
        ((lambda: trips(key=[], repetitions="exact"),), "a table of changes has a key"),
    ],
)
def test_what_cannot_be_judged_is_refused(models: tuple[Any, ...], message: str) -> None:
    with pytest.raises(TableSpecError, match=f"is declared otherwise than tables of changes are: {message}"):
        graph_of(*(declared() for declared in models))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"changes": {"operations": ["Op"]}}, r"Model: Config\.metadata: .*operations"),
        ({"changes": ["Op"]}, r"Config\.metadata: "),
        ({"totals": {"t": {"column": "cost"}}}, r"Config\.metadata: .*parts"),
        ({"totals": ["t"]}, r"Config\.metadata: "),
        ({"parent_rules": ["r"]}, r"Config\.metadata: "),
        ({"card_numbers": "hide"}, 'otherwise than tables are: card_numbers is "truncate" or nothing'),
        (
            {"card_numbers": "truncate", "phone_regions": ["DE", "Germany"]},
            "phone_regions are countries .*; not Germany",
        ),
        ({"phone_regions": ["DE"]}, "phone_regions are of texts with card_numbers"),
        ({"card_numbers": True}, 'card_numbers is "truncate" or nothing'),
        ({"totals_": {}}, "unknown keys: totals_"),
        ({"repetitions": "newest"}, "'newest' is not a valid Repetitions"),
    ],
)
def test_metadata_that_is_none_is_refused(metadata: Mapping[str, Any], message: str) -> None:
    with pytest.raises(TableSpecError, match=message):
        spec_of(trips(**metadata))


@pytest.mark.parametrize(
    ("kind", "metadata", "message"),
    [
        (str, {"format": "mail"}, r'format is "email" or "phone" \(name\)'),
        (int, {"format": "email"}, r"formats are of texts \(name\)"),
        (str, {"personal": "hash"}, r'personal is true, false, "token" or "hidden" or "last_four" \(name\)'),
        (int, {"personal": "hidden"}, r"masked columns are texts \(name\)"),
        (str, {"references": {"table": "trips", "column": "trip_id", "mode": "wait"}}, "references are "),
    ],
)
def test_metadata_of_a_column_that_is_none_is_refused(kind: Any, metadata: Mapping[str, Any], message: str) -> None:
    with pytest.raises(TableSpecError, match=message):
        spec_of(
            model(
                {"trip_id": (str, {}), "name": (kind, metadata)},
                {"table": "names", "key": ["trip_id"], "repetitions": "latest"},
            )
        )


@pytest.mark.parametrize("masked", ["trip_id", "place_id"])
def test_neither_a_key_nor_a_reference_is_masked(masked: str) -> None:
    reference = {"references": {"table": "places", "column": "place_id", "mode": "warn"}}
    columns: dict[str, Any] = {"trip_id": (str, {}), "place_id": (str, reference)}
    columns[masked] = (str, {**columns[masked][1], "personal": "token"})
    with pytest.raises(TableSpecError, match=rf"no column of the key or of a reference is masked \({masked}\)"):
        spec_of(model(columns, {"table": "trips", "key": ["trip_id"], "repetitions": "latest"}))


def test_a_child_waits_for_one_row() -> None:
    columns = {"fee_id": (str, {}), "trip_id": (str, {"references": WAITS})}
    columns["other_id"] = (str, {"references": {"table": "places", "column": "place_id", "mode": "park"}})
    fees = model(columns, {**LEGS, "table": "fees", "key": ["fee_id"]})
    places = model({"place_id": (str, {})}, {**LEGS, "table": "places", "key": ["place_id"]})
    with pytest.raises(TableSpecError, match=r"The table fees is .*: a row waits for one other at most"):
        graph_of(places, trips(), legs(), fees)
