"""Rows of the sample shop's customers, and the faults that they may have. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray

from gata_assets.sandbox.sample_data import SHOP
from gata_assets.sandbox.shop.tables import DAY, SECOND, Ints, numbered, only, pick

_PEOPLE: Mapping[str, Any] = SHOP["people"]
COUNTRIES: list[dict[str, Any]] = _PEOPLE["countries"]
_CUMULATIVE_COUNTRIES = np.cumsum([country["share"] for country in COUNTRIES])[:-1]
_CITIES = [city for country in COUNTRIES for city in country["cities"]]
_CITIES_PER_COUNTRY = 4
_NO_PHONE_SHARE, _NO_EMAIL_SHARE, _NOTE_SHARE = 0.10, 0.03, 0.05
_OLDEST_DAYS = 3 * 365
# Two centuries back, or one and a half ahead.
_UNREASONABLE_DAYS = (-200 * 365, 150 * 365)
# Which column each fault is in.
_COLUMNS = {
    "invalid_email": "email",
    "invalid_phone": "phone",
    "unknown_country": "country",
    "missing_customer_id": "customer_id",
    "date_out_of_reason": "created_at",
}
_VALUES = {"email": "invalid_emails", "phone": "invalid_phones", "country": "unknown_countries"}


class People:
    """What never changes of each customer, by number."""

    def __init__(self, rng: Generator, count: int, until: int) -> None:
        """`count` customers, created before the instant `until`."""
        self.country: Ints = np.searchsorted(_CUMULATIVE_COUNTRIES, rng.random(count))
        self.given, self.family, self.domain = (
            rng.integers(0, len(_PEOPLE[name]), count) for name in ("given", "family", "domains")
        )
        self.has_email = rng.random(count) >= _NO_EMAIL_SHARE
        self.created = until - rng.integers(DAY // SECOND, _OLDEST_DAYS * DAY // SECOND, count) * SECOND

    def draw_rows(self, rng: Generator, numbers: Ints) -> pl.DataFrame:
        """Rows of the customers with these numbers, without a fault; phone, city and notes are drawn anew."""
        count = len(numbers)
        country = self.country[numbers]
        city, phone = rng.integers(0, _CITIES_PER_COUNTRY, count), rng.random(count)
        note, has_note = rng.integers(0, len(_PEOPLE["notes"]), count), rng.random(count) < _NOTE_SHARE
        has_phone = rng.random(count) >= _NO_PHONE_SHARE
        given, family, domain = (
            pick(_PEOPLE[name], chosen[numbers])
            for name, chosen in (("given", self.given), ("family", self.family), ("domains", self.domain))
        )
        account = given.str.to_lowercase() + "." + family.str.to_lowercase() + "." + pl.Series(numbers).cast(pl.String)
        return pl.DataFrame(
            {
                "customer_id": numbered("cus", numbers),
                "email": only(account + "@" + domain, self.has_email[numbers]),
                "phone": only(_phones(country, phone), has_phone),
                "name": given + " " + family,
                "city": pick(_CITIES, country * _CITIES_PER_COUNTRY + city),
                "country": pick([entry["code"] for entry in COUNTRIES], country),
                "created_at": self.created[numbers],
                "notes": only(pick(_PEOPLE["notes"], note), has_note),
            }
        )


def with_faults(customers: pl.DataFrame, first: int, faults: Mapping[str, int]) -> pl.DataFrame:
    """The customers, of whom as many as `faults` says, one after the other from place `first` on, have a fault."""
    for fault, count in faults.items():
        place = np.arange(len(customers)) - first
        column, chosen = _COLUMNS[fault], np.maximum(place, 0)
        invalid: pl.Series | pl.Expr
        if column == "created_at":
            days = np.array(_UNREASONABLE_DAYS)[chosen % len(_UNREASONABLE_DAYS)]
            invalid = customers[column] + pl.Series(days * DAY)
        elif column in _VALUES:
            values = _PEOPLE[_VALUES[column]]
            invalid = pick(values, chosen % len(values))
        else:
            invalid = pl.lit(None, pl.String)
        is_chosen = pl.Series((place >= 0) & (place < count))
        customers = customers.with_columns(pl.when(is_chosen).then(invalid).otherwise(column).alias(column))
        first += count
    return customers


def _phones(country: Ints, draw: NDArray[np.float64]) -> pl.Series:
    """A number from the country's range for fiction."""
    ranges = [entry["phone"] for entry in COUNTRIES]
    first = np.array([one["first"] for one in ranges])[country]
    size = np.array([one["last"] - one["first"] + 1 for one in ranges])[country]
    number = pl.Series(first + (draw * size).astype(np.int64)).cast(pl.String)
    texts = pl.DataFrame(
        {"country": country, "number": number, "prefix": pick([one["prefix"] for one in ranges], country)}
    )
    padded = pl.coalesce(
        pl.when(pl.col("country") == place).then(pl.col("number").str.zfill(one["digits"]))
        for place, one in enumerate(ranges)
    )
    return texts.select(pl.col("prefix") + padded).to_series()
