"""A reader of tables for analysts, who knows nothing but the catalog."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from gata_assets.shop.prod.tables import TABLES, ProdTable
from gata_assets.storage.catalog.base import Catalog, Values
from gata_assets_tests.support.memory_store import MemoryStore

DATABASE = "shop"


def locations(catalog: Catalog, table: ProdTable) -> dict[Values, str]:
    """Where a table's partitions are, in their order."""
    root = "none/" if not table.partition_keys else "/"
    found = catalog.partitions(table.entry(DATABASE, root))
    return {values: found[values].location for values in sorted(found)}


def read_files(location: str, store: MemoryStore | None = None) -> list[bytes]:
    """The bytes of the files below a location, in a directory or in a store in memory."""
    if store is None:
        return [path.read_bytes() for path in sorted(Path(location).iterdir())]
    prefix = location.removeprefix("memory://")
    return [store.objects[key][0] for key in sorted(store.objects) if key.startswith(prefix)]


def read_rows(catalog: Catalog, table: ProdTable, store: MemoryStore | None = None) -> pl.DataFrame:
    """All rows of a table."""
    files = [content for location in locations(catalog, table).values() for content in read_files(location, store)]
    frames = [pl.DataFrame(pq.ParquetFile(BytesIO(content)).read()) for content in files]
    return pl.concat(frames) if frames else pl.DataFrame(schema=table.spec.curated_schema)


def read_bytes(catalog: Catalog, store: MemoryStore | None = None) -> dict[tuple[str, Values], list[bytes]]:
    """The bytes of all files by table and partition."""
    return {
        (table.name, values): read_files(location, store)
        for table in TABLES
        for values, location in locations(catalog, table).items()
    }
