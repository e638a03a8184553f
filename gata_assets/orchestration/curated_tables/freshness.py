"""The check that a table's newest file landed lately: evaluated by each run, and by a sensor while nothing runs.

It is about the table, not a partition: of a day that is over nothing new is to come. Not Dagster's FreshnessPolicy:
that uses the time of a materialization, so writing old days again would hide that no file comes.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensor functions as objects.
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg

from gata_assets.curation.curated.check_names import NEWEST_FILE_IS_FRESH
from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.quality.measures import newest_landing
from gata_assets.curation.report_store import ReportStore
from gata_assets.curation.reports import Report
from gata_assets.errors import GataError
from gata_assets.orchestration.alerting.overdue_check import AGE_HOURS, is_shown
from gata_assets.orchestration.dagster_private import target_of
from gata_assets.storage.resource import ObjectStoreResource

# How soon the UI shows a change. A tick lists the reports of each table, and reads new ones.
_TICK_SECONDS = 300


def evaluate_freshness(
    key: dg.AssetKey,
    reports: Iterable[Report],
    present: datetime,
    fresh_within: timedelta,
    target: dg.EventLogRecord | None,
) -> dg.AssetCheckEvaluation:
    """Whether the newest file that could be read landed at most `fresh_within` ago; without any file it did not.

    `target` is the latest materialization of the asset.
    """
    newest = newest_landing(reports)
    hour = timedelta(hours=1)
    allowed = f"QUALITY_FRESH_HOURS={fresh_within / hour:g}"
    if newest is None:
        is_fresh, said, metadata = False, f"No file that could be read has landed ({allowed}).", {}
    else:
        age = max(present - newest, timedelta())
        is_fresh = age <= fresh_within
        since = f"The newest file that could be read landed at {newest:%Y-%m-%d %H:%M} UTC"
        said = f"{since}, {age / hour:,.1f} hours ago ({allowed})."
        # A number, which the UI plots over evaluations.
        metadata = {AGE_HOURS: dg.MetadataValue.float(round(age / hour, 2))}
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=NEWEST_FILE_IS_FRESH,
        passed=is_fresh,
        severity=dg.AssetCheckSeverity.WARN,
        description=said if is_fresh else f"{said} Is the export still sent?",
        metadata=metadata,
        blocking=False,
        target_materialization_data=None if target is None else target_of(target),
    )


def build_freshness_sensor(
    name: str,
    table: str,
    assets: Mapping[str, dg.AssetKey],
    fresh_within: timedelta,
    *,
    clock: Callable[[], datetime] | None = None,
) -> dg.SensorDefinition:
    """The sensor that evaluates the check of a table without a run; `assets` are those that have it, by tenant.

    It reports what the UI does not show yet, and the age again after an hour.
    """
    stores: dict[str, ReportStore] = {}

    @dg.sensor(
        name=name,
        minimum_interval_seconds=_TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=f"Has the UI show when the newest file of {table} landed more than QUALITY_FRESH_HOURS ago.",
    )
    def freshness(context: dg.SensorEvaluationContext, object_store: ObjectStoreResource) -> dg.SensorResult:
        present = clock() if clock else datetime.now(UTC)
        said: list[str] = []
        new: list[dg.AssetCheckEvaluation] = []
        for tenant, key in assets.items():
            # Read first: an evaluation must not refer to a materialization that it has not seen.
            latest = context.instance.fetch_materializations(key, limit=1).records
            reports = stores.setdefault(tenant, ReportStore(object_store, TenantLayout(tenant)))
            try:
                found = reports.read_all(table)
            except GataError as error:
                context.log.error(f"{tenant}: {error}")
                said.append(f"{tenant}: {error}")
                continue
            evaluation = evaluate_freshness(key, found, present, fresh_within, latest[0] if latest else None)
            said.append(f"{tenant}: {evaluation.description}")
            new += [] if is_shown(evaluation, context.instance) else [evaluation]
        return dg.SensorResult(skip_reason=" ".join(said), asset_events=new)

    return freshness
