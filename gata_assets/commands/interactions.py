"""The interaction half of `gata prepare` and `gata backfill`: curate what is missing, then make the batches.

Runs of the same jobs as in the UI, in this process. A tenant that fails stops neither another nor the tickets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import dagster as dg

from gata_assets.resources.curated_layer import CuratedLayer
from gata_assets.assets.interaction_line import CURATED_INTERACTIONS, CURATED_ITEMS, TABLES
from gata_assets.batches import Window
from gata_assets.commands.runs import Written, find_failures, read_written, run_range
from gata_assets.core.interaction_windows import days_of, from_day_on, interaction_windows, stretches
from gata_assets.errors import GataError
from gata_assets.failures import BatchFailure
from gata_assets.jobs import CURATE_INTERACTIONS, PREPARE_INTERACTIONS
from gata_assets.resources.object_store import ObjectStore
from gata_assets.settings import Settings


@dataclass
class InteractionHalf:
    """What became of the interaction half: the runs, what they wrote and what failed of them."""

    run_ids: list[str] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    failures: list[BatchFailure] = field(default_factory=list)

    def add(self, ended: dg.ExecuteInProcessResult, partition: str) -> None:
        """Take note of a run; of one that failed before it reached a partition, under the one that is given."""
        self.run_ids.append(ended.run_id)
        self.written.extend(read_written(ended))
        if not ended.success:
            self.failures.extend(find_failures(ended, partition))


def prepare_interactions(
    settings: Settings,
    definitions: dg.Definitions,
    store: ObjectStore,
    instance: dg.DagsterInstance,
    stretch: Sequence[str],
) -> InteractionHalf:
    """Make consecutive batches of all tenants, and before them the days and catalogues that they need."""
    half = InteractionHalf()
    whole = [interaction_windows(batch_id, settings.interaction_rules).seen for batch_id in (stretch[0], stretch[-1])]
    window = from_day_on(Window(whole[0].start_at, whole[-1].end_at), settings.earliest_interaction)
    curate = definitions.resolve_job_def(CURATE_INTERACTIONS)
    reached = []
    for tenant in settings.tenants_prepared:
        layer = CuratedLayer.of(tenant, store, settings.curation_rules)
        try:
            _curate(layer, window, curate, instance, half)
            reached.append(tenant)
        except GataError as error:
            half.failures.append(BatchFailure(stretch[0], f"{tenant}/{CURATED_INTERACTIONS}", (), str(error)))
    tables = [name for of_set in TABLES.values() for name in of_set]
    assets = [dg.AssetKey([tenant, name]) for tenant in reached for name in tables]
    if assets:
        job = definitions.resolve_job_def(PREPARE_INTERACTIONS)
        half.add(run_range(job, instance, (stretch[0], stretch[-1]), assets=assets), stretch[0])
    return half


def _curate(
    layer: CuratedLayer, window: Window, job: dg.JobDefinition, instance: dg.DagsterInstance, half: InteractionHalf
) -> None:
    """Sort a tenant's new files, and curate the catalogue and the days of a window that are missing or stale."""
    tenant = layer.places.tenant
    if layer.catalogue_is_due():
        key = dg.AssetKey([tenant, CURATED_ITEMS])
        half.add(run_range(job, instance, None, assets=[key]), "catalogue")
    days = layer.look(days_of(window))
    unmade = days.unmade if days.has_interactions else ()
    if layer.has_new_interactions():
        # Which days the new files are of is known when they are sorted, by the run itself.
        unmade = days.unmade or days.days[-1:]
    for first, last in stretches(unmade):
        key = dg.AssetKey([tenant, CURATED_INTERACTIONS])
        half.add(run_range(job, instance, (str(first), str(last)), assets=[key]), str(first))
