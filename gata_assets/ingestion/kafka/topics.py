"""Which topic has which table's rows, and which have messages about datasets. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gata_assets.errors import SettingsError

DLQ_END = ".dlq"
# A topic's name has at most 249 characters, and so has that of its dead letters.
LONGEST_TOPIC = 249 - len(DLQ_END)


@dataclass(frozen=True)
class KafkaTopics:
    """The topics.

    Attributes:
        tables: by topic, the table that its messages are rows of. A table's rows are produced to its first topic.
        features: the topic of messages about finished datasets of features.
        training: the topic of messages about finished datasets of training rows.
    """

    tables: Mapping[str, str]
    features: str
    training: str

    def topic_of(self, table: str) -> str | None:
        """The topic that a table's rows are produced to; None if it has none."""
        return next((topic for topic, found in self.tables.items() if found == table), None)

    def require_tables(self, known: Collection[str]) -> None:
        """Check that each topic's table is known; raises SettingsError."""
        for topic, table in self.tables.items():
            if table not in known:
                raise SettingsError(
                    f"The topic {topic} has rows of a table {table[:60]}, and there is none: there are "
                    f"{', '.join(sorted(known))}. Look at the settings that begin with KAFKA_."
                )


def is_topic_name(name: str) -> bool:
    """Whether a topic, and that of its dead letters, can have this name."""
    return re.fullmatch(rf"[A-Za-z0-9._-]{{1,{LONGEST_TOPIC}}}", name) is not None and name not in (".", "..")


def dead_letters_of(topic: str) -> str:
    """The topic of the messages of a topic that cannot be read."""
    return topic + DLQ_END
