"""The HTTP service on a free port of loopback, in a thread of this process, and requests to it.

Real: uvicorn, the application, sockets. Given: the store, the rules, what opens a tenant's tables.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from http.client import HTTPConnection
from threading import Thread
from time import monotonic, sleep
from types import TracebackType
from typing import Any, NoReturn

import uvicorn

from gata_assets.ingestion.http.application import build_application
from gata_assets.ingestion.http.rows.worker import RowWorker
from gata_assets.ingestion.http.server.connections import server_config
from gata_assets.ingestion.http.service import Service
from gata_assets.ingestion.http.service_rules import ServiceRules
from gata_assets.ingestion.webhooks.secrets import WebhookSecrets
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import TABLES
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.people.tombstones import TombstoneReader
from gata_assets.tables.people.privacy_keys import PrivacyKeys
from gata_assets.tables.spec import TableSpec
from gata_assets_tests.support.erasures import PRIVACY_KEYS, erasure_requests
from gata_assets_tests.support.raw_worlds import NOW, RULES

FAST = ServiceRules(requests_per_second=1e6, burst=1e6)
TENANT = "acme"
_BOUNDARY = "a-boundary-of-tests"
_PATIENCE_SECONDS = 20


@dataclass
class Reply:
    """What the service answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        """The last word of a problem's type, once it is one in all that RFC 9457 asks for."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.json["status"] == self.status
        assert self.json["instance"] == f"urn:gata:request:{self.headers['x-request-id']}"
        assert self.json["title"]
        assert self.json["detail"]
        return str(self.json["type"]).rpartition(":")[2]


def no_secrets_manager() -> NoReturn:
    """For services whose secrets are variables."""
    raise AssertionError("no secret of Secrets Manager is expected here")


@dataclass
class RunningService:
    """A service that runs while the context lasts; `lines` are those of its log."""

    store: ObjectStore
    rules: ServiceRules = FAST
    curator_of: Callable[[str, datetime], Curator] | None = None
    clock: Callable[[], datetime] = lambda: NOW
    lines: list[str] = field(default_factory=list)
    secret: str | None = None
    webhook_secrets: Mapping[str, str] = field(default_factory=dict)
    # What requests at work get when it ends.
    seconds_to_end: float | None = None
    tables: Mapping[str, TableSpec] = field(default_factory=lambda: TABLES)
    privacy_keys: PrivacyKeys = PRIVACY_KEYS

    def __enter__(self) -> RunningService:
        rules = replace(RULES, tombstones=TombstoneReader(self.privacy_keys))

        def curator_of(tenant: str, now: datetime) -> Curator:
            return Curator(self.store, tenant, rules, now, self.tables)

        tables = RULES.applied_to(self.tables)
        erasures = erasure_requests(self.store, self.clock, self.privacy_keys)
        self.service = Service(
            self.store,
            tables,
            RowWorker(self.store, tables, self.curator_of or curator_of, self.clock, erasures),
            self.rules,
            version="1.2.3",
            webhook_secrets=WebhookSecrets(self.webhook_secrets, no_secrets_manager),
            clock=self.clock,
            write_line=self.lines.append,
        )
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        config = server_config(
            build_application(self.service),
            self.rules.patience_seconds,
            self.service.refusals,
            timeout_graceful_shutdown=self.seconds_to_end,
        )
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run, args=([self._listener],))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request, with the key of `secret` if there is one; pieces of a body without its length."""
        own = {"X-API-Key": self.secret} if self.secret else {}
        # The listener takes connections before the server runs.
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {**own, **(headers or {})})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    def post(self, path: str, content: object, headers: Mapping[str, str] | None = None) -> Reply:
        """Send JSON."""
        return self.ask(
            "POST", path, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})}
        )

    def upload(self, content: bytes, name: str = "file.csv", query: str = "data_type=interactions") -> Reply:
        """Upload a file."""
        return self.ask("POST", f"/internal/data/upload-csv?{query}", multipart(content, name), MULTIPART)

    def logged(self, count: int) -> list[str]:
        """The lines of the log once there are so many: each is written when its answer is sent."""
        until = monotonic() + _PATIENCE_SECONDS
        while len(self.lines) < count and monotonic() < until:
            sleep(0.005)
        assert len(self.lines) == count
        return self.lines

    def keys_below(self, prefix: str) -> list[str]:
        """The keys of the target with a prefix."""
        return list(self.store.list_keys(prefix))


MULTIPART = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}


def multipart(content: bytes, name: str = "file.csv", fields: Mapping[str, str] | None = None) -> bytes:
    """The body that has a file, as browsers and curl send it."""
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in (fields or {}).items()
    ]
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    return b"".join(
        [*parts, f"{head}Content-Type: text/csv\r\n\r\n".encode(), content, f"\r\n--{_BOUNDARY}--\r\n".encode()]
    )
