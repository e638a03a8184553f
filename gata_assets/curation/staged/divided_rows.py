"""Rows divided by number: some megabytes in memory, and what is more on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.curation.staged_partitions import SpanWriter, decode_spans


class DividedRows(SpanWriter):
    """Rows of one schema, by number in the order in which they were added. Once all are, the context ends."""

    def __init__(self, path: Path, *, rows_held: int = 62_500) -> None:
        """`path` takes what is not in memory; for `rows_held` see `SpanWriter`."""
        super().__init__(path, rows_held=rows_held)
        self._path = path
        self._counts = Counter[int]()

    def add(self, rows: pa.Table, numbers: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
        """Add rows, each with its number, by which they are ordered; yields each number with how many rows it had
        before, and how many of these.
        """
        start = 0
        for batch in rows.to_batches():
            self.add_numbered(batch, numbers[start : start + len(batch)])
            start += len(batch)
        for number, count in zip(*(found.tolist() for found in np.unique(numbers, return_counts=True)), strict=True):
            yield number, self._counts[number], count
            self._counts[number] += count

    def rows_of(self, number: int) -> pa.Table:
        """The rows of a number that was added."""
        held = self._held.get(number, [])
        spans = self._spans.get(number, [])
        if not spans:
            return pa.Table.from_batches(held)
        with self._path.open("rb") as stream:
            contents = []
            for start, size in spans:
                stream.seek(start)
                contents.append(stream.read(size))
        written = decode_spans(contents)
        return pa.concat_tables([written, pa.Table.from_batches(held, written.schema)])

    def forget(self, number: int) -> None:
        """Release the rows of a number."""
        self._held.pop(number, None)

    def remove(self) -> None:
        """Remove what is on disk."""
        self._path.unlink()
