"""The outcome of a rule on a table, as counts: never the failing values.

Separate from the rules, so that modules which only pass outcomes on do not load pandera. The caller decides what a
failed outcome does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """How many of the checked rows (or labels, by `unit`) break a rule, and what to do about it."""

    rule: str
    failed: int
    checked: int
    advice: str
    unit: str = "rows"

    @property
    def has_passed(self) -> bool:
        """Whether no row breaks the rule."""
        return self.failed == 0

    def __str__(self) -> str:
        return f"{self.rule}: {self.failed:,} of {self.checked:,} {self.unit}. {self.advice}"


def broken(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The failed outcomes."""
    return [outcome for outcome in outcomes if not outcome.has_passed]
