"""What the engine of the shop is to whoever runs it by events: its stages, and what came of each.

Only the interface, which tests stand in for. Faults of data are counts in an outcome; faults of the environment are
raised as StoreError.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gata_assets.shop.events.routing import Work

FILE_IS_READABLE = "file_is_readable"
_RULE = re.compile(r"[a-z][a-z0-9_]{0,99}")
_OTHER_RULE = "other_rule"


@dataclass(frozen=True)
class StageOutcome:
    """Counts of what a stage did: rows read, rows that broke a rule, rows that a later or equal change supersedes.

    `quarantined` is by table how many more rows are quarantined than before. `is_refused` where a file counts with none
    of its rows, since it cannot be read.
    """

    rows: int = 0
    rejected: int = 0
    duplicates: int = 0
    rejected_by_rule: Mapping[str, int] = field(default_factory=dict)
    quarantined: Mapping[str, int] = field(default_factory=dict)
    is_refused: bool = False

    @property
    def has_invalid_data(self) -> bool:
        """Whether somebody has to look at the data."""
        return self.is_refused or self.rejected > 0 or bool(self.quarantined)

    @property
    def counts_by_rule(self) -> dict[str, int]:
        """Rejected rows by the name of the rule; what is no name of a rule is counted together."""
        counts: dict[str, int] = {}
        for rule, rows in self.rejected_by_rule.items():
            name = rule if _RULE.fullmatch(rule) else _OTHER_RULE
            counts[name] = counts.get(name, 0) + rows
        return dict(sorted(counts.items()))


class Stages(Protocol):
    """The engine of the shop."""

    def curate(self, work: Work) -> StageOutcome:
        """Validate a raw file, and bring the curated tables up to date; harmless for a file that is there already."""

    def expire(self, work: Work) -> StageOutcome:
        """Quarantine the rows of a source that have waited long enough; harmless if none has."""

    def publish(self, work: Work) -> StageOutcome:
        """Bring the tables for analysts up to date with curated tables; harmless if they are."""
