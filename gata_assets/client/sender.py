"""Collects lines into batches and sends them, one after another, in a thread of its own.

Nothing is dropped: what waits is bounded, so a caller that is faster than the service waits; what failed is kept, and
nothing more is taken until the caller has taken it back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition, Thread
from time import monotonic

from gata_assets.client.batches import Batch, BatchRules, FailedBatch, Kind, new_batch, size_of
from gata_assets.errors import BatchesFailedError, ServiceAwayError


@dataclass(frozen=True)
class Counts:
    """What became of a client's batches: durable events, valid rows, rows in quarantine; batches that failed."""

    events: int = 0
    rows_accepted: int = 0
    rows_rejected: int = 0
    failed_batches: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.events + other.events,
            self.rows_accepted + other.rows_accepted,
            self.rows_rejected + other.rows_rejected,
            self.failed_batches + other.failed_batches,
        )


@dataclass
class _Open:
    """A batch that lines are added to, and since when."""

    lines: list[bytes]
    size: int
    since: float


class BatchSender:
    """Sends what is added; safe for several threads. The thread starts with the first lines, and ends by `close`."""

    def __init__(self, send: Callable[[Batch], Counts], rules: BatchRules) -> None:
        """`send` sends a batch for good, or raises."""
        self._send, self._rules = send, rules
        self._changed = Condition()
        self._open: dict[tuple[Kind, str], _Open] = {}
        self._ready: deque[Batch] = deque()
        self._failed: list[FailedBatch] = []
        self._held_bytes = 0
        self._is_sending = self._is_closed = False
        self._thread: Thread | None = None
        self._counts = Counts()

    @property
    def counts(self) -> Counts:
        """What became of the batches until now."""
        with self._changed:
            return self._counts

    def add(self, kind: Kind, table: str, lines: Sequence[bytes]) -> None:
        """Take all lines, or none; waits while there is no room for them. Raises BatchesFailedError."""
        size = size_of(lines)
        with self._changed:
            self._wait_for_room(size)
            for line in lines:
                self._add_line(kind, table, line)
            self._changed.notify_all()

    def add_again(self, batches: Sequence[Batch]) -> None:
        """Take batches that were sent before, with their keys."""
        with self._changed:
            self._wait_for_room(sum(batch.size for batch in batches))
            self._ready.extend(batches)
            self._held_bytes += sum(batch.size for batch in batches)
            self._changed.notify_all()

    def take_failed(self) -> list[FailedBatch]:
        """Give back the batches that failed."""
        with self._changed:
            failed, self._failed = self._failed, []
            self._held_bytes -= sum(one.batch.size for one in failed)
            self._changed.notify_all()
            return failed

    def flush(self, timeout: float | None = None) -> None:
        """Return when all that was added is sent; raises BatchesFailedError, or TimeoutError if that takes longer."""
        with self._changed:
            self._close_batches(even_young=True)
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: not (self._ready or self._open or self._is_sending), timeout):
                raise TimeoutError(f"Not all rows and events were sent in {timeout:g} s; the client goes on with them.")
            self._require_no_failure()

    def close(self) -> None:
        """Send what waits, and end the thread; raises BatchesFailedError."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join()
        with self._changed:
            self._require_no_failure()

    def _wait_for_room(self, size: int) -> None:
        def has_room() -> bool:
            is_full = self._held_bytes + size > self._rules.most_waiting_bytes
            if is_full and self._held_bytes:
                # What waits for others makes room only once it is sent.
                self._close_batches(even_young=True)
                self._changed.notify_all()
            return bool(self._is_closed or self._failed) or not (is_full and self._held_bytes)

        self._changed.wait_for(has_room)
        if self._is_closed:
            raise ValueError("The client is closed: make another one.")
        self._require_no_failure()
        if self._thread is None:
            self._thread = Thread(target=self._run, name="gata-client", daemon=True)
            self._thread.start()

    def _require_no_failure(self) -> None:
        if self._failed:
            lines = sum(len(one.batch.lines) for one in self._failed)
            raise BatchesFailedError(
                f"{len(self._failed)} batches with {lines:,} rows or events failed, the first with: "
                f"{self._failed[0].error} `take_failed` returns them, and `send_again` sends them with their keys."
            )

    def _add_line(self, kind: Kind, table: str, line: bytes) -> None:
        size = size_of([line])
        found = self._open.get((kind, table))
        if found and found.size + size > self._rules.most_bytes:
            self._close_batch(kind, table)
            found = None
        if found is None:
            found = self._open[kind, table] = _Open([], 0, monotonic())
        found.lines.append(line)
        found.size += size
        self._held_bytes += size
        if len(found.lines) >= self._rules.most(kind) or found.size >= self._rules.most_bytes:
            self._close_batch(kind, table)

    def _close_batch(self, kind: Kind, table: str) -> None:
        self._ready.append(new_batch(kind, table, self._open.pop((kind, table)).lines))

    def _close_batches(self, *, even_young: bool) -> None:
        now = monotonic()
        for (kind, table), found in list(self._open.items()):
            if even_young or now - found.since >= self._rules.most_seconds:
                self._close_batch(kind, table)

    def _run(self) -> None:
        while batch := self._next():
            outcome: Counts | Exception
            try:
                outcome = self._send(batch)
            # Whatever it is, the batch has to be given back, and the thread has to go on.
            except Exception as error:  # noqa: BLE001
                outcome = error
            with self._changed:
                self._note(batch, outcome)
                if self._is_closed and isinstance(outcome, ServiceAwayError):
                    # The others would wait as long, one after another.
                    self._close_batches(even_young=True)
                    while self._ready:
                        self._note(self._ready.popleft(), outcome)
                self._is_sending = False
                self._changed.notify_all()

    def _note(self, batch: Batch, outcome: Counts | Exception) -> None:
        if isinstance(outcome, Counts):
            self._held_bytes -= batch.size
            self._counts += outcome
        else:
            self._failed.append(FailedBatch(batch, outcome))
            self._counts += Counts(failed_batches=1)

    def _next(self) -> Batch | None:
        """The next batch, once there is one; None when the sender is closed and empty."""
        with self._changed:
            while True:
                self._close_batches(even_young=self._is_closed)
                if self._ready:
                    self._is_sending = True
                    return self._ready.popleft()
                if self._is_closed:
                    return None
                oldest = min((found.since for found in self._open.values()), default=None)
                self._changed.wait(None if oldest is None else oldest + self._rules.most_seconds - monotonic())
