"""A day's curated interactions from the valid rows of any number of files.

They are a pure function of the set of rows: neither the order of files nor the distribution of rows among them
changes a byte. `schema` defines valid rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.interactions.rules import InteractionType
from gata_assets.interactions.tables import INTERACTIONS, TABLES
from gata_assets.tables.arrow_checks import check_arrow_tables, keep_every_rule
from gata_assets.tables.columns.arrays import Bools, Float32s, Int32s, UInt64s
from gata_assets.tables.columns.arrow_buffers import MICROS_OF_A_DAY, given_of_arrow, numbers_as_arrow, numbers_of_arrow
from gata_assets.tables.columns.id_encoding import CodedIds, code_ids, order_by, places_of
from gata_assets.tables.outcomes import Outcome, passed_all_rules

_EPOCH = date(1970, 1, 1)
_ADVICE = "This is a defect of the curation; please report it."
_CONTEXT = tuple(column.name for column in TABLES[INTERACTIONS].columns if column.within)
_TYPES = pl.Series([kind.value for kind in InteractionType]).to_arrow(compat_level=pl.CompatLevel.oldest())


@dataclass(frozen=True)
class CuratedDay:
    """A day's curated interactions.

    `coded` are its CuratedInteractions, with ids, keys and types as dictionaries; `users` and `items` its distinct
    `user_id, user_key` and `item_id, item_key`, by id; `duplicates` counts the exact repetitions that were dropped.
    """

    coded: pa.Table
    users: pa.Table
    items: pa.Table
    duplicates: int


def curate_interactions(rows: pa.Table, days: Sequence[date]) -> dict[date, CuratedDay]:
    """Order the staged rows of several days and drop exact repetitions; rows of other days are left out.

    Many small days together take a third of the time that they take one by one.

    Args:
        rows: The columns of the table's `staged_schema`; nullable ones may be missing.
        days: The days to curate.

    Returns:
        Each day's rows by time, user, item, type, rating and context; missing values come first.
    """
    users, items = code_ids(_texts(rows, "user_id")), code_ids(_texts(rows, "item_id"))
    instants = numbers_of_arrow(rows["timestamp"], np.int64)
    types = numbers_of_arrow(rows["type_code"], np.uint8)
    ratings, is_rated = _ratings(rows)
    # Columns without any value do not affect the order.
    context = {name: code_ids(_texts(rows, name)) for name in _CONTEXT if _has_values(rows, name)}
    rated = np.where(is_rated, _in_order(ratings) + np.uint64(1), np.uint64(0))
    first = instants.min() if len(instants) else 0
    by = [instants - first, users.codes, items.codes, types, rated]
    kept, dropped = _order(by + [column.codes for column in context.values()])
    repeats = dict(zip(*np.unique(instants[dropped] // MICROS_OF_A_DAY, return_counts=True), strict=True))
    instants = instants[kept]
    columns = {
        "interaction_type": pa.DictionaryArray.from_arrays(numbers_as_arrow(types[kept].astype(np.int32)), _TYPES),
        "timestamp": numbers_as_arrow(instants, pa.timestamp("us", "UTC")),
        "rating": numbers_as_arrow(ratings[kept], is_given=is_rated[kept]),
        **{
            name: _as_arrow(context[name].ids.gather(context[name].codes[kept]))
            if name in context
            else pa.nulls(len(kept), pa.large_string())
            for name in _CONTEXT
        },
        "type_code": numbers_as_arrow(types[kept]),
    }
    user_codes, item_codes = users.codes[kept], items.codes[kept]
    curated = {}
    for day in days:
        number = (day - _EPOCH).days
        start, stop = np.searchsorted(instants, [number * MICROS_OF_A_DAY, (number + 1) * MICROS_OF_A_DAY]).tolist()
        user_ids, user_keys, day_users = _ids_of_day(users, user_codes[start:stop], "user")
        item_ids, item_keys, day_items = _ids_of_day(items, item_codes[start:stop], "item")
        day_columns = {name: column.slice(start, stop - start) for name, column in columns.items()}
        coded = {"user_id": user_ids, "item_id": item_ids, **day_columns, "user_key": user_keys, "item_key": item_keys}
        curated[day] = CuratedDay(pa.table(coded), day_users, day_items, int(repeats.get(number, 0)))
    return curated


def check_curated_interactions(days: Mapping[date, CuratedDay]) -> dict[date, list[Outcome]]:
    """Check for each day that every rule of CuratedInteractions holds, and that every interaction is on the day.

    Days are checked together, since each table checked costs a millisecond however small it is.
    """
    spec = TABLES[INTERACTIONS]
    is_kept = keep_every_rule(spec, [curated.coded for curated in days.values()])
    outcomes = {}
    for day, curated in days.items():
        instants = numbers_of_arrow(curated.coded["timestamp"], np.int64)
        outside = int((instants // MICROS_OF_A_DAY != (day - _EPOCH).days).sum())
        rules = [passed_all_rules(spec.name, len(instants))] if is_kept else check_arrow_tables(spec, [curated.coded])
        outcomes[day] = [*rules, Outcome("timestamp is of the day", outside, len(instants), _ADVICE)]
    return outcomes


def _order(by: Sequence[NDArray[Any]]) -> tuple[Int32s, Int32s]:
    """The row indices ordered by these columns of numbers >= 0: of distinct rows, and of rows that repeat another."""
    order = np.arange(len(by[0]), dtype=np.int32)
    for numbers in reversed(by):
        order = order_by(order, numbers.astype(np.uint64))
    is_same = np.ones(max(len(order) - 1, 0), dtype=np.bool_)
    for numbers in by:
        ordered = numbers[order]
        is_same &= ordered[1:] == ordered[:-1]
        if not is_same.any():
            return order, order[:0]
    repeats = np.concatenate([[False], is_same])
    return order[~repeats], order[repeats]


def _ids_of_day(known: CodedIds, codes: Int32s, kind: str) -> tuple[pa.Array, pa.Array, pa.Table]:
    """The ids and keys of a day's rows as dictionaries, and the distinct ones as a table."""
    places, local = places_of(codes, len(known.keys))
    ids, keys = _as_arrow(known.ids.gather(places)), numbers_as_arrow(known.keys[places])
    indices = numbers_as_arrow(local)
    coded = (pa.DictionaryArray.from_arrays(indices, values) for values in (ids, keys))
    return *coded, pa.table({f"{kind}_id": ids, f"{kind}_key": keys})


def _has_values(rows: pa.Table, name: str) -> bool:
    return name in rows.column_names and rows[name].null_count < len(rows)


def _texts(rows: pa.Table, name: str) -> pl.Series:
    return pl.Series(pl.from_arrow(rows[name]))


def _as_arrow(texts: pl.Series) -> pa.Array:
    return texts.to_arrow(compat_level=pl.CompatLevel.oldest())


def _ratings(rows: pa.Table) -> tuple[Float32s, Bools]:
    if not _has_values(rows, "rating"):
        return np.zeros(len(rows), dtype=np.float32), np.zeros(len(rows), dtype=np.bool_)
    column = rows["rating"].combine_chunks()
    return numbers_of_arrow(column, np.float32), given_of_arrow(column)


def _in_order(numbers: Float32s) -> UInt64s:
    """Unsigned integers in the same order as these numbers."""
    bits = numbers.view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31)).astype(np.uint64)
