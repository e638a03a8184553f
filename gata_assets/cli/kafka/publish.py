"""`gata publish`: produces to Kafka what is durable in the target, until it is ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, date, datetime, time
from threading import Event

from gata_assets.cli.ending import ended_by_signals
from gata_assets.cli.target import open_store
from gata_assets.cli.terminal import text_console
from gata_assets.definitions.finished import find_dataset_folders
from gata_assets.errors import SettingsError
from gata_assets.ingestion.kafka.faults import require_brokers
from gata_assets.ingestion.kafka.metrics_server import metrics_served
from gata_assets.ingestion.kafka.origin import target_id
from gata_assets.ingestion.kafka.relay.cursors import begin
from gata_assets.ingestion.kafka.relay.metrics import RelayMetrics
from gata_assets.ingestion.kafka.relay.outbox import Outbox
from gata_assets.ingestion.kafka.relay.producing import MAX_MESSAGE_BYTES, Producing
from gata_assets.ingestion.kafka.relay.relay import Relay
from gata_assets.interactions.curated.curator import Curator
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import all_tables, curation_rules

_ADVICE = "Look at --metrics and KAFKA_METRICS_HOST."


def run(settings: Settings, *, once: bool, since: date | None, metrics_port: int | None, as_json: bool) -> bool:
    """Produce until SIGTERM or Ctrl-C, or with `once` what waits; returns whether nothing waits because it failed.

    Raises SettingsError without brokers or for a topic of no table, BrokerError if they refuse the login or the
    encryption, GataError for a port that cannot be listened on, and StoreError if the target is away at the start.
    """
    connection = settings.kafka.connection
    if connection is None:
        raise SettingsError("KAFKA_BOOTSTRAP_SERVERS is unset, and names the brokers: host:port, with commas between.")
    tables, topics = all_tables(settings), settings.kafka.topics
    topics.require_tables(tables)
    require_brokers(connection)
    store, metrics, end = open_store(settings), RelayMetrics(), Event()

    def say(event: str, fields: Mapping[str, object]) -> None:
        if event == "NOT_PRODUCED":
            count = fields.get("events", 1)
            metrics.count_left_out(count if isinstance(count, int) else 1)
        _say(event, fields, as_json=as_json)

    producing = Producing(
        connection,
        is_ending=end.is_set,
        on_delivered=metrics.count_delivered,
        on_too_large=lambda message: say(
            "NOT_PRODUCED",
            {"reason": f"larger than {MAX_MESSAGE_BYTES:,} bytes", "origin": message.headers[0][1].decode()},
        ),
    )
    outbox = Outbox(store, target_id(store), topics, tables, producing.deliver, end.is_set, say)
    first_day = datetime.combine(since, time(), UTC) if since else None
    now = datetime.now(UTC)
    rules = curation_rules(settings)
    relay = Relay(
        outbox,
        lambda tenant: Curator(store, tenant, rules, now, tables),
        lambda: find_dataset_folders(store),
        metrics,
        begin(store, now, first_day),
    )
    with ExitStack() as serving, ended_by_signals(end):
        if metrics_port is not None:
            host = settings.consumer.metrics_host
            number = serving.enter_context(metrics_served(metrics.registry, host, metrics_port, _ADVICE))
            say("METRICS_READY", {"host": host, "port": number})
        say("PUBLISHING", {"brokers": connection.bootstrap_servers, "target": settings.target.place})
        if once:
            return relay.run_once()
        relay.run(end)
    return True


def _say(event: str, fields: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"event": event, **fields}), flush=True)
        return
    shown = ", ".join(f"{name}: {value}" for name, value in fields.items())
    text_console().print(f"{event} {shown}", markup=False, soft_wrap=True)
