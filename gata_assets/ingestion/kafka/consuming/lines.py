"""The lines of the consumer's log: JSON, with topics, offsets and reasons; never what a message has."""

from __future__ import annotations

import json
from collections.abc import Callable


class ConsumerLog:
    """Writes lines by `write_line`; of the same failure again and again, one."""

    def __init__(self, write_line: Callable[[str], object]) -> None:
        self._write_line = write_line
        self._failing: dict[tuple[str, int] | None, str] = {}

    def say(self, place: tuple[str, int] | None, event: str, *, reason: str = "", **facts: object) -> None:
        """Write what happened to a partition, or to no partition; `reason` is of a failure."""
        where = {"topic": place[0], "partition": place[1]} if place else {}
        line = json.dumps({"event": event, **where, **({"reason": reason} if reason else {}), **facts})
        if not reason:
            self._failing.pop(place, None)
        elif self._failing.get(place) == line:
            return
        else:
            self._failing[place] = line
        self._write_line(line)
