"""Interactions for benchmarks, generated from a seed: curated days, and a plain file with the same rows.

Users and items are Zipf-distributed, times uniform; a fifth of the interactions have a rating. Days are generated one
at a time, so that 50 million fit into memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.interactions.feature_makers import CATALOGUE_FILE, DAYS, PLAIN_FILE, TENANT, WINDOW
from gata_assets.curation.layout import (
    INTERACTIONS_FILE,
    ITEMS_FILE,
    MANIFEST_FILE,
    USERS_FILE,
    TenantLayout,
)
from gata_assets.interactions.rules import InteractionType
from gata_assets.tables.columns.hashing import hash_ids
from gata_assets.tables.manifests import FileEntry, Manifest

PLACES = TenantLayout(TENANT)

_TYPE_SHARES = [0.62, 0.2, 0.06, 0.06, 0.05, 0.01]


@dataclass(frozen=True)
class Size:
    """The size of a generated input."""

    interactions: int
    users: int
    items: int


def make_interactions(folder: Path, size: Size, *, seed: int) -> None:
    """Write a tenant's curated days and catalog below a folder, and `PLAIN_FILE` and `CATALOGUE_FILE`.

    The plain files have the same rows: a file of interactions ordered by time with ids as strings, and the catalog.
    """
    random = np.random.default_rng(seed)
    users, items = _ids("user", size.users), _ids("item", size.items)
    user_shares, item_shares = _zipf(size.users, random), _zipf(size.items, random)
    catalog = _catalog(items, random)
    _write(folder, PLACES.curated("items"), {ITEMS_FILE: catalog})
    catalog.write_parquet(folder / CATALOGUE_FILE)
    first = WINDOW.start_at.date()
    writer: pq.ParquetWriter | None = None
    for day in range(DAYS + 1):
        midnight = first + timedelta(days=day)
        rows = size.interactions * (day + 1) // (DAYS + 1) - size.interactions * day // (DAYS + 1)
        user = np.searchsorted(user_shares, random.random(rows)).astype(np.int32)
        item = np.searchsorted(item_shares, random.random(rows)).astype(np.int32)
        frame = _day(midnight, user, item, users, items, random)
        tables = {
            INTERACTIONS_FILE: frame,
            USERS_FILE: users[np.unique(user)],
            ITEMS_FILE: items[np.unique(item)],
        }
        _write(folder, PLACES.curated("interactions", midnight), tables)
        plain = frame.select("user_id", "item_id", "interaction_type", "timestamp", "rating").to_arrow()
        plain = plain.cast(pa.schema([(field.name, _large(field.type)) for field in plain.schema]))
        writer = writer or pq.ParquetWriter(folder / PLAIN_FILE, plain.schema, compression="zstd")
        writer.write_table(plain)
    if writer is not None:
        writer.close()


def _day(
    midnight: object,
    user: NDArray[np.int32],
    item: NDArray[np.int32],
    users: pl.DataFrame,
    items: pl.DataFrame,
    random: np.random.Generator,
) -> pl.DataFrame:
    rows = len(user)
    kind = random.choice(len(_TYPE_SHARES), rows, p=_TYPE_SHARES).astype(np.uint8)
    times = pl.Series(random.integers(0, 86_400_000, rows) * 1_000, dtype=pl.Duration("us"))
    rating = pl.Series(random.integers(2, 11, rows) / 2, dtype=pl.Float32)
    return (
        pl.DataFrame(
            {
                "user_id": users["user_id"].gather(user),
                "item_id": items["item_id"].gather(item),
                "interaction_type": pl.Series([member.value for member in InteractionType]).gather(kind),
                "timestamp": times,
                "rating": rating.set(pl.Series(random.random(rows) > 0.2), None),
                "device_type": pl.repeat("phone", rows, eager=True),
                "location": pl.repeat(None, rows, dtype=pl.String, eager=True),
                "session_id": pl.repeat(None, rows, dtype=pl.String, eager=True),
                "type_code": kind,
                "user_key": users["user_key"].gather(user),
                "item_key": items["item_key"].gather(item),
            }
        )
        .with_columns(
            timestamp=pl.lit(midnight).cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.col("timestamp")
        )
        .sort("timestamp", "user_id", "item_id", "type_code")
    )


def _large(kind: pa.DataType) -> pa.DataType:
    return pa.large_string() if pa.types.is_string(kind) or kind == pa.string_view() else kind


def _ids(kind: str, count: int) -> pl.DataFrame:
    ids = pl.Series(f"{kind}_id", [f"{kind}-{number:08d}" for number in range(count)])
    return pl.DataFrame({f"{kind}_id": ids, f"{kind}_key": hash_ids(ids)})


def _zipf(count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """The ids' cumulative shares by Zipf's law, in random order."""
    weights = random.permutation(1 / np.arange(1, count + 1) ** 0.8)
    shares: NDArray[np.float64] = np.cumsum(weights) / weights.sum()
    shares[-1] = 1.0
    return shares


def _catalog(items: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    rows = len(items)
    return items.select(
        "item_id",
        title="item_id",
        category=pl.Series([f"category {number}" for number in random.integers(0, 12, rows)]),
        price=pl.Series(random.integers(1, 50_000, rows) / 100),
        brand=pl.lit(None, pl.String),
        description=pl.lit(None, pl.String),
        available_at=pl.lit(None, pl.Datetime("us", "UTC")),
        item_key="item_key",
    )


def _write(folder: Path, place: str, tables: dict[str, pl.DataFrame]) -> None:
    (folder / place).mkdir(parents=True)
    for name, table in tables.items():
        table.write_parquet(folder / place / name)
    files = {name: FileEntry.of((folder / place / name).read_bytes(), len(table)) for name, table in tables.items()}
    (folder / place / MANIFEST_FILE).write_bytes(Manifest("curated", files).encode())
