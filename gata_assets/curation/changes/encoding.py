"""Frames as Parquet and back: the bytes depend on the rows alone."""

from __future__ import annotations

from io import BytesIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.tables.changes.declared import COMMITTED_AT, SOURCE_FILE
from gata_assets.tables.changes.verdicts import RULES, VERDICT
from gata_assets.tables.spec import TableSpec

# Columns with few distinct values; dictionaries of others cost time and save nothing.
_FEW = (COMMITTED_AT, SOURCE_FILE, VERDICT, f"{RULES}.list.element")


def encode(rows: pl.DataFrame, spec: TableSpec) -> bytes:
    """Rows with columns of a table, and further ones, as Parquet."""
    table = rows.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    coded = [column.name for column in spec.columns if column.allowed_values]
    content = BytesIO()
    pq.write_table(
        table,
        content,
        compression="zstd",
        compression_level=1,
        use_dictionary=[name for name in (*coded, *_FEW) if name.partition(".")[0] in table.column_names],
        write_statistics=[spec.event_time] if spec.event_time in table.column_names else False,
        # Readers then see the types of Parquet alone.
        store_schema=False,
    )
    return content.getvalue()


def decode(content: bytes, columns: list[str] | None = None) -> pl.DataFrame:
    """Rows from Parquet."""
    table = pq.read_table(pa.BufferReader(content), columns=columns, use_threads=False)
    return pl.DataFrame(pl.from_arrow(table))
