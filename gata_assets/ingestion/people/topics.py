"""Topics as places of people's data: those of tables, and their dead letters.

A broker deletes from a topic's beginning up to an offset, and so messages of others too: only where everything up to
the last message of theirs is in the target, and no other consumer group has still to read it. Else the topic's
retention decides, and what remains is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from confluent_kafka import Message

from gata_assets.governance.privacy.locators import Cleared, Erasure, Exported, People
from gata_assets.governance.privacy.searching import Search, Searched
from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets.ingestion.kafka.consuming.client import as_value
from gata_assets.ingestion.kafka.consuming.dead_letters import TOPIC_HEADER
from gata_assets.ingestion.kafka.consuming.message import KafkaMessage
from gata_assets.ingestion.kafka.origin import origin_of, target_id
from gata_assets.ingestion.kafka.topics import dead_letters_of
from gata_assets.ingestion.people.brokers import Brokers, TopicRange, open_brokers
from gata_assets.ingestion.people.message_search import MessageSearch, readable
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.cursor import read_cursor
from gata_assets.storage.objects import ObjectStore

_NAME = "kafka"
DEADLINE = timedelta(hours=24)


@dataclass(frozen=True)
class TopicPlaces:
    """The topics of a target.

    Attributes:
        store: the target.
        connection: how the brokers are reached.
        group: the consumer group of `gata consume`: the chains of segments say how far that is.
        tables: the topics of tables.
        deadline: until when what is erased has to be gone.
    """

    store: ObjectStore
    connection: KafkaConnection
    group: str
    tables: tuple[str, ...]
    deadline: timedelta = DEADLINE

    @property
    def topics(self) -> list[str]:
        """All topics."""
        return [name for topic in self.tables for name in (topic, dead_letters_of(topic))]


@dataclass
class _Found:
    """What a look at a range has found: how many messages are theirs, the offset behind the last of them, and the first
    message that may be of no use to this target alone.
    """

    messages: int = 0
    end: int = 0
    first_foreign: int | None = None


class TopicLocator:
    """The messages of topics."""

    def __init__(self, places: TopicPlaces) -> None:
        self._places = places

    def erase(self, erasure: Erasure) -> Iterator[Cleared]:
        """See Locator; raises BrokerError too."""
        search, target = MessageSearch(erasure), target_id(self._places.store)
        with open_brokers(self._places.connection) as brokers:
            for topic in self._places.topics:
                objects = removed = 0
                remains = list[str]()
                for place in brokers.ranges([topic]):
                    found = self._look(brokers, place, search, target)
                    if not found.messages:
                        continue
                    if problem := self._delete(brokers, place, found):
                        remains.append(f"{found.messages:,} messages of {place.name}: {problem}.")
                    else:
                        objects, removed = objects + 1, removed + found.messages
                if remains:
                    remains.append(_until(brokers.retention(topic), self._places.deadline))
                yield Cleared(f"{_NAME}: {topic}", objects, {"messages": removed}, " ".join(remains))

    def export(self, people: People) -> Iterator[Exported]:
        """See Locator; raises BrokerError too."""
        search = MessageSearch(people)
        with open_brokers(self._places.connection) as brokers:
            for place in brokers.ranges(self._places.topics):
                if rows := [_as_row(one) for one in _read(brokers, place) if _count(search, one)]:
                    yield Exported(f"{_NAME}: {place.topic}", place.name, rows)

    def _look(self, brokers: Brokers, place: TopicRange, search: MessageSearch, target: str) -> _Found:
        found = _Found()
        for message in _read(brokers, place):
            if _count(search, message):
                found.messages, found.end = found.messages + 1, message.offset + 1
            if found.first_foreign is None and not _is_own(message, target):
                found.first_foreign = message.offset
        return found

    def _delete(self, brokers: Brokers, place: TopicRange, found: _Found) -> str | None:
        """Delete up to the last message of theirs; returns why not, or None."""
        if found.end > self._in_target(place, found):
            return f"not all up to offset {found.end - 1:,} are in raw files, run `gata consume` and the request again"
        if lagging := brokers.lagging_groups(place, found.end, self._places.group):
            more = f" and {len(lagging) - 3:,} more" if len(lagging) > 3 else ""
            return f"consumer groups have not read up to offset {found.end - 1:,}: {', '.join(lagging[:3])}{more}"
        if refused := brokers.delete(place, found.end):
            return f"the brokers did not delete records ({refused})"
        return None

    def _in_target(self, place: TopicRange, found: _Found) -> int:
        """The offset before which every message is in raw files.

        Of a partition that is consumed that is the cursor, whoever produced the messages: a consumer stops at a
        partition that lacks what it has not passed. Else all that this target has produced is.
        """
        store, stream = self._places.store, f"kafka/{place.topic}/{place.partition}"
        rolled_up = read_cursor(store, stream).end
        if rolled_up or Chain(store, stream).first_offsets(0):
            return rolled_up
        return place.end if found.first_foreign is None else found.first_foreign


class TopicHaystack:
    """Searches the messages that topics have when it begins."""

    name: ClassVar[str] = _NAME

    def __init__(self, places: TopicPlaces) -> None:
        self._places = places

    def search(self, search: Search, people: People) -> Iterator[Searched]:
        """See Haystack; raises BrokerError."""
        messages = MessageSearch(people, search)
        with open_brokers(self._places.connection) as brokers:
            for place in brokers.ranges(self._places.topics):
                size = values = 0
                for message in _read(brokers, place):
                    size, values = size + len(message.value or b""), values + _count(messages, message)
                yield Searched(place.name, size, values)


def _read(brokers: Brokers, place: TopicRange) -> Iterator[KafkaMessage]:
    return (as_value(message, _sent_at(message)) for message in brokers.read(place))


def _sent_at(message: Message) -> datetime:
    return datetime.fromtimestamp(max(message.timestamp()[1], 0) / 1000, UTC)


def _count(search: MessageSearch, message: KafkaMessage) -> int:
    return search.count(message.value, message.key, message.headers)


def _is_own(message: KafkaMessage, target: str) -> bool:
    """Whether a message is in the target whoever consumes it: it came from there, or is a copy of a rejected one."""
    origin = origin_of([*message.headers])
    is_copy = any(name == TOPIC_HEADER for name, _ in message.headers)
    return is_copy or (origin is not None and origin.target == target)


def _as_row(message: KafkaMessage) -> dict[str, Any]:
    return {
        "offset": message.offset,
        "sent_at": message.received_at.isoformat(),
        "key": readable(message.key),
        "value": readable(message.value),
    }


def _until(kept: timedelta | None, deadline: timedelta) -> str:
    """What a topic's retention makes of what remains, against the deadline."""
    hours = f"{deadline / timedelta(hours=1):,.0f} hours"
    if kept is None:
        return f"The topic has no retention.ms: set one of at most {hours}, or they stay."
    own = f"They go by the topic's retention.ms, {kept / timedelta(hours=1):,.1f} hours after they were sent"
    return f"{own}: within the deadline of {hours}." if kept <= deadline else f"{own}: set at most {hours}."
