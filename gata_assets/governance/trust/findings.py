"""What a verification finds, as values: problems with their objects, and the counts of all that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gata_assets.governance.trust.names import is_raw


class Kind(StrEnum):
    """What is wrong with an object."""

    DIFFERS = "differs"
    MISSING = "missing"
    DAMAGED = "damaged"
    # A later release wrote it.
    UNKNOWN = "unknown"


# The counts of kinds.
_FIELDS = {Kind.DIFFERS: "differing", Kind.MISSING: "missing", Kind.DAMAGED: "damaged", Kind.UNKNOWN: "unknown"}


@dataclass(frozen=True)
class Problem:
    """What is wrong with an object; `by` is the key of the one that says otherwise, empty if none does."""

    kind: Kind
    key: str
    by: str
    what: str


class Unnamed(StrEnum):
    """What an object is that nothing names."""

    # A raw file that was not validated yet.
    WAITING = "waiting"
    # Settings, marks, cursors and claims, which are JSON.
    RECORD = "record"
    LEFTOVER = "leftover"


def kind_of_unnamed(key: str) -> Unnamed:
    """What an object is that nothing names, by its key."""
    if is_raw(key):
        return Unnamed.WAITING
    return Unnamed.RECORD if key.endswith(".json") else Unnamed.LEFTOVER


@dataclass
class Counts:
    """What was looked at.

    `objects` were listed. `namers` are the manifests, reports and others that name objects; `named` the objects that
    they name, of which `bytes_read` were compared; `proven` those that nothing names and that prove themselves. The
    others that nothing names are `waiting`, `records` or `leftovers`. `changing` were replaced each time that they were
    looked at, and `archived` could not be read.
    """

    objects: int = 0
    namers: int = 0
    named: int = 0
    bytes_read: int = 0
    proven: int = 0
    waiting: int = 0
    records: int = 0
    leftovers: int = 0
    changing: int = 0
    archived: int = 0
    differing: int = 0
    missing: int = 0
    damaged: int = 0
    unknown: int = 0

    @property
    def problems(self) -> int:
        """All that is wrong."""
        return self.differing + self.missing + self.damaged + self.unknown

    def count_of(self, kind: Kind) -> int:
        """The problems of a kind."""
        return int(getattr(self, _FIELDS[kind]))

    def count(self, problem: Problem) -> None:
        """Count a problem."""
        setattr(self, _FIELDS[problem.kind], self.count_of(problem.kind) + 1)

    def count_unnamed(self, key: str) -> None:
        """Count an object that nothing names."""
        match kind_of_unnamed(key):
            case Unnamed.WAITING:
                self.waiting += 1
            case Unnamed.RECORD:
                self.records += 1
            case Unnamed.LEFTOVER:
                self.leftovers += 1
