"""The lake's assets in Dagster: bronze and offline tickets by day, and the slice in Redis by batch.

What bronze and offline tickets share with every curated table is in `orchestration.curated_tables`. Publishers are
arguments: this module knows no Redis.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as objects.
from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg

from gata_assets.errors import GataError, OnlineError, OutrunError
from gata_assets.lake.check_names import OFFLINE_CHECKS, ONLINE_CHECKS
from gata_assets.lake.offline.schema import OfflineTickets
from gata_assets.lake.tables import RAW_TICKETS, TICKETS
from gata_assets.online.ticket import Ticket
from gata_assets.orchestration import checks
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.curated_tables.assets import CuratedAssetRules, build_curated_asset
from gata_assets.orchestration.curated_tables.due import AssetNames
from gata_assets.orchestration.recording import Events, KeptFailures, Recorder, with_unevaluated
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import ObjectStoreResource

if TYPE_CHECKING:
    # Only where they are used: they load kernels and clients, and definitions are loaded all the time.
    from gata_assets.curation.curated.curator import TableCurator
    from gata_assets.curation.policy import CurationRules
    from gata_assets.curation.quality.measures import QualityRules
    from gata_assets.lake.online.updating import PublishedSlice

NAMES = AssetNames(curated="offline", staged="bronze")
# A batch has the slice of the moment at which it ran: another attempt soon is worth more than a late one.
RETRIES = dg.RetryPolicy(max_retries=3, delay=5, backoff=dg.Backoff.EXPONENTIAL)

# As Dagster calls the version of a partition that is not there.
_NO_VERSION = "NULL"

# Publishes the newest tickets of a tenant; raises GataError.
Publish = Callable[[ObjectStore, str], "PublishedSlice"]


def group_of(tenant: str) -> str:
    """The asset group of a tenant's lake."""
    return f"{tenant}_lake"


def pool_of(tenant: str) -> str:
    """The pool of the ops of a tenant's lake: while one writes days, no other may."""
    return f"lake_{tenant}"


def offline_key(tenant: str) -> dg.AssetKey:
    """The asset of a tenant's offline tickets."""
    return NAMES.key(tenant, TICKETS)


def bronze_key(tenant: str) -> dg.AssetKey:
    """The asset of a tenant's bronze tickets."""
    return dg.AssetKey([tenant, f"bronze_{TICKETS}"])


def online_key(tenant: str) -> dg.AssetKey:
    """The asset of a tenant's slice."""
    return dg.AssetKey([tenant, f"online_{TICKETS}"])


def build_lake_asset(
    tenant: str,
    *,
    curation: "CurationRules",
    days: dg.DailyPartitionsDefinition,
    curator: "Callable[[ObjectStoreResource], TableCurator]",
    quality: "QualityRules",
    options: AssetOptions,
) -> dg.AssetsDefinition:
    """Bronze and offline tickets of a tenant, both of one op: new files are validated, and the days of their tickets
    written.
    """
    rules = CuratedAssetRules(
        tenant,
        group_of(tenant),
        pool_of(tenant),
        curation,
        days,
        curator,
        quality,
        names=NAMES,
        curated_model=OfflineTickets,
        checks=OFFLINE_CHECKS,
        has_freshness=True,
    )
    return build_curated_asset(RAW_TICKETS, rules, options)


def build_online_asset(
    tenant: str,
    publish: Publish,
    days: dg.DailyPartitionsDefinition,
    options: AssetOptions,
    *,
    retries: dg.RetryPolicy = RETRIES,
) -> dg.AssetsDefinition:
    """The slice of a tenant in Redis; a run publishes it once, whatever batches it is of.

    `days` are those of offline tickets; `retries` is for errors of Redis that may pass.
    """
    key = online_key(tenant)
    spec = dg.AssetSpec(
        key,
        deps=[dg.AssetDep(offline_key(tenant), partition_mapping=_all_days())],
        description=f"{Ticket.__doc__} The newest are in Redis, which applications read through gata_assets.online.",
        skippable=True,
        group_name=group_of(tenant),
        code_version=options.code_version,
        owners=options.owners,
        kinds={"redis", "json"},
        partitions_def=options.batches,
    )

    @dg.multi_asset(
        name=f"{tenant}_online_{TICKETS}",
        specs=[spec],
        check_specs=checks.specs(key, ONLINE_CHECKS, *ONLINE_CHECKS, is_blocking=False),
        partitions_def=options.batches,
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=pool_of(tenant),
        retry_policy=retries,
    )
    def online(context: dg.AssetExecutionContext, object_store: ObjectStoreResource) -> Events:
        """Publish the newest tickets, and hold Redis against Parquet."""
        yield from with_unevaluated(context, _publish(context, object_store, tenant, publish, days, options))

    return online


def _publish(
    context: dg.AssetExecutionContext,
    store: ObjectStore,
    tenant: str,
    publish: Publish,
    days: dg.DailyPartitionsDefinition,
    options: AssetOptions,
) -> Events:
    key, batch_ids = online_key(tenant), list(context.partition_keys)
    if key not in context.selected_asset_keys:
        return
    try:
        done = publish(store, tenant)
    except OutrunError as error:
        # Another run has published newer tickets: this one's batches are as good as done, and have no record of theirs.
        context.log.info(str(error))
        return
    except OnlineError as error:
        if error.is_transient:
            # Redis may be back: the policy of the op decides whether it is tried again.
            raise dg.Failure(str(error), allow_retries=True) from None
        _fail(context, batch_ids, key, error)
        return
    except GataError as error:
        _fail(context, batch_ids, key, error)
        return
    recorder = Recorder(context, code_version=options.code_version, as_events=True)
    offline = offline_key(tenant)
    # Of the day that the lineage shows, see `_all_days`; else the UI would show each slice as out of date.
    made_from = {offline: (_NO_VERSION, None), **recorder.versions([(offline, days.get_last_partition_key())])}
    for batch_id in batch_ids:
        yield recorder.materialization(key, batch_id, done.numbers, version=done.digest, made_from=made_from)
        target = recorder.find(key, batch_id)
        yield from checks.evaluations(key, batch_id, done.outcomes, is_blocking=False, target=target)


def _fail(context: dg.AssetExecutionContext, batch_ids: list[str], key: dg.AssetKey, error: GataError) -> None:
    failures = KeptFailures(context.log, partitions=len(batch_ids))
    for batch_id in batch_ids:
        failures.keep(batch_id, key.to_user_string(), error)
    failures.stop_at_end()


def _all_days() -> dg.PartitionMapping:
    # A slice is built from all days; a link to each would hide that, so Dagster shows the last one.
    with checks.without_maturity_warnings():
        return dg.LastPartitionMapping()
