"""How many requests of a tenant wait, and whether they are in time: what checks, metrics and pages show."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from time import monotonic

from gata_assets.errors import StoreError
from gata_assets.governance.privacy.requests.record import StoredRequest
from gata_assets.governance.privacy.requests.store import ErasureRequests

# A request that has less time left is warned of.
NEAR = timedelta(hours=6)
# Whoever asks, the target is read once in so many seconds.
_READ_SECONDS = 60.0


@dataclass(frozen=True)
class Backlog:
    """The requests of a tenant that are not complete, the most urgent first.

    Attributes:
        tenant: whose requests.
        open: those that are not complete.
        damaged: how many could not be read.
        known: how many there are, complete ones too.
        read_at: when.
    """

    tenant: str
    open: tuple[StoredRequest, ...]
    damaged: int
    known: int
    read_at: datetime

    @property
    def next_deadline_at(self) -> datetime | None:
        """The first deadline; None if nothing waits."""
        return self.open[0].deadline_at if self.open else None

    @property
    def oldest_asked_at(self) -> datetime | None:
        """When the oldest of them was asked for; None if nothing waits."""
        return min((one.asked_at for one in self.open), default=None)

    def overdue(self, now: datetime) -> tuple[StoredRequest, ...]:
        """Those whose deadline is past."""
        return tuple(one for one in self.open if one.is_overdue(now))

    def near(self, now: datetime) -> tuple[StoredRequest, ...]:
        """Those whose deadline is near, and not past."""
        return tuple(one for one in self.open if not one.is_overdue(now) and one.is_overdue(now + NEAR))


def read_backlog(requests: ErasureRequests, tenant: str, now: datetime) -> Backlog:
    """The backlog of a tenant; raises StoreError."""
    found = requests.read_all(tenant)
    return Backlog(tenant, found.open, len(found.damaged), len(found.requests), now)


class BacklogReader:
    """Reads the backlogs of all tenants again and again; safe for several threads."""

    def __init__(
        self, requests: ErasureRequests, clock: Callable[[], datetime], seconds: Callable[[], float] = monotonic
    ) -> None:
        """`seconds` are of a clock that never goes back."""
        self._requests, self._clock, self._seconds = requests, clock, seconds
        self._looked_at = float("-inf")
        self._known: dict[str, Backlog] = {}
        self._lock = Lock()

    def read(self) -> list[Backlog]:
        """The backlogs as of a minute ago at most; of what cannot be read, as they were known, which they say."""
        with self._lock:
            if self._seconds() - self._looked_at >= _READ_SECONDS:
                with suppress(StoreError):
                    self._refresh()
                self._looked_at = self._seconds()
            return list(self._known.values())

    def _refresh(self) -> None:
        for tenant in self._requests.tenants():
            # Mostly a folder of somebody else's, which may not be listed.
            with suppress(StoreError):
                self._known[tenant] = read_backlog(self._requests, tenant, self._clock())
