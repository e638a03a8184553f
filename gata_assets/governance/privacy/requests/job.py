"""Erasing in Dagster: an asset that stands for the erased people, its job, its schedule, and the check of deadlines.

A run is a round of `rounds`; its numbers are the asset's metadata. It fails at its end if a request failed.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as objects.
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from gata_assets.governance.privacy.actors import DAGSTER
from gata_assets.governance.privacy.erasing import PrivacyPlaces
from gata_assets.governance.privacy.requests.backlog import NEAR, Backlog
from gata_assets.governance.privacy.requests.rounds import Outcome, carry_out_all
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.jobs import build_job
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import ObjectStoreResource

ERASED_PEOPLE = dg.AssetKey(["privacy", "erased_people"])
ERASE_PEOPLE = "erase_people"
ERASE_PEOPLE_SCHEDULE = "erase_people_schedule"
IN_TIME = "erasure_requests_in_time"
CHECK_DESCRIPTIONS = {
    IN_TIME: "No request to erase people is past its deadline (PRIVACY_DEADLINE_HOURS), or cannot be read; it warns "
    f"when one has less than {NEAR.total_seconds() / 3_600:g} hours left."
}

OpenPlaces = Callable[[ObjectStore], PrivacyPlaces]
Push = Callable[[Sequence[Backlog], Callable[[str], object]], object]


def build_erasing(
    cron: str,
    options: AssetOptions,
    opened: OpenPlaces,
    push: Push,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dg.Definitions:
    """The asset, its check, job and schedule.

    Args:
        cron: When the schedule asks for a run, in UTC.
        options: Of all assets.
        opened: Where people are erased from.
        push: Pushes the metrics of backlogs, and warns by what it is given.
        clock: The present instant in UTC.
    """

    @dg.multi_asset(
        name="erased_people",
        specs=[
            dg.AssetSpec(
                ERASED_PEOPLE,
                group_name="privacy",
                description="People whose erasure was asked for, by a command or by HTTP, and whose data is removed "
                "from everything that a tenant has. A run carries out all open requests.",
                code_version=options.code_version,
                owners=options.owners,
                kinds={"file"},
            )
        ],
        check_specs=[dg.AssetCheckSpec(IN_TIME, asset=ERASED_PEOPLE, description=CHECK_DESCRIPTIONS[IN_TIME])],
        # Without it, `dagster asset materialize --select "*" --partition-range` refuses all.
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def erased_people(
        context: dg.AssetExecutionContext, object_store: ObjectStoreResource
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        def note(outcome: Outcome) -> None:
            (context.log.error if outcome.failure else context.log.info)(str(outcome))

        ended = carry_out_all(opened(object_store), DAGSTER, clock, note)
        push(ended.backlogs, context.log.warning)
        numbers = {
            "completed": len(ended.outcomes) - len(ended.failed),
            "failed": len(ended.failed),
            "open": sum(len(one.open) for one in ended.backlogs),
        }
        yield dg.MaterializeResult(asset_key=ERASED_PEOPLE, metadata=numbers)
        yield dg.AssetCheckResult(asset_key=ERASED_PEOPLE, check_name=IN_TIME, **assess(ended.backlogs, clock()))
        if ended.failed:
            raise dg.Failure(
                f"{len(ended.failed):,} of {len(ended.outcomes):,} requests failed. "
                + " | ".join(map(str, ended.failed)),
                allow_retries=False,
            )

    selection = dg.AssetSelection.assets(erased_people)
    job = build_job(ERASE_PEOPLE, selection, "Carry out all open requests to erase people, of all tenants.")
    schedule = dg.ScheduleDefinition(
        name=ERASE_PEOPLE_SCHEDULE,
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Asks for all open requests to erase people to be carried out (PRIVACY_SCHEDULE).",
    )
    return dg.Definitions(assets=[erased_people], jobs=[job], schedules=[schedule])


def assess(backlogs: Sequence[Backlog], now: datetime) -> dict[str, Any]:
    """What the check says of backlogs: the fields of its result."""
    overdue, near = _names(backlogs, lambda one: one.overdue(now)), _names(backlogs, lambda one: one.near(now))
    damaged = sum(one.damaged for one in backlogs)
    lines = [
        *([f"{len(overdue):,} are past their deadline: {', '.join(overdue)}."] if overdue else []),
        *([f"{len(near):,} have little time left: {', '.join(near)}."] if near else []),
        *([f"{damaged:,} cannot be read."] if damaged else []),
    ]
    is_error = bool(overdue or damaged)
    return {
        "passed": not lines,
        "severity": dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        "description": " ".join(lines) or "All requests are in time.",
        "metadata": {"overdue": len(overdue), "near": len(near), "damaged": damaged},
    }


def _names(backlogs: Sequence[Backlog], chosen: Callable[[Backlog], Sequence[Any]]) -> list[str]:
    return [f"{one.tenant} {found.request}" for one in backlogs for found in chosen(one)]
