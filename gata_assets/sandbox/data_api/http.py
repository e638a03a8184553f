"""The local Data API over HTTP: keep-alive connections, one thread each, and requests and responses as JSON.

Sockets with their limits, and errors with their status belong here; `access` decides which requests are answered, and
`server` computes the responses.
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any

from gata_assets.sandbox.data_api.access import REQUEST_LIMIT_BYTES, Access
from gata_assets.sandbox.data_api.sql import DataApiError, bad_request

# The HTTP status of each error: those of botocore's rds-data model, and those that every AWS service can return.
ERROR_STATUS = {
    **dict.fromkeys(("BadRequestException", "DatabaseErrorException", "DatabaseResumingException"), 400),
    **dict.fromkeys(("HttpEndpointNotEnabledException", "InvalidResourceStateException", "ThrottlingException"), 400),
    **dict.fromkeys(("InvalidSecretException", "SecretsErrorException", "StatementTimeoutException"), 400),
    **dict.fromkeys(("UnsupportedResultException",), 400),
    **dict.fromkeys(("AccessDeniedException", "ForbiddenException", "ExpiredTokenException"), 403),
    **dict.fromkeys(("MissingAuthenticationTokenException", "IncompleteSignatureException"), 403),
    **dict.fromkeys(("UnrecognizedClientException", "InvalidSignatureException"), 403),
    **dict.fromkeys(("DatabaseNotFoundException", "NotFoundException", "TransactionNotFoundException"), 404),
    "InternalServerErrorException": 500,
    "ServiceUnavailableError": 503,
    "DatabaseUnavailableException": 504,
}

# The SDK opens 10 connections per client; each has a thread and at most one request's body in memory.
MAX_CONNECTIONS = 64
# A whole request comes at once; between two of them, a client may pause for longer.
REQUEST_SECONDS = 15.0
IDLE_SECONDS = 120.0
_WRITE_SECONDS = 60.0
# What is discarded of a body that was refused unread: closing at once would reset the connection, and the client
# would not see why.
_DISCARDED_BYTES, _DISCARD_SECONDS = 2 * REQUEST_LIMIT_BYTES, 2.0


def parse_request(body: bytes) -> dict[str, Any]:
    """Parse a request's JSON object; raises DataApiError."""
    if len(body) > REQUEST_LIMIT_BYTES:
        raise bad_request("The request is larger than 4 MiB")
    try:
        content = json.loads(body)
    except ValueError as error:
        raise bad_request("The request is not JSON") from error
    if not isinstance(content, dict):
        raise bad_request("The request is not a JSON object")
    return content


@dataclass(frozen=True)
class Answer:
    """An HTTP response; `error` is the AWS error name, None for success."""

    status: int
    body: bytes
    content_type: str = "application/json"
    error: str | None = None

    @classmethod
    def of_error(cls, error: DataApiError) -> Answer:
        """The response for an error."""
        # botocore has the name from `__type` (Secrets Manager) or from the header that `error` becomes (rds-data).
        body = json.dumps({"__type": error.name, "message": error.message, **error.extra}).encode()
        return cls(ERROR_STATUS[error.name], body, error=error.name)

    @classmethod
    def of_secret(cls, status: int, members: dict[str, Any]) -> Answer:
        """A response of Secrets Manager."""
        return cls(status, json.dumps(members).encode(), "application/x-amz-json-1.1", members.get("__type"))


