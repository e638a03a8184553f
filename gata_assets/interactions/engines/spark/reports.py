"""The reports of ranges: check outcomes and counts as JSON, summed on the driver."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from gata_assets.interactions.engines.spark.task_outputs import TaskOutput
from gata_assets.tables.outcomes import Outcome

# The name of a kernel's output with outcomes and counts.
REPORT = "report"

Outcomes = Mapping[str, Mapping[str, Sequence[Outcome]]]


def report_of(part: int, outcomes: Outcomes, counts: Mapping[str, float]) -> TaskOutput:
    """Serialize a range's outcomes, by table and check, and counts as JSON, in an output named REPORT."""
    listed = [
        (table, check, [asdict(outcome) for outcome in rules])
        for table, checks in outcomes.items()
        for check, rules in checks.items()
    ]
    return TaskOutput(REPORT, part, 0, json.dumps({"outcomes": listed, "counts": counts}).encode())


@dataclass(frozen=True)
class Report:
    """The outcomes and counts of all ranges, summed."""

    outcomes: Outcomes
    counts: Mapping[str, Any]


def sum_reports(reports: Iterable[bytes]) -> Report:
    """Sum the reports of ranges: outcomes by rule, and counts by name."""
    sums: dict[str, dict[str, dict[str, Outcome]]] = {}
    counts: Counter[str] = Counter()
    for report in map(json.loads, reports):
        counts.update(report["counts"])
        for table, check, rules in report["outcomes"]:
            by_rule = sums.setdefault(table, {}).setdefault(check, {})
            for outcome in (Outcome(**fields) for fields in rules):
                before = by_rule.get(outcome.rule)
                by_rule[outcome.rule] = outcome if before is None else _sum(before, outcome)
    outcomes = {
        table: {check: list(by_rule.values()) for check, by_rule in checks.items()} for table, checks in sums.items()
    }
    return Report(outcomes, counts)


def _sum(outcome: Outcome, other: Outcome) -> Outcome:
    return replace(outcome, failed=outcome.failed + other.failed, checked=outcome.checked + other.checked)
