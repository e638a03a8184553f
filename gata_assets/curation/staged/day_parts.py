"""Reads the days of Parquet files that have many: row groups by their statistics, and each file once, not once per day.

A curation says which parts it will read. At the first of a file, its rows of all these days are divided among them on
disk, once the file's bytes are those that were written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import BinaryIO, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gata_assets.curation.reports import Span, StagedPart
from gata_assets.curation.staged_partitions import SpanWriter, decode_spans
from gata_assets.errors import DamagedTableError, StoreError
from gata_assets.storage.files import digest_file
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.scratch import scratch_directory
from gata_assets.tables.columns.arrow_buffers import MICROS_OF_A_DAY

_EPOCH = date(1970, 1, 1)
# Rows that are on disk at once: of more days than have so many, a file is read again.
MOST_ROWS = 1_000_000


def is_day_of_file(part: StagedPart) -> bool:
    """Whether a part is a day of a Parquet file with others."""
    return part.day is not None and not part.spans


def read_day(path: Path, event_time: str, day: date) -> pa.Table:
    """The rows of a day of a local file."""
    number = _number(day)
    found = [rows for rows, _ in _rows_of(path, event_time, {number})]
    return pa.concat_tables(found) if found else pq.ParquetFile(path).schema_arrow.empty_table()


@dataclass
class _Divided:
    """The rows of some days of a file, divided among them; `waiting` parts of it are still to be read."""

    sha256: str
    days: set[int] = field(default_factory=set)
    waiting: int = 0
    path: Path | None = None
    spans: Mapping[int, list[Span]] = field(default_factory=dict)
    error: Exception | None = None
    lock: Lock = field(default_factory=Lock)


class DayPartReader:
    """Reads the parts that it was opened for, each once; several threads may use it."""

    def __init__(self, store: ObjectStore, event_time: str, folder: Path, most_rows: int = MOST_ROWS) -> None:
        """`folder` takes the rows of at most `most_rows`, or of a day, at once."""
        self._store, self._event_time, self._folder, self._most_rows = store, event_time, folder, most_rows
        self._window_of: dict[date, int] = {}
        self._files: dict[tuple[str, int], _Divided] = {}

    def expect(self, parts: Iterable[StagedPart]) -> None:
        """Say which parts will be read; days are divided into windows of so many rows."""
        rows: dict[date, int] = {}
        found = [part for part in parts if part.day is not None]
        for part in found:
            rows[cast("date", part.day)] = rows.get(cast("date", part.day), 0) + part.rows
        window = held = 0
        for day, count in sorted(rows.items()):
            if held and held + count > self._most_rows:
                window, held = window + 1, 0
            self._window_of[day], held = window, held + count
        for part in found:
            day = cast("date", part.day)
            file = self._files.setdefault((part.key, self._window_of[day]), _Divided(part.sha256))
            file.days.add(_number(day))
            file.waiting += 1

    def read(self, part: StagedPart) -> pa.Table:
        """The rows of a part that was expected, once.

        Raises ObjectNotFoundError, an Arrow error or OSError for a damaged file, or DamagedTableError for other bytes
        than were written.
        """
        day = cast("date", part.day)
        place = part.key, self._window_of[day]
        file = self._files[place]
        with file.lock:
            if file.error:
                raise file.error
            if file.path is None:
                self._divide(part.key, file)
            assert file.path is not None  # noqa: S101 - divided, or an error was raised
            with file.path.open("rb") as stream:
                spans = [_read(stream, span) for span in file.spans.get(_number(day), ())]
            file.waiting -= 1
            if not file.waiting:
                file.path.unlink()
        return decode_spans(spans)

    def _divide(self, key: str, file: _Divided) -> None:
        path = self._folder / token_hex(8)
        try:
            with self._store.local_copy(key) as copy:
                if digest_file(copy) != file.sha256:
                    raise DamagedTableError(f"{self._store.uri(key)} is not what was written: its SHA-256 is another.")
                with SpanWriter(path) as writer:
                    for rows, days in _rows_of(copy, self._event_time, file.days):
                        for batch in rows.combine_chunks().to_batches():
                            writer.add_numbered(batch, days)
                    file.spans = writer.spans()
        except OSError as error:
            if error.errno is not None:
                # A full disk is no fault of the file.
                raise StoreError(f"The days of a staged file cannot be divided here: {error.strerror}.") from error
            file.error = error
            raise
        except Exception as error:
            file.error = error
            raise
        file.path = path


@contextmanager
def reading_days(store: ObjectStore, event_time: str | None, parts: Iterable[StagedPart]) -> Iterator[DayPartReader]:
    """A reader of the parts that are days of files; what it has on disk is removed at the end."""
    found = list(filter(is_day_of_file, parts))
    # Of others nothing is on disk.
    with scratch_directory() if found else nullcontext(Path()) as folder:
        reader = DayPartReader(store, event_time or "", folder)
        reader.expect(found)
        yield reader


def _rows_of(path: Path, event_time: str, days: Collection[int]) -> Iterator[tuple[pa.Table, NDArray[np.int64]]]:
    """The rows of some days of a file, by row group in the order of their days, with the day of each."""
    wanted = np.array(sorted(days), dtype=np.int64)
    with pq.ParquetFile(path) as file:
        for group in _groups(file, event_time, wanted):
            rows = cast("pl.DataFrame", pl.from_arrow(file.read_row_group(group, use_threads=False)))
            numbers = rows[event_time].to_physical().to_numpy() // MICROS_OF_A_DAY
            places = np.flatnonzero(np.isin(numbers, wanted))
            places = places[np.argsort(numbers[places], kind="stable")]
            if len(places):
                kept = rows[places].rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
                yield kept, numbers[places]


def _groups(file: pq.ParquetFile, event_time: str, wanted: NDArray[np.int64]) -> Iterator[int]:
    """The row groups that may have rows of some days."""
    metadata = file.metadata
    column = next(place for place in range(metadata.num_columns) if metadata.schema.column(place).path == event_time)
    for group in range(metadata.num_row_groups):
        statistics = metadata.row_group(group).column(column).statistics
        if statistics is None or not statistics.has_min_max:
            yield group
            continue
        first, last = (_number(bound.date()) for bound in (statistics.min, statistics.max))
        place = np.searchsorted(wanted, first)
        if place < len(wanted) and wanted[place] <= last:
            yield group


def _number(day: date) -> int:
    return (day - _EPOCH).days


def _read(stream: BinaryIO, span: Span) -> bytes:
    stream.seek(span.start)
    return stream.read(span.size)
