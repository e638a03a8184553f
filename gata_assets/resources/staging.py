"""Good rows on their way from a raw file to curated days: one staged file, in which each day can be read by itself.

Rows come in blocks that hold a little of many days. They are kept until there are enough, divided by day and added to
the file, each day as an Arrow stream of its own, so that neither memory nor the number of objects grows with the rows.
Source: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa

from gata_assets.core.arrow_numbers import numbers_as_arrow, numbers_of_arrow
from gata_assets.core.curation_reports import Part, Span

_TIME = "timestamp"
_EPOCH = date(1970, 1, 1)
_MICROS_OF_A_DAY = 86_400_000_000
# A third of the size, for 60 ms more of a million rows when they are written, and 60 ms when they are read.
_COMPRESSION = "lz4"


class StagedWriter:
    """Writes interactions (`STAGED`) to a file, a day at a time in spans of bytes."""

    def __init__(self, path: Path, *, rows_held: int = 250_000) -> None:
        """`rows_held`: about so many are kept in memory. A million took 80 MB more, and no less time."""
        self._rows_held = rows_held
        self._held: list[pa.Table] = []
        self._spans: dict[date, list[Span]] = {}
        self._rows: dict[date, int] = {}
        self._options = pa.ipc.IpcWriteOptions(compression=_COMPRESSION, use_threads=False)
        with ExitStack() as opened:
            self._file = opened.enter_context(pa.OSFile(str(path), "wb"))
            self._opened = opened.pop_all()

    def __enter__(self) -> StagedWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def add(self, rows: pa.Table) -> None:
        """Take rows of any days in."""
        self._held.append(rows)
        if sum(map(len, self._held)) >= self._rows_held:
            self._lay_down()

    def parts(self, key: str) -> tuple[Part, ...]:
        """The parts, a day each and ascending, when all rows are in and the file becomes the object of that key."""
        self._lay_down()
        return tuple(Part(key, self._rows[day], day, tuple(self._spans[day])) for day in sorted(self._spans))

    def _lay_down(self) -> None:
        if not any(map(len, self._held)):
            return
        rows = pa.concat_tables(self._held).combine_chunks()
        self._held = []
        order, days = _order_by_day(rows[_TIME].chunk(0))
        (batch,) = rows.take(order).combine_chunks().to_batches()
        del rows
        for day, (first, last) in days.items():
            start = self._file.tell()
            with pa.ipc.new_stream(self._file, batch.schema, options=self._options) as stream:
                stream.write_batch(batch.slice(first, last - first))
            self._spans.setdefault(day, []).append(Span(start, self._file.tell() - start))
            self._rows[day] = self._rows.get(day, 0) + last - first


def _order_by_day(instants: pa.Array) -> tuple[pa.Array, dict[date, tuple[int, int]]]:
    """The places of rows by day, of a day as they came, and where each day's begin and end among these."""
    days = numbers_of_arrow(instants, np.int64) // _MICROS_OF_A_DAY
    first = days.min()
    # Numbers of 16 bits are put in order without comparing any; 180 years have so many days.
    order = np.argsort((days - first).astype(np.uint16) if days.max() - first < 1 << 16 else days, kind="stable")
    ordered = days[order]
    bounds = [0, *(np.flatnonzero(np.diff(ordered)) + 1).tolist(), len(ordered)]
    spans = {_EPOCH + timedelta(days=int(ordered[one])): (one, two) for one, two in pairwise(bounds)}
    return numbers_as_arrow(order), spans


def read_spans(spans: Iterable[bytes]) -> pa.Table:
    """The rows of spans of a staged file, at least one; raises pa.ArrowException for bytes that are none."""
    options = pa.ipc.IpcReadOptions(use_threads=False)
    return pa.Table.from_batches(batch for span in spans for batch in pa.ipc.open_stream(span, options=options))
