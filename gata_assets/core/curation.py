"""Curated tables: a day's interactions, and the catalogue, from the good rows of any number of files.

A curated table is a pure function of the set of rows: neither the order of files nor how rows are divided among them
changes a byte. What a good row is stands in `curation_rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.core.id_codes import CodedIds, code_ids, places_of
from gata_assets.core.id_keys import key_ids
from gata_assets.core.interaction_rules import InteractionType

_ORDER = ("timestamp", "user", "item", "type_code", "rating", "device_type", "location", "session_id")
_NEEDED = _ORDER[:4]
_OPTIONAL = {"rating": pl.Float32, "device_type": pl.String, "location": pl.String, "session_id": pl.String}
_IDS = ("user_id", "item_id", "user_key", "item_key")
_PLAIN = pl.CompatLevel.oldest()
_TYPES = pl.Series([kind.value for kind in InteractionType])


@dataclass(frozen=True)
class CuratedDay:
    """A day's interactions (CuratedInteractions), its distinct `user_id, user_key` and `item_id, item_key` by id, and
    how many exact repetitions were dropped. `coded` has the interactions with ids, keys and types as dictionaries.
    """

    interactions: pl.DataFrame
    users: pa.Table
    items: pa.Table
    duplicates: int
    coded: pa.Table


def curate_interactions(rows: pl.DataFrame, days: Sequence[date]) -> dict[date, CuratedDay]:
    """Bring the staged rows of some days into order, without exact repetitions; rows of other days are left out.

    `rows` are as `STAGED`; columns that may be null may be missing.

    Many small days at once take a third of the time that they take one by one.
    """
    users, items = code_ids(rows["user_id"]), code_ids(rows["item_id"])
    rows = rows.drop("user_id", "item_id").with_columns(pl.Series("user", users.codes), pl.Series("item", items.codes))
    # Columns without a value need no order, and are carried along for nothing.
    order = [name for name in _ORDER if name in rows.columns and rows[name].null_count() < len(rows)]
    rows = rows.select(*order, *(name for name in _NEEDED if name not in order)).sort(order or _NEEDED)
    same = [pl.col(name).eq_missing(pl.col(name).shift(1)) for name in order or _NEEDED]
    repeats = rows.select(pl.all_horizontal(same) & (pl.int_range(pl.len()) > 0)).to_series()
    dropped = dict(rows.filter(repeats)["timestamp"].dt.date().value_counts().iter_rows())
    kept = rows.filter(~repeats) if repeats.any() else rows
    interactions = kept.select(
        users.ids.gather(kept["user"]).alias("user_id"),
        items.ids.gather(kept["item"]).alias("item_id"),
        _TYPES.gather(kept["type_code"]).alias("interaction_type"),
        "timestamp",
        *(name if name in order else pl.lit(None, kind).alias(name) for name, kind in _OPTIONAL.items()),
        "type_code",
        users.keys.gather(kept["user"]).alias("user_key"),
        items.keys.gather(kept["item"]).alias("item_key"),
    )
    slices = _slices(kept["timestamp"].dt.date())
    coded_users, coded_items = _DayIds.of(users, kept["user"]), _DayIds.of(items, kept["item"])
    # What is alike on all days becomes Arrow's once: a conversion takes 0.1 ms, however small.
    types = pa.array(kept["type_code"].cast(pl.Int32).to_numpy())
    coded = {"interaction_type": pa.DictionaryArray.from_arrays(types, _as_arrow(_TYPES))}
    plain = interactions.select(pl.exclude("interaction_type", *_IDS)).to_arrow(compat_level=_PLAIN).combine_chunks()
    coded |= {name: plain[name] for name in plain.column_names}
    made = {}
    for day in days:
        at = slices.get(day, slice(0, 0))
        (day_users, user_columns), (day_items, item_columns) = coded_users.of_rows(at), coded_items.of_rows(at)
        columns = {name: column.slice(at.start, at.stop - at.start) for name, column in coded.items()}
        columns |= dict(zip(_IDS, (user_columns[0], item_columns[0], user_columns[1], item_columns[1]), strict=True))
        table = pa.table({name: columns[name] for name in interactions.columns})
        users_table, items_table = (
            pa.table(dict(zip(names, ids, strict=True)))
            for names, ids in ((("user_id", "user_key"), day_users), (("item_id", "item_key"), day_items))
        )
        made[day] = CuratedDay(interactions[at], users_table, items_table, dropped.get(day, 0), table)
    return made


@dataclass(frozen=True)
class _DayIds:
    """The ids of sorted rows, from which those of a day are told."""

    codes: NDArray[np.int32]
    ids: pa.Array
    keys: NDArray[np.uint64]

    @classmethod
    def of(cls, known: CodedIds, codes: pl.Series) -> _DayIds:
        return cls(codes.to_numpy(), _as_arrow(known.ids), known.keys.to_numpy())

    def of_rows(self, at: slice) -> tuple[tuple[pa.Array, pa.Array], tuple[pa.Array, pa.Array]]:
        """The distinct ids of some rows and their keys, and the rows' own as dictionaries of them."""
        places, local = places_of(self.codes[at], len(self.keys))
        distinct = self.ids.take(pa.array(places)), pa.array(self.keys[places])
        codes = pa.array(local)
        ids, keys = (pa.DictionaryArray.from_arrays(codes, values) for values in distinct)
        return distinct, (ids, keys)


def _as_arrow(column: pl.Series) -> pa.Array:
    return column.rechunk().to_arrow(compat_level=_PLAIN)


def _slices(days: pl.Series) -> dict[date, slice]:
    """Where each day's rows are in a column of ascending days."""
    runs = days.rle().struct.unnest()
    ends = runs["len"].cum_sum()
    return {day: slice(end - length, end) for day, length, end in zip(runs["value"], runs["len"], ends, strict=True)}


def curate_items(parts: Sequence[pl.DataFrame]) -> tuple[pl.DataFrame, int]:
    """The latest row of each item (CuratedItems), and how many earlier rows gave way to it.

    `parts` are staged rows in the order in which their files landed; of one file the last row of an item counts.
    """
    numbered = [part.with_columns(file=pl.lit(place, pl.UInt32)) for place, part in enumerate(parts)]
    rows = pl.concat(numbered).sort("item_id", "file", "source_line")
    latest = (
        rows.filter(rows["item_id"] != rows["item_id"].shift(-1, fill_value=None).fill_null("")) if len(rows) else rows
    )
    latest = latest.drop("file", "source_line")
    return latest.with_columns(key_ids(latest["item_id"]).alias("item_key")), len(rows) - len(latest)
