"""A reader of tables for analysts, who knows nothing but the catalog. All real."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from gata_assets.shop.prod.tables import TABLES, ProdTable
from gata_assets.storage.catalog.base import Catalog

DATABASE = "shop"


def locations(catalog: Catalog, table: ProdTable, database: str = DATABASE) -> list[Path]:
    """The folders of a table's partitions, in their order."""
    root = "none/" if not table.partition_keys else "/"
    found = catalog.partitions(table.entry(database, root))
    return [Path(found[values].location) for values in sorted(found)]


def read_rows(catalog: Catalog, table: ProdTable) -> pl.DataFrame:
    """All rows of a table."""
    files = [path for folder in locations(catalog, table) for path in sorted(folder.glob("*"))]
    frames = [pl.DataFrame(pq.ParquetFile(path).read()) for path in files]
    return pl.concat(frames) if frames else pl.DataFrame(schema=table.spec.curated_schema)


def read_bytes(catalog: Catalog) -> dict[str, list[bytes]]:
    """The bytes of all files of all tables, by the partition's folder without its build."""
    return {
        f"{table.name}/{'/'.join(folder.parts[-1 - len(table.partition_keys) : -1])}": [
            path.read_bytes() for path in sorted(folder.iterdir())
        ]
        for table in TABLES
        for folder in locations(catalog, table)
    }