class HttpServer(ThreadingHTTPServer):
    """Tracks its clients' sockets: keep-alive connections would otherwise be served after stop()."""

    def __init__(
        self, address: tuple[str, int], answer: Callable[[str, str | None, bytes], Answer], access: Access | None = None
    ) -> None:
        """Listen; `access` may follow once the port is known, and nothing is answered before."""
        self.answer = answer
        self.access = access
        self.max_connections = MAX_CONNECTIONS
        self.request_seconds, self.idle_seconds = REQUEST_SECONDS, IDLE_SECONDS
        self._clients: set[socket.socket] = set()
        self._clients_lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a client and track its socket for close_clients()."""
        client, address = super().get_request()
        with self._clients_lock:
            self._clients.add(client)
        return client, address

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - the base class has them
        """Whether the client is served; one connection too many gets an error that the SDK tries again."""
        with self._clients_lock:
            is_served = len(self._clients) <= self.max_connections
        if not is_served:
            with contextlib.suppress(OSError):
                request.settimeout(0)
                request.sendall(
                    b"HTTP/1.1 503 Service Unavailable\r\nx-amzn-ErrorType: ServiceUnavailableError\r\n"
                    b"Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
                )
        return is_served

    def shutdown_request(self, request: Any) -> None:
        """Close a client's socket and stop tracking it."""
        with self._clients_lock:
            self._clients.discard(request)
        super().shutdown_request(request)

    def close_clients(self) -> None:
        """Shut down the open connections, which ends their threads."""
        with self._clients_lock:
            for client in self._clients:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print an error to stderr, unless the client disconnected or stalled."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _TimedReader(io.RawIOBase):
    """A socket's bytes until a deadline, however slowly they come: a socket's own timeout begins anew at each byte."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self.deadline = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        seconds = self.deadline - monotonic()
        if seconds <= 0:
            raise TimeoutError
        self._client.settimeout(seconds)
        return self._client.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    server: HttpServer
    protocol_version = default_request_version = "HTTP/1.1"
    # Headers and body are two packets: with Nagle's algorithm the second waits 40 ms for a delayed ACK.
    disable_nagle_algorithm = True
    _is_first = True

    def setup(self) -> None:
        super().setup()
        self._reader = _TimedReader(self.connection)
        self.rfile = self._buffered = io.BufferedReader(self._reader)

    def handle_one_request(self) -> None:
        """Wait for a request, then give it its time; a client that is late is disconnected."""
        seconds = self.server.request_seconds if self._is_first else self.server.idle_seconds
        self._is_first = False
        self._reader.deadline = monotonic() + seconds
        self._buffered.peek(1)
        self._reader.deadline = monotonic() + self.server.request_seconds
        super().handle_one_request()

    def handle_expect_100(self) -> bool:
        """Ask for the body only of a request that is admitted."""
        return self._admitted() is not None and super().handle_expect_100()

    def do_POST(self) -> None:
        length = self._admitted()
        if length is None:
            return
        body = self.rfile.read(length)
        if len(body) < length or self.server.access is None:
            self.close_connection = True
            return
        try:
            self.server.access.verify(self.command, self.path, self.headers, body)
        except DataApiError as error:
            self._send(Answer.of_error(error))
            return
        self._send(self.server.answer(self.path, self.headers.get("X-Amz-Target"), body))

    def _admitted(self) -> int | None:
        """The length of the body; None if the request was refused by its head, and the connection is closed."""
        if self.server.access is None:
            self.close_connection = True
            return None
        try:
            return self.server.access.admit(self.path, self.headers)
        except DataApiError as error:
            self._refuse(error)
            return None

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer other methods, and what is no HTTP, in AWS's form too, without repeating any of it."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._refuse(DataApiError("AccessDeniedException", "Only POST is answered here, as boto3 sends it"))
        else:
            self._refuse(bad_request(f"The request is not HTTP as boto3 sends it ({code})"))

    def _refuse(self, error: DataApiError) -> None:
        self.close_connection = True
        self._send(Answer.of_error(error))
        self._reader.deadline = monotonic() + _DISCARD_SECONDS
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            left = _DISCARDED_BYTES
            while left > 0 and (received := len(self._buffered.read1(1 << 16))):
                left -= received

    def _send(self, answer: Answer) -> None:
        self.connection.settimeout(_WRITE_SECONDS)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        if answer.error is not None:
            self.send_header("x-amzn-ErrorType", answer.error)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Log nothing: request lines are not informative, and other data may contain values."""
