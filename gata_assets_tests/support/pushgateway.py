"""A Pushgateway of tests: keeps what is put at each path, or refuses it. Faked: everything but HTTP on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from prometheus_client.parser import text_string_to_metric_families


@dataclass
class Gateway:
    """What was pushed, by path, and the status that it answers."""

    url: str = ""
    status: int = 200
    pushed: dict[str, str] = field(default_factory=dict)

    def samples(self, path: str) -> dict[str, float]:
        """The samples at a path by name; labels are those of the path."""
        families = text_string_to_metric_families(self.pushed[path])
        return {sample.name: sample.value for family in families for sample in family.samples}


@contextmanager
def pushgateway() -> Iterator[Gateway]:
    """A gateway on a free port."""
    gateway = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if gateway.status < 300:
                gateway.pushed[self.path] = content
            self.send_response(gateway.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        gateway.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield gateway
        finally:
            server.shutdown()
            thread.join()
