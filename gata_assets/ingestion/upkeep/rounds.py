"""A round of upkeep: all streams are rolled up, old segments go, and a few times a day old records of requests, also
of webhooks.

What fails stops nothing else, and is part of what the round says. Rounds may run at once, in any number of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated

import msgspec

from gata_assets.errors import (
    ConflictError,
    DamagedTableError,
    GataError,
    ObjectNotFoundError,
    RegistryError,
    StoreError,
)
from gata_assets.ingestion.keys.requests import REQUESTS, IdempotentRequests, Swept
from gata_assets.ingestion.segments.cursor import find_streams, read_cursor
from gata_assets.ingestion.segments.rollup import RolledUp, RollUp
from gata_assets.ingestion.webhooks.delivered import DELIVERED, delivered_events
from gata_assets.storage.objects import ABSENT, ObjectStore, Version

# When records of requests were swept last. A sweep reads all of them, so it is not part of every round.
SWEPT = "ingestion/requests_swept.json"
SWEEP_EVERY = timedelta(hours=6)


@dataclass(frozen=True)
class Failed:
    """What could not be kept up, a stream or `requests`, and why; `is_damaged` if trying again does not help."""

    what: str
    reason: str
    is_damaged: bool


@dataclass(frozen=True)
class Round:
    """What a round did. `swept` is None if no sweep was due, `waits_since` if no event waits for its roll-up."""

    streams: tuple[RolledUp, ...]
    failed: tuple[Failed, ...]
    swept: Swept | None
    ended_at: datetime

    @property
    def numbers(self) -> dict[str, float]:
        """The round as numbers, by the names that lines and pages show them by."""
        since = min((one.waits_since for one in self.streams if one.waits_since), default=self.ended_at)
        return {
            "streams": len(self.streams) + sum(one.what != REQUESTS for one in self.failed),
            "failed": len(self.failed),
            "events": sum(one.events for one in self.streams),
            "files": sum(len(one.files) for one in self.streams),
            "oldest_waits_seconds": max(0.0, (self.ended_at - since).total_seconds()),
            "deleted_segments": sum(one.deleted for one in self.streams),
            "deleted_requests": self.swept.deleted if self.swept else 0,
            "damaged_requests": self.swept.damaged if self.swept else 0,
        }


class _SweptAt(msgspec.Struct, frozen=True):
    at: Annotated[datetime, msgspec.Meta(tz=True)]


class Upkeep:
    """Keeps up what ingestion has in a store."""

    def __init__(
        self,
        store: ObjectStore,
        clock: Callable[[], datetime],
        roll_up: RollUp | None = None,
    ) -> None:
        """`clock` and `roll_up` are of the same store; None is a roll-up of events that came as JSON."""
        self._store, self._clock = store, clock
        self._roll_up = roll_up or RollUp(store, clock)

    def run(
        self,
        note: Callable[[RolledUp | Failed], object],
        *,
        even_open: bool = False,
        is_ended: Callable[[], bool] = lambda: False,
    ) -> Round:
        """Do a round, and `note` each stream when it is done, and each failure; once `is_ended`, begin no other stream.

        Raises StoreError if the streams cannot be listed.
        """
        done: list[RolledUp] = []
        failed: list[Failed] = []
        swept = None
        for stream in find_streams(self._store):
            if is_ended():
                break
            try:
                done.append(self._roll_up.roll_up(stream, even_open=even_open))
                note(done[-1])
            except (StoreError, RegistryError) as error:
                failed.append(_failure(stream, error))
                note(failed[-1])
        try:
            swept = None if is_ended() else self._sweep()
        except StoreError as error:
            failed.append(_failure(REQUESTS, error))
            note(failed[-1])
        return Round(tuple(done), tuple(failed), swept, self._clock())

    def find_due(self) -> str | None:
        """A text that differs for each set of things to do; None if a round would do nothing. Raises StoreError."""
        found = [due for stream in find_streams(self._store) if (due := self._find_due(stream))]
        has_records = any(True for below in (REQUESTS, DELIVERED) for _ in self._store.list_folders(below))
        if has_records and self._look_for_sweep()[1]:
            found.append(REQUESTS)
        return sha256("\n".join(found).encode()).hexdigest()[:16] if found else None

    def _find_due(self, stream: str) -> str | None:
        try:
            cursor = read_cursor(self._store, stream)
            return f"{stream} {cursor.version}" if self._roll_up.is_due(stream, cursor) else None
        except DamagedTableError:
            # The round says so.
            return f"{stream} damaged"

    def _sweep(self) -> Swept | None:
        version, is_due = self._look_for_sweep()
        if not is_due:
            return None
        at = self._clock()
        swept = (
            IdempotentRequests(self._store, self._clock).sweep() + delivered_events(self._store, self._clock).sweep()
        )
        with suppress(ConflictError):
            # Another round has swept at the same time.
            self._store.write(SWEPT, msgspec.json.encode(_SweptAt(at)), expected=version)
        return swept

    def _look_for_sweep(self) -> tuple[Version, bool]:
        """The version of what says when records were swept last, and whether that is long ago."""
        try:
            content, version = self._store.read_versioned(SWEPT)
        except ObjectNotFoundError:
            return ABSENT, True
        try:
            return version, msgspec.json.decode(content, type=_SweptAt).at + SWEEP_EVERY <= self._clock()
        except ValueError:
            # Sweeping once too often does no harm, and writes it anew.
            return version, True


def _failure(what: str, error: GataError) -> Failed:
    return Failed(what, str(error), isinstance(error, DamagedTableError))


def describe(failed: Sequence[Failed]) -> str:
    """What failed, in one text."""
    return "; ".join(f"{one.what}: {one.reason}" for one in failed)
