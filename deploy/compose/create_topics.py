"""Creates the topics that the settings name, with those of dead letters, unless they exist: for compose.yaml."""

from __future__ import annotations

import os
import sys

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from gata_assets.ingestion.kafka.topics import dead_letters_of
from gata_assets.settings.model import parse_settings

_PARTITIONS, _REPLICAS = 6, 1
_PATIENCE_SECONDS = 60


def main() -> None:
    """Create what is missing."""
    settings = parse_settings(os.environ).kafka
    if settings.connection is None:
        sys.exit("There is no Kafka: set KAFKA_BOOTSTRAP_SERVERS.")
    topics = settings.topics
    rows = [*topics.tables]
    names = [*rows, *map(dead_letters_of, rows), topics.features, topics.training]
    admin = AdminClient(settings.connection.client_config())
    asked = admin.create_topics([NewTopic(name, _PARTITIONS, _REPLICAS) for name in names])
    for name, future in asked.items():
        try:
            future.result(_PATIENCE_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                sys.exit(f"{name} cannot be created: {error.args[0].name()}")
        else:
            print(f"{name} is created with {_PARTITIONS} partitions")


if __name__ == "__main__":
    main()
