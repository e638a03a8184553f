"""A real HTTP proxy on loopback that fails calls on demand, in front of the servers that a batch talks to.

Here: the count of calls over all servers, and the manners in which one is failed. Not here: which are failed in a
test, and what must hold afterwards.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_OF_ONE_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "expect", "date"})


class Manner(StrEnum):
    """How a call is failed."""

    ERROR = "an error 500 in the server's place"
    REFUSED = "the connection is reset before the server hears of the call"
    UNANSWERED = "the server does the work, and the connection is reset before its answer"
    CUT_SHORT = "the server does the work, and its answer breaks off half-way, one without a body in its headers"
    BODILESS = "the server does the work, and its answer breaks off after the headers, one without a body before them"


@dataclass(frozen=True)
class Call:
    """One request that came in: how it was failed, None where it was let through."""

    service: str
    method: str
    path: str
    manner: Manner | None


@dataclass
class Faults:
    """Which calls are failed, counted from 1 over all proxies that share this: from `first` to `last`."""

    manner: Manner = Manner.ERROR
    first: int = 0
    last: int = 0
    calls: list[Call] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def begin(self, manner: Manner = Manner.ERROR, *, first: int = 0, last: int = 0) -> None:
        """Count anew; without arguments nothing is failed."""
        with self._lock:
            self.manner, self.first, self.last = manner, first, last
            self.calls = []

    def judge(self, service: str, method: str, path: str) -> Manner | None:
        """Count one call, and say how it is failed."""
        with self._lock:
            is_failed = self.first <= len(self.calls) + 1 <= self.last
            self.calls.append(Call(service, method, path, self.manner if is_failed else None))
            return self.calls[-1].manner

    @property
    def failed(self) -> list[Call]:
        """The calls that were failed so far."""
        return [call for call in self.calls if call.manner is not None]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, whole."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


# What AWS answers when something inside it goes wrong, in the two forms that its services speak.
S3_ERROR = Answer(
    500,
    "Internal Server Error",
    {"Content-Type": "application/xml"},
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InternalError</Code>'
    b"<Message>We encountered an internal error. Please try again.</Message></Error>",
)
JSON_ERROR = Answer(
    500,
    "Internal Server Error",
    {"Content-Type": "application/json", "x-amzn-ErrorType": "InternalServerErrorException"},
    b'{"message": "An internal error occurred."}',
)


class FaultProxy(ThreadingHTTPServer):
    """Passes requests on to `upstream` and answers back, but for those that `faults` fails; `with` starts and stops.

    Every answer ends its connection, so that no thread outlives its request.
    """

    daemon_threads = True

    def __init__(self, service: str, upstream: str, faults: Faults, error: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service
        self.upstream = urlsplit(upstream).netloc
        self.faults = faults
        self.error = error
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """Where clients are to be pointed at."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: FaultProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.close_connection = True
        manner = self.server.faults.judge(self.server.service, self.command, self.path)
        if manner is Manner.ERROR:
            self._send(self.server.error)
        elif manner is Manner.REFUSED:
            self._reset()
        else:
            answer = self._ask(body)
            if manner is Manner.UNANSWERED or (manner is Manner.BODILESS and not answer.body):
                self._reset()
            else:
                self._send(answer, manner)

    do_GET = do_PUT = do_DELETE = do_HEAD = do_POST

    def _ask(self, body: bytes) -> Answer:
        connection = HTTPConnection(self.server.upstream, timeout=120)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in _end_to_end(self.headers):
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.putheader("Connection", "close")
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
            headers = dict(_end_to_end(answer.headers))
            if self.command == "HEAD":
                headers["Content-Length"] = answer.headers.get("Content-Length", "0")
            return Answer(answer.status, answer.reason, headers, content)
        finally:
            connection.close()

    def _send(self, answer: Answer, manner: Manner | None = None) -> None:
        headers = {"Content-Length": str(len(answer.body)), "Connection": "close", **answer.headers}
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{name}: {value}" for name, value in headers.items())]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        body = b"" if self.command == "HEAD" else answer.body
        if manner is Manner.CUT_SHORT:
            head, body = (head, body[: len(body) // 2]) if body else (head[: len(head) // 2], b"")
        elif manner is Manner.BODILESS:
            body = b""
        self.wfile.write(head + body)

    def _reset(self) -> None:
        """Have the socket closed with a reset instead of an orderly end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Log nothing."""


def _end_to_end(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name.lower() not in _OF_ONE_CONNECTION]
