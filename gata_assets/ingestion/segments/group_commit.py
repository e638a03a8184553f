"""Makes events durable: many threads append, one thread writes, and a segment has the events of many callers.

An append resolves when its events are stored, all in one segment. What is not stored in time fails for its callers with
the reason, and later appends go on. Waiting events are bounded: an append beyond the bound is refused at once, since
a caller that waits in line holds memory too.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Self

from gata_assets.errors import ConflictError, ProcessLostError, StoreError, TooManyEventsError
from gata_assets.ingestion.segments.chain import Chain, SegmentCoding, seconds_since_boot
from gata_assets.ingestion.segments.event import (
    MAX_SEGMENT_BYTES,
    MAX_SEGMENT_EVENTS,
    NewEvent,
    Segment,
    require_event,
)
from gata_assets.storage.objects import ObjectStore

# What an event takes besides its payload, about.
_OVERHEAD_BYTES = 500
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 2.0
Offsets = tuple[int, ...]


@dataclass(frozen=True)
class _Waiting:
    """Events of one call, their size, and since when they wait."""

    events: tuple[NewEvent, ...]
    size: int
    since: float
    done: Future[Offsets]


class EventLog:
    """Makes the events of many callers durable in few objects; `close` stores what waits."""

    def __init__(
        self,
        store: ObjectStore,
        stream: str,
        *,
        at_most_seconds: float = 0.05,
        at_most_bytes: int = 8_000_000,
        at_most_waiting_bytes: int = 64_000_000,
        give_up_after_seconds: float = 30.0,
        coding: SegmentCoding | None = None,
        clock: Callable[[], float] = seconds_since_boot,
    ) -> None:
        """Set up the log and start its thread.

        Args:
            store: The target.
            stream: Its name, see `event.is_stream_name`; no other process should write it.
            at_most_seconds: How long an event waits for others.
            at_most_bytes: A segment is written as soon as it has so many; about, as calls are not divided.
            at_most_waiting_bytes: More are refused.
            give_up_after_seconds: How long a failing store is tried again, from when the oldest event came.
            coding: See `Chain`.
            clock: Seconds; it goes on while the process sleeps.
        """
        self._chain = Chain(store, stream, coding=coding, clock=clock)
        self._wait_seconds, self._segment_bytes = at_most_seconds, at_most_bytes
        self._most_waiting, self._patience = at_most_waiting_bytes, give_up_after_seconds
        self._clock = clock
        self._queue: deque[_Waiting] = deque()
        self._changed = Condition()
        self._waiting_bytes = 0
        self._is_closing = False
        self._thread = Thread(target=self._run, name=f"event-log-{stream}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self._chain.stream

    @property
    def waiting_bytes(self) -> int:
        """The size of the events that are not stored yet."""
        return self._waiting_bytes

    @property
    def oldest_waits_seconds(self) -> float:
        """For how long the oldest event that is not stored waits; 0 without one."""
        with self._changed:
            return self._clock() - self._queue[0].since if self._queue else 0.0

    def append(self, events: Sequence[NewEvent]) -> Future[Offsets]:
        """Store events (at least one) together.

        Returns:
            A future of their offsets, done when they are stored. It raises StoreError if they were not stored in time:
            of the last attempt it may not be known whether it was carried out. It cannot be canceled.

        Raises:
            ValueError: An event cannot be stored, there is none, or they are too many for one segment.
            TooManyEventsError: Too many bytes wait already; nothing was taken.
            StoreError: The log is closed.
        """
        found = tuple(events)
        payload = sum(len(event.payload) for event in found)
        if not found or len(found) > MAX_SEGMENT_EVENTS or payload > MAX_SEGMENT_BYTES:
            raise ValueError(
                f"{len(found):,} events of {payload:,} bytes cannot be stored together: 1 to {MAX_SEGMENT_EVENTS:,} of "
                f"at most {MAX_SEGMENT_BYTES:,} bytes can."
            )
        for event in found:
            require_event(event)
        done: Future[Offsets] = Future()
        # A canceled future would keep its events from being stored, or hide that they were.
        done.set_running_or_notify_cancel()
        size = payload + _OVERHEAD_BYTES * len(found)
        with self._changed:
            if self._is_closing:
                raise StoreError(f"The log of {self.stream} is closed: nothing was stored.")
            if self._waiting_bytes and self._waiting_bytes + size > self._most_waiting:
                raise TooManyEventsError(
                    f"Events of {self._waiting_bytes:,} bytes wait to be stored, and at most {self._most_waiting:,} "
                    "may: nothing was taken. Send them again in some seconds."
                )
            self._queue.append(_Waiting(found, size, self._clock(), done))
            self._waiting_bytes += size
            self._changed.notify_all()
        return done

    def close(self) -> None:
        """Store what waits, or fail it, and take no more; returns when all futures are done."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                offsets = self._store(batch)
            # Whatever it is, callers wait for it, and the thread has to go on.
            except BaseException as error:  # noqa: BLE001
                for waiting in batch:
                    waiting.done.set_exception(error)
            else:
                for waiting, found in zip(batch, offsets, strict=True):
                    waiting.done.set_result(found)
            finally:
                with self._changed:
                    for _ in batch:
                        self._waiting_bytes -= self._queue.popleft().size

    def _next_batch(self) -> list[_Waiting]:
        """The calls of the next segment, once it is due; none when the log is closed and empty.

        They stay in the queue until they are done, as what takes memory.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_closing)
            while self._queue and not self._is_closing and self._waiting_bytes < self._segment_bytes:
                left = self._queue[0].since + self._wait_seconds - self._clock()
                if left <= 0:
                    break
                self._changed.wait(left)
            batch: list[_Waiting] = []
            size = count = 0
            for waiting in self._queue:
                count += len(waiting.events)
                payload = size + waiting.size
                # The first call of a batch fits by itself.
                if batch and (payload > min(self._segment_bytes, MAX_SEGMENT_BYTES) or count > MAX_SEGMENT_EVENTS):
                    break
                size = payload
                batch.append(waiting)
            return batch

    def _store(self, batch: Sequence[_Waiting]) -> list[Offsets]:
        """Store the events of calls as one segment; tries again while the store fails, and then raises StoreError."""
        deadline = batch[0].since + self._patience
        pause = _FIRST_PAUSE_SECONDS
        segment: Segment | None = None
        while True:
            try:
                if segment is None or not self._chain.is_at(segment.first):
                    segment = self._number(batch, self._chain.end())
                if self._chain.append(segment).is_own:
                    return _offsets(batch, segment.first)
            except ConflictError:
                raise
            except (StoreError, ProcessLostError) as error:
                if self._clock() + pause > deadline:
                    raise StoreError(
                        f"{len(segment.events) if segment else sum(len(waiting.events) for waiting in batch):,} events "
                        f"were not stored in {self._clock() - batch[0].since:.0f} s, or it is not known that they "
                        f"were: {error}"
                    ) from error
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _number(self, batch: Sequence[_Waiting], first: int) -> Segment:
        events = [event for waiting in batch for event in waiting.events]
        numbered = tuple(event.at(offset) for offset, event in enumerate(events, first))
        return Segment(self.stream, first, first + len(events), numbered)


def _offsets(batch: Sequence[_Waiting], first: int) -> list[Offsets]:
    found = []
    for waiting in batch:
        found.append(tuple(range(first, first + len(waiting.events))))
        first += len(waiting.events)
    return found
