"""Rows of a partition as Parquet files in a local folder, whose bytes depend on nothing but the rows and settings.

A file ends with the row group in which it reaches the set size, so that a partition below that size is one file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.errors import DataRuleError
from gata_assets.shop.prod.source import ProdSettings
from gata_assets.shop.prod.tables import ProdTable
from gata_assets.shop.prod_checks import RowCheck

# Rows of a row group: enough for dictionaries to pay, few enough for readers that need a day of a month.
GROUP_ROWS = 131_072
# Higher levels of zstd save little and take much longer.
_LEVELS = {"zstd": 1, "snappy": None}


@dataclass(frozen=True)
class Part:
    """A complete file and the number of its rows."""

    path: Path
    rows: int


class PartWriter:
    """Writes a partition's files, frame by frame, in their order."""

    def __init__(self, table: ProdTable, folder: Path, settings: ProdSettings) -> None:
        """`folder` is empty, and needs the space of the partition."""
        self._table, self._folder, self._settings = table, folder, settings
        self._schema = _arrow_schema(table)
        self._parts: list[Part] = []
        self.check = RowCheck(table)
        self._writer: pq.ParquetWriter | None = None
        self._rows = 0

    def write(self, frame: pl.DataFrame) -> None:
        """Append the rows of a frame with the table's columns, in row groups of about the same size.

        Raises DataRuleError for a null where the table allows none.
        """
        self._require_given(frame)
        groups = -(-len(frame) // GROUP_ROWS)
        for group in range(groups):
            first, last = (len(frame) * edge // groups for edge in (group, group + 1))
            self._write_group(frame.slice(first, last - first))

    def close(self, *, at_least_one: bool = False) -> list[Part]:
        """All files; with `at_least_one`, one without rows if there are none."""
        if at_least_one and not self._parts and self._writer is None:
            self._write_group(pl.DataFrame(schema=self._table.spec.curated_schema))
        self._end_file()
        return self._parts

    def _write_group(self, frame: pl.DataFrame) -> None:
        if self._writer is None:
            self._writer = self._open()
        rows = frame.select(self._schema.names).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(self._schema)
        self.check.add(rows, frame.select(self._table.key))
        self._writer.write_table(rows, row_group_size=GROUP_ROWS)
        self._rows += len(frame)
        if self._path.stat().st_size >= self._settings.file_bytes:
            self._end_file()

    def _open(self) -> pq.ParquetWriter:
        compression = self._settings.compression.value
        return pq.ParquetWriter(
            self._path,
            self._schema,
            compression=compression,
            compression_level=_LEVELS[compression],
            use_dictionary=[name for name in self._schema.names if name not in self._table.plain],
            write_statistics=list(self._table.ordered_by),
            # Parquet's own types are sufficient, and those that Athena and Spark write too.
            store_schema=False,
            store_decimal_as_integer=True,
        )

    def _end_file(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._parts.append(Part(self._path, self._rows))
        self._writer, self._rows = None, 0

    @property
    def _path(self) -> Path:
        return self._folder / f"part-{len(self._parts):05d}.parquet"

    def _require_given(self, frame: pl.DataFrame) -> None:
        for column in self._table.spec.columns:
            nulls = 0 if column.nullable else frame[column.name].null_count()
            if nulls:
                raise DataRuleError(
                    f"{column.name} of {nulls:,} rows of {self._table.name} is null, which the table does not allow: a "
                    "curated table lacks a required value. Curate it again; nothing was written."
                )


def _arrow_schema(table: ProdTable) -> pa.Schema:
    kinds = pl.DataFrame(schema=table.spec.curated_schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    return pa.schema(
        pa.field(column.name, kinds.field(column.name).type, nullable=column.nullable) for column in table.spec.columns
    )
