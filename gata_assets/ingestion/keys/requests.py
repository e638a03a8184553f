"""Idempotent requests: of the same request, sent again while a client has no answer, one is carried out.

Each has a record below `ingestion/requests/`, changed by conditional writes alone, so several processes agree. One that
dies leaves a record that is free after a lease; if it was only late, it cannot change the answer of whoever took over.
Work that was done and not answered is then done again: what is done must be idempotent in itself, as landing is.
Clocks of processes may differ by less than the lease is longer than the longest request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_hex

from gata_assets.curation.layout import is_tenant_name
from gata_assets.errors import ConflictError, DamagedTableError, IdempotencyError, ObjectNotFoundError
from gata_assets.ingestion.keys.request_records import (
    Answer,
    Begun,
    InProgress,
    OtherBody,
    Replayed,
    RequestRecord,
    Started,
    StoredAnswer,
    decode_record,
    digest_of_key,
    encode_record,
    restored,
    stored,
)
from gata_assets.storage.objects import ABSENT, ObjectStore, Version
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order

REQUESTS = "ingestion/requests/"
LEASE = timedelta(minutes=5)
KEPT = timedelta(hours=24)
# Each time means that another process has changed the record.
_MOST_ATTEMPTS = 20


@dataclass(frozen=True)
class Swept:
    """How many records a sweep deleted, left, and left since they are damaged."""

    deleted: int
    left: int
    damaged: int

    def __add__(self, other: Swept) -> Swept:
        """Of both sweeps."""
        return Swept(self.deleted + other.deleted, self.left + other.left, self.damaged + other.damaged)


class IdempotentRequests:
    """The requests below `ingestion/requests/`; safe for several threads and processes."""

    def __init__(
        self,
        store: ObjectStore,
        clock: Callable[[], datetime],
        *,
        lease: timedelta = LEASE,
        kept: timedelta = KEPT,
        below: str = REQUESTS,
    ) -> None:
        """Use a store.

        Args:
            store: The target.
            clock: Gives the present instant in UTC.
            lease: After which a request without an answer is free again: longer than any request takes.
            kept: How long a record counts, from its answer on; and one without an answer from its begin on.
            below: The prefix of the records.
        """
        if not timedelta(0) < lease <= kept:
            raise ValueError("A lease above 0 is needed that is not longer than records are kept.")
        self._store, self._clock, self._lease, self._kept = store, clock, lease, kept
        self._below = below

    def begin(self, tenant: str, route: str, key: str, fingerprint: str) -> Begun:
        """Begin a request, or learn what became of it.

        Args:
            tenant: Who sends it: keys of others are others.
            route: What is asked for, such as `POST /v1/events`: the same key for another route is another request.
            key: Its Idempotency-Key, 1 to 255 characters.
            fingerprint: See `request_records.fingerprint`.

        Returns:
            `Started` to exactly one of all that ask at once; `OtherBody` as long as the record counts, also where
            nobody is at work any more, since the first request may have been carried out.

        Raises:
            IdempotencyError: The key is empty or too long, or there is no such tenant.
            DamagedTableError: The record is damaged.
            StoreError: The target failed.
        """
        if not is_tenant_name(tenant):
            raise IdempotencyError("No tenant has such a name: 1 to 63 of a-z 0-9 _ are needed.")
        place = f"{self._below}{tenant}/{digest_of_key(route, key)}.json"
        seen, before = ABSENT, None
        for _ in range(_MOST_ATTEMPTS):
            # Most requests are new: they cost one call.
            started = self._start(place, fingerprint, seen, before)
            if started:
                return started
            found = self._read(place)
            if found is None:
                seen, before = ABSENT, None
                continue
            record, version = found
            outcome = self._outcome(record, fingerprint)
            if outcome:
                return outcome
            seen = version
            before = record.begun_before or record.begun_at if self._clock() < record.expires_at else None
        raise ConflictError(f"{self._store.uri(place)} is being changed by other requests: send it again.")

    def finish(self, started: Started, answer: Answer) -> None:
        """Keep the answer of a request, before it is given; doing so again with the same answer changes nothing.

        Raises:
            ConflictError: Another process has taken over after the lease: its answer counts, and this one is not kept.
            StoreError: The target failed.
        """
        record = self._record(started, free_at=started.begun_at + self._lease, answer=stored(answer))
        try:
            self._store.write(started.place, encode_record(record), expected=started.version, is_private=True)
        except ConflictError:
            found = self._read(started.place)
            if found is None or (found[0].token, found[0].answer) != (record.token, record.answer):
                raise ConflictError(
                    f"{self._store.uri(started.place)} was taken over by another process after {self._lease}: its "
                    "answer counts, and this one was not kept."
                ) from None

    def forget(self, started: Started) -> None:
        """Free a request that failed by a fault of ours, so that it can be sent again at once.

        One that another process has taken over, or that has its answer, stays as it is. Raises StoreError.
        """
        with suppress(ConflictError):
            self._store.delete(started.place, expected=started.version)

    def release(self, started: Started) -> None:
        """Free a request that may have been carried out, or not: who begins it again learns so.

        One that another process has taken over, or that has its answer, stays as it is. Raises StoreError.
        """
        record = self._record(started, free_at=self._clock(), answer=None)
        with suppress(ConflictError):
            self._store.write(started.place, encode_record(record), expected=started.version, is_private=True)

    def sweep(self) -> Swept:
        """Delete the records that count no longer. Reads all of them; raises StoreError."""
        outcomes = list(map_in_order(self._sweep_one, self._places(), SMALL_CALLS_AT_ONCE))
        return Swept(outcomes.count("deleted"), outcomes.count("left"), outcomes.count("damaged"))

    def _start(self, place: str, fingerprint: str, seen: Version, before: datetime | None) -> Started | None:
        """Write a record of one's own in place of what was seen; None if there is something else."""
        now, token = self._clock(), token_hex(16)
        record = RequestRecord(
            fingerprint=fingerprint,
            # No two records have the same content, so that no version comes twice.
            token=token,
            begun_at=now,
            begun_before=before,
            free_at=now + self._lease,
            expires_at=now + self._kept,
            answer=None,
        )
        try:
            version = self._store.write(place, encode_record(record), expected=seen, is_private=True)
        except ConflictError:
            return None
        return Started(place, version, token, fingerprint, now, before)

    def _record(self, started: Started, *, free_at: datetime, answer: StoredAnswer | None) -> RequestRecord:
        """What a request that was begun becomes."""
        return RequestRecord(
            fingerprint=started.fingerprint,
            token=started.token,
            begun_at=started.begun_at,
            begun_before=started.begun_before,
            free_at=free_at,
            expires_at=self._clock() + self._kept,
            answer=answer,
        )

    def _outcome(self, record: RequestRecord, fingerprint: str) -> Begun | None:
        """What a record means for a request; None if it does not count, or nobody is at work any more."""
        now = self._clock()
        if record.expires_at <= now:
            return None
        if record.fingerprint != fingerprint:
            return OtherBody()
        if record.answer is not None:
            return Replayed(restored(record.answer))
        return InProgress(record.begun_at, record.free_at) if now < record.free_at else None

    def _read(self, place: str) -> tuple[RequestRecord, Version] | None:
        try:
            content, version = self._store.read_versioned(place)
            return decode_record(content), version
        except ObjectNotFoundError:
            return None
        except ValueError as error:
            raise DamagedTableError(
                f"{self._store.uri(place)} is damaged ({error}): delete it, and the request can be sent again.",
                key=place,
            ) from None

    def _places(self) -> Iterator[str]:
        return (key for key in self._store.list_keys(self._below) if key.endswith(".json"))

    def _sweep_one(self, place: str) -> str:
        try:
            found = self._read(place)
        except DamagedTableError:
            return "damaged"
        if found is None:
            return "deleted"
        record, version = found
        if self._clock() < record.expires_at:
            return "left"
        try:
            self._store.delete(place, expected=version)
        except ConflictError:
            # Begun again meanwhile.
            return "left"
        return "deleted"
