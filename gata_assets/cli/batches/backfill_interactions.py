"""The interaction half of `gata backfill`: the batches of each tenant that are not whole in the target, or not of the
rows that count now.

Files that came are sorted first and their days made, since they say which batches are out of date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from rich.console import Console

from gata_assets.batches import consecutive, days_of
from gata_assets.cli.batches.prepare_interactions import InteractionHalf, curate_windows, make_batches
from gata_assets.cli.batches.progress import followed, followed_days
from gata_assets.cli.batches.runs import INTERRUPTED, INTERRUPTED_SAID
from gata_assets.curation.layout import TenantLayout
from gata_assets.definitions import build_definitions, build_store
from gata_assets.errors import GataError, ObjectNotFoundError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.curated.status import CuratedLayer
from gata_assets.interactions.datasets import (
    CURATED_INTERACTIONS,
    CURATED_ITEMS,
    DatasetKind,
    StoredTables,
    read_stored,
)
from gata_assets.interactions.staleness import Difference, Lack, Present, Standing, judge
from gata_assets.interactions.windows import windows_from_day_on
from gata_assets.orchestration.failures import BatchFailure
from gata_assets.orchestration.instances import open_instance
from gata_assets.settings.model import Settings
from gata_assets.storage.objects import ObjectStore

# Requests for manifests at a time, as in `backfill`.
_MANIFESTS_AT_ONCE = 10
_LAST_ASSET = "with_features"


@dataclass
class TenantBackfill:
    """A tenant's batches as they stand, those to be made, and what became of these."""

    tenant: str
    standings: Mapping[str, Standing]
    missing: tuple[str, ...]
    files_waiting: int = 0
    prepared: list[str] = field(default_factory=list)
    failures: list[BatchFailure] = field(default_factory=list)

    @property
    def whole(self) -> list[str]:
        """The batches that have both sets of tables, of whatever rows."""
        return [one for one, standing in self.standings.items() if standing.lack is not Lack.NOT_WHOLE]

    def lacking(self, lack: Lack) -> list[str]:
        """The batches that are to be made for a reason."""
        return [one for one, standing in self.standings.items() if standing.lack is lack]

    def kept(self, difference: Difference) -> list[str]:
        """The batches that differ so from what would be made now, and are left as they are."""
        differs = (one for one, standing in self.standings.items() if difference in standing.differences)
        return [one for one in differs if one not in self.missing]


def find_missing_batches(settings: Settings, tenant: str, batch_ids: Sequence[str], *, again: bool) -> TenantBackfill:
    """Look in the target how a tenant's batches stand; with `again`, all are to be made. Raises StoreError."""
    store = build_store(settings)
    curator = Curator(store, tenant, settings.interactions.curation_rules, datetime.now(UTC))
    layer, places = CuratedLayer(curator), curator.places
    # Reads from the store before threads do: they must not set up the AWS SDK at once.
    presents = _present(settings, layer, batch_ids)

    def look(batch_id: str) -> Standing:
        features, training = (_read(store, name, places, batch_id) for name in DatasetKind)
        return judge(features, training, presents[batch_id])

    with ThreadPoolExecutor(_MANIFESTS_AT_ONCE) as pool:
        standings = dict(zip(batch_ids, pool.map(look, batch_ids), strict=True))
    missing = [one for one, standing in standings.items() if again or standing.lack]
    return TenantBackfill(tenant, standings, tuple(missing), layer.files_waiting)


def _present(settings: Settings, layer: CuratedLayer, batch_ids: Sequence[str]) -> dict[str, Present]:
    """What each batch would be made from now; days are looked at together, and once."""
    rules, wanted = settings.interactions.rules, settings.interactions.rules.as_settings()
    catalogue = layer.catalogue_digest()
    windows = {one: windows_from_day_on(one, rules, settings.interactions.earliest_interaction) for one in batch_ids}
    layer.look(sorted({day for of_batch in windows.values() for day in days_of(of_batch.seen)}))
    presents: dict[str, Present] = {}
    # Batches of one day seldom differ in the days that they touch.
    by_days: dict[tuple[date, ...], Present] = {}
    for batch_id, of_batch in windows.items():
        seen_days, window_days = days_of(of_batch.seen), days_of(of_batch.window)
        touched = (*seen_days, *window_days)
        if touched not in by_days:
            seen = layer.look(seen_days)
            days = seen.part(window_days)
            by_days[touched] = Present(
                {
                    DatasetKind.FEATURES: {CURATED_INTERACTIONS: days.digest(), CURATED_ITEMS: catalogue},
                    DatasetKind.TRAINING_DATA: {CURATED_INTERACTIONS: seen.digest(), CURATED_ITEMS: catalogue},
                },
                wanted,
                is_to_be_curated=days.has_interactions and seen.is_to_have_other_rows,
            )
        presents[batch_id] = by_days[touched]
    return presents


