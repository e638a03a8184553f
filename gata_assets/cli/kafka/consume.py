"""`gata consume`: topics become segments, until it is ended; and gaps that are accepted."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from gata_assets.cli.ending import ended_by_signals
from gata_assets.cli.target import open_store
from gata_assets.cli.terminal import text_console
from gata_assets.definitions.messages import build_decoder, build_judge
from gata_assets.errors import SettingsError
from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets.ingestion.kafka.consuming.client import earliest_offset
from gata_assets.ingestion.kafka.consuming.consumer import TopicConsumer
from gata_assets.ingestion.kafka.consuming.metrics import ConsumerMetrics
from gata_assets.ingestion.kafka.consuming.writing import PartitionWriter
from gata_assets.ingestion.kafka.faults import require_brokers
from gata_assets.ingestion.kafka.metrics_server import metrics_served
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import all_tables

_ADVICE = "Look at KAFKA_METRICS_PORT and KAFKA_METRICS_HOST."


def run(settings: Settings, topics: Sequence[str], *, as_json: bool) -> None:
    """Consume until SIGTERM or Ctrl-C; what waits is stored and committed then.

    Raises SettingsError for settings that do not fit, BrokerError if the brokers refuse the login or the encryption,
    StoreError if the target cannot be read at the start, or GataError for a port of the metrics that is taken.
    """
    connection, own = _connection(settings), settings.consumer
    settings.kafka.topics.require_tables(all_tables(settings))
    chosen = [*topics] or [*settings.kafka.topics.tables]
    for topic in chosen:
        _require_topic(settings, topic)
    require_brokers(connection)
    store, metrics = open_store(settings), ConsumerMetrics()
    judge = build_judge(settings, store, build_decoder(settings))
    consumer = TopicConsumer(
        connection, settings.kafka.group_id, chosen, store, judge, own.consumer_rules, metrics=metrics
    )
    with (
        metrics_served(metrics.registry, own.metrics_host, own.metrics_port, _ADVICE) as port,
        ended_by_signals() as ending,
    ):
        if as_json:
            facts = {"group": settings.kafka.group_id, "topics": chosen, "metrics_port": port}
            print(json.dumps({"event": "CONSUMER_READY", **facts, "target": settings.target.place}), flush=True)
        else:
            text_console(stderr=True).print(
                f"{', '.join(chosen)} are consumed as {settings.kafka.group_id} into {settings.target.place}; metrics: "
                f"http://{own.metrics_host}:{port}/metrics. Ctrl-C ends it.",
                markup=False,
                soft_wrap=True,
            )
        consumer.run(ending.is_set)


def accept_gap(settings: Settings, place: str, *, as_json: bool) -> None:
    """Write down that what the broker has deleted of a partition is lost.

    Raises click.BadParameter for a partition that there is not, BrokerError or StoreError.
    """
    topic, _, number = place.rpartition("/")
    if not (topic and number.isdecimal()):
        raise click.BadParameter("a partition is TOPIC/PARTITION, interactions-raw/0.", param_hint="--accept-gap")
    connection = _connection(settings)
    _require_topic(settings, topic)
    store = open_store(settings)
    earliest = earliest_offset(connection, topic, int(number))
    judge = build_judge(settings, store, build_decoder(settings))
    writer = PartitionWriter(store, topic, int(number), judge)
    end = writer.end()
    lost = writer.accept_gap(earliest) if end else 0
    if as_json:
        facts = {"topic": topic, "partition": int(number), "stored": end, "earliest": earliest, "lost": lost}
        print(json.dumps({"event": "GAP_ACCEPTED" if lost else "NO_GAP", **facts}))
    elif lost:
        text_console().print(f"{lost:,} offsets of {place} are written down as lost; it is read on from {earliest}.")
    else:
        text_console().print(f"There is no gap: {place} is stored up to {end}, the broker begins with {earliest}.")


def _connection(settings: Settings) -> KafkaConnection:
    if settings.kafka.connection is None:
        raise SettingsError("There is no Kafka: set KAFKA_BOOTSTRAP_SERVERS.")
    return settings.kafka.connection


def _require_topic(settings: Settings, topic: str) -> None:
    known = settings.kafka.topics.tables
    if topic not in known:
        raise click.BadParameter(f"no table is read from {topic[:80]}: there are {', '.join(known)}. See KAFKA_TOPICS.")
