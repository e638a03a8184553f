"""Prepares the batches of a run: one read for all, one batch at a time, each recorded once it is written.

A run over a range reads each ticket once. While a batch is built, a separate thread writes the one before it; no more
than these two are in memory. A batch with invalid data fails alone, and the run fails after the last batch.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

import dagster as dg
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gata_assets.batches import Window
from gata_assets.errors import ChecksFailedError
from gata_assets.orchestration import checks
from gata_assets.orchestration.instances import held_open
from gata_assets.orchestration.recording import Event, Events, KeptFailures, Recorder
from gata_assets.tables.outcomes import broken
from gata_assets.tickets.assets.batch import BatchInProgress, StepResult, WindowOfTickets
from gata_assets.tickets.assets.io_managers import DatasetIOManager, ParquetIOManager, Stored
from gata_assets.tickets.assets.steps import TicketStep
from gata_assets.tickets.checks import check_table
from gata_assets.tickets.provenance import SHA256, stamp
from gata_assets.tickets.rules import PreparationRules, SplitMethod
from gata_assets.tickets.schema import Tickets
from gata_assets.tickets.sources.shared_read import SharedTickets, TicketReader
from gata_assets.tickets.splits import rank_texts
from gata_assets.tickets.training_files import Dataset
from gata_assets.tickets.windows import windows_of


@dataclass(frozen=True)
class _Asset:
    """An asset of a batch that has been built and has passed its checks."""

    name: str
    step: TicketStep
    result: StepResult
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class _Written:
    """An asset that has been written, with the versions of what it was built from."""

    asset: _Asset
    stored: Stored
    made_from: Mapping[str, str]
    seconds: float


@dataclass(frozen=True)
class _NotWritten:
    """An asset that could not be written."""

    name: str
    error: Exception


class TicketRun:
    """Runs the selected steps for the batches of one run, and keeps their failures."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        *,
        steps: Mapping[str, TicketStep],
        rules: PreparationRules,
        code_version: str,
        tables: ParquetIOManager,
        datasets: DatasetIOManager,
    ) -> None:
        self._context = context
        self._steps = steps
        self._rules = rules
        self._code_version = code_version
        self._tables = tables
        self._datasets = datasets
        batches = len(context.partition_keys)
        self._recorder = Recorder(context, code_version=code_version, as_events=batches > 1)
        self._failures = KeptFailures(context.log, partitions=batches)
        self._ended: set[str] = set()
        self._being_written: tuple[str, Future[list[_Written | _NotWritten]]] | None = None

    def run(self, batch_ids: Sequence[str], source: TicketReader, *, batches_at_once: int) -> Events:
        """Prepare the batches in order; yields their checks and materializations as they happen.

        Raises:
            dagster.Failure: At the end for batches that failed alone, at once for a fault that would fail every batch.
        """
        self._recorder.refuse_readers_in_range()
        with held_open(self._context.instance, self._context.run.run_id), ThreadPoolExecutor(max_workers=1) as writer:
            for start in range(0, len(batch_ids), batches_at_once):
                yield from self._prepare_together(batch_ids[start : start + batches_at_once], source, writer)
                # Frees the memory of this read before the next one.
                yield from self._record_written()
        self._failures.stop_at_end()

    def _prepare_together(self, batch_ids: Sequence[str], source: TicketReader, writer: ThreadPoolExecutor) -> Events:
        """Prepare batches that share a read; its last batch may still be unwritten on return."""
        shared = _SharedSource(source, batch_ids, self._rules)
        for batch_id in batch_ids:
            batch = BatchInProgress(
                batch_id, self._rules, self._code_version, shared, load=partial(self._tables.read, batch_id)
            )
            assets = yield from self._build(batch)
            yield from self._record_written()
            self._failures.stop_if_hopeless(ended=self._ended)
            self._being_written = batch_id, writer.submit(self._write, batch, assets)

    def _build(self, batch: BatchInProgress) -> Generator[Event, None, list[_Asset]]:
        """Build and check the assets of a batch, except those built from one that failed."""
        assets: list[_Asset] = []
        failed: set[str] = set()
        for name, step in self._steps.items():
            if failed.intersection(step.made_from):
                failed.add(name)
                continue
            try:
                assets.append((yield from _build_asset(name, step, batch)))
            except Exception as error:  # noqa: BLE001 (kept as the batch's failure, which ends the run)
                failed.add(name)
                self._failures.keep(batch.batch_id, name, error)
        return assets

    def _write(self, batch: BatchInProgress, assets: Sequence[_Asset]) -> list[_Written | _NotWritten]:
        """Write a batch's assets in order, except those built from one that could not be written."""
        results: list[_Written | _NotWritten] = []
        missing: set[str] = set()
        for asset in assets:
            if missing.intersection(asset.step.made_from):
                missing.add(asset.name)
                continue
            try:
                results.append(self._write_asset(batch, asset))
            except Exception as error:  # noqa: BLE001 (kept as the batch's failure, which ends the run)
                missing.add(asset.name)
                results.append(_NotWritten(asset.name, error))
        return results

    def _write_asset(self, batch: BatchInProgress, asset: _Asset) -> _Written:
        started = perf_counter()
        value, sources = asset.result.value, {name: batch.tables[name] for name in asset.step.made_from}
        made_from = {name: str(table.attrs[SHA256]) for name, table in sources.items()}
        if isinstance(value, Dataset):
            stored = self._datasets.write(replace(value, made_from=made_from))
        else:
            stored = self._tables.write(batch.batch_id, asset.name, stamp(value, asset.name, self._rules, sources))
            value.attrs[SHA256] = stored.sha256
        return _Written(asset, stored, made_from, seconds=perf_counter() - started)

    def _record_written(self) -> Events:
        """Wait for the batch that is being written, and record its written assets with their checks."""
        if self._being_written is None:
            return
        batch_id, being_written = self._being_written
        self._being_written = None
        pointers: dict[str, int | None] = {}
        for written in being_written.result():
            if isinstance(written, _NotWritten):
                self._failures.keep(batch_id, written.name, written.error)
                continue
            name, result = written.asset.name, written.asset.result
            for source in written.made_from.keys() - pointers.keys():
                earlier = self._recorder.find(dg.AssetKey(source), batch_id)
                pointers[source] = earlier.storage_id if earlier else None
            yield self._recorder.materialization(
                dg.AssetKey(name),
                batch_id,
                {**result.metadata, **written.stored.metadata},
                version=written.stored.sha256,
                made_from={
                    dg.AssetKey(source): (version, pointers[source]) for source, version in written.made_from.items()
                },
                seconds={**written.asset.seconds, "seconds_writing": written.seconds},
            )
            record = self._recorder.find(dg.AssetKey(name), batch_id)
            pointers[name] = record.storage_id if record else None
            yield from checks.evaluations(
                dg.AssetKey(name), batch_id, result.outcomes, only_warned_of=result.only_warned_of, target=record
            )
        self._ended.add(batch_id)
        self._failures.stop_if_hopeless(ended=self._ended)


