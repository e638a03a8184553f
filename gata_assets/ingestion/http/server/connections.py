"""Connections of uvicorn that nobody can hold, or fill memory by, without sending a request.

Uvicorn waits forever for the head of a request, takes a head of any size, and refuses in plain text what is no HTTP.
"""

from __future__ import annotations

import logging
import sys
from asyncio import Transport
from asyncio.events import TimerHandle
from typing import Any
from uuid import uuid4

from fastapi import FastAPI
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gata_assets.ingestion.http.problems import Problem
from gata_assets.ingestion.http.server.refusals import Refusals

# Of the target and the headers of a request; and of all that is neither a whole head nor content of a body.
MOST_HEAD_BYTES = 65_536
# Of a header, between and after its name and value.
_MARKS = 4
# Uvicorn warns of each request that is none, at any rate; `Refusals` notes them.
_ERRORS = logging.getLogger("uvicorn.error.connections")
_ERRORS.setLevel(logging.ERROR)


def server_config(application: FastAPI, patience_seconds: float, refused: Refusals, **more: Any) -> Config:
    """How uvicorn serves an application: without websockets, a log of requests, and a header that names uvicorn.

    `refused` notes what the application never sees.
    """

    class Patient(Connection):
        patience, refusals = patience_seconds, refused

    return Config(application, http=Patient, ws="none", log_config=None, access_log=False, server_header=False, **more)


class Connection(HttpToolsProtocol):
    """A connection whose requests have a small head, which comes in time."""

    patience: float
    refusals: Refusals

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)
        self.logger = _ERRORS
        self._timer: TimerHandle | None = None
        # How often a head or something of a body was complete, and how many bytes came since.
        self._steps = self._bytes_since = 0
        self._problem: Problem | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and end the connection if too many of them come to nothing, or for too long."""
        if self._problem is not None:
            return
        before = self._steps
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._steps != before:
            self._bytes_since = 0
            self._wait_no_more()
        else:
            self._bytes_since += len(data)
            if self._bytes_since > MOST_HEAD_BYTES:
                self._refuse(_head_too_large())
                return
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and self._timer is None and self.timeout_keep_alive_task is None:
            self._wait()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; those after a body are none of its request."""
        if self.cycle is None or self.cycle.scope is not self.scope:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self._steps += 1
        if len(self.url) + sum(len(name) + len(value) + _MARKS for name, value in self.headers) > MOST_HEAD_BYTES:
            raise _head_too_large()
        # The parser reads no body of such a request, which clients send who would like another version of HTTP.
        has_body = any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)
        if has_body and self.parser.should_upgrade():
            raise Problem(400, "upgrade", "No other protocol is spoken: send the request without the header Upgrade.")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep a piece of a body."""
        self._steps += 1
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a body."""
        self._steps += 1
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's words)
        """Refuse what the parser refused, and end the connection."""
        error = sys.exception()
        problem = error.__context__ if error else None
        if not isinstance(problem, Problem):
            problem = Problem(400, "malformed", "This is no request of HTTP/1.1, or its body is not as its head says.")
        self._refuse(problem)

    def _refuse(self, problem: Problem) -> None:
        """End the connection with a problem; if a whole request waits for its answer, with that answer alone."""
        self._problem = problem
        self.refusals.note(problem)
        self._wait_no_more()
        at_work = self.cycle is not None and not self.cycle.response_complete
        if at_work and not self.cycle.more_body:
            self.cycle.keep_alive = False
            return
        if not self.pipeline:
            request_id = uuid4().hex
            answer = problem.answer(request_id)
            headers = [*answer.raw_headers, (b"x-request-id", request_id.encode()), (b"connection", b"close")]
            lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
            self.transport.write(STATUS_LINE[problem.status] + lines + b"\r\n" + bytes(answer.body))
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: it is no fault of those who run the service."""

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self.patience, self._end_wait)

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end_wait(self) -> None:
        self._timer = None
        if self._bytes_since:
            self._refuse(Problem(408, "slow", f"No whole head of a request came within {self.patience:g} s."))
        else:
            self.transport.close()


def _head_too_large() -> Problem:
    return Problem(431, "head", f"The target and headers of a request are larger than {MOST_HEAD_BYTES:,} bytes.")
