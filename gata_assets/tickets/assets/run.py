"""How a run prepares its batches: one read for all, one batch at a time, each recorded when it is written.

A run over a range reads each ticket once. While a batch is made, the one before it is written by a thread of its own;
no more than these two are held. A batch whose data is bad fails alone, and the run at the end of all of them.
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
from gata_assets.tickets.assets.io_managers import DatasetIOManager, ParquetIOManager, Stored
from gata_assets.tickets.assets.steps import BatchAtWork, Made, TicketStep, WindowOfTickets
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
    """An asset of a batch that was made and has passed its checks."""

    name: str
    step: TicketStep
    made: Made
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class _Written:
    """An asset that stands in the target, with the versions of what it was made from."""

    asset: _Asset
    stored: Stored
    made_from: Mapping[str, str]
    seconds: float


@dataclass(frozen=True)
class _NotWritten:
    """An asset that the target did not take."""

    name: str
    error: Exception


class TicketRun:
    """The work of one run: the steps that it is asked for, and what failed of its batches."""

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
        """Prepare the batches in their order; gives their checks and materializations as they happen.

        Raises dagster.Failure: at the end for batches that failed alone, at once for what would fail for every batch.
        """
        self._recorder.refuse_readers_in_range()
        with held_open(self._context.instance, self._context.run.run_id), ThreadPoolExecutor(max_workers=1) as writer:
            for start in range(0, len(batch_ids), batches_at_once):
                yield from self._prepare_together(batch_ids[start : start + batches_at_once], source, writer)
                # So that nothing of this read is held any more when the next one comes.
                yield from self._record_written()
        self._failures.stop_at_end()

    def _prepare_together(self, batch_ids: Sequence[str], source: TicketReader, writer: ThreadPoolExecutor) -> Events:
        """Prepare batches that share a read; the last one may still be being written afterwards."""
        shared = _SharedSource(source, batch_ids, self._rules)
        for batch_id in batch_ids:
            batch = BatchAtWork(
                batch_id, self._rules, self._code_version, shared, load=partial(self._tables.read, batch_id)
            )
            assets = yield from self._make(batch)
            yield from self._record_written()
            self._failures.stop_if_hopeless(ended=self._ended)
            self._being_written = batch_id, writer.submit(self._write, batch, assets)

    def _make(self, batch: BatchAtWork) -> Generator[Event, None, list[_Asset]]:
        """Make and check the assets of a batch, each unless one that it is made from has failed."""
        assets: list[_Asset] = []
        failed: set[str] = set()
        for name, step in self._steps.items():
            if failed.intersection(step.made_from):
                failed.add(name)
                continue
            try:
                assets.append((yield from _make_asset(name, step, batch)))
            except Exception as error:  # noqa: BLE001 (kept as the batch's failure, which ends the run)
                failed.add(name)
                self._failures.keep(batch.batch_id, name, error)
        return assets

    def _write(self, batch: BatchAtWork, assets: Sequence[_Asset]) -> list[_Written | _NotWritten]:
        """Write a batch's assets in their order; after one that the target did not take, those not made from it."""
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

    def _write_asset(self, batch: BatchAtWork, asset: _Asset) -> _Written:
        started = perf_counter()
        value, sources = asset.made.value, {name: batch.tables[name] for name in asset.step.made_from}
        made_from = {name: str(table.attrs[SHA256]) for name, table in sources.items()}
        if isinstance(value, Dataset):
            stored = self._datasets.write(replace(value, made_from=made_from))
        else:
            stored = self._tables.write(batch.batch_id, asset.name, stamp(value, asset.name, self._rules, sources))
            value.attrs[SHA256] = stored.sha256
        return _Written(asset, stored, made_from, seconds=perf_counter() - started)

    def _record_written(self) -> Events:
        """Wait until the batch that is being written is, and record what of it was, with its checks."""
        if self._being_written is None:
            return
        batch_id, being_written = self._being_written
        self._being_written = None
        pointers: dict[str, int | None] = {}
        for one in being_written.result():
            if isinstance(one, _NotWritten):
                self._failures.keep(batch_id, one.name, one.error)
                continue
            name, made = one.asset.name, one.asset.made
            for source in one.made_from.keys() - pointers.keys():
                earlier = self._recorder.find(dg.AssetKey(source), batch_id)
                pointers[source] = earlier.storage_id if earlier else None
            yield self._recorder.materialization(
                dg.AssetKey(name),
                batch_id,
                {**made.metadata, **one.stored.metadata},
                version=one.stored.sha256,
                made_from={
                    dg.AssetKey(source): (version, pointers[source]) for source, version in one.made_from.items()
                },
                seconds={**one.asset.seconds, "seconds_writing": one.seconds},
            )
            record = self._recorder.find(dg.AssetKey(name), batch_id)
            pointers[name] = record.storage_id if record else None
            yield from checks.evaluations(
                dg.AssetKey(name), batch_id, made.outcomes, only_warned_of=made.only_warned_of, target=record
            )
        self._ended.add(batch_id)
        self._failures.stop_if_hopeless(ended=self._ended)


def _make_asset(name: str, step: TicketStep, batch: BatchAtWork) -> Generator[Event, None, _Asset]:
    """Make an asset and hold its checks against it; those of one that breaks them are reported here, and of one that
    is written when it is.
    """
    started = perf_counter()
    made = step.make(batch)
    try:
        checks.require_passed(name, made.outcomes, only_warned_of=made.only_warned_of)
    except ChecksFailedError:
        yield from checks.evaluations(
            dg.AssetKey(name), batch.batch_id, made.outcomes, only_warned_of=made.only_warned_of
        )
        raise
    if isinstance(made.value, pd.DataFrame):
        batch.keep(name, made.value)
    seconds = {"seconds_making": perf_counter() - started}
    if name == "tickets":
        seconds["seconds_reading"] = batch.source.seconds_a_batch
    return _Asset(name, step, made, seconds)


class _SharedSource:
    """The tickets of the batches that are read together, and what is worked out once for all of them."""

    def __init__(self, source: TicketReader, batch_ids: Sequence[str], rules: PreparationRules) -> None:
        self._tickets = SharedTickets(source, [windows_of(batch_id, rules) for batch_id in batch_ids])
        self._rules = rules
        self._batches = len(batch_ids)
        self._whole: pd.DataFrame | None = None
        self._ranks: NDArray[np.int64] | None = None
        self._is_valid = False
        self.seconds_a_batch = 0.0

    def read_training(self, window: Window) -> WindowOfTickets:
        """See TicketsOfBatches."""
        started = perf_counter()
        if not self._tickets.is_loaded(window):
            self._whole = self._ranks = None
        whole, part = self._tickets.locate(window)
        if whole is not self._whole:
            self.seconds_a_batch = (perf_counter() - started) / self._batches
            self._look_at(whole)
        ranks = None if self._ranks is None else self._ranks[part]
        return WindowOfTickets(whole.iloc[part].reset_index(drop=True), ranks, self._is_valid)

    def _look_at(self, whole: pd.DataFrame) -> None:
        """Work out once what holds for every window of a table."""
        is_ranked = self._rules.split_method is SplitMethod.BY_TEXT
        self._whole = whole
        self._ranks = rank_texts(whole["text"], seed=self._rules.split_seed) if is_ranked else None
        self._is_valid = not broken(check_table(Tickets.to_schema(), whole))

    def read_older(self, window: Window, labels: Sequence[int]) -> pd.DataFrame:
        """See TicketsOfBatches."""
        return self._tickets.read_tickets(window, labels)
