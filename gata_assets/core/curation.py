"""Curated tables: a day's interactions, and the catalogue, from the good rows of any number of files.

A curated table is a pure function of the set of rows: neither the order of files nor how rows are divided among them
changes a byte. What a good row is stands in `curation_rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from gata_assets.core.id_keys import key_ids
from gata_assets.core.interaction_rules import InteractionType

_ORDER = ("timestamp", "user_id", "item_id", "type_code", "rating", "device_type", "location", "session_id")
_NEEDED = _ORDER[:4]
_OPTIONAL = {"rating": pl.Float32, "device_type": pl.String, "location": pl.String, "session_id": pl.String}


@dataclass(frozen=True)
class CuratedDay:
    """A day's interactions (CuratedInteractions), its distinct `user_id, user_key` and `item_id, item_key` by id, and
    how many exact repetitions were dropped.
    """

    interactions: pl.DataFrame
    users: pl.DataFrame
    items: pl.DataFrame
    duplicates: int


def curate_interactions(rows: pl.DataFrame, days: Sequence[date]) -> dict[date, CuratedDay]:
    """Bring the staged rows of some days into order, without exact repetitions; rows of other days are left out.

    `rows` are as `STAGED`; columns that may be null may be missing.

    Many small days at once take a third of the time that they take one by one.
    """
    # Columns without a value need no order, and are carried along for nothing.
    order = [name for name in _ORDER if name in rows.columns and rows[name].null_count() < len(rows)]
    rows = rows.select(*order, *(name for name in _NEEDED if name not in order)).sort(order or _NEEDED)
    same = [pl.col(name).eq_missing(pl.col(name).shift(1)) for name in order or _NEEDED]
    repeats = rows.select(pl.all_horizontal(same) & (pl.int_range(pl.len()) > 0)).to_series()
    kept = rows.filter(~repeats) if repeats.any() else rows
    user_keys, item_keys = (key_ids(kept[f"{kind}_id"]).rename(f"{kind}_key") for kind in ("user", "item"))
    types = pl.Series([kind.value for kind in InteractionType])
    interactions = kept.select(
        "user_id",
        "item_id",
        types.gather(kept["type_code"]).alias("interaction_type"),
        "timestamp",
        *(name if name in order else pl.lit(None, kind).alias(name) for name, kind in _OPTIONAL.items()),
        "type_code",
        user_keys,
        item_keys,
    )
    day = kept["timestamp"].dt.date()
    dropped = dict(rows.filter(repeats)["timestamp"].dt.date().value_counts().iter_rows())
    by_day = _by_day(interactions, day)
    made = {one: by_day.get(one, by_day[None]) for one in days}
    return {
        one: CuratedDay(table, _keyed(table["user_id"]), _keyed(table["item_id"]), dropped.get(one, 0))
        for one, table in made.items()
    }


def _keyed(ids: pl.Series) -> pl.DataFrame:
    """The distinct ids, ascending, with their keys. A day at a time: all days in one took twice as long."""
    distinct = ids.unique().sort()
    return pl.DataFrame([distinct, key_ids(distinct).rename(ids.name.replace("_id", "_key"))])


def _by_day(table: pl.DataFrame, day: pl.Series) -> dict[date | None, pl.DataFrame]:
    """Slices of a table in the order of its days, and under None an empty one."""
    runs = day.rle().struct.unnest()
    ends = runs["len"].cum_sum()
    slices = {
        one: table.slice(end - length, length)
        for one, length, end in zip(runs["value"], runs["len"], ends, strict=True)
    }
    return {None: table.clear(), **slices}


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
