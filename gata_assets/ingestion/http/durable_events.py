"""Makes the events of a request durable, and finds them again if nobody knows whether they are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from gata_assets.ingestion.http.idempotent import json_answer
from gata_assets.ingestion.http.service import Service
from gata_assets.ingestion.keys.request_records import Answer
from gata_assets.ingestion.segments.event import NewEvent


class DurableEvents:
    """The events of one request, all of one table."""

    def __init__(self, service: Service, events: Sequence[NewEvent]) -> None:
        self._service, self._events = service, events

    async def store(self) -> Answer:
        """Store them, and answer once they are durable; raises as `EventLog.append`."""
        service = self._service
        offsets = await asyncio.wrap_future(service.log.append(self._events))
        service.metrics.count_events(self._events[0].table, len(self._events))
        return _accepted(service.log.stream, offsets)

    async def find(self, since: datetime) -> Answer | None:
        """The answer, if they are durable since an instant; None if they are not. Raises StoreError."""
        found = await self._service.call(self._service.rows.find_stored, self._events, since)
        return _accepted(found.stream, found.offsets) if found else None


def _accepted(stream: str, offsets: Sequence[int]) -> Answer:
    return json_answer(202, {"status": "accepted", "stream": stream, "offsets": offsets})
