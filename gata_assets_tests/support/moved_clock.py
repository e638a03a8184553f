"""A clock that is moved by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

BEGIN = datetime(2026, 1, 3, 12, tzinfo=UTC)


class MovedClock:
    """Gives the same instant until it is moved."""

    def __init__(self, now: datetime = BEGIN) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        """Go on by seconds, or back."""
        self.now += timedelta(seconds=seconds)
