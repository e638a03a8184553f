"""Prepares the batches of a run: one read for all, one batch at a time, each recorded once it is written.

A run over a range reads each ticket once. While a batch is built, a separate thread writes the one before it; no more
than these two are in memory. A batch with invalid data fails alone, and the run fails after the last batch.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any, TypeGuard

import dagster as dg
import pandas as pd

from gata_assets.errors import ChecksFailedError, ConflictError
from gata_assets.orchestration import checks
from gata_assets.orchestration.asset_pages.preview import preview
from gata_assets.orchestration.dagster_private import kept_open
from gata_assets.orchestration.recording import Event, Events, KeptFailures, Recorder, is_alone
from gata_assets.ticket_contract.source import TicketSource
from gata_assets.tickets.assets.batch import BatchInProgress, StepResult
from gata_assets.tickets.assets.io_managers import DatasetIOManager, ParquetIOManager, Stored
from gata_assets.tickets.assets.prepared_read import PreparedTickets
from gata_assets.tickets.assets.steps import TicketStep
from gata_assets.tickets.assets.windows_read import TicketsOfBatches
from gata_assets.tickets.erasure.batches import erase_batch
from gata_assets.tickets.erasure.tombstones import TicketTombstones
from gata_assets.tickets.labels.stored_labels import StoredLabels
from gata_assets.tickets.provenance import SHA256, stamp
from gata_assets.tickets.rules import PreparationRules
from gata_assets.tickets.sources.shared_read import SharedTickets, TicketReader
from gata_assets.tickets.training_files import Dataset

# In place of a request's name, in the manifests of a batch that tickets were erased from while it was prepared.
_WHILE_PREPARED = "while it was prepared"


@dataclass
class _Asset:
    """An asset of a batch that has been built and has passed its checks.

    When it has been written, it also has what is stored and the versions of what it was built from; if it could not be
    written, the error.
    """

    name: str
    step: TicketStep
    result: StepResult
    seconds: dict[str, float]
    made_from: Mapping[str, str] = field(default_factory=dict)
    stored: Stored | None = None
    error: Exception | None = None


@dataclass
class TicketRun:
    """Runs the selected steps for the batches of one run, and keeps their failures."""

    context: dg.AssetExecutionContext
    steps: Mapping[str, TicketStep]
    rules: PreparationRules
    code_version: str
    tables: ParquetIOManager
    datasets: DatasetIOManager
    tombstones: TicketTombstones
    preview_rows: int = 0
    _ended: set[str] = field(default_factory=set)
    _being_written: tuple[str, Future[list[_Asset]]] | None = None

    def __post_init__(self) -> None:
        batches = len(self.context.partition_keys)
        self._recorder = Recorder(
            self.context, code_version=self.code_version, as_events=batches > 1 or is_alone(self.context)
        )
        self._failures = KeptFailures(self.context.log, partitions=batches)

    def run(self, batch_ids: Sequence[str], source: TicketSource | SharedTickets, *, batches_at_once: int) -> Events:
        """Prepare the batches in order; yields their checks and materializations as they happen.

        Raises:
            dagster.Failure: At the end for batches that failed alone, at once for a fault that would fail every batch.
        """
        self._recorder.refuse_readers_in_range()
        with kept_open(self.context.instance, self.context.run.run_id), ThreadPoolExecutor(max_workers=1) as writer:
            for start in range(0, len(batch_ids), batches_at_once):
                yield from self._prepare_together(batch_ids[start : start + batches_at_once], source, writer)
                # Frees the memory of this read before the next one.
                yield from self._record_written()
        self._failures.stop_at_end()

    def _prepare_together(
        self, batch_ids: Sequence[str], source: TicketSource | SharedTickets, writer: ThreadPoolExecutor
    ) -> Events:
        """Prepare batches that share a read; its last batch may still be unwritten on return."""
        # Tickets that runs share have been prepared already.
        labels = StoredLabels(self.tables.store)
        if not isinstance(source, SharedTickets):
            find_erased = partial(self.tombstones.erased, self.tables.store)
            prepared: TicketReader = PreparedTickets(source, self.rules, labels, find_erased)
        else:
            prepared = source
        shared = TicketsOfBatches(prepared, batch_ids, self.rules)
        for batch_id in batch_ids:
            batch = BatchInProgress(
                batch_id, self.rules, self.code_version, shared, partial(self.tables.read, batch_id), labels
            )
            assets = yield from self._build(batch)
            yield from self._record_written()
            self._failures.stop_if_hopeless(ended=self._ended)
            self._being_written = batch_id, writer.submit(self._write, batch, assets)

    def _build(self, batch: BatchInProgress) -> Generator[Event, None, list[_Asset]]:
        """Build and check the assets of a batch, except those built from one that failed."""
        assets: list[_Asset] = []
        failed: set[str] = set()
        for name, step in self.steps.items():
            if failed.intersection(step.made_from):
                failed.add(name)
                continue
            try:
                assets.append((yield from _build_asset(name, step, batch)))
            except Exception as error:  # noqa: BLE001 (kept as the batch's failure, which ends the run)
                failed.add(name)
                self._failures.keep(batch.batch_id, name, error)
        return assets

    def _write(self, batch: BatchInProgress, assets: Sequence[_Asset]) -> list[_Asset]:
        """Write a batch's assets in order; without those built from one that could not be written."""
        tried: list[_Asset] = []
        missing: set[str] = set()
        for asset in assets:
            if missing.intersection(asset.step.made_from):
                missing.add(asset.name)
                continue
            tried.append(asset)
            try:
                self._write_asset(batch, asset)
            except Exception as error:  # noqa: BLE001 (kept as the batch's failure, which ends the run)
                missing.add(asset.name)
                asset.error = error
        self._erase_again(batch, tried)
        return tried

    def _erase_again(self, batch: BatchInProgress, written: Sequence[_Asset]) -> None:
        """Remove the tickets that were erased since they were read: the erasure may have passed this batch already."""
        store, tables = self.tables.store, [asset.result for asset in written]
        erased = self.tombstones.erased(store)
        rows = [table for result in tables for table in (result.value, result.quarantined) if _has_ids(table)]
        if any(erased.rows_of(table) is not None for table in rows):
            # Whoever changes the batch at this moment does the same.
            with suppress(ConflictError):
                erase_batch(store, batch.batch_id, erased.are_erased, _WHILE_PREPARED)

    def _write_asset(self, batch: BatchInProgress, asset: _Asset) -> None:
        started = perf_counter()
        value, sources = asset.result.value, {name: batch.tables[name] for name in asset.step.made_from}
        asset.made_from = {name: str(table.attrs[SHA256]) for name, table in sources.items()}
        if isinstance(value, Dataset):
            asset.stored = self.datasets.write(replace(value, made_from=asset.made_from))
        else:
            result = asset.result
            stamped = stamp(value, asset.name, self.rules, sources, result.account, result.label_names)
            if asset.result.account:
                self.tables.write_quarantine(batch.batch_id, asset.name, asset.result.quarantined)
            asset.stored = self.tables.write(batch.batch_id, asset.name, stamped)
            value.attrs[SHA256] = asset.stored.sha256
        asset.seconds["seconds_writing"] = perf_counter() - started

    def _record_written(self) -> Events:
        """Wait for the batch that is being written, and record its written assets with their checks."""
        if self._being_written is None:
            return
        batch_id, being_written = self._being_written
        self._being_written = None
        tried = being_written.result()
        for asset in tried:
            if asset.error is not None:
                self._failures.keep(batch_id, asset.name, asset.error)
        yield from self._recorder.record(self._records(batch_id, tried))
        self._ended.add(batch_id)
        self._failures.stop_if_hopeless(ended=self._ended)

    def _records(self, batch_id: str, assets: Sequence[_Asset]) -> Events:
        """The materializations and the checks of a batch's written assets."""
        pointers: dict[str, int | None] = {}
        for asset in assets:
            if asset.stored is not None:
                yield from self._records_of(batch_id, asset, asset.stored, pointers)

    def _records_of(self, batch_id: str, asset: _Asset, stored: Stored, pointers: dict[str, int | None]) -> Events:
        """Those of an asset; `pointers` are Dagster's records of the batch's assets, by name."""
        key, result = dg.AssetKey(asset.name), asset.result
        for source in asset.made_from.keys() - pointers.keys():
            earlier = self._recorder.find(dg.AssetKey(source), batch_id)
            pointers[source] = earlier.storage_id if earlier else None
        yield self._recorder.materialization(
            key,
            batch_id,
            {
                **result.metadata,
                **preview(_training_rows(result.value), most_rows=self.preview_rows),
                **stored.metadata,
            },
            version=stored.sha256,
            made_from={dg.AssetKey(name): (version, pointers[name]) for name, version in asset.made_from.items()},
            seconds=asset.seconds,
        )
        record = self._recorder.find(key, batch_id)
        pointers[asset.name] = record.storage_id if record else None
        yield from checks.evaluations(
            key, batch_id, result.outcomes, only_warned_of=result.only_warned_of, target=record
        )


