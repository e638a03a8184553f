"""Reads the days of Parquet files that have many: row groups by their statistics, and each file once, not once per day.

A curation says which parts it will read. At the first, the rows of all these days are divided among them, some of them
in memory and more on disk. A file counts if its bytes are those that were written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import NamedTuple, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gata_assets.curation.reports import StagedPart
from gata_assets.curation.staged.divided_rows import DividedRows
from gata_assets.errors import DamagedTableError, StoreError
from gata_assets.storage.files import digest_file
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.scratch import scratch_directory
from gata_assets.tables.columns.arrow_buffers import MICROS_OF_A_DAY

_EPOCH = date(1970, 1, 1)
# Rows that are divided at once: of more days than have so many, a file is read again.
MOST_ROWS = 1_000_000


def is_day_of_file(part: StagedPart) -> bool:
    """Whether a part is a day of a Parquet file with others."""
    return part.day is not None and not part.spans


def read_day(path: Path, event_time: str, day: date) -> pa.Table:
    """The rows of a day of a local file."""
    number = _number(day)
    found = [rows for rows, _ in _rows_of(path, event_time, {number})]
    return pa.concat_tables(found) if found else pq.ParquetFile(path).schema_arrow.empty_table()


class _Place(NamedTuple):
    """Where the rows of a file's day are among those of all files of that day."""

    among: DividedRows
    start: int
    rows: int


@dataclass
class _Window:
    """Days that are read at once, by file, with how many parts of each are still to be read.

    Once their rows are divided, `places` has those of each file's day, and a file that cannot be read has an error.
    """

    files: dict[str, tuple[str, set[int]]] = field(default_factory=dict)
    waiting: Counter[int] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)
    places: dict[tuple[str, int], _Place] | None = None
    errors: dict[str, Exception] = field(default_factory=dict)
    read: dict[tuple[DividedRows, int], pa.Table] = field(default_factory=dict)

    def take(self, places: Mapping[tuple[str, int], _Place], key: str, day: int) -> pa.Table:
        """The rows of a file's day; what is divided is forgotten after the last part of a day, and of all."""
        place = places.get((key, day))
        if place and (place.among, day) not in self.read:
            self.read[place.among, day] = place.among.rows_of(day)
        found = self.read[place.among, day].slice(place.start, place.rows) if place else None
        self.waiting[day] -= 1
        if not self.waiting[day]:
            for among, _ in [of for of in self.read if of[1] == day]:
                del self.read[among, day]
                among.forget(day)
        if not self.waiting.total():
            for among in {place.among for place in places.values()}:
                among.remove()
        if key in self.errors:
            raise self.errors[key]
        assert found is not None  # noqa: S101 - the file is what was written
        return found


class DayPartReader:
    """Reads the parts that it was opened for, each once; several threads may use it."""

    def __init__(self, store: ObjectStore, event_time: str, folder: Path, most_rows: int = MOST_ROWS) -> None:
        """`folder` takes the rows of at most `most_rows`, or of a day, at once, but for some megabytes."""
        self._store, self._event_time, self._folder, self._most_rows = store, event_time, folder, most_rows
        self._window_of: dict[int, _Window] = {}

    def expect(self, parts: Iterable[StagedPart]) -> None:
        """Say which parts will be read; days are divided into windows of so many rows."""
        found = [(part, _number(part.day)) for part in parts if part.day is not None]
        rows = Counter[int]()
        for part, day in found:
            rows[day] += part.rows
        window, held = _Window(), 0
        for day, count in sorted(rows.items()):
            if held and held + count > self._most_rows:
                window, held = _Window(), 0
            self._window_of[day], held = window, held + count
        for part, day in found:
            window = self._window_of[day]
            _, days = window.files.setdefault(part.key, (part.sha256, set()))
            days.add(day)
            window.waiting[day] += 1

    def read(self, part: StagedPart) -> pa.Table:
        """The rows of a part that was expected, once.

        Raises ObjectNotFoundError, an Arrow error or OSError for a damaged file, or DamagedTableError for other bytes
        than were written.
        """
        day = _number(cast("date", part.day))
        window = self._window_of[day]
        with window.lock:
            if window.places is None:
                window.places = self._divide(window)
            return window.take(window.places, part.key, day)

    def _divide(self, window: _Window) -> dict[tuple[str, int], _Place]:
        """Divide the rows of all files of a window among their days."""
        places: dict[tuple[str, int], _Place] = {}
        # Files of another version of this package may have other columns.
        divided: dict[pa.Schema, DividedRows] = {}
        with ExitStack() as stack:
            for key, (sha256, days) in window.files.items():
                try:
                    for rows, numbers in self._rows_of(key, sha256, days):
                        if rows.schema not in divided:
                            divided[rows.schema] = stack.enter_context(DividedRows(self._folder / token_hex(8)))
                        among = divided[rows.schema]
                        for day, before, count in among.add(rows, numbers):
                            first = places.get((key, day), _Place(among, before, 0))
                            places[key, day] = first._replace(rows=first.rows + count)
                except OSError as error:
                    if error.errno is not None:
                        # A full disk is no fault of the file.
                        problem = f"The days of a staged file cannot be divided here: {error.strerror}."
                        raise StoreError(problem) from error
                    window.errors[key] = error
                except Exception as error:  # noqa: BLE001 - raised when a part of the file is read
                    window.errors[key] = error
        return places

    def _rows_of(self, key: str, sha256: str, days: Collection[int]) -> Iterator[tuple[pa.Table, NDArray[np.int64]]]:
        with self._store.local_copy(key) as copy:
            if digest_file(copy) != sha256:
                raise DamagedTableError(f"{self._store.uri(key)} is not what was written: its SHA-256 is another.")
            yield from _rows_of(copy, self._event_time, days)


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
            rows = file.read_row_group(group, use_threads=False).combine_chunks()
            numbers = _days_of(rows[event_time])
            places = np.flatnonzero(np.isin(numbers, wanted))
            places = places[np.argsort(numbers[places], kind="stable")]
            if not len(places):
                continue
            # The rows of a group are in the order of their days.
            is_range = places[-1] - places[0] == len(places) - 1 and bool((np.diff(places) == 1).all())
            yield (
                rows.slice(places[0], len(places)) if is_range else rows.take(pa.array(places)),
                numbers[places],
            )


def _days_of(instants: pa.ChunkedArray) -> NDArray[np.int64]:
    return pl.Series(pl.from_arrow(instants)).to_physical().to_numpy() // MICROS_OF_A_DAY


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
