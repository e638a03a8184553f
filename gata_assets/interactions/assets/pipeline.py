"""The pipeline of one tenant's interactions: what is curated first, which batches are due, and the runs.

It runs the same jobs as the UI. The decision is pure (`interactions.staleness`); this module reads the manifests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from typing import ClassVar

import dagster as dg

from gata_assets.batches import Window, consecutive, day_ranges, days_of, from_day_on, is_batch_id
from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.policy import CurationRules
from gata_assets.curation.superseding import replaced_files, valid_reports
from gata_assets.errors import GataError, ObjectNotFoundError
from gata_assets.interactions import datasets
from gata_assets.interactions.assets.jobs import CURATE_INTERACTIONS, PREPARE_INTERACTIONS, keep_to_days
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.curated.status import CuratedLayer
from gata_assets.interactions.datasets import CURATED_INTERACTIONS, CURATED_ITEMS, DatasetKind
from gata_assets.interactions.rules import InteractionRules
from gata_assets.interactions.staleness import Present, batch_status
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.interactions.windows import interaction_windows, windows_from_day_on
from gata_assets.orchestration.batch_status import BatchStatus, Plan
from gata_assets.orchestration.failures import BatchFailure
from gata_assets.orchestration.instances import is_recorded
from gata_assets.orchestration.pipelines import BatchPlaces, BatchRun
from gata_assets.orchestration.runs import Runs, Written
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order


@dataclass
class InteractionPipeline:
    """From a tenant's raw files to features and training data; `job` resolves a job by its name.

    `_quarantined` and `_refused` count the rows in quarantine and the unreadable files, as of the latest refresh.
    """

    tenant: str
    store: ObjectStore
    rules: InteractionRules
    curation: CurationRules
    job: Callable[[str], dg.JobDefinition]
    _quarantined: int = field(default=0, init=False)
    _refused: int = field(default=0, init=False)

    name: ClassVar[str] = "interactions"

    @property
    def scope(self) -> str:
        """The tenant."""
        return self.tenant

    @property
    def last_asset(self) -> str:
        """The training data, joined to their features."""
        return f"{self.tenant}/{datasets.LAST_TABLE}"

    def refresh(self, runs: Runs, batch_ids: Sequence[str]) -> bool:
        """Validate new files, and curate the catalog and the days that the batches read; keeps a failure in `runs`."""
        try:
            self._curate(runs, batch_ids)
        except GataError as error:
            asset = f"{self.tenant}/{CURATED_INTERACTIONS}"
            runs.failures.append(BatchFailure(batch_ids[0], asset, (), str(error)))
            return False
        return True

    def plan(self, batch_ids: Sequence[str], *, again: bool) -> Plan:
        """Compare both manifests of each batch with what would be built now; raises StoreError."""
        curator = self._curator()
        # Reads from the store before any thread does: threads must not set up the AWS SDK concurrently.
        presents = self._present(CuratedLayer(curator), batch_ids)

        def look(batch_id: str) -> BatchStatus:
            features, training = (self._read(name, curator.places, batch_id) for name in DatasetKind)
            return batch_status(features, training, presents[batch_id])

        statuses = zip(batch_ids, map_in_order(look, batch_ids, SMALL_CALLS_AT_ONCE), strict=True)
        return Plan.of(dict(statuses), again=again)

    def estimate(self, plan: Plan) -> Mapping[str, str]:  # noqa: ARG002 (the protocol's)
        """The number of raw files not validated yet, whose rows are unknown; raises StoreError."""
        waiting = len(self._curator().unvalidated(is_compared=True))
        if not waiting:
            return {}
        return {
            "files": f"{waiting:,} raw files of {self.tenant} wait to be validated; which batches they make stale is "
            "known then"
        }

    def runs(self, batch_ids: Sequence[str]) -> Iterator[BatchRun]:
        """A run for each range of consecutive batches."""
        job = self.job(PREPARE_INTERACTIONS)
        assets = [key for key in job.asset_layer.selected_asset_keys if key.path[0] == self.tenant]
        for stretch in consecutive(batch_ids):
            yield BatchRun(job, stretch, assets)

    def summarize(self, written: Sequence[Written]) -> list[Written]:
        """Combine all curated days in one row: their number, their rows, and what is in quarantine."""
        asset = f"{self.tenant}/{CURATED_INTERACTIONS}"
        days = [table for table in written if table.asset == asset]
        others = [table for table in written if table.asset != asset]
        if not days:
            return others
        numbers = {name: sum(day.numbers[name] for day in days) for name in ("row_count", "duplicates")}
        numbers |= {"days": len(days), "quarantined": self._quarantined, "refused_files": self._refused}
        last = max(days, key=lambda day: day.partition or "")
        return [Written(asset, None, numbers, "", last.places), *others]

    def stored_batch_ids(self) -> list[str]:
        """The batches with a folder of either dataset."""
        found = {name for kind in DatasetKind for name in self.store.list_folders(kind.batches_folder(self._places))}
        return sorted(filter(is_batch_id, found))

    def places(self, batch_id: str) -> BatchPlaces:
        """The folders of both datasets."""
        return BatchPlaces({kind.value: kind.prefix(self._places, batch_id) for kind in DatasetKind})

    def compare(self, first: str, second: str) -> Mapping[str, Mapping[str, int]]:  # noqa: ARG002 (the protocol's)
        """Nothing: their manifests have the counts of each table."""
        return {}

    @property
    def _places(self) -> TenantLayout:
        return TenantLayout(self.tenant)

    @property
    def _earliest(self) -> date:
        return self.curation.earliest_at.date()

    def _curator(self) -> Curator:
        return Curator(self.store, self.tenant, self.curation, datetime.now(UTC))

    def _curate(self, runs: Runs, batch_ids: Sequence[str]) -> None:
        first, last = (interaction_windows(batch_id, self.rules).seen for batch_id in (batch_ids[0], batch_ids[-1]))
        window = from_day_on(Window(first.start_at, last.end_at), self._earliest)
        curator = self._curator()
        waiting = curator.unvalidated()
        layer, job = CuratedLayer(curator), self.job(CURATE_INTERACTIONS)
        catalog, interactions = (dg.AssetKey([self.tenant, name]) for name in (CURATED_ITEMS, CURATED_INTERACTIONS))
        has_items = any(key.startswith(curator.places.raw(ITEMS)) for key in waiting)
        is_known = is_recorded(runs.instance, catalog, layer.catalog_digest())
        is_stale = bool(curator.reports(ITEMS)) and bool(curator.stale(ITEMS))
        if has_items or is_stale or not is_known:
            runs.execute(job, None, assets=[catalog], otherwise="catalog")
        days = layer.look(days_of(window) or [self._earliest])
        due = days.due if days.has_interactions else ()
        expected: int | None = len(due)
        if any(key.startswith(curator.places.raw(INTERACTIONS)) for key in waiting):
            # The days of the new files are known once the run itself has validated them.
            due, expected = days.due or days.days[-1:], None
        within = keep_to_days(self.tenant, days.days[0], days.days[-1])
        if due:
            # One run, of the first days up to a gap: it curates the stale or missing days after the gap too.
            start, end = day_ranges(due)[0]
            span = (str(start), str(end))
            runs.execute(job, span, assets=[interactions], config=within, expected=expected)
        reports = curator.reports(INTERACTIONS)
        self._quarantined = sum(report.rejected for report in valid_reports(reports))
        replaced = replaced_files(reports)
        self._refused = sum(report.refused is not None and report.file_id not in replaced for report in reports)

    def _present(self, layer: CuratedLayer, batch_ids: Sequence[str]) -> dict[str, Present]:
        """What each batch would be built from now; all days are read together, and once."""
        settings, catalog = self.rules.as_settings(), layer.catalog_digest()
        windows = {batch_id: windows_from_day_on(batch_id, self.rules, self._earliest) for batch_id in batch_ids}
        layer.look(sorted({day for of_batch in windows.values() for day in days_of(of_batch.seen)}))

        # Batches of the same day rarely differ in the days that their windows cover.
        @cache
        def present_of(seen_days: tuple[date, ...], window_days: tuple[date, ...]) -> Present:
            seen = layer.look(seen_days)
            days = seen.part(window_days)
            is_to_be_curated = days.has_interactions and seen.is_to_have_other_rows
            return Present.of(days.digest(), seen.digest(), catalog, settings, is_to_be_curated=is_to_be_curated)

        return {
            batch_id: present_of(tuple(days_of(of_batch.seen)), tuple(days_of(of_batch.window)))
            for batch_id, of_batch in windows.items()
        }

    def _read(self, name: DatasetKind, places: TenantLayout, batch_id: str) -> datasets.StoredTables | None:
        try:
            return datasets.read_stored(self.store.read(name.manifest_key(places, batch_id)))
        except ObjectNotFoundError:
            return None
