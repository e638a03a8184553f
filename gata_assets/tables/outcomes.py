"""The outcome of a rule on a table, as counts: never the failing values.

Separate from the rules, so that modules which only pass outcomes on do not load pandera. The caller decides what a
failed outcome does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# What to do about a broken rule, by pandera's check name.
Advice = Mapping[str, str]
GENERAL_ADVICE: Advice = {
    "column_in_dataframe": "The table lacks a column: compare it with the documented table",
    "dtype": "A column's type differs from the documented one: compare the tables",
}


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


def passed_all_rules(table: str, rows: int) -> Outcome:
    """The outcome of a valid table."""
    return Outcome(f"every rule of {table}", failed=0, checked=rows, advice="")


def explain_rule(column: object, check: str, failed: int, checked: int, advice: Advice = GENERAL_ADVICE) -> Outcome:
    """The outcome of a column's broken rule, with the advice for pandera's check name."""
    kind = check.split("(")[0]
    advised = advice.get(kind, GENERAL_ADVICE.get(kind, "Compare the table with the documented schema"))
    return Outcome(rule=f"{column} {check}", failed=failed, checked=checked, advice=f"{advised}.")
