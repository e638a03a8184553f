"""Produces the events of streams, segment by segment, from a stored cursor."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from gata_assets.errors import ConflictError, ObjectNotFoundError
from gata_assets.ingestion.kafka.origin import Origin
from gata_assets.ingestion.kafka.relay.cursors import RelayCursor, read_relay_cursor, write_relay_cursor
from gata_assets.ingestion.kafka.relay.messages import OutMessage, event_message
from gata_assets.ingestion.kafka.relay.outbox import MOST_BYTES, MOST_MESSAGES, Outbox
from gata_assets.ingestion.segments.chain import Chain, segment_key
from gata_assets.ingestion.segments.cursor import read_cursor
from gata_assets.ingestion.segments.event import Segment

# So many segments are read one after another before they are listed, and read on several threads.
_FEW = 20


class StreamRelay:
    """Produces the events of streams; keeps in memory how far each is."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._cursors: dict[str, RelayCursor] = {}

    def relay(self, stream: str) -> bool:
        """Produce what a stream has beyond its cursor; returns whether it had anything.

        Another relay of the same stream repeats messages, and leaves none out. Raises BrokerError, DamagedTableError or
        StoreError.
        """
        store = self._outbox.store
        cursor = self._cursors.get(stream) or read_relay_cursor(store, stream)
        start = cursor.end
        try:
            for messages, end in self._batches(stream, cursor.end):
                if messages:
                    self._outbox.deliver(messages)
                cursor = self._cursors[stream] = write_relay_cursor(store, stream, cursor, end)
                if self._outbox.is_ending():
                    break
            if cursor.end == start:
                cursor = self._cursors[stream] = self._skip_deleted(stream, cursor)
        except (ConflictError, ObjectNotFoundError):
            # Another relay got further; or segments were deleted after it had.
            known = self._cursors.pop(stream, cursor)
            if read_relay_cursor(store, stream).end == known.end:
                raise
            return True
        except BaseException:
            self._cursors.pop(stream, None)
            raise
        return cursor.end > start

    def lag(self, stream: str) -> tuple[int, datetime | None]:
        """How many offsets of a stream are not produced, and when the first event among them was received.

        Raises DamagedTableError or StoreError.
        """
        store = self._outbox.store
        start = read_relay_cursor(store, stream).end
        chain = Chain(store, stream)
        firsts = chain.first_offsets(start)
        if not firsts:
            return 0, None
        oldest = next((event.received_at for event in chain.read(firsts[0]).events), None)
        return chain.read(firsts[-1]).end - start, oldest

    def _batches(self, stream: str, start: int) -> Iterator[tuple[list[OutMessage], int]]:
        """Messages that fit into memory, with the offset behind them."""
        messages: list[OutMessage] = []
        end, size = start, 0
        for segment in self._segments(stream, start):
            messages += self._messages(segment)
            end, size = segment.end, size + segment.payload_bytes
            if len(messages) >= MOST_MESSAGES or size >= MOST_BYTES:
                yield messages, end
                messages, size = [], 0
        if end > start:
            yield messages, end

    def _segments(self, stream: str, start: int) -> Iterator[Segment]:
        chain = Chain(self._outbox.store, stream)
        for number, segment in enumerate(chain.follow(start), 1):
            yield segment
            start = segment.end
            if number == _FEW:
                yield from chain.segments(start)
                return

    def _messages(self, segment: Segment) -> Iterator[OutMessage]:
        outbox = self._outbox
        topics = outbox.topics_by_table()
        for event in segment.events:
            if topic := topics.get(event.table):
                origin = Origin(outbox.target, segment.stream, event.offset)
                message = event_message(topic, outbox.tables[event.table], origin, event)
                if message is None:
                    outbox.say("NOT_PRODUCED", {"reason": "no JSON object", **_place(segment.stream, event.offset)})
                else:
                    yield message

    def _skip_deleted(self, stream: str, cursor: RelayCursor) -> RelayCursor:
        """Go on behind segments that are rolled up and deleted although they were not produced."""
        store = self._outbox.store
        rolled_up = read_cursor(store, stream).end
        if rolled_up <= cursor.end or store.exists(segment_key(stream, cursor.end)):
            return cursor
        end = next(iter(Chain(store, stream).first_offsets(cursor.end)), rolled_up)
        reason = "their segments were deleted: run `gata events rollup` with KAFKA_BOOTSTRAP_SERVERS set"
        found = {"reason": reason, **_place(stream, cursor.end), "events": end - cursor.end}
        self._outbox.say("NOT_PRODUCED", found)
        return write_relay_cursor(store, stream, cursor, end)


def _place(stream: str, offset: int) -> dict[str, object]:
    return {"stream": stream, "offset": offset}
