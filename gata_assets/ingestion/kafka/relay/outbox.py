"""What streams, files and datasets share when they are produced: the target, its identity, the topics, the brokers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gata_assets.ingestion.kafka.relay.messages import OutMessage
from gata_assets.ingestion.kafka.topics import KafkaTopics
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.spec import TableSpec

# So many messages, or of so many bytes, are in memory and given to the brokers before a cursor moves.
MOST_MESSAGES, MOST_BYTES = 10_000, 8_000_000


@dataclass(frozen=True)
class Outbox:
    """What is produced from, and to.

    Attributes:
        store: the target.
        target: its identity, see `origin.target_id`.
        topics: which topic has what.
        tables: by name.
        deliver: produces messages and returns once all are confirmed; raises BrokerError.
        is_ending: whether to stop after what is at work.
        say: takes the name of an event and its fields, without a value of a row, for the log.
    """

    store: ObjectStore
    target: str
    topics: KafkaTopics
    tables: Mapping[str, TableSpec]
    deliver: Callable[[Sequence[OutMessage]], object]
    is_ending: Callable[[], bool]
    say: Callable[[str, Mapping[str, object]], object]

    def topics_by_table(self) -> Mapping[str, str]:
        """The tables that have a topic, with it."""
        found = {table: self.topics.topic_of(table) for table in self.tables}
        return {table: topic for table, topic in found.items() if topic}
