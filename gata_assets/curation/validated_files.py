"""Writes files of validated rows block by block: memory does not grow with the number of rows."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.curation.reports import StagedPart
from gata_assets.curation.staged_partitions import StagedPartitionWriter
from gata_assets.storage.files import digest_file
from gata_assets.tables.spec import TableSpec

# Few rows make row groups of a few kilobytes; many of them stay in memory.
_BYTES_HELD = 4_000_000


class TableWriter:
    """Writes rows to one Parquet file, in row groups of some megabytes."""

    ending = "parquet"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: list[pa.Table] = []
        self._rows = self._bytes_held = 0
        # Not by Polars: its writer would add 7 MB to a process that writes days with Arrow's anyway.
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer:
            self._writer.close()

    def add(self, rows: pa.Table) -> None:
        """Add rows; a nullable column may be missing only if no block has it."""
        if len(rows):
            self._held.append(rows)
            self._rows += len(rows)
            self._bytes_held += rows.nbytes
        if self._bytes_held >= _BYTES_HELD:
            self._flush()

    def parts(self, key: str) -> tuple[StagedPart, ...]:
        """The file as a part, once all rows are added and it is stored under that key; none without rows."""
        self._flush()
        if self._writer is None:
            return ()
        self._writer.close()
        return (StagedPart(key, self._rows, digest_file(self._path)),)

    def _flush(self) -> None:
        if not self._held:
            return
        table = pa.concat_tables(self._held)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd", write_statistics=False)
        self._writer.write_table(table)
        self._held, self._bytes_held = [], 0


def open_staged_writer(spec: TableSpec, path: Path) -> TableWriter | StagedPartitionWriter:
    """The writer of a table's valid rows: by day if each day is curated by itself."""
    if spec.partition_by and spec.event_time:
        return StagedPartitionWriter(path, spec.event_time)
    return TableWriter(path)
