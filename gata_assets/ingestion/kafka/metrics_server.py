"""The counters of a process for Prometheus, on a port of their own for as long as it works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from gata_assets.errors import GataError


@contextmanager
def metrics_served(registry: CollectorRegistry, host: str, port: int, advice: str) -> Iterator[int]:
    """Answer on a port, 0 takes a free one, and give its number.

    Raises GataError with the `advice` if it cannot be listened on.
    """
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise GataError(f"Port {port} of {host[:80]} cannot be listened on: {error.strerror}. {advice}") from None
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
