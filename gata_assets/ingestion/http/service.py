"""What the routes work with: the target, tables, keys, the event log, limits and counters, as one value.

Everything is given: settings are read elsewhere, and tests give stores and clocks of their own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex
from time import monotonic
from typing import Any, TypeVar

from gata_assets.ingestion.http.bodies.uploads import Uploads
from gata_assets.ingestion.http.metrics import ServiceMetrics
from gata_assets.ingestion.http.problems import Problem, unavailable
from gata_assets.ingestion.http.rows.work import RowWork, taking_rows
from gata_assets.ingestion.http.server.refusals import Refusals
from gata_assets.ingestion.http.service_rules import ServiceRules
from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.ingestion.keys.rate_limit import RateLimit
from gata_assets.ingestion.keys.requests import IdempotentRequests
from gata_assets.ingestion.segments.group_commit import EventLog
from gata_assets.ingestion.webhooks.delivered import delivered_events
from gata_assets.ingestion.webhooks.secrets import WebhookSecrets
from gata_assets.ingestion.webhooks.source_store import WebhookStore
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.spec import TableSpec

T = TypeVar("T")
# Landing is work of the processor; calls of the store are waiting.
_LANDINGS_AT_ONCE, _CALLS_AT_ONCE = 4, 32
# Of all bodies that are in memory at once; each may be a few times larger while it is validated.
MOST_HELD_BYTES = 128_000_000


class Service:
    """One process of the service; `end` when it takes no more requests."""

    def __init__(
        self,
        store: ObjectStore,
        tables: Mapping[str, TableSpec],
        rows: RowWork,
        rules: ServiceRules,
        *,
        version: str,
        webhook_secrets: WebhookSecrets,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        write_line: Callable[[str], object] | None = None,
        is_kafka_connected: Callable[[], bool] | None = None,
        name: str = "data-pipeline",
    ) -> None:
        """Set up the service, and start the thread of its event log.

        Args:
            store: The target.
            tables: All tables by name; those of changes take no rows here.
            rows: Does the work on rows; closed with the service.
            rules: Who may, and how much.
            version: Of this release.
            webhook_secrets: By which webhooks are verified.
            clock: The present instant in UTC.
            write_line: Takes the lines of the log; None prints them.
            is_kafka_connected: Whether a broker answers; None without Kafka.
            name: What `/health` says is the name of the service.
        """
        self.store, self.rows, self.rules, self.version, self.clock = store, rows, rules, version, clock
        self.tables = taking_rows(tables)
        self.write_line = write_line or partial(print, flush=True)
        self.is_kafka_connected, self.name = is_kafka_connected, name
        self.keys = KeyStore(store, clock)
        self.requests = IdempotentRequests(store, clock)
        self.webhooks, self.webhook_secrets = WebhookStore(store, clock), webhook_secrets
        self.delivered = delivered_events(store, clock)
        self.uploads = Uploads(store, clock)
        self.limit = RateLimit(rules.requests_per_second, rules.burst, monotonic)
        self.log = EventLog(store, f"http/{token_hex(8)}", coding=rows)
        self.metrics = ServiceMetrics(self.log)
        self.refusals = Refusals(self.metrics.count_refused, self.write_line, clock)
        self._landings = ThreadPoolExecutor(_LANDINGS_AT_ONCE, "landing")
        self._calls = ThreadPoolExecutor(_CALLS_AT_ONCE, "call")
        self._held_bytes = self._at_work = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def table(self, name: str) -> TableSpec:
        """A table that takes rows; raises Problem if there is none."""
        if name not in self.tables:
            raise Problem(404, "no-such-table", f"There is no such table: there are {', '.join(sorted(self.tables))}.")
        return self.tables[name]

    async def landing(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do what takes the processor in one of few threads."""
        return await asyncio.get_running_loop().run_in_executor(self._landings, work, *arguments)

    async def call(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do what waits for the store or a disk in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._calls, work, *arguments)

    @contextmanager
    def room(self) -> Iterator[Callable[[int], None]]:
        """Give what counts more bytes of a body as held in memory, until the context ends; on the event loop's thread.

        It raises Problem if too many are held, by others too. What was announced and has not arrived does not count.
        """
        own = 0

        def hold(size: int) -> None:
            nonlocal own
            if self._held_bytes > own and self._held_bytes + size > MOST_HELD_BYTES:
                raise unavailable("Too many bodies are being received at this moment: send it again in some seconds.")
            own += size
            self._held_bytes += size

        try:
            yield hold
        finally:
            self._held_bytes -= own

    def note_lost(self) -> None:
        """Count that what works on rows has ended, and write a line; from any thread."""
        self.metrics.count_lost()
        line = {"event": "ROW_PROCESS_LOST", "at": self.clock().isoformat(timespec="milliseconds")}
        self.write_line(json.dumps(line))

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Count a request that the service must not end before; on the event loop's thread."""
        self._at_work += 1
        self._is_idle.clear()
        try:
            yield
        finally:
            self._at_work -= 1
            if not self._at_work:
                self._is_idle.set()

    async def end(self) -> None:
        """Close once no request is at work: those that were cancelled need threads to remove what they began."""
        await self._is_idle.wait()
        self.refusals.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        """Store the events that wait, and end the threads and what works on rows."""
        self.log.close()
        self._landings.shutdown()
        self._calls.shutdown()
        self.rows.close()
