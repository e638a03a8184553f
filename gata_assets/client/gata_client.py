"""`GataClient`: what a sender calls. Batches belong to `sender`, requests that are tried again to `transport`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from gata_assets.client.batches import Batch, BatchRules, FailedBatch, Kind, Row, encode, new_key
from gata_assets.client.sender import BatchSender, Counts
from gata_assets.client.transport import Transport
from gata_assets.client.upload import Upload
from gata_assets.errors import ServiceRefusedError

_LINES, _JSON = "application/x-ndjson", "application/json"
_ERASURES = "/v1/privacy/erasures"


class GataClient:
    """Sends rows, events and files of one tenant; safe for several threads.

    In a `with` block it sends what waits at the end. Without one, call `close`: what waits in memory is lost with the
    process. Its representation has no key.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        rules: BatchRules | None = None,
        patience_seconds: float = 600,
        timeout_seconds: float = 120,
        longest_pause_seconds: float = 30,
    ) -> None:
        """Set up the client, without asking the service.

        Args:
            url: Of the service, such as https://ingest.example.
            key: The API key; None for a service that trusts its network.
            rules: When batches are sent, and how much may wait.
            patience_seconds: How long a request that failed is tried again: longer than the five minutes after which a
                request of a service that died is free again.
            timeout_seconds: How long the service may be silent.
            longest_pause_seconds: Between two tries, unless the service asks for a longer one; the first are shorter.

        Raises ValueError for a URL that is none.
        """
        self._transport = Transport(
            url,
            key,
            patience_seconds=patience_seconds,
            timeout_seconds=timeout_seconds,
            longest_pause_seconds=longest_pause_seconds,
        )
        self._sender = BatchSender(self._send, rules or BatchRules())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        # What failed in the block is what the caller is to see; no try may delay it for long.
        self._transport.stop()
        try:
            self.close()
        except Exception as later:  # noqa: BLE001 (it is shown with the first)
            error.add_note(str(later))

    @property
    def counts(self) -> Counts:
        """What became of rows and events until now."""
        return self._sender.counts

    def send_events(self, table: str, events: Iterable[Row]) -> None:
        """Take events, to be sent in batches: all of them, or none.

        Returns once they wait in memory, which is at once unless too many do.

        Raises:
            BatchesFailedError: Earlier ones failed: see `take_failed`.
            TypeError: An event is no mapping, or has a value that JSON has not; ValueError likewise.
        """
        self._sender.add("events", table, [encode(event) for event in events])

    def send_rows(self, table: str, rows: Iterable[Row]) -> None:
        """Take rows, to be sent in batches that each become a raw file; as `send_events`."""
        self._sender.add("rows", table, [encode(row) for row in rows])

    def flush(self, timeout: float | None = None) -> None:
        """Return when all rows and events are durable.

        Raises BatchesFailedError, or TimeoutError after `timeout` seconds; then the client goes on with the rest.
        """
        self._sender.flush(timeout)

    def take_failed(self) -> list[FailedBatch]:
        """The batches that failed, which the client then has no longer: keep them, or send them again."""
        return self._sender.take_failed()

    def send_again(self, batches: Sequence[Batch]) -> None:
        """Take batches that failed, with their keys: the service carries out each once, for 24 hours."""
        self._sender.add_again(batches)

    def upload(self, table: str, path: str | Path, *, name: str | None = None) -> dict[str, Any]:
        """Send a file, read from disk while it is sent; returns the service's answer: counts and paths.

        Args:
            table: The table that its rows are of.
            path: The file, which must not change meanwhile.
            name: What the service calls it; by its ending it knows the format. None for the file's own.

        Raises ServiceRefusedError, ServiceAwayError, or OSError if the file cannot be read.
        """
        file = Upload(Path(path), name or Path(path).name)
        headers = {**file.headers, **_once(new_key())}
        return self._transport.ask("POST", f"/internal/data/upload-csv?data_type={_quoted(table)}", file.body, headers)

    def validate(self, table: str, rows: Iterable[Row]) -> dict[str, Any]:
        """Which rows break which rules, by their number from 1; nothing is stored.

        Raises ServiceRefusedError or ServiceAwayError.
        """
        body = b'{"data_type":%s,"sample_data":%s}' % (json.dumps(table).encode(), _array(map(encode, rows)))
        return self._transport.ask("POST", "/api/validation/validate", lambda: body, {"Content-Type": _JSON})

    def ask_erasure(self, subjects: Sequence[str], request: str) -> dict[str, Any]:
        """Have people erased: once it returns, nobody reads what precedes it; returns the state and the deadline.

        Args:
            subjects: Their ids, as tables name them.
            request: Its name; the same name and ids again are the same request.

        Raises ServiceRefusedError or ServiceAwayError.
        """
        body = json.dumps({"request": request, "subjects": list(subjects)}).encode()
        return self._transport.ask("POST", _ERASURES, lambda: body, {"Content-Type": _JSON})

    def find_erasure(self, request: str) -> dict[str, Any]:
        """What became of a request to erase people; raises ServiceRefusedError or ServiceAwayError."""
        return self._transport.ask("GET", f"{_ERASURES}/{quote(request, safe='')}", lambda: b"", {})

    def close(self) -> None:
        """Send what waits, and close the connections; raises BatchesFailedError."""
        try:
            self._sender.close()
        finally:
            self._transport.close()

    def _send(self, batch: Batch) -> Counts:
        path, kind, body = _request_of(batch.kind, batch.table, batch.lines)
        answer = self._transport.ask("POST", path, lambda: body, {"Content-Type": kind, **_once(batch.key)})
        count = len(batch.lines)
        if batch.kind == "events":
            is_complete = len(answer.get("offsets") or ()) == count
            counts = Counts(events=count)
        else:
            counts = Counts(rows_accepted=answer.get("rows_accepted", 0), rows_rejected=answer.get("rows_rejected", 0))
            is_complete = counts.rows_accepted + counts.rows_rejected == count
        if not is_complete:
            raise ServiceRefusedError(
                f"POST {path}: the answer is not of {count:,} {batch.kind}: is the URL that of the service?",
                status=200,
                kind="",
                problem={},
            )
        return counts


def _request_of(kind: Kind, table: str, lines: Sequence[bytes]) -> tuple[str, str, bytes]:
    """The path, the type and the body of a batch."""
    if kind == "events":
        return f"/v1/events?table={_quoted(table)}", _JSON, _array(lines)
    return f"/internal/data/{_quoted(table)}", _LINES, b"".join(line + b"\n" for line in lines)


def _once(key: str) -> dict[str, str]:
    # The same ID too: by it the service finds the events of a request that it could not answer.
    return {"Idempotency-Key": key, "X-Request-ID": key}


def _array(lines: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(lines) + b"]"


def _quoted(table: str) -> str:
    return quote(table, safe="")
