"""A proxy before the HTTP service that loses requests and answers as networks do.

Real: sockets, the service behind it. Each request meets the next of the given faults; after the last one all is well.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from time import monotonic
from types import TracebackType
from typing import Literal

Fault = Literal["none", "cut", "cut in the body", "cut the answer", "late", "held", "busy", "many", "progress", "page"]
_PIECE_BYTES = 1 << 16


class FaultyProxy:
    """Listens while the context lasts; `requests` are the key and the instant of each request."""

    def __init__(self, port: int, faults: Iterable[Fault] = (), retry_after: str = "0") -> None:
        self.faults = deque(faults)
        self.requests: list[tuple[str | None, float]] = []
        self.go_on = Event()
        self._port, self._retry_after, self._lock = port, retry_after, Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                proxy._handle(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FaultyProxy:
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        with self._lock:
            fault = self.faults.popleft() if self.faults else "none"
            self.requests.append((request.headers.get("Idempotency-Key"), monotonic()))
        size = int(request.headers["Content-Length"])
        if fault in ("cut", "cut in the body"):
            request.rfile.read(0 if fault == "cut" else size // 2)
            request.close_connection = True
            return
        body = request.rfile.read(size)
        if fault == "held":
            assert self.go_on.wait(20)
        answers = {
            "busy": (503, b"away", "text/plain"),
            "many": (429, b"", "text/plain"),
            "progress": (
                409,
                json.dumps({"type": "urn:gata:problem:in-progress"}).encode(),
                "application/problem+json",
            ),
            "page": (200, b"<html>Welcome</html>", "text/html"),
        }
        status, content, kind = answers.get(fault) or self._forward(request, body)
        if fault in ("cut the answer", "late"):
            # The one who is late waits until the client has given up.
            request.close_connection = fault == "cut the answer" or not request.connection.recv(1)
            return
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content)))
        if fault != "none":
            request.send_header("Retry-After", self._retry_after)
        request.end_headers()
        request.wfile.write(content)

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes, str]:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request("POST", request.path, body, dict(request.headers.items()))
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers["Content-Type"]
        finally:
            connection.close()
