"""One read shared by many batches: the windows of consecutive batches overlap by more than 99 %.

Caches the rows and slices each batch's windows out of them. Like a source it validates no row; unlike one it has state,
so its lifetime is that of the batches that share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gata_assets.batches import Window
from gata_assets.errors import SourceError
from gata_assets.ticket_contract.accounting import HourlyCounts
from gata_assets.ticket_contract.source import Label, SourceReport, WindowRead
from gata_assets.tickets.windows import BatchWindows, merge_windows


class TicketReader(Protocol):
    """Reads a window's tickets: a source, or a shared read."""

    def read_window(self, window: Window, labels: Sequence[Label] | None = None) -> WindowRead:
        """See TicketSource."""

    def probe(self) -> SourceReport:
        """See TicketSource."""


class SharedTickets:
    """The tickets of several batches, each read once: the first request for a window reads the union of the batches'
    windows that overlap it.

    Returns the same rows as the reader. Request batches in ascending order, since only the latest union is cached.
    """

    def __init__(self, reader: TicketReader, batches: Iterable[BatchWindows]) -> None:
        self._reader = reader
        self._spans = merge_windows(batches)
        self._loaded: _LoadedSpan | None = None

    def read_window(self, window: Window, labels: Sequence[Label] | None = None) -> WindowRead:
        """See TicketSource. Raises KeyError if no batch has the window."""
        return self._load(window, is_older=labels is not None).read(window, labels)

    def probe(self) -> SourceReport:
        """See TicketSource."""
        return self._reader.probe()

    def locate(self, window: Window) -> tuple[pd.DataFrame, slice, HourlyCounts]:
        """The loaded table that contains a training window, the window's rows in it, so that results computed on the
        whole table can be reused for every window, and the counts of all tickets in the window.
        """
        loaded = self._load(window, is_older=False)
        return loaded.training.tickets, loaded.cut(window), loaded.training.counts.cut(window)

    def is_loaded(self, window: Window) -> bool:
        """Whether a training window is in the loaded table, so that nothing needs to be read for it."""
        return self._loaded is not None and _contains(self._loaded.span, window, is_older=False)

    def _load(self, window: Window, *, is_older: bool) -> _LoadedSpan:
        if self._loaded is None or not _contains(self._loaded.span, window, is_older=is_older):
            span = next((span for span in self._spans if _contains(span, window, is_older=is_older)), None)
            if span is None:
                raise KeyError(f"{window} is not a window of the batches that share this read")
            # Free the previous span before reading the next: both may not fit into memory.
            self._loaded = None
            self._loaded = _LoadedSpan(self._reader, span)
        return self._loaded


def _contains(span: BatchWindows, window: Window, *, is_older: bool) -> bool:
    start_at = span.older.start_at if is_older else span.training.start_at
    return start_at <= window.start_at and window.end_at <= span.training.end_at


@dataclass
class _LoadedSpan:
    """A span's tickets: its training window completely, its older window by the labels requested so far."""

    reader: TicketReader
    span: BatchWindows
    training: WindowRead = field(init=False)
    _closed: NDArray[np.int64] = field(init=False)
    _older: pd.DataFrame = field(init=False)
    _older_counts: HourlyCounts | None = None
    _labels: set[Label] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.training = self.reader.read_window(self.span.training)
        self._closed = self.training.tickets["closed"].to_numpy(dtype=np.int64)
        # Of the same types, whether labels are numbers or names; prepared tickets have further columns.
        self._older = self.training.tickets.iloc[:0].reset_index(drop=True)

    def cut(self, window: Window) -> slice:
        """A window's rows in the training table; all rows for the window that was read, whatever they contain."""
        if window == self.span.training:
            return slice(0, len(self._closed))
        self._require_order()
        first, last = np.searchsorted(self._closed, [window.start, window.end])
        return slice(int(first), int(last))

    def _require_order(self) -> None:
        """Raise SourceError for rows out of order or outside the window: slicing would hide or misplace them."""
        span = self.span.training
        outside = int(((self._closed < span.start) | (self._closed >= span.end)).sum())
        if outside or (np.diff(self._closed) < 0).any():
            raise SourceError(
                f"The source returned {outside:,} of {len(self._closed):,} rows outside of {span}, or out of order. "
                "Check its clock; run a single batch to see which rule is broken."
            )

    def read(self, window: Window, labels: Sequence[Label] | None) -> WindowRead:
        if labels is None:
            return WindowRead(self._rows_of(window), self.training.counts.cut(window))
        counts = self._read_older(labels)
        tickets = self._older
        if window != self.span.older:
            older = self._older[self._older["closed"].between(window.start, window.end, inclusive="left")]
            tickets = pd.concat([older, self._rows_of(window)], ignore_index=True)
            counts = counts.joined(self.training.counts).cut(window)
        return WindowRead(tickets[tickets["label"].isin(labels)].reset_index(drop=True), counts)

    def _rows_of(self, window: Window) -> pd.DataFrame:
        return self.training.tickets.iloc[self.cut(window)].reset_index(drop=True)

    def _read_older(self, labels: Sequence[Label]) -> HourlyCounts:
        """Read the labels that were not read so far; returns the counts of the latest read."""
        new = tuple(label for label in labels if label not in self._labels)
        window = self.span.older
        if window.start >= window.end:
            return HourlyCounts.of(())
        if new or self._older_counts is None:
            read = self.reader.read_window(window, new)
            # A ticket whose label changed meanwhile is in both reads.
            earlier = self._older[~self._older["id"].isin(read.tickets["id"])]
            joined = pd.concat([earlier, read.tickets], ignore_index=True)
            self._older = joined.sort_values(["closed", "id"], ignore_index=True)
            self._labels.update(new)
            self._older_counts = read.counts
        return self._older_counts
