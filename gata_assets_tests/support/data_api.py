"""The local Data API with faults on demand, a hook before every statement, and a record of its calls."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from gata_assets.sandbox.data_api.http import ERROR_STATUS, Answer, parse_request
from gata_assets.sandbox.data_api.server import DataApiServer
from gata_assets.sandbox.data_api.sql import DataApiError

_MESSAGES = {
    "DatabaseResumingException": (
        "The Aurora DB instance is resuming after being auto-paused. Please wait a few seconds and try again."
    ),
    "ThrottlingException": "Rate exceeded",
    "StatementTimeoutException": "ERROR: canceling statement due to statement timeout; SQLState: 57014",
}


SECRET_KEY = "testing"


@dataclass(frozen=True)
class Call:
    """A completed Execute call: `seconds` until the response was ready, without a hang on demand."""

    number: int
    sql: str
    parameter_names: tuple[str, ...]
    error: str | None
    response_bytes: int
    seconds: float


class FaultyDataApi(DataApiServer):
    """A local Data API; `before_execute(number, sql, parameters)` is called before each statement is run, and `calls`
    has an element per Execute call.
    """

    def __init__(self, postgres_url: str) -> None:
        super().__init__(postgres_url, secret_key=SECRET_KEY)
        self.before_execute: Callable[[int, str, dict[str, Any]], None] | None = None
        self.calls: list[Call] = []
        self._lock = threading.Lock()
        self._number = 0
        self._errors: dict[int, str] = {}
        self._hangs: dict[int, float] = {}
        self._resuming_until = 0.0
        self._is_stopped = threading.Event()

    def stop(self) -> None:
        """Stop, without waiting for responses that hang."""
        self._is_stopped.set()
        super().stop()

    def resume_for(self, seconds: float) -> None:
        """Fail every Execute call in the next `seconds` with DatabaseResumingException."""
        with self._lock:
            self._resuming_until = time.monotonic() + seconds

    def fail_next(self, error: str, *, times: int = 1, skip: int = 0) -> None:
        """Skip `skip` Execute calls, then fail the next `times` without running their statements.

        Calls that are already scheduled to fail are not counted, so that failures queue up.
        """
        if error not in ERROR_STATUS:
            raise ValueError(f"not an error of the Data API: {error}")
        with self._lock:
            numbers = _next_free(self._errors, self._number + skip, times)
            self._errors.update(dict.fromkeys(numbers, error))

    def hang_next(self, seconds: float, *, times: int = 1) -> None:
        """Run the next `times` statements but respond `seconds` late, as if only the response was lost."""
        with self._lock:
            numbers = _next_free(self._hangs, self._number, times)
            self._hangs.update(dict.fromkeys(numbers, seconds))

    def answer(self, path: str, target: str | None, body: bytes) -> Answer:
        """Compute the response to a request, or the fault that was asked for."""
        if path != "/Execute":
            return super().answer(path, target, body)
        started = time.perf_counter()
        with self._lock:
            self._number += 1
            number = self._number
            fault = self._errors.pop(number, None)
            hang = self._hangs.pop(number, 0.0)
            if time.monotonic() < self._resuming_until:
                fault = "DatabaseResumingException"
        request: dict[str, Any] = {}
        try:
            request = parse_request(body)
        except DataApiError:
            pass  # answered below
        else:
            if self.before_execute is not None and fault is None:
                self.before_execute(number, str(request.get("sql")), _plain(request.get("parameters", [])))
        if fault is not None:
            answer = Answer.of_error(DataApiError(fault, _MESSAGES.get(fault, "Failed on demand")))
        else:
            answer = super().answer(path, target, body)
        given = request.get("parameters")
        names = tuple(
            str(one.get("name")) for one in (given if isinstance(given, list) else ()) if isinstance(one, dict)
        )
        seconds = time.perf_counter() - started
        self.calls.append(Call(number, str(request.get("sql", "")), names, answer.error, len(answer.body), seconds))
        self._is_stopped.wait(hang)
        return answer


def _next_free(taken: Collection[int], after: int, times: int) -> list[int]:
    return list(itertools.islice((n for n in itertools.count(after + 1) if n not in taken), times))


def _plain(parameters: Any) -> dict[str, Any]:
    """A request's parameters as a dict of Python values, None for NULL."""
    return {one["name"]: None if "isNull" in one["value"] else next(iter(one["value"].values())) for one in parameters}
