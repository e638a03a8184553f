"""The pipelines of each domain for these settings, over the jobs of the definitions. Assembly only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from typing import ClassVar

import dagster as dg

from gata_assets.definitions import build_definitions, open_source
from gata_assets.definitions.stores import build_store
from gata_assets.environment import dagster_home
from gata_assets.errors import StoreError
from gata_assets.orchestration.batch_status import Plan
from gata_assets.orchestration.failures import BatchFailure
from gata_assets.orchestration.jobs import day_partitions
from gata_assets.orchestration.pipelines import BatchPlaces, BatchRun, Pipeline, WithoutBatches
from gata_assets.orchestration.runs import Runs, Written
from gata_assets.settings.governance.erased_tickets import ticket_tombstones
from gata_assets.settings.model import Settings
from gata_assets.settings.tenants import lakes_prepared, sources_prepared, tenants_prepared
from gata_assets.settings.values import SourceKind
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS
from gata_assets.tickets.assets.pipeline import TicketPipeline
from gata_assets.tickets.sources.shared_read import SharedTickets


def find_tenants(settings: Settings) -> tuple[str, ...]:
    """The tenants whose pipelines are built; raises StoreError, see `tenants_prepared`."""
    return tenants_prepared(settings, build_store(settings))


def find_lakes(settings: Settings) -> tuple[str, ...]:
    """The tenants whose lakes are brought up to date; raises StoreError, see `lakes_prepared`."""
    return lakes_prepared(settings, build_store(settings))


@dataclass(frozen=True)
class UnknownTenants(WithoutBatches):
    """What is prepared of tenants that could not be found: nothing, and the reason is the pipeline's failure."""

    why: str
    name: ClassVar[str] = "interactions"
    scope: ClassVar[str] = ""
    # No batch has one.
    last_asset: ClassVar[str] = ""

    def refresh(self, runs: Runs, batch_ids: Sequence[str]) -> bool:
        """Record why the tenants are not known."""
        runs.failures.append(BatchFailure(batch_ids[0], self.name, (), self.why))
        return False

    def plan(self, batch_ids: Sequence[str], *, again: bool) -> Plan:  # noqa: ARG002 (the protocol's)
        """Raise StoreError with the reason."""
        raise StoreError(self.why)

    def estimate(self, plan: Plan) -> Mapping[str, str]:  # noqa: ARG002 (the protocol's)
        """Nothing."""
        return {}

    def runs(self, batch_ids: Sequence[str]) -> Iterator[BatchRun]:  # noqa: ARG002 (the protocol's)
        """No runs."""
        yield from ()

    def summarize(self, written: Sequence[Written]) -> list[Written]:
        """Nothing was written."""
        return list(written)

    def stored_batch_ids(self) -> list[str]:
        """Raise StoreError with the reason."""
        raise StoreError(self.why)

    def places(self, batch_id: str) -> BatchPlaces:  # noqa: ARG002 (the protocol's)
        """Raise StoreError with the reason: a batch is not removed whole while its tenants are not known."""
        raise StoreError(self.why)


@dataclass(frozen=True)
class Workbench:
    """What pipelines are built from: the settings, the tenants, and the definitions with the logger of the command."""

    settings: Settings
    logger: dg.LoggerDefinition
    tenants: Sequence[str] = ()
    lakes: Sequence[str] = ()

    def __post_init__(self) -> None:
        # With the other imports of a command, not when a job is first needed.
        for name in ("interactions", "own_tables") if self.tenants else ():
            import_module(f"gata_assets.definitions.{name}")

    @cached_property
    def definitions(self) -> dg.Definitions:
        """The definitions, built when a job is first needed."""
        return build_definitions(self.settings, logger=self.logger, tenants=self.tenants, lakes=self.lakes)

    def job(self, name: str) -> dg.JobDefinition:
        """A job by its name."""
        return self.definitions.resolve_job_def(name)

    def ticket_job(self, shared: SharedTickets | None) -> dg.JobDefinition:
        """The job that prepares tickets; a separate one if runs share their tickets."""
        if shared is None:
            return self.job(PREPARE_TICKETS)
        definitions = build_definitions(self.settings, ticket_source=shared, logger=self.logger, tenants=())
        return definitions.resolve_job_def(PREPARE_TICKETS)


def build_ticket_pipelines(bench: Workbench) -> list[Pipeline]:
    """The pipeline of tickets."""
    settings = bench.settings
    source, chunk = partial(open_source, settings), settings.project.backfill_chunk
    has_pages, is_recorded = settings.tickets.source_kind is SourceKind.DATA_API, dagster_home() is not None
    return [
        TicketPipeline(
            build_store(settings),
            settings.tickets.rules,
            bench.ticket_job,
            source,
            chunk,
            has_pages,
            is_recorded,
            ticket_tombstones(settings),
        )
    ]


def build_table_pipelines(bench: Workbench) -> list[Pipeline]:
    """A pipeline for each tenant, if there are own tables."""
    settings = bench.settings
    if not bench.tenants or not settings.project.table_specs:
        return []
    from gata_assets.definitions.own_tables import CURATE_TABLES, open_table_curator
    from gata_assets.orchestration.curated_tables.pipeline import TablePipeline
    from gata_assets.settings.table_specs import own_tables

    tables, store, job = tuple(own_tables(settings)), build_store(settings), partial(bench.job, CURATE_TABLES)
    days = day_partitions(settings.interactions.earliest_interaction)
    return [
        TablePipeline(tenant, tables, days, partial(open_table_curator, settings, tenant, store), job)
        for tenant in bench.tenants
    ]


def build_lake_pipelines(bench: Workbench) -> list[Pipeline]:
    """A pipeline for each tenant with a lake."""
    if not bench.lakes:
        return []
    from gata_assets.definitions.lake import CURATE_TICKETS, PUBLISH_TICKETS, open_lake_curator
    from gata_assets.lake.pipeline import LakePipeline

    settings, store = bench.settings, build_store(bench.settings)
    curate = partial(bench.job, CURATE_TICKETS)
    publish = partial(bench.job, PUBLISH_TICKETS) if settings.online.url else None
    days = day_partitions(settings.lake.earliest_date)
    return [
        LakePipeline.of(tenant, days, partial(open_lake_curator, settings, tenant, store), curate, publish)
        for tenant in bench.lakes
    ]


def build_shop_pipelines(bench: Workbench) -> list[Pipeline]:
    """A pipeline for each source of a shop."""
    settings = bench.settings
    try:
        sources = sources_prepared(settings, build_store(settings))
    except StoreError as error:
        return [UnknownTenants(str(error))]
    if not sources:
        return []
    from gata_assets.definitions.shop import job_of
    from gata_assets.definitions.shop_engine import open_shop
    from gata_assets.shop.pipeline import ShopPipeline

    return [
        ShopPipeline(source, partial(open_shop, settings), partial(bench.job, job_of(source))) for source in sources
    ]


def build_interaction_pipelines(bench: Workbench) -> list[Pipeline]:
    """A pipeline for each tenant; where only tickets are prepared, the modules of interactions are not loaded."""
    settings = bench.settings
    if not bench.tenants:
        return []
    from gata_assets.interactions.assets.pipeline import InteractionPipeline
    from gata_assets.settings.table_specs import curation_rules

    store, rules, curation = build_store(settings), settings.interactions.rules, curation_rules(settings)
    return [InteractionPipeline(tenant, store, rules, curation, bench.job) for tenant in bench.tenants]
