"""Pipelines as tests use them: those of some settings run in an instance, and the plan of tickets in a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import dagster as dg

from gata_assets.cli.batches.registry import build_pipelines
from gata_assets.logs import default_logger
from gata_assets.orchestration.batch_status import Plan
from gata_assets.orchestration.pipelines import run_batches
from gata_assets.orchestration.runs import Runs
from gata_assets.settings.model import Settings
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.people.tombstones import TombstoneReader
from gata_assets.tickets.assets.pipeline import TicketPipeline
from gata_assets.tickets.erasure.tombstones import TicketTombstones
from gata_assets_tests.support.scenario import RULES


def run_pipelines(settings: Settings, instance: dg.DagsterInstance, batch_ids: Sequence[str], *, only: str) -> Runs:
    """Refresh and run what the settings have of one name; nothing may fail."""
    runs = Runs(instance)
    for pipeline in build_pipelines(settings, default_logger("ERROR"), only=only):
        assert pipeline.refresh(runs, batch_ids), runs.failures
        run_batches(pipeline, batch_ids, runs)
    assert not runs.failures
    return runs


def ticket_plan(store: ObjectStore, batch_ids: Sequence[str]) -> Plan:
    """Which batches of tickets are due in a store, by the rules of the scenario."""

    def never(*_: object) -> NoReturn:
        raise AssertionError("a plan reads manifests alone")

    pipeline = TicketPipeline(
        store=store,
        rules=RULES,
        job=never,
        open_source=never,
        chunk=744,
        has_pages=False,
        is_recorded=False,
        tombstones=TicketTombstones(TombstoneReader(), "default"),
    )
    return pipeline.plan(batch_ids, again=False)
