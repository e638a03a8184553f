"""One read for many batches: the windows of consecutive batches overlap by more than 99 %.

Holds what was read and cuts each batch's windows out of it. Like a source it judges no row; unlike one it remembers,
so it lives as long as the batches that share it and no longer.
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
from gata_assets.tickets.sources.base import no_tickets
from gata_assets.tickets.windows import BatchWindows, merge_windows


class TicketReader(Protocol):
    """What can read the tickets of a window: a source, or what is shared of one."""

    def read_tickets(self, window: Window, labels: Sequence[int] | None = None) -> pd.DataFrame:
        """See TicketSource."""


class SharedTickets:
    """The tickets of some batches, each read once: a window is read when it is first asked for, together with those of
    the other batches that it overlaps.

    Gives what the reader would give; batches are asked for in their order, since only the latest read is held.
    """

    def __init__(self, reader: TicketReader, batches: Iterable[BatchWindows]) -> None:
        self._reader = reader
        self._spans = merge_windows(batches)
        self._held: _Held | None = None

    def read_tickets(self, window: Window, labels: Sequence[int] | None = None) -> pd.DataFrame:
        """See TicketSource. Raises KeyError for a window that is none of the batches'."""
        return self._hold(window, is_older=labels is not None).read(window, labels)

    def locate(self, window: Window) -> tuple[pd.DataFrame, slice]:
        """The whole table that a training window is part of, and where in it: what is worked out of the whole is good
        for every window.
        """
        held = self._hold(window, is_older=False)
        return held.training, held.cut(window)

    def holds(self, window: Window) -> bool:
        """Whether a training window is part of what is held, so that nothing has to be read for it."""
        return self._held is not None and _contains(self._held.span, window, is_older=False)

    def _hold(self, window: Window, *, is_older: bool) -> _Held:
        if self._held is None or not _contains(self._held.span, window, is_older=is_older):
            span = next((span for span in self._spans if _contains(span, window, is_older=is_older)), None)
            if span is None:
                raise KeyError(f"{window} is no window of the batches that share a read")
            # Let go of the one before the next is read: two may not fit into memory.
            self._held = None
            self._held = _Held(self._reader, span)
        return self._held


def _contains(span: BatchWindows, window: Window, *, is_older: bool) -> bool:
    start_at = span.older.start_at if is_older else span.training.start_at
    return start_at <= window.start_at and window.end_at <= span.training.end_at


@dataclass
class _Held:
    """What was read of one span: its training window whole, older tickets by the labels that were asked for."""

    reader: TicketReader
    span: BatchWindows
    training: pd.DataFrame = field(init=False)
    _closed: NDArray[np.int64] = field(init=False)
    _older: pd.DataFrame = field(init=False)
    _labels: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.training = self.reader.read_tickets(self.span.training)
        self._closed = self.training["closed"].to_numpy(dtype=np.int64)
        self._older = no_tickets()

    def cut(self, window: Window) -> slice:
        """Where a window is in the training table; all of it for the window that was read, whatever rows came."""
        if window == self.span.training:
            return slice(0, len(self._closed))
        self._require_order()
        first, last = np.searchsorted(self._closed, [window.start, window.end])
        return slice(int(first), int(last))

    def _require_order(self) -> None:
        """Raise SourceError for rows out of order or of another time: to cut windows would hide or misplace them."""
        span = self.span.training
        outside = int(((self._closed < span.start) | (self._closed >= span.end)).sum())
        if outside or (np.diff(self._closed) < 0).any():
            raise SourceError(
                f"The source returned {outside:,} of {len(self._closed):,} rows outside of {span}, or out of order. "
                "Look at its clock; the checks of a run of one batch say which rule is broken."
            )

    def read(self, window: Window, labels: Sequence[int] | None) -> pd.DataFrame:
        recent = self.training.iloc[self.cut(window)] if labels is None else self._recent(window)
        if labels is None:
            return recent.reset_index(drop=True)
        self._read_older(labels)
        older = self._older
        if window != self.span.older:
            older = older[older["closed"].between(window.start, window.end, inclusive="left")]
        tickets = pd.concat([older, recent], ignore_index=True)
        return tickets[tickets["label"].isin(labels)].reset_index(drop=True)

    def _recent(self, window: Window) -> pd.DataFrame:
        """What of an older window the training table holds."""
        return self.training.iloc[0:0] if window == self.span.older else self.training.iloc[self.cut(window)]

    def _read_older(self, labels: Sequence[int]) -> None:
        new = tuple(label for label in labels if label not in self._labels)
        window = self.span.older
        if not new or window.start >= window.end:
            return
        read = self.reader.read_tickets(window, new)
        self._older = pd.concat([self._older, read], ignore_index=True).sort_values(["closed", "id"], ignore_index=True)
        self._labels.update(new)
