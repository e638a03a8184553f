"""What is given to the brokers from streams and files, and when it is noted.

Real: directories and S3 over HTTP, curation. Faked: the brokers, by a list of what was given to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from gata_assets.errors import BrokerError, DamagedTableError
from gata_assets.ingestion.kafka.origin import origin_of
from gata_assets.ingestion.kafka.relay.cursors import begin, kept_from, read_relay_cursor
from gata_assets.ingestion.kafka.relay.files import FileRelay
from gata_assets.ingestion.kafka.relay.messages import OutMessage
from gata_assets.ingestion.kafka.relay.outbox import MOST_MESSAGES, Outbox
from gata_assets.ingestion.kafka.relay.streams import StreamRelay
from gata_assets.ingestion.kafka.topics import KafkaTopics
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.interactions.tables import TABLES
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.event_worlds import PARTITION, START, STREAM, event, segment_of
from gata_assets_tests.support.raw_worlds import NOW, RULES, curator_of, interaction, send

TOPICS = KafkaTopics({"interactions-raw": "interactions"}, "features", "training")


@dataclass
class ListedBrokers:
    """Takes calls of messages, but for those whose number is in `failing`, which it refuses."""

    failing: set[int] = field(default_factory=set)
    calls: int = 0
    numbers: list[int] = field(default_factory=list)

    def take(self, messages: Sequence[OutMessage]) -> None:
        """Take messages, or raise BrokerError."""
        self.calls += 1
        if self.calls in self.failing:
            raise BrokerError("They are away.")
        origins = [origin_of([*message.headers]) for message in messages]
        self.numbers += [origin.number for origin in origins if origin]


def outbox_of(store: ObjectStore, brokers: ListedBrokers) -> Outbox:
    """An outbox that gives its messages to the list."""
    tables = RULES.applied_to(TABLES)
    return Outbox(store, "0123456789abcdef", TOPICS, tables, brokers.take, lambda: False, lambda _event, _fields: None)


def append(store: ObjectStore, count: int) -> None:
    """Store events, each as a segment."""
    chain = Chain(store, STREAM)
    for _ in range(count):
        chain.append(segment_of([event(chain.end())], first=chain.end()))


def test_two_relays_of_a_stream_leave_nothing_out(any_store: ObjectStore) -> None:
    brokers = ListedBrokers()
    one, other = (StreamRelay(outbox_of(any_store, brokers)) for _ in range(2))
    append(any_store, 3)
    assert one.relay(STREAM)
    append(any_store, 2)
    assert other.relay(STREAM)
    # It knows an earlier cursor, and finds that the other got further.
    assert one.relay(STREAM)
    append(any_store, 1)
    assert one.relay(STREAM)
    assert not one.relay(STREAM)

    assert brokers.numbers == [0, 1, 2, 3, 4, 3, 4, 5]
    assert read_relay_cursor(any_store, STREAM).end == 6


def test_many_segments_are_produced_in_order_and_a_failure_repeats_none_that_was_noted(tmp_path: Path) -> None:
    store, brokers = LocalStore(str(tmp_path)), ListedBrokers(failing={1})
    relay = StreamRelay(outbox_of(store, brokers))
    append(store, 50)
    with pytest.raises(BrokerError):
        relay.relay(STREAM)
    assert relay.lag(STREAM) == (50, START)
    assert relay.relay(STREAM)
    assert relay.lag(STREAM) == (0, None)
    assert brokers.numbers == list(range(50))


def test_a_file_goes_on_behind_what_was_confirmed(tmp_path: Path) -> None:
    store, brokers = LocalStore(str(tmp_path / "target")), ListedBrokers(failing={2})
    count = 2 * MOST_MESSAGES + 1
    send(curator_of(store), [interaction(user_id=f"u{number}") for number in range(count)], tmp_path / "in")
    relay = FileRelay(outbox_of(store, brokers), lambda tenant: curator_of(store, tenant), NOW - timedelta(days=1))
    [waiting] = relay.find_waiting()
    with pytest.raises(BrokerError):
        relay.relay(*waiting)
    assert list(relay.find_waiting()) == [waiting]
    assert relay.relay(*waiting)
    assert list(relay.find_waiting()) == []
    assert brokers.numbers == list(range(1, count + 1))


def test_segments_are_kept_once_something_is_produced_and_only_those_of_http(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    assert kept_from(store, STREAM) is None
    begin(store, NOW)
    assert kept_from(store, STREAM) == 0
    assert kept_from(store, PARTITION) is None


def test_a_start_keeps_since_when_files_are_produced_unless_it_names_another(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    assert begin(store, NOW) == NOW
    assert begin(store, NOW + timedelta(days=1)) == NOW
    assert begin(store, NOW, START) == START
    assert begin(store, NOW) == START


def test_a_damaged_cursor_is_not_taken_for_a_beginning(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.write(f"ingestion/kafka/relay/streams/{STREAM}.json", b"{")
    with pytest.raises(DamagedTableError, match="does not say what has been produced"):
        read_relay_cursor(store, STREAM)
