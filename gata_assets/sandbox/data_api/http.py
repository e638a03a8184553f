"""The local Data API over HTTP: keep-alive connections, one thread each, and requests and responses as JSON.

Sockets, headers, and errors with their status belong here; `server` computes the response to a request.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gata_assets.sandbox.data_api.sql import DataApiError, bad_request

# The HTTP status of each error: those of botocore's rds-data model, and two that every AWS service can return.
ERROR_STATUS = {
    **dict.fromkeys(("BadRequestException", "DatabaseErrorException", "DatabaseResumingException"), 400),
    **dict.fromkeys(("HttpEndpointNotEnabledException", "InvalidResourceStateException", "ThrottlingException"), 400),
    **dict.fromkeys(("InvalidSecretException", "SecretsErrorException", "StatementTimeoutException"), 400),
    **dict.fromkeys(("UnsupportedResultException",), 400),
    **dict.fromkeys(("AccessDeniedException", "ForbiddenException", "ExpiredTokenException"), 403),
    **dict.fromkeys(("DatabaseNotFoundException", "NotFoundException", "TransactionNotFoundException"), 404),
    "InternalServerErrorException": 500,
    "ServiceUnavailableError": 503,
    "DatabaseUnavailableException": 504,
}

# The documented limit of a request.
_REQUEST_LIMIT_BYTES = 4 * 1024 * 1024


def parse_request(body: bytes) -> dict[str, Any]:
    """Parse a request's JSON object; raises DataApiError."""
    if len(body) > _REQUEST_LIMIT_BYTES:
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
        body = json.dumps({"message": error.message, **error.extra}).encode()
        return cls(ERROR_STATUS[error.name], body, error=error.name)

    @classmethod
    def of_secret(cls, status: int, members: dict[str, Any]) -> Answer:
        """A response of Secrets Manager."""
        return cls(status, json.dumps(members).encode(), "application/x-amz-json-1.1", members.get("__type"))


class HttpServer(ThreadingHTTPServer):
    """Tracks its clients' sockets: keep-alive connections would otherwise be served after stop()."""

    def __init__(self, address: tuple[str, int], answer: Callable[[str, str | None, bytes], Answer]) -> None:
        self.answer = answer
        self._clients: set[socket.socket] = set()
        self._clients_lock = threading.Lock()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a client and track its socket for close_clients()."""
        client, address = super().get_request()
        with self._clients_lock:
            self._clients.add(client)
        return client, address

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
        """Print an error to stderr, unless the client disconnected, for example after a read timeout."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: HttpServer
    protocol_version = "HTTP/1.1"
    # Headers and body are two packets: with Nagle's algorithm the second waits 40 ms for a delayed ACK.
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        answer = self.server.answer(self.path, self.headers.get("X-Amz-Target"), body)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        if answer.error is not None:
            self.send_header("x-amzn-ErrorType", answer.error)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Log nothing: request lines are not informative, and other data may contain values."""
