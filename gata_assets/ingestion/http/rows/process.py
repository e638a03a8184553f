"""Has another process do the work on rows, so that the one that receives them stays small and answers quickly.

The other process listens on a socket in a private directory, and ends when the end of its pipe that this process holds
is closed: by `close`, or because this process is gone. If it ends by itself, for example for lack of memory, who waited
for it gets ProcessLostError, and another one takes its place.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.managers import BaseManager
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from gata_assets.curation.files.formats import FileFormat
from gata_assets.errors import ProcessLostError
from gata_assets.governance.privacy.actors import Actor
from gata_assets.governance.privacy.requests.record import StoredRequest
from gata_assets.ingestion.http.faults import keep_place
from gata_assets.ingestion.http.rows.work import Landed, RowWork
from gata_assets.ingestion.segments.event import NewEvent, Segment, StoredEvents

_SECONDS_TO_END = 10
# The path of a socket has 104 characters at most.
_LONGEST_DIRECTORY = 70


class RowProcess:
    """Does the work of `RowWork` in a process of its own."""

    def __init__(self, make: Callable[[], RowWork]) -> None:
        """Start the process, and wait until it is ready; raises ProcessLostError if it does not start.

        Args:
            make: Makes what does the work, in the other process: a function of a module, or a partial of one.
        """
        self._make = make
        # Called when the process has ended by itself.
        self.on_loss: Callable[[], object] = lambda: None
        self._lock = Lock()
        self._worker = _Worker(make)

    @property
    def pid(self) -> int:
        """The number of the process that does the work now."""
        return self._worker.pid

    def land_body(
        self, tenant: str, table: str, body: bytes, content_type: str, most_rows: int, request_id: str
    ) -> Landed:
        """See RowWork."""
        found: Landed = self._do("land_body", tenant, table, body, content_type, most_rows, request_id)
        return found

    def land_upload(
        self, tenant: str, table: str, name: str, key: str, sha256: str, file_format: FileFormat, request_id: str
    ) -> Landed:
        """See RowWork."""
        found: Landed = self._do("land_upload", tenant, table, name, key, sha256, file_format, request_id)
        return found

    def judge(self, tenant: str | None, table: str, content: bytes, most_rows: int) -> dict[str, Any]:
        """See RowWork."""
        found: dict[str, Any] = self._do("judge", tenant, table, content, most_rows)
        return found

    def measured(self) -> bytes:
        """See RowWork."""
        return bytes(self._do("measured"))

    def ask_erasure(self, tenant: str, ids: Sequence[str], request: str, by: Actor) -> StoredRequest:
        """See RowWork."""
        found: StoredRequest = self._do("ask_erasure", tenant, ids, request, by)
        return found

    def find_erasure(self, tenant: str, request: str) -> StoredRequest | None:
        """See RowWork."""
        found: StoredRequest | None = self._do("find_erasure", tenant, request)
        return found

    def encode_segment(self, segment: Segment) -> bytes:
        """See RowWork."""
        return bytes(self._do("encode_segment", segment))

    def decode_segment(self, content: bytes, place: str) -> Segment:
        """See RowWork."""
        found: Segment = self._do("decode_segment", content, place)
        return found

    def find_stored(self, events: Sequence[NewEvent], since: datetime) -> StoredEvents | None:
        """See RowWork."""
        found: StoredEvents | None = self._do("find_stored", events, since)
        return found

    def close(self) -> None:
        """End the process."""
        self._worker.close()

    def _do(self, name: str, *arguments: Any) -> Any:
        worker = self._worker
        try:
            found, error = worker.served.do(name, arguments)
        except (EOFError, OSError):
            self._replace(worker)
            raise ProcessLostError("The process that works on rows ended before it was done: ask again.") from None
        if error is not None:
            raise error
        return found

    def _replace(self, worker: _Worker) -> None:
        """Start another process, unless another thread did."""
        with self._lock:
            if self._worker is worker and worker.has_ended():
                worker.close()
                self.on_loss()
                self._worker = _Worker(self._make)


class _Manager(BaseManager):
    """Calls methods in the other process; a connection and a thread there for each thread here."""


class _Served:
    """Does what is asked from the other process; what it raises is a value, unlike faults of the connection."""

    def __init__(self, work: RowWork) -> None:
        self._work = work

    def do(self, name: str, arguments: tuple[Any, ...]) -> tuple[Any, BaseException | None]:
        """The result of a method, or what it raised."""
        try:
            return getattr(self._work, name)(*arguments), None
        except Exception as error:  # noqa: BLE001 (whatever it is, it is raised where it was asked for)
            keep_place(error)
            return None, error


class _Worker:
    """One process that works on rows, as seen from the one that started it."""

    def __init__(self, make: Callable[[], RowWork]) -> None:
        self._directory = tempfile.mkdtemp(prefix="gata-rows-", dir=_directory_of_sockets())
        address, key = str(Path(self._directory, "socket")), secrets.token_bytes(32)
        # Not forked: threads and open connections of this process would be there as well.
        context = get_context("spawn")
        self._lifeline, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(make, address, key, other), name="gata-rows")
        try:
            self._process.start()
            other.close()
            self._lifeline.recv()
            manager = _Manager(address, key)
            _Manager.register("served")
            manager.connect()
            self.served = manager.served()  # type: ignore[attr-defined]
        except (EOFError, OSError) as error:
            self.close()
            raise ProcessLostError(
                "The process that works on rows did not start: its own message is above, or it had too little memory."
            ) from error

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def has_ended(self) -> bool:
        """Whether it has, or will within seconds: its connections are closed a little earlier."""
        self._process.join(_SECONDS_TO_END)
        return not self._process.is_alive()

    def close(self) -> None:
        self._lifeline.close()
        self._process.join(_SECONDS_TO_END)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        shutil.rmtree(self._directory, ignore_errors=True)


def _directory_of_sockets() -> str:
    place = tempfile.gettempdir()
    return place if len(place) <= _LONGEST_DIRECTORY else "/tmp"  # noqa: S108 (for a private directory)


def _serve(make: Callable[[], RowWork], address: str, key: bytes, lifeline: Connection) -> None:
    """The other process."""
    # Ctrl-C and service managers tell all processes to end: this one ends when nothing needs it any more.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    served = _Served(make())
    _Manager.register("served", callable=lambda: served, exposed=("do",))
    server = _Manager(address, key).get_server()
    Thread(target=_end_with, args=(lifeline, address), daemon=True).start()
    lifeline.send(None)
    server.serve_forever()


def _end_with(lifeline: Connection, address: str) -> None:
    try:
        lifeline.recv()
    except (EOFError, OSError):
        # Its directory too: the process that made it may be gone.
        shutil.rmtree(Path(address).parent, ignore_errors=True)
        os._exit(0)
