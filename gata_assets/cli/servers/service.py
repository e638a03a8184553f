"""`gata serve`: the HTTP service that takes rows and events, until it is ended."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

import uvicorn

from gata_assets import __version__
from gata_assets.cli.ending import ended_by_signals
from gata_assets.cli.target import open_store
from gata_assets.cli.terminal import text_console
from gata_assets.environment import variables
from gata_assets.errors import GataError, SettingsError
from gata_assets.ingestion.http.application import build_application
from gata_assets.ingestion.http.rows.process import RowProcess
from gata_assets.ingestion.http.rows.work import RowWork
from gata_assets.ingestion.http.server.connections import server_config
from gata_assets.ingestion.http.service import Service
from gata_assets.ingestion.http.service_rules import is_private_address
from gata_assets.ingestion.webhooks.secrets import WebhookSecrets, secrets_manager
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import all_tables, curation_rules

# Requests that are at work when it is to end get so long, which is less than what orchestrators wait by default.
_SECONDS_TO_END = 25


def run(settings: Settings, *, host: str | None, port: int | None, as_json: bool) -> None:
    """Serve until SIGTERM or Ctrl-C; requests at work are answered, and events that wait are stored.

    Raises SettingsError for an address that is not private without keys, and GataError for one that cannot be listened
    on.
    """
    own = settings.service
    host = host or own.host
    _require_safe(settings, host)
    listener = _listen(host, own.port if port is None else port)
    try:
        with closing(RowProcess(partial(_row_worker, settings))) as rows:
            service = Service(
                open_store(settings),
                all_tables(settings),
                rows,
                own.service_rules,
                version=__version__,
                is_kafka_connected=_broker_probe(settings),
                name=own.name,
                webhook_secrets=WebhookSecrets(variables(), partial(secrets_manager, settings.target.region)),
            )
            rows.on_loss = service.note_lost
            _serve(service, settings, listener, host, as_json=as_json)
    finally:
        listener.close()


def _serve(service: Service, settings: Settings, listener: socket.socket, host: str, *, as_json: bool) -> None:
    number = listener.getsockname()[1]
    config = server_config(
        build_application(service),
        settings.service.service_rules.patience_seconds,
        service.refusals,
        timeout_graceful_shutdown=_SECONDS_TO_END,
    )
    # Uvicorn ends by these signals, and sends them again once it has ended: then they are done with.
    with ended_by_signals():
        _Server(config, lambda: _show(settings, host, number, as_json=as_json)).run([listener])


def _row_worker(settings: Settings) -> RowWork:
    """What works on rows, in a process of its own: the one that receives them does not load what this needs."""
    from gata_assets.definitions.privacy.requests import open_requests
    from gata_assets.ingestion.http.rows.worker import RowWorker
    from gata_assets.interactions.curated.curator import Curator

    store, rules, tables = open_store(settings), curation_rules(settings), all_tables(settings)

    def curator_of(tenant: str, now: datetime) -> Curator:
        return Curator(store, tenant, rules, now, tables)

    return RowWorker(
        store, tables, curator_of, lambda: datetime.now(UTC), open_requests(settings, store), settings.quality.rules
    )


def _broker_probe(settings: Settings) -> Callable[[], bool] | None:
    """What `/health` asks whether a broker answers; None without Kafka."""
    if (connection := settings.kafka.connection) is None:
        return None
    try:
        from gata_assets.ingestion.kafka.connected import BrokerProbe
    except ModuleNotFoundError:
        raise SettingsError(
            "KAFKA_BOOTSTRAP_SERVERS needs the extra `kafka`: pip install 'gata-assets[kafka]'."
        ) from None
    return BrokerProbe(connection)


class _Server(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()


def _require_safe(settings: Settings, host: str) -> None:
    own = settings.service
    if own.service_rules.trusts_network and not (own.trusts_any_address or is_private_address(host)):
        raise SettingsError(
            f"SERVICE_AUTH=trusted-network takes rows of any tenant from whoever reaches {host[:80]}, which is no "
            "private address. Use SERVICE_AUTH=api-keys, a private --host, or SERVICE_TRUST_ANY_ADDRESS=yes where the "
            "network itself keeps others out."
        )


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise GataError(
            f"Port {port} of {host[:80]} cannot be listened on: {error.strerror}. Look at --port and --host."
        ) from None


def _show(settings: Settings, host: str, port: int, *, as_json: bool) -> None:
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    auth, target = settings.service.auth, settings.target.place
    if as_json:
        print(json.dumps({"event": "SERVICE_READY", "url": url, "auth": auth, "target": target}), flush=True)
        return
    who = (
        "by API keys (`gata keys create`)" if auth == "api-keys" else "from everybody who reaches it: no key is needed"
    )
    text_console(stderr=True).print(
        f"{url} takes rows and events {who}, into {target}. Ctrl-C ends it.", markup=False, soft_wrap=True
    )
