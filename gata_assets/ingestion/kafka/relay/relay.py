"""Rounds that produce all that waits: events of streams, rows of files, messages of datasets.

What fails is tried again in the next round, after a pause that grows. It delays what is behind it in its stream, and
nothing else, unless no broker answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from threading import Event
from time import monotonic

from gata_assets.curation.validator import FileValidator
from gata_assets.errors import BrokerError, GataError
from gata_assets.ingestion.kafka.relay.cursors import find_produced_streams
from gata_assets.ingestion.kafka.relay.datasets import DatasetRelay
from gata_assets.ingestion.kafka.relay.files import FileRelay
from gata_assets.ingestion.kafka.relay.metrics import RelayMetrics
from gata_assets.ingestion.kafka.relay.outbox import Outbox
from gata_assets.ingestion.kafka.relay.streams import StreamRelay
from gata_assets.storage.finished import DatasetFolder

_POLL_SECONDS = 0.25
# Listings cost more than a look at a stream's next segment. Most streams are of processes that have ended.
_LISTED_SECONDS, _FILES_SECONDS, _DATASETS_SECONDS = 5.0, 10.0, 30.0
_ACTIVE_SECONDS, _INACTIVE_PAUSE_SECONDS = 3600.0, 30.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 30.0


@dataclass
class _Stream:
    """When a stream had events last, and when it is looked at next, in seconds."""

    active_at: float = float("-inf")
    due_at: float = float("-inf")


class Relay:
    """Produces for one thread, again and again."""

    def __init__(
        self,
        outbox: Outbox,
        validator_of: Callable[[str], FileValidator],
        find_datasets: Callable[[], Iterable[DatasetFolder]],
        metrics: RelayMetrics,
        since: datetime,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Set up the relay.

        Args:
            outbox: What is produced from, and to.
            validator_of: Opens a tenant's tables.
            find_datasets: Lists the folders of datasets.
            metrics: Counts.
            since: Files that landed before are not produced.
            clock: The present instant in UTC.
        """
        self._outbox, self._find_datasets, self._metrics, self._clock = outbox, find_datasets, metrics, clock
        self._events = StreamRelay(outbox)
        self._files = FileRelay(outbox, validator_of, since)
        self._datasets = DatasetRelay(outbox)
        self._streams: dict[str, _Stream] = {}
        self._listed_at = self._files_due_at = self._datasets_due_at = float("-inf")
        self._failures: list[GataError] = []

    def run(self, end: Event) -> None:
        """Produce what arrives until `end` is set."""
        pause, is_waiting = _FIRST_PAUSE_SECONDS, False
        while not end.is_set():
            if self._run_round(is_all=False):
                if is_waiting:
                    self._outbox.say("PRODUCING_AGAIN", {})
                pause, is_waiting = _FIRST_PAUSE_SECONDS, False
                end.wait(_POLL_SECONDS)
            else:
                is_waiting = True
                end.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def run_once(self) -> bool:
        """Produce all that waits; returns whether nothing failed."""
        return self._run_round(is_all=True)

    def _run_round(self, *, is_all: bool) -> bool:
        self._failures = []
        self._try(partial(self._relay_streams, is_all=is_all))
        if is_all or monotonic() >= self._files_due_at:
            self._try(self._relay_files)
        if is_all or monotonic() >= self._datasets_due_at:
            self._try(self._relay_datasets)
        if self._failures and not self._outbox.is_ending():
            self._metrics.count_failure()
            for reason in dict.fromkeys(map(str, self._failures)):
                self._outbox.say("PRODUCING_WAITS", {"reason": reason})
            self._measure_lag()
        return not self._failures

    def _relay_streams(self, *, is_all: bool) -> None:
        if is_all or monotonic() - self._listed_at >= _LISTED_SECONDS:
            for name in find_produced_streams(self._outbox.store):
                self._streams.setdefault(name, _Stream())
            self._listed_at = monotonic()
        for name, stream in self._streams.items():
            now = monotonic()
            if is_all or now >= stream.due_at:
                if self._try(partial(self._events.relay, name)):
                    stream.active_at = now
                is_active = now - stream.active_at < _ACTIVE_SECONDS
                stream.due_at = now if is_active else now + _INACTIVE_PAUSE_SECONDS
        if not self._failures:
            self._note_lag(0, None)

    def _relay_files(self) -> None:
        waiting = sum(not self._try(partial(self._files.relay, *file)) for file in self._files.find_waiting())
        self._metrics.set_waiting("files", waiting)
        self._files_due_at = monotonic() + _FILES_SECONDS

    def _relay_datasets(self) -> None:
        found = self._datasets.find_waiting(self._find_datasets())
        waiting = sum(not self._try(partial(self._datasets.relay, dataset)) for dataset in found)
        self._metrics.set_waiting("datasets", waiting)
        self._datasets_due_at = monotonic() + _DATASETS_SECONDS

    @property
    def _is_stopped(self) -> bool:
        """Whether the relay is to end, or no broker answers, so that nothing else can be produced either."""
        is_away = any(isinstance(error, BrokerError) and error.topic is None for error in self._failures)
        return is_away or self._outbox.is_ending()

    def _try(self, call: Callable[[], bool | None]) -> bool:
        """Do something unless the round is stopped, and note how it failed; returns whether it says that it did it."""
        if self._is_stopped:
            return False
        try:
            return bool(call())
        except GataError as error:
            self._failures.append(error)
            return False

    def _measure_lag(self) -> None:
        """Count the events that wait; if the target is away too, what was known before stays."""
        waiting, oldest = 0, None
        with suppress(GataError):
            for stream in find_produced_streams(self._outbox.store):
                events, received_at = self._events.lag(stream)
                waiting += events
                oldest = min(filter(None, (oldest, received_at)), default=None)
            self._note_lag(waiting, oldest)

    def _note_lag(self, waiting: int, oldest: datetime | None) -> None:
        self._metrics.set_waiting("events", waiting)
        self._metrics.set_oldest(oldest, self._clock())
