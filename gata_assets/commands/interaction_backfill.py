"""The interaction half of `gata backfill`: the batches of each tenant that are not whole in the target."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from rich.console import Console

from gata_assets.batches import consecutive
from gata_assets.commands.backfill_progress import followed
from gata_assets.commands.interactions import prepare_interactions
from gata_assets.core.batch_tables import SetName, StoredTables, read_stored
from gata_assets.core.interaction_places import TenantPlaces
from gata_assets.definitions import build_definitions, build_store
from gata_assets.errors import ObjectNotFoundError
from gata_assets.failures import BatchFailure
from gata_assets.instances import open_instance
from gata_assets.resources.object_store import ObjectStore
from gata_assets.settings import Settings

# Requests for manifests at a time, as in `backfill`.
_MANIFESTS_AT_ONCE = 10
_LAST_ASSET = "with_features"


@dataclass
class TenantBackfill:
    """A tenant's batches: those that are whole, those to be made, and what became of these.

    `of_other_settings` are whole, and were made with other settings than the present ones.
    """

    tenant: str
    whole: tuple[str, ...]
    of_other_settings: tuple[str, ...]
    missing: tuple[str, ...]
    prepared: list[str] = field(default_factory=list)
    failures: list[BatchFailure] = field(default_factory=list)


def find_missing_batches(
    store: ObjectStore, tenant: str, batch_ids: Sequence[str], settings: Settings, *, again: bool
) -> TenantBackfill:
    """Look in the target which batches have both sets of tables, the training data made from these features; with
    `again`, all are to be made.
    """
    places = TenantPlaces(tenant)

    def read(batch_id: str) -> StoredTables | None:
        features, training = (_read(store, name, places, batch_id) for name in SetName)
        return training if features and training and training.made_from.get("features") == features.sha256 else None

    # The first alone: it sets up the AWS SDK, which threads must not do at once.
    first, *others = batch_ids
    found = {first: read(first)}
    with ThreadPoolExecutor(_MANIFESTS_AT_ONCE) as pool:
        found.update(zip(others, pool.map(read, others), strict=True))
    wanted = settings.interaction_rules.as_settings()
    whole = {batch_id: stored for batch_id, stored in found.items() if stored}
    return TenantBackfill(
        tenant,
        whole=tuple(whole),
        of_other_settings=tuple(batch_id for batch_id, stored in whole.items() if stored.settings != wanted),
        missing=tuple(batch_ids) if again else tuple(batch_id for batch_id in batch_ids if batch_id not in whole),
    )


def _read(store: ObjectStore, name: SetName, places: TenantPlaces, batch_id: str) -> StoredTables | None:
    try:
        return read_stored(store.read(name.manifest_key(places, batch_id)))
    except ObjectNotFoundError:
        return None


def run(settings: Settings, batch_ids: Sequence[str], console: Console, *, again: bool, only_plan: bool) -> bool:
    """Make what is missing of every tenant, or say what it is; returns whether nothing failed.

    A batch that fails stops no other, and a tenant no other.
    """
    store = build_store(settings)
    is_well = True
    for tenant in settings.tenants_prepared:
        wanted = find_missing_batches(store, tenant, batch_ids, settings, again=again)
        console.print(
            f"interactions       {tenant}: {len(wanted.whole):,} batches are whole in the target, "
            f"{len(wanted.missing):,} to prepare"
        )
        if kept := [one for one in wanted.of_other_settings if one not in wanted.missing]:
            console.print(
                f"other settings     {len(kept):,} whole batches of {tenant} were made with other settings, first "
                f"{kept[0]}; --again makes them anew"
            )
        if wanted.missing and not only_plan:
            _prepare(settings, wanted)
            _print_result(console, wanted)
            is_well = is_well and not wanted.failures
    return is_well


def _prepare(settings: Settings, wanted: TenantBackfill) -> None:
    last_asset = f"{wanted.tenant}/{_LAST_ASSET}"
    with followed(settings.log_level, wanted.missing, last_asset=last_asset) as logger, open_instance() as instance:
        definitions = build_definitions(settings, logger=logger)
        for stretch in consecutive(wanted.missing):
            half = prepare_interactions(settings, definitions, instance, stretch, tenants=[wanted.tenant])
            wanted.failures += half.failures
            wanted.prepared += [one.partition or stretch[0] for one in half.written if one.asset == last_asset]


def _print_result(console: Console, wanted: TenantBackfill) -> None:
    for failure in wanted.failures[:10]:
        console.print(f"FAILED {failure.batch_id} {failure.asset}: {failure.reason}", markup=False)
    if len(wanted.failures) > 10:
        console.print(f"and {len(wanted.failures) - 10:,} more failures")
    failed = len(set(wanted.missing) - set(wanted.prepared))
    console.print(f"{len(wanted.prepared):,} batches of {wanted.tenant} prepared, {failed:,} not.")
