"""Requests to the service, tried again until they are answered for good. Nothing here logs, or shows a key or a body.

Every request may be sent again: it has an Idempotency-Key, or changes nothing. Between two tries it waits for as long
as the service asks, or for a random time that grows.
Source: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from time import monotonic
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, SSLError
from urllib3.util import wait_for_read

from gata_assets.errors import ServiceAwayError, ServiceRefusedError

_FIRST_PAUSE_SECONDS = 0.25
_CONNECT_SECONDS = 10.0
_MOST_ANSWER_BYTES = 16_000_000
_MOST_CONNECTIONS = 8
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_DETAIL = 500
Body = Callable[[], bytes | Iterator[bytes]]


class _Connection(urllib3.connection.HTTPConnection):
    """Sends no more of a body once the service has answered: a file that is too large is not sent to its end.

    Not with TLS, where what comes in may be other than an answer.
    """

    _is_cut = False

    def send(self, data: Any) -> None:
        """See http.client; urllib3 reads the answer after this error."""
        if self.sock and wait_for_read(self.sock, timeout=0):
            self._is_cut = True
            raise BrokenPipeError
        super().send(data)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as in urllib3
        """See http.client."""
        response = super().getresponse()
        if self._is_cut and self.sock:
            # The next request would be taken for the rest of the body. What the response reads stays open.
            sock, self.sock, self._is_cut = self.sock, None, False
            sock.close()
        return response


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _PoolManager(urllib3.PoolManager):
    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.pool_classes_by_scheme = {**self.pool_classes_by_scheme, "http": _Pool}


@dataclass(frozen=True)
class _Answer:
    status: int
    content: dict[str, Any] | None
    retry_after: float

    @property
    def kind(self) -> str:
        return str((self.content or {}).get("type", "")).rpartition(":")[2]

    @property
    def may_succeed(self) -> bool:
        """Whether the same request may be answered otherwise later."""
        return self.status in _AGAIN or (self.status == 409 and self.kind == "in-progress")


class Transport:
    """Sends requests to one service; safe for several threads."""

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        patience_seconds: float,
        timeout_seconds: float,
        longest_pause_seconds: float,
    ) -> None:
        """Set up connections, without opening one; raises ValueError for a URL that is none."""
        try:
            parsed = urllib3.util.parse_url(url)
        except LocationParseError:
            parsed = urllib3.util.Url()
        if parsed.scheme not in ("http", "https") or not parsed.host or parsed.auth or parsed.query or parsed.fragment:
            raise ValueError("The URL of a service is needed: https://host:port, with neither a login nor a query.")
        self._url = url.rstrip("/")
        self._headers = {"X-API-Key": key} if key else {}
        self._patience, self._longest_pause = patience_seconds, longest_pause_seconds
        timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=timeout_seconds)
        self._pool = _PoolManager(maxsize=_MOST_CONNECTIONS, block=True, timeout=timeout, retries=False)
        self._stopped = Event()

    def ask(self, method: str, path: str, body: Body, headers: Mapping[str, str]) -> dict[str, Any]:
        """Send a request until it is answered for good; returns the object that the answer has.

        Args:
            method: Of HTTP.
            path: With its query.
            body: Gives the body, anew for each try.
            headers: Besides the API key.

        Raises:
            ServiceRefusedError: It would be refused each time.
            ServiceAwayError: It was not answered for good in `patience_seconds` after it first failed.
            OSError: The body cannot be read.
        """
        what = f"{method} {path.partition('?')[0]}"
        deadline: float | None = None
        pause, tries = min(_FIRST_PAUSE_SECONDS, self._longest_pause), 0
        while True:
            tries += 1
            content = body()
            asked = 0.0
            try:
                answer = self._once(method, path, content, headers)
            except SSLError:
                raise ServiceAwayError(
                    f"{what}: the service's certificate is not trusted, or it speaks no TLS."
                ) from None
            except HTTPError as error:
                fault = type(error).__name__
            else:
                if 200 <= answer.status < 300 and answer.content is not None:
                    return answer.content
                if not answer.may_succeed:
                    raise _refused(what, answer)
                fault, asked = f"{answer.status} {answer.kind}".rstrip(), answer.retry_after
            now = monotonic()
            deadline = now + self._patience if deadline is None else deadline
            wait = max(asked, random.uniform(0, pause))  # noqa: S311 (no secret)
            if now + wait > deadline or self._stopped.wait(wait):
                raise ServiceAwayError(
                    f"{what} was not answered for good in {tries} tries, the last one with {fault}: it is not known "
                    "whether it was carried out. Send it again with the same key."
                )
            pause = min(2 * pause, self._longest_pause)

    def stop(self) -> None:
        """Let no request be tried again."""
        self._stopped.set()

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _once(self, method: str, path: str, body: bytes | Iterator[bytes], headers: Mapping[str, str]) -> _Answer:
        answer = self._pool.request(
            method,
            self._url + path,
            body=body,
            headers={**self._headers, **headers},
            # A key goes to no other place than it was given for.
            redirect=False,
            preload_content=False,
        )
        try:
            content = answer.read(_MOST_ANSWER_BYTES, decode_content=True)
        except BaseException:
            answer.close()
            raise
        answer.drain_conn()
        answer.release_conn()
        return _Answer(answer.status, _object(content), _seconds(answer.headers.get("Retry-After", "")))


def _refused(what: str, answer: _Answer) -> ServiceRefusedError:
    problem = answer.content or {}
    if "detail" not in problem:
        detail = "the answer is none of the service: is the URL right?"
    else:
        detail = "".join(char for char in str(problem["detail"]) if char.isprintable())[:_LONGEST_DETAIL]
    return ServiceRefusedError(
        f"{what}: {answer.status} {answer.kind}: {detail}", status=answer.status, kind=answer.kind, problem=problem
    )


def _object(content: bytes) -> dict[str, Any] | None:
    with suppress(ValueError, RecursionError):
        found = json.loads(content)
        return found if isinstance(found, dict) else None
    return None


def _seconds(text: str) -> float:
    """What Retry-After asks for: seconds, or an instant; 0 for anything else."""
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    with suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    return 0.0
