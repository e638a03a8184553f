"""Whether the service works, for those who watch it: no key is needed, and neither costs the target much."""

from __future__ import annotations

import asyncio
from time import monotonic

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gata_assets.errors import StoreError
from gata_assets.ingestion.http.metrics import METRICS_TYPE
from gata_assets.ingestion.http.service import Service

# Whoever asks, the target is looked at once in so many seconds, and waited for so long.
_LOOKED_SECONDS, _PATIENCE_SECONDS = 5.0, 2.0
_PROBE = "ingestion/health"


class HealthRoutes:
    """The routes of those who watch the service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._looked_at = float("-inf")
        self._is_store_connected = False
        self._looking: asyncio.Future[bool] | None = None
        self._reading: asyncio.Future[bytes] | None = None
        self._measured = b""

    async def health(self, request: Request) -> Response:  # noqa: ARG002 (a route's)
        """Say whether the target and Kafka answer; 200 as long as this process does."""
        service = self._service
        has_store = await self._find_store()
        has_kafka = service.is_kafka_connected is not None and await service.call(service.is_kafka_connected)
        needs_kafka = service.is_kafka_connected is not None
        return JSONResponse(
            {
                "status": "healthy" if has_store and (has_kafka or not needs_kafka) else "degraded",
                "service": service.name,
                "version": service.version,
                "timestamp": service.clock().isoformat().replace("+00:00", "Z"),
                "kafka_connected": has_kafka,
                "kafka_configured": needs_kafka,
                "s3_connected": has_store,
            }
        )

    async def metrics(self, request: Request) -> Response:  # noqa: ARG002 (a route's)
        """Counters for Prometheus, and what was measured in the target last: reading waits for it."""
        service = self._service
        if self._reading is None:
            self._reading = asyncio.ensure_future(service.call(service.rows.measured))
        done, _ = await asyncio.wait([self._reading], timeout=_PATIENCE_SECONDS)
        if done:
            self._reading = None
            self._measured = done.pop().result()
        return Response(service.metrics.text() + self._measured, headers={"content-type": METRICS_TYPE})

    async def _find_store(self) -> bool:
        if monotonic() - self._looked_at >= _LOOKED_SECONDS:
            if self._looking is None:
                self._looking = asyncio.ensure_future(self._service.call(self._look))
            done, _ = await asyncio.wait([self._looking], timeout=_PATIENCE_SECONDS)
            if not done:
                return False
            self._is_store_connected, self._looked_at, self._looking = done.pop().result(), monotonic(), None
        return self._is_store_connected

    def _look(self) -> bool:
        try:
            self._service.store.version(_PROBE)
        except StoreError:
            return False
        return True
