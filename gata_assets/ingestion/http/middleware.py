"""Around every request: its id, its line in the log, its count, and an answer whatever happens.

A line names the route's template, never the path, a query, a header or a value; of a fault of the service, only its
kind and its place in the code, since messages of libraries may quote what they failed on.
"""

from __future__ import annotations

import json
import re
from asyncio import CancelledError
from time import perf_counter
from uuid import uuid4

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gata_assets.errors import GataError
from gata_assets.ingestion.http.faults import place_of
from gata_assets.ingestion.http.problems import ending, internal
from gata_assets.ingestion.http.service import Service

REQUEST_ID = "X-Request-ID"
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,100}")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# As servers log a request whose sender went away before its end.
_GONE = 499


class RequestRecords:
    """Middleware of an application."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = perf_counter()
        state = scope.setdefault("state", {})
        state["request_id"] = request_id = _id_of(scope)
        status = 0

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (REQUEST_ID.lower().encode(), request_id.encode())]
            await send(message)

        fault: dict[str, str] = {}
        with self._service.at_work():
            try:
                await self._app(scope, receive, send_noted)
            except ClientDisconnect:
                status = status or _GONE
            except CancelledError:
                # The service ends, and waited for this request as long as it does.
                if status:
                    raise
                await ending().answer(request_id)(scope, receive, send_noted)
            except Exception as error:  # noqa: BLE001 (whatever it is, the caller gets an answer, and the log no value)
                fault = _fault(error)
                if not status:
                    await internal().answer(request_id)(scope, receive, send_noted)
            self._note(scope, status, perf_counter() - begun, fault or state.get("fault", {}))

    def _note(self, scope: Scope, status: int, seconds: float, fault: dict[str, str]) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._service.metrics.count_request(method, route, status, seconds)
        state = scope["state"]
        line = {
            "event": "HTTP_REQUEST",
            "at": self._service.clock().isoformat(timespec="milliseconds"),
            "request_id": state["request_id"],
            "method": method,
            "route": route,
            "status": status,
            "seconds": round(seconds, 4),
            "tenant": state.get("tenant"),
            **fault,
        }
        self._service.write_line(json.dumps(line))


def note_fault(state: object, error: GataError) -> None:
    """Keep the kind of an error for the request's line in the log."""
    state.fault = _fault(error)  # type: ignore[attr-defined]


def _id_of(scope: Scope) -> str:
    given = [value for name, value in scope["headers"] if name == REQUEST_ID.lower().encode()]
    text = given[0].decode("latin-1") if len(given) == 1 else ""
    return text if _WELL_FORMED.fullmatch(text) else uuid4().hex


def _fault(error: BaseException) -> dict[str, str]:
    return {"fault": type(error).__name__, "fault_at": place_of(error)}
