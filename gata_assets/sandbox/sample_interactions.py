"""Sample items and interactions of a realistic shop, generated from a seed.

Every day has its own random stream keyed by (seed, day): a day's interactions do not depend on the requested range.
Tables look like a tenant's files: all columns are text, with the faults of real files. Pure: no clock, file or global
state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from gata_assets.interactions.rules import InteractionType
from gata_assets.sandbox.sample_data import SHOP

_CATEGORIES: Mapping[str, Mapping[str, Any]] = SHOP["categories"]
_BRANDS: Sequence[str] = SHOP["brands"]
_QUALITIES: Sequence[str] = SHOP["qualities"]

# By type, in the order of InteractionType; by day of the week, Monday first, on average 1; by hour, UTC.
_CUMULATIVE_TYPES = np.cumsum([0.60, 0.20, 0.05, 0.05, 0.08, 0.02])[:-1]
_RATED_SHARES = np.array([0, 0.02, 0.45, 0.35, 0, 0.5])
_WEEKDAY_FACTORS = (0.92, 0.90, 0.92, 0.95, 1.02, 1.17, 1.12)
_HOUR_WEIGHTS = (2, 1, 1, 1, 1, 2, 4, 6, 7, 8, 8, 8, 9, 8, 8, 8, 9, 10, 11, 13, 14, 12, 8, 4)
_CUMULATIVE_HOURS = np.cumsum(_HOUR_WEIGHTS)[:-1] / sum(_HOUR_WEIGHTS)
_DEVICES = ("mobile", "mobile", "mobile", "desktop", "desktop", "tablet", None)
_LOCATIONS = ("AT", "BE", "CH", "DE", "DE", "DE", "FR", "IT", "NL", "PL", None, None)
# Zipf's law with a flatter head, as in shops: the top user or item has about 1 % of all interactions.
_ZIPF_POWER, _ZIPF_SHIFT = 1.05, 12
_FAVORITE_SHARE = 0.6  # of a user's items are from the user's favorite category
_FAULT_SHARE = 0.005
_REPEAT_SHARE = 0.004
_RETIRED_SHARE = 0.002
_WITH_DATE_SHARE = 0.2
_SESSION_MICROS = 1_800_000_000
_INTERACTION_FAULTS: Mapping[str, tuple[str | None, ...]] = {
    "user_id": (None,),
    "interaction_type": ("viewed", "VIEW"),
    "timestamp": ("yesterday", "02/01/2026 10:00", "1970-01-01T00:00:00Z"),
    "rating": ("9", "five"),
}
_ITEM_FAULTS: Mapping[str, tuple[str | None, ...]] = {
    "title": (None,),
    "price": ("-1.00", "free"),
    "available_at": ("soon", "2024-02-30"),
}
_UNIX_EPOCH = date(1970, 1, 1)
_FIRST_AVAILABLE = date(2023, 1, 1)


@dataclass(frozen=True)
class SampleShop:
    """The number of users and items, the average number of interactions per day, and the seed."""

    users: int = 10_000
    items: int = 5_000
    interactions_per_day: float = 100_000 / 90
    seed: int = 0


def generate_items(shop: SampleShop) -> pl.DataFrame:
    """Generate the item catalog: the columns of an item file, as text; one row in 200 has a fault."""
    rng = default_rng([shop.seed, 1])
    category = np.arange(shop.items) % len(_CATEGORIES)
    means = np.array([entry["price"] for entry in _CATEGORIES.values()])[category]
    words = pl.Series([entry["words"] for entry in _CATEGORIES.values()])
    word, quality, brand = (rng.integers(0, size, shop.items) for size in (4, len(_QUALITIES), len(_BRANDS)))
    days = rng.integers(0, 700, shop.items)
    has_date = rng.random(shop.items) < _WITH_DATE_SHARE
    prices = np.round(means * rng.lognormal(0, 0.5, shop.items), 2)
    dates = pl.lit(_FIRST_AVAILABLE) + pl.duration(days=pl.lit(pl.Series(days)))
    table = pl.select(
        pl.format("item_{}", pl.Series(range(shop.items)).cast(pl.String).str.zfill(5)).alias("item_id"),
        pl.format(
            "{} {}", pl.Series(_QUALITIES).gather(quality), words.gather(category).list.get(pl.Series(word))
        ).alias("title"),
        pl.Series(list(_CATEGORIES)).gather(category).alias("category"),
        pl.Series("price", [f"{price:.2f}" for price in prices.tolist()]),
        pl.Series(_BRANDS).gather(brand).alias("brand"),
    ).with_columns(
        pl.format("{}, made by {}.", "title", "brand").alias("description"),
        pl.when(pl.Series(has_date)).then(dates.cast(pl.String)).alias("available_at"),
    )
    return _with_faults(table, _draw_faults(rng, shop.items), _ITEM_FAULTS)


def generate_interactions(shop: SampleShop, first_day: date, last_day: date) -> pl.DataFrame:
    """Generate interactions from `first_day` to `last_day`, inclusive: the columns of an interaction file, as text.

    Rows are ordered by time within a day. One row in 200 has a fault, one in 250 is repeated, and one in 500 has an
    item that is not in the catalog.
    """
    rng = default_rng([shop.seed, 2])
    users, items = rng.permutation(shop.users), rng.permutation(shop.items)
    favorites = rng.integers(0, len(_CATEGORIES), shop.users)
    shares = (_zipf(shop.users), _zipf(shop.items))
    days = [first_day + timedelta(days=number) for number in range((last_day - first_day).days + 1)]
    drawn = [_draw_day(shop, day, shares) for day in days]
    draws = {name: np.concatenate([day_draws[name] for day_draws in drawn]) for name in drawn[0]}
    user = users[draws["user_rank"]]
    item = items[draws["item_rank"]]
    # The nearby item number in the user's favorite category.
    own = item - item % len(_CATEGORIES) + favorites[user]
    item = np.where(draws["is_own"] & (own < shop.items), own, item)
    table = pl.DataFrame(
        {"user": user, "item": item, **{name: draws[name] for name in ("retired", "micros", "rating")}}
    )
    table = table.select(
        pl.format("user_{}", pl.col("user").cast(pl.String).str.zfill(5)).alias("user_id"),
        pl.format(
            "{}_{}",
            pl.when("retired").then(pl.lit("retired")).otherwise(pl.lit("item")),
            pl.col("item").cast(pl.String).str.zfill(5),
        ).alias("item_id"),
        pl.Series([kind.value for kind in InteractionType]).gather(draws["kind"]).alias("interaction_type"),
        pl.col("micros").cast(pl.Datetime("us")).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").alias("timestamp"),
        pl.col("rating").fill_nan(None).cast(pl.String),
        pl.Series(_DEVICES).gather(draws["device"]).alias("device_type"),
        pl.Series(_LOCATIONS).gather(draws["location"]).alias("location"),
        pl.format("s{}-{}", pl.col("user"), pl.col("micros") // _SESSION_MICROS % 1_000).alias("session_id"),
    )
    table = _with_faults(table, draws["fault"], _INTERACTION_FAULTS)
    repeated = pl.Series(np.repeat(np.arange(len(table)), 1 + draws["is_repeated"]))
    return table[repeated]


def happened_interactions(interactions: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The interactions without those that are later on the day of `now`; invalid instants stay."""
    at = pl.col("timestamp")
    is_later = at.str.starts_with(f"{now:%Y-%m-%d}") & (at >= f"{now:%Y-%m-%dT%H:%M:%S}")
    return interactions.filter(~is_later.fill_null(value=False))