def _has_ids(value: pd.DataFrame | Dataset | None) -> TypeGuard[pd.DataFrame]:
    return isinstance(value, pd.DataFrame) and "id" in value


def _training_rows(value: pd.DataFrame | Dataset) -> Iterator[Mapping[str, Any]]:
    """The rows of a dataset's train file; none of a table, which has more columns than its page may show."""
    if isinstance(value, Dataset) and value.split:
        for text, label in value.split.train[["text", "label"]].itertuples(index=False):
            yield {"text": text, "label": label}


def _build_asset(name: str, step: TicketStep, batch: BatchInProgress) -> Generator[Event, None, _Asset]:
    """Build an asset and check it; outcomes are reported here if it fails, and otherwise once it is written."""
    started = perf_counter()
    result = step.build(batch)
    try:
        checks.require_passed(name, result.outcomes, only_warned_of=result.only_warned_of)
    except ChecksFailedError:
        yield from checks.evaluations(
            dg.AssetKey(name), batch.batch_id, result.outcomes, only_warned_of=result.only_warned_of
        )
        raise
    batch.keep(name, result)
    seconds = {"seconds_making": perf_counter() - started}
    if name == "tickets":
        seconds["seconds_reading"] = batch.source.seconds_per_batch
    return _Asset(name, step, result, seconds)
