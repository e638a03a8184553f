"""The pipelines of each domain for these settings, over the jobs of the definitions. Assembly only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import dagster as dg

from gata_assets.definitions import build_definitions, build_store, open_source
from gata_assets.environment import dagster_home_is_set
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
    return [
        TicketPipeline(
            store=build_store(settings),
            rules=settings.tickets.rules,
            job=bench.ticket_job,
            open_source=lambda: open_source(settings),
            chunk=settings.project.backfill_chunk,
            has_pages=settings.tickets.source_kind is SourceKind.DATA_API,
            is_recorded=dagster_home_is_set(),
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

    tables, store = tuple(own_tables(settings)), build_store(settings)
    return [
        TablePipeline(
            tenant, tables, partial(open_table_curator, settings, tenant, store), partial(bench.job, CURATE_TABLES)
        )
        for tenant in settings.tenants_prepared
    ]


def build_interaction_pipelines(bench: Workbench) -> list[Pipeline]:
    """A pipeline for each tenant; where only tickets are prepared, the modules of interactions are not loaded."""
    settings = bench.settings
    if not settings.tenants_prepared:
        return []
    from gata_assets.interactions.assets.pipeline import InteractionPipeline

    store = build_store(settings)
    return [
        InteractionPipeline(
            tenant,
            store=store,
            rules=settings.interactions.rules,
            curation=settings.interactions.curation_rules,
            job=bench.job,
        )
        for tenant in settings.tenants_prepared
    ]
