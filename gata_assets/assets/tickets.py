"""The ticket line: from the closed tickets of a database to the training files of a run's batches.

One op makes the five assets, batch after batch: a run over a range reads each ticket once, holds one batch at a time,
and records what it has written before it begins the next. What is made of a batch is said in `assets.ticket_steps`.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as objects.
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
from dagster_pandera import pandera_schema_to_dagster_type
from numpy.typing import NDArray
from pandera.pandas import DataFrameModel

from gata_assets import checks
from gata_assets.assets.ticket_steps import STEPS, BatchAtWork, TicketStep, WindowOfTickets, windows_of
from gata_assets.batches import Window
from gata_assets.core.provenance import SHA256
from gata_assets.core.quality import check_table
from gata_assets.core.rules import PreparationRules, SplitMethod
from gata_assets.core.splits import rank_texts
from gata_assets.core.training_files import Dataset
from gata_assets.errors import (
    ChecksFailedError,
    DataRuleError,
    DeleteDeniedError,
    GataError,
    NoTicketsError,
    ObjectNotFoundError,
)
from gata_assets.failures import BatchFailure, as_failure
from gata_assets.io_managers import DatasetIOManager, ParquetIOManager, Stored
from gata_assets.resources.rules_resource import PreparationRulesResource
from gata_assets.resources.shared_tickets import SharedTickets
from gata_assets.resources.ticket_source import TicketSource
from gata_assets.schemas.tickets import Tickets

GROUP = "tickets"
TABLES = "parquet_tables"
DATASETS = "training_datasets"
# Ops that read the ticket database; dagster.yaml says how many may at once.
DATABASE_POOL = "ticket_database"

Events = Iterator[dg.AssetCheckEvaluation | dg.AssetMaterialization]

# A batch that raises one of these fails alone. Any other error (no database, no target) would meet every batch.
_OF_ONE_BATCH = (DataRuleError, NoTicketsError, ObjectNotFoundError, DeleteDeniedError)


def build_ticket_assets(
    partitions: dg.PartitionsDefinition[str],
    *,
    code_version: str,
    backfill_policy: dg.BackfillPolicy,
    batches_at_once: int,
    owners: Sequence[str] = (),
) -> dg.AssetsDefinition:
    """The five assets of the ticket line on these partitions.

    `code_version` goes into every manifest; `batches_at_once` are the batches of a range whose tickets are read
    together, which is what a run's memory grows with.
    """

    @dg.multi_asset(
        name="ticket_line",
        specs=[_spec(name, step, partitions, code_version, owners) for name, step in STEPS.items()],
        check_specs=[spec for name, step in STEPS.items() for spec in checks.specs(name, partitions, *step.checks)],
        partitions_def=partitions,
        can_subset=True,
        backfill_policy=backfill_policy,
        pool=DATABASE_POOL,
    )
    def ticket_line(
        context: dg.AssetExecutionContext,
        ticket_source: TicketSource,
        preparation_rules: PreparationRulesResource,
        parquet_tables: dg.ResourceParam[ParquetIOManager],
        training_datasets: dg.ResourceParam[DatasetIOManager],
    ) -> Events:
        """Prepare the run's batches one after the other; a batch whose data is bad fails alone, and the run at the
        end of all of them.
        """
        selected = {key.path[-1] for key in context.selected_asset_keys}
        line = _Line(
            context=context,
            steps={name: step for name, step in STEPS.items() if name in selected},
            rules=preparation_rules.rules,
            code_version=code_version,
            tables=parquet_tables,
            datasets=training_datasets,
        )
        batch_ids = list(context.partition_keys)
        for start in range(0, len(batch_ids), batches_at_once):
            together = batch_ids[start : start + batches_at_once]
            source = _SharedSource(ticket_source, together, line.rules)
            for batch_id in together:
                yield from line.prepare(batch_id, source)
        if line.failures:
            raise as_failure(line.failures, batches=len(batch_ids))

    return ticket_line


def _spec(
    name: str, step: TicketStep, partitions: dg.PartitionsDefinition[str], code_version: str, owners: Sequence[str]
) -> dg.AssetSpec:
    spec = dg.AssetSpec(
        name,
        deps=step.made_from,
        description=step.make.__doc__,
        metadata=_columns(step.rows),
        # Recorded batch by batch, so that Dagster waits for no output of the op's end.
        skippable=True,
        group_name=GROUP,
        code_version=code_version,
        owners=owners,
        kinds={"pandas", "json" if step.is_dataset else "parquet"},
        partitions_def=partitions,
    )
    return spec.with_io_manager_key(DATASETS if step.is_dataset else TABLES)


def _columns(model: type[DataFrameModel]) -> dict[str, Any]:
    """The model's column table for the UI.

    Not as the asset's Dagster type: that would validate every table a second time, and puts failing values into
    the event log.
    """
    with checks.without_maturity_warnings():
        return {"dagster/column_schema": pandera_schema_to_dagster_type(model).metadata["schema"]}


class _SharedSource:
    """The tickets of the batches that are read together, and what is worked out once for all of them."""

    def __init__(self, source: TicketSource, batch_ids: Sequence[str], rules: PreparationRules) -> None:
        self._tickets = SharedTickets(source, [windows_of(batch_id, rules) for batch_id in batch_ids])
        self._rules = rules
        self._batches = len(batch_ids)
        self._whole: pd.DataFrame | None = None
        self._ranks: NDArray[np.int64] | None = None
        self._checked_columns: frozenset[str] = frozenset()
        self.seconds_a_batch = 0.0

    def read_training(self, window: Window) -> WindowOfTickets:
        """See TicketsOfBatches."""
        started = perf_counter()
        whole, part = self._tickets.locate(window)
        if whole is not self._whole:
            self.seconds_a_batch = (perf_counter() - started) / self._batches
            self._look_at(whole)
        ranks = None if self._ranks is None else self._ranks[part]
        return WindowOfTickets(whole.iloc[part].reset_index(drop=True), ranks, self._checked_columns)

    def _look_at(self, whole: pd.DataFrame) -> None:
        """Work out once what holds for every window of a table."""
        is_ranked = self._rules.split_method is SplitMethod.BY_TEXT
        self._whole = whole
        self._ranks = rank_texts(whole["text"], seed=self._rules.split_seed) if is_ranked else None
        is_valid = not check_table(Tickets.to_schema(), whole)
        self._checked_columns = frozenset({"id", "label", "text"}) if is_valid else frozenset()

    def read_older(self, window: Window, labels: Sequence[int]) -> pd.DataFrame:
        """See TicketsOfBatches."""
        return self._tickets.read_tickets(window, labels)


@dataclass
class _Line:
    """A run of the line: prepares batches, and keeps what failed of them."""

    context: dg.AssetExecutionContext
    steps: Mapping[str, TicketStep]
    rules: PreparationRules
    code_version: str
    tables: ParquetIOManager
    datasets: DatasetIOManager
    failures: list[BatchFailure] = field(default_factory=list)

    def prepare(self, batch_id: str, source: _SharedSource) -> Events:
        """Make, check, write and record the assets of a batch, each unless one that it is made from has failed.

        Raises dagster.Failure at once where what failed would fail for every batch.
        """
        batch = BatchAtWork(
            batch_id=batch_id,
            rules=self.rules,
            code_version=self.code_version,
            source=source,
            load=lambda name: self.tables.read(name, batch_id),
        )
        failed: set[str] = set()
        for name, step in self.steps.items():
            if failed.intersection(step.made_from):
                failed.add(name)
                continue
            try:
                yield from self._make(name, step, batch)
            except GataError as error:
                broken_checks = error.checks if isinstance(error, ChecksFailedError) else ()
                self._fail(BatchFailure(batch_id, name, broken_checks, str(error)))
                failed.add(name)
                if not isinstance(error, _OF_ONE_BATCH):
                    raise as_failure(self.failures, batches=len(self.context.partition_keys)) from error

    def _make(self, name: str, step: TicketStep, batch: BatchAtWork) -> Events:
        started = perf_counter()
        made = step.make(batch)
        yield from checks.evaluations(name, batch.batch_id, made.outcomes, only_warned_of=made.only_warned_of)
        checks.require_passed(name, made.outcomes, only_warned_of=made.only_warned_of)
        checked = perf_counter()
        stored = self._write(name, batch.batch_id, made.value)
        batch.keep(name, made.value, stored.sha256)
        seconds = {"seconds_making": checked - started, "seconds_writing": perf_counter() - checked}
        if name == "tickets":
            seconds["seconds_reading"] = batch.source.seconds_a_batch
        yield self._record(name, step, batch, stored, {**made.metadata, **stored.metadata, **seconds})

    def _write(self, name: str, batch_id: str, value: pd.DataFrame | Dataset) -> Stored:
        if isinstance(value, Dataset):
            return self.datasets.write(value)
        return self.tables.write(name, batch_id, value)

    def _record(
        self, name: str, step: TicketStep, batch: BatchAtWork, stored: Stored, metadata: Mapping[str, Any]
    ) -> dg.AssetMaterialization:
        """The event that records a batch's asset, with the versions by which Dagster tells what is out of date."""
        versions = {f"{_INPUT_VERSION}/{source}": batch.table(source).attrs[SHA256] for source in step.made_from}
        tags = {_CODE_VERSION: self.code_version, _DATA_VERSION: stored.sha256, **versions}
        if _BACKFILL in self.context.run.tags:
            tags[_BACKFILL] = self.context.run.tags[_BACKFILL]
        return dg.AssetMaterialization(name, partition=batch.batch_id, metadata=dict(metadata), tags=tags)

    def _fail(self, failure: BatchFailure) -> None:
        self.failures.append(failure)
        self.context.log.error(f"Batch {failure.batch_id}: {failure.reason}")


# Tags of a materialization that Dagster writes for outputs, and that are ours to write for events.
_CODE_VERSION = "dagster/code_version"
_DATA_VERSION = "dagster/data_version"
_INPUT_VERSION = "dagster/input_data_version"
_BACKFILL = "dagster/backfill"
