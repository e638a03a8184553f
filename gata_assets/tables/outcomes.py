"""What a rule said of a table, as counts: never the values that failed.

Apart from the rules themselves, so that who only hands outcomes on does not load what rules are checked with. What
happens to a failed outcome is decided outside.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What a rule said of a table: how many rows (or labels) break it, of how many, and what to do then."""

    rule: str
    failed: int
    checked: int
    advice: str
    unit: str = "rows"

    @property
    def has_passed(self) -> bool:
        """Whether nothing breaks the rule."""
        return self.failed == 0

    def __str__(self) -> str:
        return f"{self.rule}: {self.failed:,} of {self.checked:,} {self.unit}. {self.advice}"


def broken(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Those of the outcomes that have failed."""
    return [outcome for outcome in outcomes if not outcome.has_passed]
