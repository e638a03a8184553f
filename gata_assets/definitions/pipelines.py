"""The pipelines of each domain for these settings, over the jobs of the definitions. Assembly only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module

import dagster as dg

from gata_assets.definitions import build_definitions, build_store, open_source
from gata_assets.environment import dagster_home_is_set
from gata_assets.orchestration.jobs import day_partitions
from gata_assets.orchestration.pipelines import Pipeline
from gata_assets.settings.model import Settings
from gata_assets.settings.values import SourceKind
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS
from gata_assets.tickets.assets.pipeline import TicketPipeline
from gata_assets.tickets.sources.shared_read import SharedTickets


@dataclass(frozen=True)
class Workbench:
    """What pipelines are built from: the settings, and the definitions with the logger of the command."""

    settings: Settings
    logger: dg.LoggerDefinition

    def __post_init__(self) -> None:
        # With the other imports of a command, not when a job is first needed.
        for name in ("interactions", "own_tables") if self.settings.tenants_prepared else ():
            import_module(f"gata_assets.definitions.{name}")

    @cached_property
    def definitions(self) -> dg.Definitions:
        """The definitions, built when a job is first needed."""
        return build_definitions(self.settings, logger=self.logger)

    def job(self, name: str) -> dg.JobDefinition:
        """A job by its name."""
        return self.definitions.resolve_job_def(name)

    def ticket_job(self, shared: SharedTickets | None) -> dg.JobDefinition:
        """The job that prepares tickets; a separate one if runs share their tickets."""
        if shared is None:
            return self.job(PREPARE_TICKETS)
        definitions = build_definitions(self.settings, ticket_source=shared, logger=self.logger)
        return definitions.resolve_job_def(PREPARE_TICKETS)


def build_ticket_pipelines(bench: Workbench) -> list[Pipeline]:
    """The pipeline of tickets."""
    settings = bench.settings
    source, chunk = partial(open_source, settings), settings.project.backfill_chunk
    has_pages, is_recorded = settings.tickets.source_kind is SourceKind.DATA_API, dagster_home_is_set()
    return [
        TicketPipeline(
            build_store(settings), settings.tickets.rules, bench.ticket_job, source, chunk, has_pages, is_recorded
        )
    ]


def build_table_pipelines(bench: Workbench) -> list[Pipeline]:
    """A pipeline for each tenant, if there are own tables."""
    settings = bench.settings
    if not settings.tenants_prepared or not settings.project.table_specs:
        return []
    from gata_assets.definitions.own_tables import CURATE_TABLES, open_table_curator
    from gata_assets.orchestration.curated_tables.pipeline import TablePipeline
    from gata_assets.settings.table_specs import own_tables

    tables, store, job = tuple(own_tables(settings)), build_store(settings), partial(bench.job, CURATE_TABLES)
    days = day_partitions(settings.interactions.earliest_interaction)
    return [
        TablePipeline(tenant, tables, days, partial(open_table_curator, settings, tenant, store), job)
        for tenant in settings.tenants_prepared
    ]


def build_interaction_pipelines(bench: Workbench) -> list[Pipeline]:
    """A pipeline for each tenant; where only tickets are prepared, the modules of interactions are not loaded."""
    settings = bench.settings
    if not settings.tenants_prepared:
        return []
    from gata_assets.interactions.assets.pipeline import InteractionPipeline

    store, rules, curation = build_store(settings), settings.interactions.rules, settings.interactions.curation_rules
    return [InteractionPipeline(tenant, store, rules, curation, bench.job) for tenant in settings.tenants_prepared]
