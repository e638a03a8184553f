"""The interaction half of `gata prepare` and `gata backfill`: curate what is missing, then make the batches.

Runs of the same jobs as in the UI, in this process. A tenant that fails stops neither another nor the tickets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg

from gata_assets.batches import Window, days_of, from_day_on, stretches
from gata_assets.cli.batches.runs import Written, find_failures, is_interrupted, read_written, run_range
from gata_assets.curation.reports import replaced_files, valid_reports
from gata_assets.definitions import build_store
from gata_assets.errors import GataError
from gata_assets.interactions.assets.jobs import CURATE_INTERACTIONS, PREPARE_INTERACTIONS, keep_to_days
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.curated.status import CuratedLayer
from gata_assets.interactions.datasets import CURATED_INTERACTIONS, CURATED_ITEMS
from gata_assets.interactions.schema import INTERACTIONS as INTERACTIONS_TABLE
from gata_assets.interactions.schema import ITEMS
from gata_assets.interactions.windows import interaction_windows
from gata_assets.orchestration.failures import BatchFailure
from gata_assets.orchestration.instances import is_recorded
from gata_assets.settings.model import Settings
from gata_assets.storage.objects import ObjectStore


@dataclass
class InteractionHalf:
    """What became of the interaction half: the runs, what they wrote and what failed of them.

    `quarantined` are the rows that lie in quarantine, `refused` the raw files that could not be read, by tenant.
    """

    run_ids: list[str] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    failures: list[BatchFailure] = field(default_factory=list)
    quarantined: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)

    def summed(self) -> list[Written]:
        """What was written, with all days of a tenant as one: how many they are, their rows, and what lies in
        quarantine.
        """
        days: dict[str, list[Written]] = {}
        for one in self.written:
            if one.asset.endswith(f"/{CURATED_INTERACTIONS}"):
                days.setdefault(one.asset, []).append(one)
        sums = []
        for asset, of_asset in days.items():
            numbers = {name: sum(one.numbers[name] for one in of_asset) for name in ("row_count", "duplicates")}
            tenant = asset.partition("/")[0]
            quarantined = {"quarantined": self.quarantined.get(tenant, 0), "refused_files": self.refused.get(tenant, 0)}
            last = max(of_asset, key=lambda one: one.partition or "")
            sums.append(Written(asset, None, {**numbers, "days": len(of_asset), **quarantined}, "", last.places))
        return [*sums, *(one for one in self.written if one.asset not in days)]

    def add(self, ended: dg.ExecuteInProcessResult, partition: str) -> None:
        """Take note of a run; of one that failed before it reached a partition, under the one that is given.

        Raises KeyboardInterrupt where the run was interrupted.
        """
        self.run_ids.append(ended.run_id)
        self.written.extend(read_written(ended))
        failures = [] if ended.success else find_failures(ended, partition)
        if is_interrupted(failures):
            raise KeyboardInterrupt
        self.failures.extend(failures)


def prepare_interactions(
    settings: Settings,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    stretch: Sequence[str],
) -> InteractionHalf:
    """Make consecutive batches of all tenants, and first the days that they need."""
    half = InteractionHalf()
    reached = [
        tenant
        for tenant in settings.tenants_prepared
        if curate_windows(settings, definitions, instance, stretch, tenant, half)
    ]
    if reached:
        make_batches(definitions, instance, stretch, reached, half)
    return half


def curate_windows(
    settings: Settings,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    stretch: Sequence[str],
    tenant: str,
    half: InteractionHalf,
) -> bool:
    """Validate a tenant's new files and make the days that the batches of a stretch need; notes in `half` what it did.

    Gives whether the tenant could be looked at; a day that failed is noted alone.
    """
    curate = definitions.resolve_job_def(CURATE_INTERACTIONS)
    try:
        _curate(settings, tenant, build_store(settings), stretch, curate, instance, half)
    except GataError as error:
        half.failures.append(BatchFailure(stretch[0], f"{tenant}/{CURATED_INTERACTIONS}", (), str(error)))
        return False
    return True


def make_batches(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    stretch: Sequence[str],
    tenants: Sequence[str],
    half: InteractionHalf,
) -> None:
    """Make consecutive batches of tenants from what is curated; notes in `half` what it did."""
    job = definitions.resolve_job_def(PREPARE_INTERACTIONS)
    assets = [key for key in job.asset_layer.selected_asset_keys if key.path[0] in tenants]
    half.add(run_range(job, instance, (stretch[0], stretch[-1]), assets=assets), stretch[0])


def _curate(
    settings: Settings,
    tenant: str,
    store: ObjectStore,
    stretch: Sequence[str],
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    half: InteractionHalf,
) -> None:
    """Validate a tenant's new files, and curate the catalogue and the days of a window that are missing or stale."""
    first, last = (
        interaction_windows(batch_id, settings.interactions.rules).seen for batch_id in (stretch[0], stretch[-1])
    )
    window = from_day_on(Window(first.start_at, last.end_at), settings.interactions.earliest_interaction)
    curator = Curator(store, tenant, settings.interactions.curation_rules, datetime.now(UTC))
    waiting = curator.unvalidated()
    keys = {name: dg.AssetKey([tenant, name]) for name in (CURATED_ITEMS, CURATED_INTERACTIONS)}
    layer = CuratedLayer(curator)
    has_items = any(key.startswith(curator.places.raw(ITEMS)) for key in waiting)
    is_known = is_recorded(instance, keys[CURATED_ITEMS], layer.catalogue_digest())
    is_stale = bool(curator.reports(ITEMS)) and curator.is_catalogue_stale()
    if has_items or is_stale or not is_known:
        half.add(run_range(job, instance, None, assets=[keys[CURATED_ITEMS]]), "catalogue")
    days = layer.look(days_of(window) or [settings.interactions.earliest_interaction])
    due = days.due if days.has_interactions else ()
    if any(key.startswith(curator.places.raw(INTERACTIONS_TABLE)) for key in waiting):
        # Which days the new files are of is known when they are validated, by the run itself.
        due = days.due or days.days[-1:]
    within = keep_to_days(tenant, days.days[0], days.days[-1])
    if due:
        # One run, of the first days without a gap: those after a gap it makes too, since they are stale or missing.
        start, end = stretches(due)[0]
        run = run_range(job, instance, (str(start), str(end)), assets=[keys[CURATED_INTERACTIONS]], config=within)
        half.add(run, str(start))
    reports = curator.reports(INTERACTIONS_TABLE)
    half.quarantined[tenant] = sum(report.rejected for report in valid_reports(reports))
    replaced = replaced_files(reports)
    half.refused[tenant] = sum(one.refused is not None and one.file_id not in replaced for one in reports)