def _read(store: ObjectStore, name: DatasetKind, places: TenantLayout, batch_id: str) -> StoredTables | None:
    try:
        return read_stored(store.read(name.manifest_key(places, batch_id)))
    except ObjectNotFoundError:
        return None


def run(settings: Settings, batch_ids: Sequence[str], console: Console, *, again: bool, only_plan: bool) -> int:
    """Make what is missing of every tenant, or say what it is; returns the exit code.

    A batch that fails stops no other, and a tenant no other; an interruption stops all.
    """
    is_well = True
    try:
        for tenant in settings.tenants_prepared:
            is_well = _run_tenant(settings, tenant, batch_ids, console, again=again, only_plan=only_plan) and is_well
    except KeyboardInterrupt:
        console.print(INTERRUPTED_SAID)
        return INTERRUPTED
    return 0 if is_well else 1


def _run_tenant(
    settings: Settings, tenant: str, batch_ids: Sequence[str], console: Console, *, again: bool, only_plan: bool
) -> bool:
    try:
        curated = InteractionHalf() if only_plan else _curate(settings, tenant, batch_ids)
        wanted = find_missing_batches(settings, tenant, batch_ids, again=again)
    except GataError as error:
        console.print(f"FAILED {tenant}: {error}", markup=False)
        return False
    wanted.failures += curated.failures
    _print_plan(console, wanted, only_plan=only_plan)
    if only_plan:
        return True
    try:
        if wanted.missing:
            _prepare(settings, wanted)
    finally:
        _print_result(console, wanted)
    return not wanted.failures


def _curate(settings: Settings, tenant: str, batch_ids: Sequence[str]) -> InteractionHalf:
    """Sort the files that came, and make the days of all windows that are missing or out of date."""
    half = InteractionHalf()
    with followed_days(settings.project.log_level, tenant) as logger, open_instance() as instance:
        definitions = build_definitions(settings, logger=logger)
        curate_windows(settings, definitions, instance, (batch_ids[0], batch_ids[-1]), tenant, half)
    return half


def _prepare(settings: Settings, wanted: TenantBackfill) -> None:
    last_asset = f"{wanted.tenant}/{_LAST_ASSET}"
    with (
        followed(settings.project.log_level, wanted.missing, last_asset=last_asset) as logger,
        open_instance() as instance,
    ):
        definitions = build_definitions(settings, logger=logger)
        for stretch in consecutive(wanted.missing):
            half = InteractionHalf()
            try:
                make_batches(definitions, instance, stretch, [wanted.tenant], half)
            finally:
                wanted.failures += half.failures
                wanted.prepared += [one.partition or stretch[0] for one in half.written if one.asset == last_asset]


def _print_plan(console: Console, wanted: TenantBackfill, *, only_plan: bool) -> None:
    tenant = wanted.tenant
    console.print(
        f"interactions       {tenant}: {len(wanted.whole):,} batches are whole in the target, "
        f"{len(wanted.missing):,} to prepare"
    )
    if old := wanted.lacking(Lack.OTHER_ROWS):
        console.print(f"other rows         {len(old):,} of {tenant} are {Lack.OTHER_ROWS}, first {old[0]}: made again")
    for difference in (Difference.SETTINGS, Difference.CATALOGUE):
        if kept := wanted.kept(difference):
            console.print(
                f"{f'other {difference}':<18} {len(kept):,} whole batches of {tenant} were made with "
                f"{'other settings' if difference is Difference.SETTINGS else 'another catalogue'}, first {kept[0]}; "
                "--again makes them anew"
            )
    if only_plan and wanted.files_waiting:
        console.print(
            f"files              {wanted.files_waiting:,} raw files of {tenant} wait to be sorted; which batches they "
            "make out of date is known then"
        )


def _print_result(console: Console, wanted: TenantBackfill) -> None:
    for failure in wanted.failures[:10]:
        console.print(f"FAILED {failure.batch_id} {failure.asset}: {failure.reason}", markup=False)
    if len(wanted.failures) > 10:
        console.print(f"and {len(wanted.failures) - 10:,} more failures")
    failed = len(set(wanted.missing) - set(wanted.prepared))
    console.print(f"{len(wanted.prepared):,} batches of {wanted.tenant} prepared, {failed:,} not.")
