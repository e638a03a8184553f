"""What failed of a run, batch by batch, in a form that the command line, alerts and logs read alike.

A run over several batches goes on after one has failed, and ends with one `dagster.Failure` that lists them all in
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
    """What partitions are called: one, and several."""

    one: str
    several: str


BATCHES = Partitions("batch", "batches")
DAYS = Partitions("day", "days")


@dataclass(frozen=True)
class BatchFailure:
    """Why one batch failed: at which asset and, where rules were broken, at which checks.

    `would_fail_all` says that it was not the batch: no database or no target, which every other batch would meet.
    """

    batch_id: str
    asset: str
    checks: tuple[str, ...]
    reason: str
    would_fail_all: bool = False


def as_failure(
    failures: Sequence[BatchFailure], *, batches: int, untried: int = 0, are: Partitions = BATCHES
) -> dg.Failure:
    """The error that ends a run of so many batches, some of which failed; to try it again would change nothing."""
    failed = len({one.batch_id for one in failures})
    reasons = [f"{are.one} {one.batch_id}: {one.reason}" for one in failures[:_MOST_REASONS]]
    if len(failures) > _MOST_REASONS:
        reasons.append(f"and {len(failures) - _MOST_REASONS} more")
    counted = f"{failed} of {batches} {are.several} failed" + (f", {untried} were not tried" if untried else "")
    return dg.Failure(
        failures[0].reason if len(failures) == batches == 1 else f"{counted}: " + " | ".join(reasons),
        metadata={_METADATA: dg.MetadataValue.json([asdict(one) for one in failures])},
        allow_retries=False,
    )


def read_failures(event: dg.DagsterEvent, batch_id: str) -> list[BatchFailure]:
    """What the event of a failed step or run says of its batches.

    An event that lists none (the database could not be reached, the process was killed) gives one failure of
    `batch_id`, at the event's step.
    """
    failure = event.step_failure_data.user_failure_data if event.is_step_failure else None
    if failure and _METADATA in failure.metadata:
        listed: Any = failure.metadata[_METADATA].value
        return [BatchFailure(**{**one, "checks": tuple(one["checks"])}) for one in listed]
    return [BatchFailure(batch_id, event.step_key or "run", (), failure_reason(event), would_fail_all=True)]
