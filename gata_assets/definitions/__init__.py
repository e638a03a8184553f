"""Assembles Dagster's definitions from settings, and nothing else. Only entry points import it.

`defs` is what `workspace.yaml` loads; it reads the settings when it is first accessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from gata_assets import __version__
from gata_assets.definitions.stores import build_store
from gata_assets.governance.retention.history_job import build_history_cleaning
from gata_assets.interactions.engines.base import InteractionEngine
from gata_assets.logs import default_logger
from gata_assets.orchestration.alerting.channels import AlertChannel, LoggedAlerts, SnsAlerts
from gata_assets.orchestration.alerting.overdue_check import OverdueRule, build_overdue_check
from gata_assets.orchestration.alerting.sensors import (
    build_failed_runs_sensor,
    build_low_quality_sensor,
    build_overdue_sensor,
)
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.jobs import PREPARE_SCHEDULE, batch_partitions, build_schedule
from gata_assets.settings.governance.erased_tickets import ticket_tombstones
from gata_assets.settings.model import Settings, load_settings
from gata_assets.settings.table_specs import require_lake
from gata_assets.settings.tenants import (
    lakes_prepared,
    new_tenants_of_lakes,
    new_tenants_of_tables,
    sources_prepared,
    tenants_prepared,
)
from gata_assets.settings.values import BackfillPolicy, SourceKind
from gata_assets.storage import same_directory
from gata_assets.storage.resource import ObjectStoreResource
from gata_assets.ticket_contract.source import TicketSource
from gata_assets.tickets.arrivals.sensor import build_new_tickets_sensor
from gata_assets.tickets.assets.definition import (
    DATASETS,
    TABLES,
    build_ticket_assets,
    lake_dep,
    ticket_table_spec,
)
from gata_assets.tickets.assets.io_managers import DatasetIOManager, ParquetIOManager
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS, build_ticket_job
from gata_assets.tickets.sources.shared_read import SharedTickets

if TYPE_CHECKING:
    from gata_assets.governance.privacy.erasing import PrivacyPlaces
    from gata_assets.storage.objects import ObjectStore

# A batch counts as prepared when its general dataset is.
_GENERAL = "general_split"


def build_definitions(
    settings: Settings,
    *,
    ticket_source: TicketSource | SharedTickets | None = None,
    object_store: ObjectStoreResource | None = None,
    interaction_engine: InteractionEngine | None = None,
    alerts: AlertChannel | None = None,
    logger: dg.LoggerDefinition | None = None,
    tenants: Sequence[str] | None = None,
    lakes: Sequence[str] | None = None,
) -> dg.Definitions:
    """The project's definitions for these settings; a given argument replaces what they would choose.

    Raises StoreError if the tenants must be looked for in a target that cannot be listed.
    """
    partitions = batch_partitions(settings.project.first_batch_id)
    store = object_store or build_store(settings)
    options = AssetOptions(
        partitions,
        code_version="+".join(filter(None, [__version__, settings.project.revision])),
        backfill_policy=_backfill_policy(settings),
        owners=settings.project.asset_owners or (),
        preview_rows=settings.project.preview_rows,
    )
    overdue = OverdueRule(dg.AssetKey(_GENERAL), partitions, settings.automation.overdue_after_hours)
    overdue_check = build_overdue_check(overdue)
    if lakes is None:
        lakes = lakes_prepared(settings, store) if ticket_source is None else ()
    source = _lake_of_tickets(settings, lakes)
    assets = build_ticket_assets(
        settings.tickets.rules,
        options,
        batches_at_once=settings.project.backfill_chunk,
        tombstones=ticket_tombstones(settings),
        table=source,
    )
    interval = timedelta(minutes=settings.automation.sensor_interval_minutes)
    new_tickets = build_new_tickets_sensor(settings.arrival_rules, interval, partitions, _GENERAL)
    tickets = dg.Definitions(
        assets=[assets] if source else [ticket_table_spec(), assets],
        asset_checks=[overdue_check],
        jobs=[build_ticket_job(without=overdue_check)],
        sensors=[new_tickets, build_failed_runs_sensor(), build_low_quality_sensor(), build_overdue_sensor(overdue)],
        schedules=[build_schedule(PREPARE_SCHEDULE, PREPARE_TICKETS, settings.automation.prepare_schedule, partitions)],
        resources={
            "alerts": alerts or build_alerts(settings),
            "ticket_source": _as_resource(ticket_source or build_source(settings)),
            TABLES: ParquetIOManager(store=store),
            DATASETS: DatasetIOManager(store=store),
        },
        loggers={"console": logger or default_logger(settings.project.log_level)},
        executor=dg.in_process_executor,
    )
    takes_events = bool(lakes) or (settings.interactions.tenants != () if tenants is None else bool(tenants))
    tenants = tenants_prepared(settings, store) if tenants is None else tenants
    of_tables, of_lakes = new_tenants_of_tables(settings, tenants), new_tenants_of_lakes(settings, lakes)
    history = build_history_cleaning(settings.retention.history_days, is_on=settings.retention.rules.is_on)
    tickets = dg.Definitions.merge(tickets, history)
    sources = sources_prepared(settings, store) if ticket_source is None else ()
    if sources:
        from gata_assets.definitions.shop import build_shop_definitions

        tickets = dg.Definitions.merge(tickets, build_shop_definitions(settings, sources, options))
    if lakes:
        from gata_assets.definitions.lake import build_lake_definitions

        lake = build_lake_definitions(settings, lakes, options, [of_lakes] if tenants else [of_lakes, of_tables])
        tickets = dg.Definitions.merge(tickets, lake, dg.Definitions(resources={"object_store": store}))
    if settings.mlflow.mlflow_tracking_uri:
        tickets = dg.Definitions.merge(tickets, _build_dataset_logging(settings, store))
    if takes_events:
        # A tenant may begin with events, which are in no raw file yet.
        from gata_assets.definitions.messages import open_upkeep
        from gata_assets.ingestion.upkeep.definition import build_upkeep

        upkeep = build_upkeep([*tenants, *lakes], options, partial(open_upkeep, settings))
        tickets = dg.Definitions.merge(tickets, upkeep, dg.Definitions(resources={"object_store": store}))
    if takes_events or sources:
        erasing = _build_erasing(settings, options)
        tickets = dg.Definitions.merge(tickets, erasing, dg.Definitions(resources={"object_store": store}))
    if not tenants:
        return tickets
    # Where only tickets are prepared, the modules of interactions are not loaded.
    from gata_assets.definitions.interactions import build_interaction_definitions
    from gata_assets.definitions.own_tables import build_own_table_definitions

    # Where there is no lake yet, nobody else would say that a tenant has tickets.
    searches = [of_tables] if lakes else [of_tables, of_lakes]
    interactions = build_interaction_definitions(settings, tenants, store, options, interaction_engine, searches)
    return dg.Definitions.merge(tickets, interactions, build_own_table_definitions(settings, tenants, options))


def _lake_of_tickets(settings: Settings, lakes: Sequence[str]) -> dg.AssetDep | None:
    """What batches of tickets depend on where they are read from one of these lakes."""
    tenant = settings.tickets.lake_tenant
    if tenant is None or tenant not in lakes:
        return None
    from gata_assets.lake.assets import offline_key

    return lake_dep(offline_key(tenant), settings.tickets.rules.low_volume_period_days)


def _build_dataset_logging(settings: Settings, store: ObjectStoreResource) -> dg.Definitions:
    from gata_assets.definitions.tracking import open_dataset_log
    from gata_assets.orchestration.tracking.definition import build_dataset_logging

    logging = build_dataset_logging(partial(open_dataset_log, settings))
    return dg.Definitions.merge(logging, dg.Definitions(resources={"object_store": store}))


def _build_erasing(settings: Settings, options: AssetOptions) -> dg.Definitions:
    from gata_assets.definitions.privacy.requests import push_backlogs
    from gata_assets.governance.privacy.requests.job import build_erasing

    def opened(store: ObjectStore) -> PrivacyPlaces:
        # Only in runs: it loads the modules of every domain.
        from gata_assets.definitions.privacy.places import find_places

        return find_places(settings, store)

    return build_erasing(settings.privacy.schedule, options, opened, partial(push_backlogs, settings))


def _backfill_policy(settings: Settings) -> dg.BackfillPolicy:
    if settings.project.backfill_policy is BackfillPolicy.SINGLE_RUN:
        return dg.BackfillPolicy.single_run()
    return dg.BackfillPolicy.multi_run(settings.project.backfill_chunk)


def _as_resource(source: TicketSource | SharedTickets) -> Any:
    # Runs share these tickets, so Dagster must not copy them for each run.
    return dg.ResourceDefinition.hardcoded_resource(source) if isinstance(source, SharedTickets) else source


def build_source(settings: Settings) -> TicketSource:
    """The ticket source that the settings choose; drivers are imported when they are needed."""
    what: dict[str, Any] = {
        "query": settings.tickets.query,
        "largest_text": settings.tickets.max_ticket_bytes,
        "requester_column": settings.tickets.requester_column,
    }
    match settings.tickets.source_kind:
        case SourceKind.SAMPLE | SourceKind.SQLITE:
            from gata_assets.tickets.sources.sqlite import SqliteTickets

            return SqliteTickets(path=str(settings.tickets.sqlite_path), **what)
        case SourceKind.POSTGRESQL:
            from gata_assets.tickets.sources.postgres import PostgresTickets

            # By name, so that the configuration in the UI does not contain the password.
            return PostgresTickets(
                url=dg.EnvVar("TICKETS_URL"),
                **what,
                statement_seconds=settings.tickets.statement_seconds,
            )
        case SourceKind.LAKE:
            from gata_assets.lake.ticket_source import LakeTickets

            require_lake(settings)
            return LakeTickets(
                store=build_store(settings),
                tenant=settings.tickets.lake_tenant or "",
                label_field=settings.lake.label_field,
                largest_text=settings.tickets.max_ticket_bytes,
            )
        case SourceKind.DATA_API:
            from gata_assets.tickets.sources.data_api import DataApiTickets

            cluster, secret = settings.tickets.db_arn or "", settings.tickets.db_secret_arn or ""
            # A cluster answers only in its own region, which its ARN names.
            region = cluster.split(":")[3]
            return DataApiTickets(cluster_arn=cluster, secret_arn=secret, region=region, **what)


def build_alerts(settings: Settings) -> AlertChannel:
    """The channel to which failed runs are reported: the topic of the settings, or the log."""
    topic_arn = settings.automation.alert_topic_arn
    return SnsAlerts(topic_arn=topic_arn) if topic_arn else LoggedAlerts()


def open_source(settings: Settings) -> TicketSource:
    """The ticket source for use outside of a run, where Dagster resolves no variables."""
    source = build_source(settings)
    if settings.tickets.source_kind is SourceKind.POSTGRESQL and settings.tickets.url:
        return source.model_copy(update={"url": settings.tickets.url.get_secret_value()})
    return source


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions for this process's settings, with the tenants of now."""
    definitions = build_definitions(load_settings())
    # Runs and ticks of this process see the target anew.
    same_directory.forget()
    return definitions
