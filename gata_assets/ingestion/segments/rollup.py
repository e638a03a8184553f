"""Turns segments into raw files: for each closed hour of a stream, and each tenant, table and source, one file.

In this order: the plan, which names the range and its files, by a conditional write; for each file the origins of its
records and then the file, unless it is there; the range's rejected messages; the cursor behind the range; after a
grace time the segments go. So a roll-up that was killed is finished by the next, and two at once write the same files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gata_assets.errors import ConflictError, DamagedTableError, ObjectNotFoundError
from gata_assets.ingestion.segments.chain import SHORTEST_GRACE, Chain, segment_key
from gata_assets.ingestion.segments.coding.rejected_messages import encode_rejected
from gata_assets.ingestion.segments.cursor import (
    Cursor,
    Plan,
    PlannedFile,
    Reached,
    cursor_key,
    find_streams,
    read_cursor,
    write_cursor,
)
from gata_assets.ingestion.segments.event import Segment
from gata_assets.ingestion.segments.raw_files import (
    Decode,
    EventsFile,
    as_it_came,
    build_files,
    hour_of,
    origins_key,
)
from gata_assets.ingestion.segments.rejected import rejected_key
from gata_assets.storage.objects import ABSENT, ObjectStore
from gata_assets.storage.parallel import CALLS_AT_ONCE, SMALL_CALLS_AT_ONCE, map_in_order

# How often a roll-up starts again because another one is at the same stream; each time that one got further.
_MOST_ATTEMPTS = 20


@dataclass(frozen=True)
class RollUpRules:
    """When a range is rolled up: `late` after its hour, or as soon as it has so many segments; a range ends at so many
    segments or bytes of payloads too. For `grace` after that its segments are kept.
    """

    late: timedelta = timedelta(minutes=2)
    at_most_segments: int = 10_000
    at_most_bytes: int = 64_000_000
    grace: timedelta = timedelta(hours=2)

    def __post_init__(self) -> None:
        if self.grace < SHORTEST_GRACE:
            raise ValueError(f"Segments are kept for {SHORTEST_GRACE} at least, not {self.grace}.")


@dataclass(frozen=True)
class RolledUp:
    """What a roll-up did with a stream: the raw files that it (or another at the same time) wrote, their events, the
    offset that it reached, and the number of segments that it deleted; and since when the oldest event waits that is in
    no raw file yet.
    """

    stream: str
    files: tuple[str, ...]
    events: int
    end: int
    deleted: int
    waits_since: datetime | None = None


# The offset of a stream from which on its segments are kept, since another reader needs them; None if all may go.
KeptFrom = Callable[[ObjectStore, str], int | None]


class RollUp:
    """Rolls up streams of a store."""

    def __init__(
        self,
        store: ObjectStore,
        clock: Callable[[], datetime],
        rules: RollUpRules | None = None,
        decode: Decode = as_it_came,
        kept_from: KeptFrom | None = None,
    ) -> None:
        """Set up the roll-up.

        Args:
            store: The target.
            clock: The present instant in UTC.
            rules: When ranges are rolled up, and how long segments are kept.
            decode: Turns payloads that are no JSON into JSON, always the same way.
            kept_from: See KeptFrom; None if nobody else reads segments.
        """
        self._store, self._clock, self._decode, self._kept_from = store, clock, decode, kept_from
        self._rules = rules or RollUpRules()

    def run(self, *, even_open: bool = False) -> Iterator[RolledUp]:
        """Roll up all streams, as `roll_up` does."""
        for stream in find_streams(self._store):
            yield self.roll_up(stream, even_open=even_open)

    def roll_up(self, stream: str, *, even_open: bool = False) -> RolledUp:
        """Roll up what is closed of a stream, or with `even_open` all of it.

        Raises:
            DamagedTableError: A segment or the cursor is damaged or missing.
            DeleteDeniedError: The role may not delete segments; the raw files are written.
            ConflictError: Other roll-ups kept changing the cursor.
            StoreError: The target failed; the next roll-up goes on.
        """
        written: list[PlannedFile] = []
        conflicts = 0
        while True:
            cursor = read_cursor(self._store, stream)
            try:
                plan = self._advance(stream, cursor, even_open=even_open)
            except (ConflictError, DamagedTableError, ObjectNotFoundError):
                # Another roll-up got further, and people may have been erased since from what it rolled up; or nothing
                # did: then it is no other's doing.
                conflicts += 1
                if conflicts == _MOST_ATTEMPTS or read_cursor(self._store, stream).version == cursor.version:
                    raise
                continue
            if plan is None:
                break
            written += plan.files
        firsts = Chain(self._store, stream).first_offsets(0)
        deleted = self._delete_old(stream, cursor, firsts)
        keys, events = tuple(file.key for file in written), sum(file.rows for file in written)
        return RolledUp(stream, keys, events, cursor.end, deleted, self._oldest(stream, cursor, firsts))

    def is_due(self, stream: str, cursor: Cursor) -> bool:
        """Whether `roll_up` has something to do: a range that is closed, or segments that were to be deleted an hour
        ago. Raises DamagedTableError or StoreError.
        """
        overdue = self._rules.grace + timedelta(hours=1)
        if cursor.plan or self._deletable(stream, cursor, overdue):
            return True
        chain = Chain(self._store, stream)
        listed = chain.first_offsets(cursor.end)
        return bool(listed) and self._may_be_closed(chain, listed)

    def _advance(self, stream: str, cursor: Cursor, *, even_open: bool) -> Plan | None:
        """Carry out the plan, or make one and carry it out; None if there is nothing to do."""
        plan = cursor.plan
        if plan is None:
            segments = self._choose(stream, cursor, even_open=even_open)
            if not segments:
                return None
            files = build_files(segments, self._decode)
            planned = (PlannedFile(file.tenant, file.table, file.source, file.key, file.rows) for file in files)
            plan = Plan(segments[-1].end, tuple(planned))
            cursor = write_cursor(self._store, stream, replace(cursor, plan=plan))
        else:
            segments = self._read(stream, cursor.end, plan.end)
            files = build_files(segments, self._decode)
        self._store_files(stream, plan, files)
        self._store_rejected(segments)
        past = (*cursor.past, Reached(plan.end, self._clock()))
        write_cursor(self._store, stream, replace(cursor, end=plan.end, plan=None, past=past))
        return plan

    def _choose(self, stream: str, cursor: Cursor, *, even_open: bool) -> list[Segment]:
        """The segments of the next range, if it is closed."""
        chain, rules = Chain(self._store, stream), self._rules
        listed = chain.first_offsets(cursor.end)
        # While the hour of the first segment that has one is open, the others need not be read.
        if not listed or not (even_open or self._may_be_closed(chain, listed)):
            return []
        found: list[Segment] = []
        hour: datetime | None = None
        size = 0
        for segment in chain.segments(cursor.end, listed):
            size += segment.payload_bytes
            other = hour_of(segment) or hour
            is_cut = hour not in (None, other) or size > rules.at_most_bytes or len(found) == rules.at_most_segments
            if found and is_cut:
                return found
            found.append(segment)
            hour = other
        return found if even_open or self._is_past(hour) else []

    def _may_be_closed(self, chain: Chain, listed: Sequence[int]) -> bool:
        if len(listed) >= self._rules.at_most_segments:
            return True
        hours = (hour_of(chain.read(first)) for first in listed)
        return self._is_past(next((hour for hour in hours if hour), None))

    def _is_past(self, hour: datetime | None) -> bool:
        return hour is not None and self._clock() >= hour + timedelta(hours=1) + self._rules.late

    def _read(self, stream: str, start: int, end: int) -> list[Segment]:
        """The segments of a plan; raises ObjectNotFoundError if they are not there any more."""
        found: list[Segment] = []
        for segment in Chain(self._store, stream).segments(start):
            found.append(segment)
            if segment.end >= end:
                break
        if not found or found[-1].end != end:
            key = segment_key(stream, found[-1].end if found else start)
            raise ObjectNotFoundError(
                f"There is no {self._store.uri(key)}, which is to be rolled up: restore it from a version or a copy."
            )
        return found

    def _store_files(self, stream: str, plan: Plan, files: Sequence[EventsFile]) -> None:
        """Store the files of a plan under its keys, each after its origins, unless they are there."""
        keys = {(file.tenant, file.table, file.source): file.key for file in plan.files}
        if {(file.tenant, file.table, file.source) for file in files} != keys.keys():
            raise DamagedTableError(
                f"{self._store.uri(cursor_key(stream))}: the stream's segments up to offset {plan.end} are not those "
                "that its plan was made of. Restore both from versions or a copy."
            )

        def write(file: EventsFile) -> None:
            key = keys[file.tenant, file.table, file.source]
            origins = origins_key(file.tenant, file.table, key)
            for place, content in ((origins, file.origins), (key, file.content)):
                with suppress(ConflictError):
                    self._store.write(place, content, expected=ABSENT)

        for _ in map_in_order(write, files, CALLS_AT_ONCE):
            pass

    def _store_rejected(self, segments: Sequence[Segment]) -> None:
        """Store the rejected messages of a range in quarantine, unless they are there."""
        if found := [message for segment in segments for message in segment.rejected]:
            with suppress(ConflictError):
                key = rejected_key(segments[0].stream, segments[0].first)
                self._store.write(key, encode_rejected(found), expected=ABSENT)

    def _oldest(self, stream: str, cursor: Cursor, firsts: Sequence[int]) -> datetime | None:
        """When the first event was received that is not rolled up."""
        first = next((first for first in firsts if first >= cursor.end), None)
        if first is None:
            return None
        try:
            segment = Chain(self._store, stream).read(first)
        except ObjectNotFoundError:
            # Another roll-up has rolled it up, and it was deleted since.
            return None
        return next((event.received_at for event in segment.events), None)

    def _deletable(self, stream: str, cursor: Cursor, after: timedelta) -> list[Reached]:
        """The ends that were reached so long ago, and that segments may be deleted up to."""
        due = [reached for reached in cursor.past if reached.at + after <= self._clock()]
        kept = self._kept_from(self._store, stream) if due and self._kept_from else None
        return due if kept is None else [reached for reached in due if reached.end <= kept]

    def _delete_old(self, stream: str, cursor: Cursor, firsts: Sequence[int]) -> int:
        """Delete segments that were rolled up long enough ago, of those that were listed; returns how many."""
        due = self._deletable(stream, cursor, self._rules.grace)
        if cursor.past and not due:
            return 0
        # If none is kept, what is there all the same was written too late, and its writer has found that out.
        end = due[-1].end if due else cursor.end
        old = [first for first in firsts if first < end]

        def delete(first: int) -> None:
            self._store.delete(segment_key(stream, first))

        for _ in map_in_order(delete, old, SMALL_CALLS_AT_ONCE):
            pass
        if due:
            # Another roll-up has deleted the same; that it got further is known to the next one.
            with suppress(ConflictError):
                write_cursor(self._store, stream, replace(cursor, past=cursor.past[len(due) :]))
        return len(old)
