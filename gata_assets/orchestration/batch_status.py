"""How stored batches compare with a build from present inputs: the terms in which every pipeline decides and reports.

Plain values; nothing here knows Dagster or a store. Each domain decides which batch has which status.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Status(StrEnum):
    """The state of a batch in the target."""

    COMPLETE = "complete"
    STALE = "stale"
    MISSING = "missing"


class Reason(StrEnum):
    """Why a batch is not up to date."""

    INCOMPLETE = "not all of it is in the target"
    ROWS = "days of their windows have other rows than they were built from"
    SETTINGS = "other settings"
    CATALOG = "another catalog"


# Other rows make a batch stale: a late row must reach everything that depends on it. Another catalog or other settings
# are only reported: both may change every day, and all batches would be rebuilt each time.
_MAKES_STALE = frozenset({Reason.ROWS})


@dataclass(frozen=True)
class BatchStatus:
    """A batch's status, and all reasons why it is not up to date; `version` is that of its last asset, if complete."""

    status: Status
    reasons: frozenset[Reason] = frozenset()
    version: str = field(default="", compare=False)

    @classmethod
    def of(cls, differences: Set[Reason], *, version: str = "") -> BatchStatus:
        """The status of a batch with all parts, by its differences."""
        status = Status.STALE if _MAKES_STALE & differences else Status.COMPLETE
        return cls(status, frozenset(differences), version)


MISSING = BatchStatus(Status.MISSING, frozenset({Reason.INCOMPLETE}))


@dataclass(frozen=True)
class Plan:
    """The requested batches with their statuses, and those that are due to be prepared.

    `unrecorded` are complete ones that Dagster has no record of, since their run was killed before it recorded them;
    `given_up` says why batches are not due that are missing or stale, by batch ID.
    """

    statuses: Mapping[str, BatchStatus]
    due: tuple[str, ...]
    unrecorded: tuple[str, ...] = ()
    given_up: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, statuses: Mapping[str, BatchStatus], *, again: bool) -> Plan:
        """Due are batches that are missing or stale; with `again`, all."""
        is_due = {name: again or batch.status is not Status.COMPLETE for name, batch in statuses.items()}
        return cls(statuses, tuple(name for name, due in is_due.items() if due))

    def without(self, given_up: Mapping[str, str]) -> Plan:
        """The plan without batches that were given up."""
        return replace(self, due=tuple(name for name in self.due if name not in given_up), given_up=given_up)

    def with_unrecorded(self, batch_ids: set[str]) -> Plan:
        """This plan, with these batches due as well."""
        due = batch_ids.union(self.due)
        return replace(
            self,
            due=tuple(name for name in self.statuses if name in due),
            unrecorded=tuple(name for name in self.statuses if name in batch_ids),
        )

    @property
    def complete(self) -> tuple[str, ...]:
        """The batches that exist completely in the target, stale or not."""
        return tuple(name for name, batch in self.statuses.items() if batch.status is not Status.MISSING)

    @property
    def stale(self) -> tuple[str, ...]:
        """The batches that are complete and stale."""
        return tuple(name for name, batch in self.statuses.items() if batch.status is Status.STALE)

    def kept(self, reason: Reason) -> tuple[str, ...]:
        """The batches that are not up to date for a reason, but not due."""
        due = set(self.due)
        return tuple(name for name, batch in self.statuses.items() if reason in batch.reasons and name not in due)
