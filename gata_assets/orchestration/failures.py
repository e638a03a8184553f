"""The failures of a run, batch by batch, in one form for the command line, alerts and logs.

A run over several batches continues after a failed one, and ends with a single `dagster.Failure` that lists all in
its metadata. Batch IDs, assets, checks and reasons only: no value of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg

from gata_assets.logs import failure_reason

_METADATA = "failures"
_MOST_REASONS = 5


@dataclass(frozen=True)
class Partitions:
    """The word for partitions, in the singular and the plural."""

    singular: str
    plural: str


BATCHES = Partitions("batch", "batches")
DAYS = Partitions("day", "days")


@dataclass(frozen=True)
class BatchFailure:
    """Why a batch failed: at which asset and, if rules were broken, at which checks.

    `would_fail_all`: the cause is not the batch but, say, no database or no target, which fails every other batch too.
    """

    batch_id: str
    asset: str
    checks: tuple[str, ...]
    reason: str
    would_fail_all: bool = False


def as_failure(
    failures: Sequence[BatchFailure], *, batches: int, untried: int = 0, are: Partitions = BATCHES
) -> dg.Failure:
    """The error that ends a run of several batches with failed ones; a retry would change nothing."""
    failed = len({failure.batch_id for failure in failures})
    reasons = [f"{are.singular} {failure.batch_id}: {failure.reason}" for failure in failures[:_MOST_REASONS]]
    if len(failures) > _MOST_REASONS:
        reasons.append(f"and {len(failures) - _MOST_REASONS} more")
    counted = f"{failed} of {batches} {are.plural} failed" + (f", {untried} were not tried" if untried else "")
    return dg.Failure(
        failures[0].reason if len(failures) == batches == 1 else f"{counted}: " + " | ".join(reasons),
        metadata={_METADATA: dg.MetadataValue.json([asdict(failure) for failure in failures])},
        allow_retries=False,
    )


def read_failures(event: dg.DagsterEvent, batch_id: str) -> list[BatchFailure]:
    """The failures that the event of a failed step or run lists.

    An event that lists none (the database could not be reached, the process was killed) is one failure of `batch_id`,
    at the event's step.
    """
    failure = event.step_failure_data.user_failure_data if event.is_step_failure else None
    if failure and _METADATA in failure.metadata:
        listed: Any = failure.metadata[_METADATA].value
        return [BatchFailure(**{**failure, "checks": tuple(failure["checks"])}) for failure in listed]
    return [BatchFailure(batch_id, event.step_key or "run", (), failure_reason(event), would_fail_all=True)]
