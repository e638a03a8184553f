"""Writes the valid rows of a raw file as one Parquet file, which has a part for each day.

Some megabytes at a time are ordered by event time, so that each row group has few days, as its statistics say; memory
does not grow with the rows.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.curation.reports import StagedPart
from gata_assets.storage.files import digest_file
from gata_assets.tables.columns.arrow_buffers import MICROS_OF_A_DAY

_EPOCH = date(1970, 1, 1)
_BYTES_ORDERED, _BYTES_OF_A_GROUP = 1 << 25, 1 << 22
# A dictionary is built only for columns whose values repeat so often: of long texts it takes half of the time.
_REPEATED = 4


class StagedParquetWriter:
    """Writes rows to one Parquet file, in row groups of some megabytes that are ordered by event time."""

    ending = "parquet"

    def __init__(self, path: Path, event_time: str, *, bytes_of_a_group: int = _BYTES_OF_A_GROUP) -> None:
        """`event_time` is the column of a row's instant, `source_record` that of its number."""
        self._path, self._event_time, self._bytes_of_a_group = path, event_time, bytes_of_a_group
        self._held: list[pa.Table] = []
        self._bytes_held = 0
        self._days = Counter[int]()
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer:
            self._writer.close()

    def add(self, rows: pa.Table) -> None:
        """Add rows of any days, with all columns."""
        if len(rows):
            self._held.append(rows)
            self._bytes_held += rows.nbytes
        if self._bytes_held >= _BYTES_ORDERED:
            self._flush()

    def parts(self, key: str) -> tuple[StagedPart, ...]:
        """The parts, one per day in ascending order, once all rows are added and the file is stored under that key."""
        self._flush()
        if self._writer is None:
            return ()
        self._writer.close()
        digest = digest_file(self._path)
        return tuple(
            StagedPart(key, rows, digest, _EPOCH + timedelta(days=number))
            for number, rows in sorted(self._days.items())
        )

    def _flush(self) -> None:
        if not self._held:
            return
        table = pa.concat_tables(self._held).combine_chunks()
        frame = pl.DataFrame(pl.from_arrow(table))
        order = frame.select(pl.arg_sort_by(self._event_time, "source_record")).to_series()
        if not order.is_sorted():
            # By Arrow: Polars would copy the rows once more, to give them back.
            table = table.take(order.to_arrow())
        days, counts = np.unique(frame[self._event_time].to_physical() // MICROS_OF_A_DAY, return_counts=True)
        self._days.update(dict(zip(days.tolist(), counts.tolist(), strict=True)))
        if self._writer is None:
            texts = [column.name for column in frame if column.dtype == pl.String()]
            self._writer = pq.ParquetWriter(
                self._path,
                table.schema,
                compression="zstd",
                write_statistics=[self._event_time],
                use_dictionary=[name for name in texts if frame[name].n_unique() * _REPEATED <= len(frame)],
            )
        groups = -(-self._bytes_held // self._bytes_of_a_group)
        self._writer.write_table(table, row_group_size=max(1, -(-len(table) // groups)))
        self._held, self._bytes_held = [], 0