def _draw_day(
    shop: SampleShop, day: date, shares: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> dict[str, NDArray[Any]]:
    """Draw a day's interactions, ordered by time."""
    rng = default_rng([shop.seed, 3, day.toordinal()])
    mean = shop.interactions_per_day * _WEEKDAY_FACTORS[day.weekday()] * rng.uniform(0.9, 1.1)
    count = int(mean + rng.random())
    kind = np.searchsorted(_CUMULATIVE_TYPES, rng.random(count)).astype(np.uint8)
    liking = np.where(kind == InteractionType.DISLIKE.code, 1.0, 3.4)
    rating = np.clip(np.round((liking + rng.gamma(2, 0.6, count)) * 2) / 2, 1, 5)
    hour = np.searchsorted(_CUMULATIVE_HOURS, rng.random(count))
    midnight = (day - _UNIX_EPOCH).days * 86_400_000
    millis = midnight + hour * 3_600_000 + rng.integers(0, 3_600_000, count)
    return {
        "user_rank": np.searchsorted(shares[0], rng.random(count)),
        "item_rank": np.searchsorted(shares[1], rng.random(count)),
        "is_own": rng.random(count) < _FAVORITE_SHARE,
        "kind": kind,
        "rating": np.where(rng.random(count) < _RATED_SHARES[kind], rating, np.nan),
        "micros": np.sort(millis) * 1_000,
        "retired": rng.random(count) < _RETIRED_SHARE,
        "device": rng.integers(0, len(_DEVICES), count),
        "location": rng.integers(0, len(_LOCATIONS), count),
        "is_repeated": rng.random(count) < _REPEAT_SHARE,
        "fault": _draw_faults(rng, count),
    }


def _zipf(count: int) -> NDArray[np.float64]:
    """The cumulative shares of `count` ranks."""
    weights = (np.arange(count) + 1 + _ZIPF_SHIFT) ** -_ZIPF_POWER
    return np.cumsum(weights / weights.sum())


def _draw_faults(rng: Generator, count: int) -> NDArray[np.int64]:
    """A number that selects a fault for one row in 200, and -1 for the others."""
    return np.where(rng.random(count) < _FAULT_SHARE, rng.integers(0, 1_000_000, count), -1)


def _with_faults(
    table: pl.DataFrame, chosen: NDArray[np.int64], faults: Mapping[str, tuple[str | None, ...]]
) -> pl.DataFrame:
    """Replace one value in each chosen row with an invalid one."""
    is_chosen = chosen >= 0
    return table.with_columns(
        pl.when(pl.Series(is_chosen & (chosen % len(faults) == place)))
        .then(pl.Series(values, dtype=pl.String).gather(chosen // len(faults) % len(values)))
        .otherwise(pl.col(name))
        .alias(name)
        for place, (name, values) in enumerate(faults.items())
    )
