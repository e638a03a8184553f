"""A round: all open requests of all tenants are carried out, the most urgent first; what fails stops no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gata_assets.errors import GataError, StoreError
from gata_assets.governance.privacy.actors import Actor
from gata_assets.governance.privacy.erasing import PrivacyPlaces, erase
from gata_assets.governance.privacy.requests.backlog import Backlog, read_backlog
from gata_assets.governance.privacy.requests.record import StoredRequest


@dataclass(frozen=True)
class Outcome:
    """What became of a request of a tenant, or (`request` is empty) of its requests: why it failed, if it did."""

    tenant: str
    request: str
    failure: str = ""

    def __str__(self) -> str:
        of = f"request {self.request} of {self.tenant}" if self.request else f"the requests of {self.tenant}"
        return f"{of}: {self.failure or 'nothing of theirs is left'}"


@dataclass(frozen=True)
class Round:
    """What a round did, and what waits after it."""

    outcomes: tuple[Outcome, ...]
    backlogs: tuple[Backlog, ...]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """What failed."""
        return tuple(one for one in self.outcomes if one.failure)


def carry_out_all(
    places: PrivacyPlaces, by: Actor, clock: Callable[[], datetime], note: Callable[[Outcome], object]
) -> Round:
    """Carry out all open requests; `note` gets what became of each. Raises StoreError if tenants cannot be listed."""
    outcomes: list[Outcome] = []

    def keep(outcome: Outcome) -> None:
        outcomes.append(outcome)
        note(outcome)

    waiting: list[StoredRequest] = []
    tenants = places.requests.tenants()
    for tenant in tenants:
        try:
            found = places.requests.read_all(tenant)
        except StoreError as error:
            keep(Outcome(tenant, "", str(error)))
            continue
        waiting += found.open
        for damaged in found.damaged:
            keep(Outcome(tenant, "", str(damaged)))
    for asked in sorted(waiting, key=lambda one: one.deadline_at):
        keep(Outcome(asked.tenant, asked.request, _carry_out(places, asked, by, clock)))
    backlogs = []
    for tenant in tenants:
        try:
            backlogs.append(read_backlog(places.requests, tenant, clock()))
        except StoreError as error:
            keep(Outcome(tenant, "", str(error)))
    return Round(tuple(outcomes), tuple(backlogs))


def _carry_out(places: PrivacyPlaces, listed: StoredRequest, by: Actor, clock: Callable[[], datetime]) -> str:
    """Carry out a request; why it failed, or nothing."""
    if listed.state == "without ids":
        return (
            "whoever asked was cut off before the ids were stored: give the same command, or send the same request, "
            "again, with this name and the same ids"
        )
    try:
        # As it is now, with its ids: another command may have completed it.
        asked = places.requests.find(listed.tenant, listed.request)
        if asked is None or asked.completed_at is not None:
            return ""
        found = erase(places, asked, by=by, clock=clock)
    except GataError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 (no fault of a request may keep others from being carried out)
        # Messages of libraries may quote values.
        return f"{type(error).__name__}: `gata privacy erase --request` with its name shows where"
    if found.is_complete:
        return ""
    left = [f"{place.place}: {place.remains}" for place in found.places if place.remains]
    return "; ".join([f"{len(found.scanned.findings):,} objects have something of theirs", *left])