def _build_asset(name: str, step: TicketStep, batch: BatchInProgress) -> Generator[Event, None, _Asset]:
    """Build an asset and check it; outcomes are reported here if it fails, and otherwise once it is written."""
    started = perf_counter()
    result = step.make(batch)
    try:
        checks.require_passed(name, result.outcomes, only_warned_of=result.only_warned_of)
    except ChecksFailedError:
        yield from checks.evaluations(
            dg.AssetKey(name), batch.batch_id, result.outcomes, only_warned_of=result.only_warned_of
        )
        raise
    if isinstance(result.value, pd.DataFrame):
        batch.keep(name, result.value)
    seconds = {"seconds_making": perf_counter() - started}
    if name == "tickets":
        seconds["seconds_reading"] = batch.source.seconds_a_batch
    return _Asset(name, step, result, seconds)


class _SharedSource:
    """The tickets of batches that are read together, and what is computed once for all of them."""

    def __init__(self, source: TicketReader, batch_ids: Sequence[str], rules: PreparationRules) -> None:
        self._tickets = SharedTickets(source, [windows_of(batch_id, rules) for batch_id in batch_ids])
        self._rules = rules
        self._batches = len(batch_ids)
        self._table: pd.DataFrame | None = None
        self._ranks: NDArray[np.int64] | None = None
        self._is_valid = False
        self.seconds_a_batch = 0.0

    def read_training(self, window: Window) -> WindowOfTickets:
        """See TicketsOfBatches."""
        started = perf_counter()
        if not self._tickets.is_loaded(window):
            self._table = self._ranks = None
        table, part = self._tickets.locate(window)
        if table is not self._table:
            self.seconds_a_batch = (perf_counter() - started) / self._batches
            self._analyze(table)
        ranks = None if self._ranks is None else self._ranks[part]
        return WindowOfTickets(table.iloc[part].reset_index(drop=True), ranks, self._is_valid)

    def _analyze(self, table: pd.DataFrame) -> None:
        """Rank the texts and validate the rows once, for all windows of the table."""
        is_ranked = self._rules.split_method is SplitMethod.BY_TEXT
        self._table = table
        self._ranks = rank_texts(table["text"], seed=self._rules.split_seed) if is_ranked else None
        self._is_valid = not broken(check_table(Tickets.to_schema(), table))

    def read_older(self, window: Window, labels: Sequence[int]) -> pd.DataFrame:
        """See TicketsOfBatches."""
        return self._tickets.read_tickets(window, labels)
