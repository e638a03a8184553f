"""An S3 server for tests that carries out conditions as S3 does: moto's, with what it leaves out.

Moto compares and writes in two steps, and completes an upload whatever If-Match says. Here requests are carried out one
after another, and an upload is held against If-Match before it is completed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock, Thread
from typing import Any

from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_api import state_manager
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class S3Server:
    """The server, on a free port of loopback, for as long as a `with` lasts."""

    def __init__(self, around: Callable[[Wsgi], Wsgi] = lambda moto: moto) -> None:
        """`around` may answer in moto's place, or change what it answers."""
        self._moto = around(DomainDispatcherApplication(create_backend_app))
        self._lock = Lock()
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=MotoRequestHandler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> S3Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        wanted = request.headers.get("If-Match")
        with self._lock:
            if request.method == "POST" and "uploadId" in request.args and wanted:
                bucket, _, key = request.path.lstrip("/").partition("/")
                found = get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"].get_object(bucket, key)
                if found is None or found.etag != wanted:
                    return Response(_FAILED, 412, content_type="application/xml")(environ, start_response)
            return list(self._moto(environ, start_response))


@contextmanager
def restores_underway(bucket: str, *keys: str) -> Iterator[None]:
    """Restores of these archived objects, whenever they begin, are not done before the end."""
    state_manager.set_transition(_RESTORES, {"progression": "manual", "times": 10**9})
    try:
        for key in keys:
            found: Any = get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"].get_object(bucket, key)
            # Without a state of its own, moto takes the object for restored at once.
            found.status = "IN_PROGRESS"
        yield
    finally:
        state_manager.unset_transition(_RESTORES)


_RESTORES = "s3::keyrestore"
_FAILED = "<Error><Code>PreconditionFailed</Code><Message>If-Match</Message></Error>"
