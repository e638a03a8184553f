"""The event log as a place of people's data: segments of streams, and rejected messages.

A stream with something of theirs is rolled up first, so that raw files have all of it, from which tables erase it. What
is left of each segment is then stored under the same key: keys are what keeps a stream from forking. Segments beyond
the cursor stay as they are, since a roll-up may be reading them: they were written after the tombstones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from typing import Any, ClassVar

from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.governance.privacy.locators import Cleared, Erasure, Exported, People
from gata_assets.governance.privacy.searching import Search, Searched
from gata_assets.ingestion.kafka.consuming.replay import quarantined_streams
from gata_assets.ingestion.people.erased_events import CuratorOf, ErasedEvents
from gata_assets.ingestion.people.message_search import MessageSearch, readable
from gata_assets.ingestion.segments.chain import ENDING, Chain, segment_key
from gata_assets.ingestion.segments.coding.rejected_messages import decode_rejected, encode_rejected
from gata_assets.ingestion.segments.coding.segments import decode_segment
from gata_assets.ingestion.segments.cursor import SEGMENTS, find_streams, read_cursor
from gata_assets.ingestion.segments.event import Event, Segment
from gata_assets.ingestion.segments.lines import line_of
from gata_assets.ingestion.segments.quarantined import read_rejected, rolled_up_ranges
from gata_assets.ingestion.segments.raw_files import Decode
from gata_assets.ingestion.segments.rejected import QUARANTINE, RejectedMessage, rejected_key
from gata_assets.ingestion.segments.rollup import RollUp
from gata_assets.storage.objects import ObjectStore, Version
from gata_assets.storage.parallel import CALLS_AT_ONCE, SMALL_CALLS_AT_ONCE, map_in_order

_SEGMENTS_PLACE, _REJECTED_PLACE = "events: segments", "events: rejected messages"
_MOST_BYTES, _MOST_SEGMENTS = 8_000_000, 1_000
_Read = tuple[Segment, Version]


def is_of_log(key: str) -> bool:
    """Whether an object has events or messages of several tenants, which EventLogHaystack reads."""
    return key.startswith((SEGMENTS, QUARANTINE)) and key.endswith((ENDING, ".parquet"))


class EventLogLocator:
    """The event log of a target, which its tenants share."""

    def __init__(self, store: ObjectStore, roll_up: RollUp, curators: Sequence[CuratorOf], decode: Decode) -> None:
        """`curators` have the tables of tenants; `decode` is that of the roll-up."""
        self._store, self._roll_up, self._curators, self._decode = store, roll_up, curators, decode

    def erase(self, erasure: Erasure) -> Iterator[Cleared]:
        """See Locator; raises RegistryError too."""
        theirs = ErasedEvents(erasure, self._curators, self._decode)
        search = MessageSearch(erasure)
        done, damaged = Counter[str](), list[str]()
        for stream in find_streams(self._store):
            chain = Chain(self._store, stream)
            try:
                start = read_cursor(self._store, stream).end
                if any(self._theirs(chain, chain.first_offsets(start), theirs, search)):
                    self._roll_up.roll_up(stream, even_open=True)
                done += self._rewrite(chain, theirs, search)
            except (DamagedTableError, ObjectNotFoundError) as error:
                damaged.append(str(error))
        removed = {kind: done[kind] for kind in ("events", "rejected_messages")}
        yield Cleared(_SEGMENTS_PLACE, done["segments"], removed, " ".join(damaged))
        yield self._erase_rejected(search)

    def export(self, people: People) -> Iterator[Exported]:
        """See Locator: what is in raw files is in segments too, as long as these are kept; raises RegistryError too."""
        search = MessageSearch(people)
        for stream in find_streams(self._store):
            chain = Chain(self._store, stream)
            for first in chain.first_offsets(0):
                with suppress(DamagedTableError, ObjectNotFoundError):
                    segment = chain.read(first)
                    own = (event for event in segment.events if event.tenant == people.tenant)
                    events = [self._as_row(stream, event) for event in own if search.count_payload(event.payload)]
                    rejected = [_as_row(one) for one in segment.rejected if _count(search, one)]
                    yield Exported(_SEGMENTS_PLACE, segment_key(stream, first), [*events, *rejected])
        for stream in quarantined_streams(self._store):
            for first in rolled_up_ranges(self._store, stream):
                with suppress(DamagedTableError, ObjectNotFoundError):
                    messages = read_rejected(self._store, stream, first)
                    rejected = [_as_row(one) for one in messages if _count(search, one)]
                    yield Exported(_REJECTED_PLACE, rejected_key(stream, first), rejected)

    def _rewrite(self, chain: Chain, theirs: ErasedEvents, search: MessageSearch) -> Counter[str]:
        """Rewrite the segments of a stream up to its cursor that have something of theirs."""
        done = Counter[str]()
        end = read_cursor(self._store, chain.stream).end
        firsts = (first for first in chain.first_offsets(0) if first < end)
        for segment, version, left in self._theirs(chain, firsts, theirs, search):
            chain.rewrite(left, version)
            done["segments"] += 1
            done["events"] += len(segment.events) - len(left.events)
            done["rejected_messages"] += len(segment.rejected) - len(left.rejected)
        return done

    def _theirs(
        self, chain: Chain, firsts: Iterable[int], theirs: ErasedEvents, search: MessageSearch
    ) -> Iterator[tuple[Segment, Version, Segment]]:
        """The segments that have something of theirs, each with its version and what is left without that."""

        def read(first: int) -> _Read | None:
            try:
                return chain.read_versioned(first)
            except ObjectNotFoundError:
                # Deleted since it was listed.
                return None

        for batch in _batches(filter(None, map_in_order(read, firsts, SMALL_CALLS_AT_ONCE))):
            offsets = theirs.find(chain.stream, (event for segment, _ in batch for event in segment.events))
            for segment, version in batch:
                events = tuple(event for event in segment.events if event.offset not in offsets)
                rejected = tuple(one for one in segment.rejected if not _count(search, one))
                left = replace(segment, events=events, rejected=rejected)
                if left != segment:
                    yield segment, version, left

    def _erase_rejected(self, search: MessageSearch) -> Cleared:
        """Rewrite the rejected messages in quarantine; of a place whose messages are all theirs none are left."""
        objects = removed = 0
        damaged = list[str]()
        for stream in quarantined_streams(self._store):
            for first in rolled_up_ranges(self._store, stream):
                key = rejected_key(stream, first)
                try:
                    content, version = self._store.read_versioned(key)
                    messages = decode_rejected(content, self._store.uri(key))
                except DamagedTableError as error:
                    damaged.append(str(error))
                    continue
                left = [one for one in messages if not _count(search, one)]
                if len(left) < len(messages):
                    self._store.write(key, encode_rejected(left), expected=version)
                    objects, removed = objects + 1, removed + len(messages) - len(left)
        return Cleared(_REJECTED_PLACE, objects, {"rejected_messages": removed}, " ".join(damaged))

    def _as_row(self, stream: str, event: Event) -> dict[str, Any]:
        return {
            "table": event.table,
            "stream": stream,
            "offset": event.offset,
            "source": event.source,
            "request_id": event.request_id,
            "received_at": event.received_at.isoformat(),
            "row": readable(line_of(self._decode(event))[0]),
        }


class EventLogHaystack:
    """Searches the event log: of events those of the tenant alone, and rejected messages that name no other."""

    name: ClassVar[str] = ""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def search(self, search: Search, people: People) -> Iterator[Searched]:
        """See Haystack."""
        messages = MessageSearch(people, search)

        def look(key: str) -> Searched | None:
            try:
                content = self._store.read(key)
            except ObjectNotFoundError:
                # Deleted since it was listed.
                return None
            try:
                return Searched(key, len(content), _count_in(key, content, messages, people.tenant))
            except DamagedTableError:
                return Searched(key, len(content), search.count_words(BytesIO(content))[1], is_damaged=True)

        keys = (key for folder in (SEGMENTS, QUARANTINE) for key in self._store.list_keys(folder) if is_of_log(key))
        yield from filter(None, map_in_order(look, keys, CALLS_AT_ONCE))


def _count_in(key: str, content: bytes, messages: MessageSearch, tenant: str) -> int:
    """How many values of a segment, or of rejected messages, are theirs; raises DamagedTableError."""
    if not key.startswith(SEGMENTS):
        return sum(_count(messages, one) for one in decode_rejected(content, key))
    segment = decode_segment(content, key)
    own = (event for event in segment.events if event.tenant == tenant)
    return sum(messages.count_payload(event.payload) for event in own) + sum(
        _count(messages, one) for one in segment.rejected
    )


def _count(search: MessageSearch, message: RejectedMessage) -> int:
    return search.count(message.payload, message.key, message.headers)


def _as_row(message: RejectedMessage) -> dict[str, Any]:
    return {
        "offset": message.offset,
        "reason": message.reason,
        "received_at": message.received_at.isoformat(),
        "key": readable(message.key),
        "value": readable(message.payload),
    }


def _batches(segments: Iterable[_Read]) -> Iterator[list[_Read]]:
    """Segments that are looked at together, since each look costs some milliseconds."""
    batch, size = list[_Read](), 0
    for found in segments:
        batch.append(found)
        size += found[0].payload_bytes
        if size >= _MOST_BYTES or len(batch) >= _MOST_SEGMENTS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
