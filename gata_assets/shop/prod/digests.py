"""Digests of what a partition is built from: of days, and of the rows that concern it.

A change of the customers' table concerns only the months in which one of the changed customers has an order. The
digests detect changes, not forgeries, and are the same on every machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import sha256

import polars as pl

from gata_assets.tables.columns.hashing import hash_ids

# Control characters, which stand for the end of a value and for none.
_END, _NONE = "\x1f", "\x00"


def digest_days(days: Mapping[date, str]) -> str:
    """Of days and the digests of their rows."""
    return sha256(json.dumps([(day.isoformat(), days[day]) for day in sorted(days)]).encode()).hexdigest()


def digest_rows(rows: pl.DataFrame) -> str:
    """Of a few rows, in their order."""
    return sha256(rows.write_csv().encode()).hexdigest()


def hash_rows(rows: pl.DataFrame, key: str, columns: Sequence[str]) -> pl.DataFrame:
    """The key of each row and a 64-bit hash of these columns of it, as `hash`."""
    texts = [pl.col(name).cast(pl.String).fill_null(_NONE) for name in columns]
    hashed = hash_ids(rows.select(pl.concat_str(texts, separator=_END).alias(key))[key])
    return rows.select(key).with_columns(hashed.alias("hash"))


def digest_concerned(keys: pl.Series, hashes: pl.DataFrame) -> str:
    """Of the rows with these keys (each once), from `hash_rows`; in any order."""
    found = keys.to_frame().join(hashes, on=keys.name, how="inner")
    return f"{len(found)}-{_sum(found['hash']):016x}"


def digest_earlier(customers: pl.Series, earlier: pl.DataFrame) -> str:
    """Of the number of earlier `orders` of these customers (each once), in any order."""
    found = customers.to_frame().join(earlier, on=customers.name, how="inner")
    hashed = hash_ids(found[customers.name])
    return f"{len(found)}-{_sum(hashed * (2 * found['orders'].cast(pl.UInt64) + 1)):016x}"


def _sum(numbers: pl.Series) -> int:
    # Halves, so that no sum of fewer than four billion rows overflows.
    low, high = (numbers & 0xFFFFFFFF).sum(), (numbers // (1 << 32)).sum()
    return (int(low or 0) + (int(high or 0) << 32)) % (1 << 64)
