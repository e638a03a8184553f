"""What is refused before it is a request for the application: counted by reason, and now and then a line in the log.

Whoever is refused can do it at any rate, so lines are few: each has how many there were since the one before. Nothing
that the caller sent is in a line.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from time import monotonic

from gata_assets.ingestion.http.problems import Problem

_BETWEEN_SECONDS = 10.0


class Refusals:
    """Notes refusals; on the event loop's thread alone."""

    def __init__(
        self,
        count: Callable[[str], object],
        write_line: Callable[[str], object],
        clock: Callable[[], datetime],
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        """`count` gets each reason, `write_line` the lines; `clock` gives the instant in UTC, `seconds` only go up."""
        self._count, self._write_line, self._clock, self._seconds = count, write_line, clock, seconds
        self._statuses: dict[str, int] = {}
        self._not_logged: Counter[str] = Counter()
        self._logged_at: dict[str, float] = {}

    def note(self, problem: Problem) -> None:
        """Count a refusal, and write a line unless there was one of its reason a moment ago."""
        reason = problem.kind
        self._count(reason)
        self._statuses[reason] = problem.status
        self._not_logged[reason] += 1
        now = self._seconds()
        if now - self._logged_at.get(reason, -_BETWEEN_SECONDS) >= _BETWEEN_SECONDS:
            self._logged_at[reason] = now
            self._log(reason)

    def close(self) -> None:
        """Write the lines of what was refused since the last ones."""
        for reason in [reason for reason, count in self._not_logged.items() if count]:
            self._log(reason)

    def _log(self, reason: str) -> None:
        line = {
            "event": "HTTP_REFUSED",
            "at": self._clock().isoformat(timespec="milliseconds"),
            "reason": reason,
            "status": self._statuses[reason],
            "count": self._not_logged.pop(reason),
        }
        self._write_line(json.dumps(line))
