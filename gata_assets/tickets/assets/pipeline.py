"""The pipeline of tickets: which batches are due by their manifests, what they cost, and the runs that prepare them.

The decision (`tickets.provenance`) and the estimate are pure; this module reads the manifests and volumes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import dagster as dg
import polars as pl

from gata_assets.batches import consecutive, is_batch_id
from gata_assets.errors import DamagedTableError
from gata_assets.orchestration.batch_status import BatchStatus, Plan
from gata_assets.orchestration.pipelines import BatchPlaces, BatchRun, describe_duration, describe_size
from gata_assets.orchestration.runs import Runs, Written
from gata_assets.storage.datasets import find_manifest, read_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.ticket_contract.source import LabelVolume, TicketSource
from gata_assets.tickets.assets.prepared_read import PreparedTickets
from gata_assets.tickets.assets.steps import STEPS
from gata_assets.tickets.backfill_estimate import SpanVolume, Volume, estimate_backfill
from gata_assets.tickets.erasure.tombstones import TicketTombstones
from gata_assets.tickets.labels.stored_labels import StoredLabels
from gata_assets.tickets.provenance import batch_status
from gata_assets.tickets.rules import PreparationRules
from gata_assets.tickets.sources.data_api_pages import LARGEST_TEXT, say_too_large
from gata_assets.tickets.sources.shared_read import SharedTickets
from gata_assets.tickets.splitting.moves import compare_sides, find_sides
from gata_assets.tickets.training_files import (
    CHANNELS,
    DATASETS,
    FILES,
    GENERAL_DATASET,
    LOW_VOLUME_DATASET,
    batches_folder,
    dataset_folder,
    quarantine_key,
    table_key,
)
from gata_assets.tickets.windows import merge_windows, windows_of

# The table of each dataset's tickets.
_TABLES = {GENERAL_DATASET: "tickets", LOW_VOLUME_DATASET: "low_volume_tickets"}


@dataclass(frozen=True)
class TicketPipeline:
    """From closed tickets to training files, for all tickets together.

    `job` resolves the job that prepares tickets, from the source of the settings or from tickets that several runs
    share; `chunk` batches share a read, without the tickets of `tombstones`. `has_pages` and `is_recorded` are for the
    estimate: whether tickets come from the RDS Data API, and whether an instance records the runs.
    """

    store: ObjectStore
    rules: PreparationRules
    job: Callable[[SharedTickets | None], dg.JobDefinition]
    open_source: Callable[[], TicketSource]
    chunk: int
    has_pages: bool
    is_recorded: bool
    tombstones: TicketTombstones

    name: ClassVar[str] = "tickets"
    scope: ClassVar[str] = ""
    last_asset: ClassVar[str] = "low_volume_split"

    def refresh(self, runs: Runs, batch_ids: Sequence[str]) -> bool:  # noqa: ARG002 (the protocol's)
        """Nothing to refresh: tickets are read when a batch is prepared."""
        return True

    def plan(self, batch_ids: Sequence[str], *, again: bool) -> Plan:
        """Read both manifests of each batch; raises StoreError."""

        def look(batch_id: str) -> BatchStatus:
            folders = (dataset_folder(name, batch_id) for name in DATASETS)
            general, low_volume = (find_manifest(self.store, folder).manifest for folder in folders)
            return batch_status(general, low_volume, self.rules)

        # The first before any thread starts: it sets up the AWS SDK, which threads must not do concurrently.
        first, *others = batch_ids
        statuses = {first: look(first)}
        statuses.update(zip(others, map_in_order(look, others, SMALL_CALLS_AT_ONCE), strict=True))
        return Plan.of(statuses, again=again)

    def estimate(self, plan: Plan) -> Mapping[str, str]:
        """Measure the windows of the due batches in the ticket table; raises SourceError."""
        chunks = self._chunks(plan.due)
        source = self.open_source()
        runs = sum(len(consecutive(chunk)) for chunk in chunks)
        spans = [volume for chunk in chunks for volume in self._measure(source, chunk)]
        largest = max((max(span.training.largest_text, span.older.largest_text) for span in spans), default=0)
        estimate = estimate_backfill(
            spans,
            runs=runs,
            has_pages=self.has_pages,
            is_recorded=self.is_recorded,
        )
        return {
            "runs": f"{runs:,}",
            "tickets read": f"{estimate.tickets_read:,}, each once per chunk",
            "database calls": f"about {estimate.database_calls:,}, {describe_size(estimate.bytes_read)}",
            "written": f"about {describe_size(estimate.bytes_written)}",
            "time": f"about {describe_duration(estimate.seconds)}",
            **({"too large": say_too_large(largest)} if self.has_pages and largest > LARGEST_TEXT else {}),
        }

    def runs(self, batch_ids: Sequence[str]) -> Iterator[BatchRun]:
        """A run for each range of consecutive batches; those of a chunk share one read of their tickets."""
        for chunk in self._chunks(batch_ids):
            ranges = consecutive(chunk)
            shared = None
            if len(ranges) > 1:
                find_erased = partial(self.tombstones.erased, self.store)
                source = PreparedTickets(self.open_source(), self.rules, StoredLabels(self.store), find_erased)
                shared = SharedTickets(source, [windows_of(batch_id, self.rules) for batch_id in chunk])
            # The batches of a single run share their read in any case.
            job = self.job(shared)
            for stretch in ranges:
                yield BatchRun(job, stretch)

    def summarize(self, written: Sequence[Written]) -> list[Written]:
        """Every asset as it is: a batch has only five."""
        return list(written)

    def stored_batch_ids(self) -> list[str]:
        """The batches with a folder of either dataset."""
        found = {name for dataset in DATASETS for name in self.store.list_folders(batches_folder(dataset))}
        return sorted(filter(is_batch_id, found))

    def places(self, batch_id: str) -> BatchPlaces:
        """The folders of both datasets, and the intermediate tables with their invalid tickets."""
        tables = [name for name, step in STEPS.items() if not step.is_dataset]
        keys = [key(table, batch_id) for table in tables for key in (table_key, quarantine_key)]
        return BatchPlaces({dataset: dataset_folder(dataset, batch_id) for dataset in DATASETS}, keys)

    def compare(self, first: str, second: str) -> Mapping[str, Mapping[str, int]]:
        """The tickets that came, went, or changed their label or their side."""
        return {
            dataset: compare_sides(*(self._sides(dataset, table, batch_id) for batch_id in (first, second)))
            for dataset, table in _TABLES.items()
        }

    def _sides(self, dataset: str, table: str, batch_id: str) -> pl.DataFrame:
        """The tickets of a dataset with their sides; raises ObjectNotFoundError or DamagedTableError."""
        folder = dataset_folder(dataset, batch_id)
        listed = read_manifest(self.store, folder).manifest
        if listed is None:
            raise DamagedTableError(f"{self.store.uri(folder)} has no valid manifest: `gata prepare {batch_id}` again.")
        key = table_key(table, batch_id)
        try:
            tickets = pl.read_parquet(self.store.read(key), columns=["id", "label", "text"])
            texts = {
                channel: pl.read_ndjson(self.store.read(folder + name), schema={"text": pl.String})["text"]
                for channel, name in zip(CHANNELS, FILES, strict=True)
                if name in listed.files
            }
        except pl.exceptions.PolarsError:
            raise DamagedTableError(f"{self.store.uri(key)} or a file of {folder} is damaged.") from None
        return find_sides(tickets, texts)

    def _chunks(self, batch_ids: Sequence[str]) -> list[Sequence[str]]:
        return [batch_ids[start : start + self.chunk] for start in range(0, len(batch_ids), self.chunk)]

    def _measure(self, source: TicketSource, batch_ids: Sequence[str]) -> Iterator[SpanVolume]:
        windows = [windows_of(batch_id, self.rules) for batch_id in batch_ids]
        for span in merge_windows(windows):
            volumes = source.measure(span.training)
            training = _total(volumes)
            low_volume = [
                volume.label
                for volume in volumes
                if volume.label is not None and volume.tickets / training.tickets < self.rules.low_volume_threshold
            ]
            older = _total(source.measure(span.older, low_volume) if low_volume else ())
            inside = [batch.training for batch in windows if span.training.contains(batch.training)]
            seconds = sum(window.end - window.start for window in inside) / len(inside)
            share = seconds / (span.training.end - span.training.start)
            yield SpanVolume(len(inside), training, older, share)


def _total(volumes: Sequence[LabelVolume]) -> Volume:
    return Volume(
        sum(volume.tickets for volume in volumes),
        sum(volume.text_bytes for volume in volumes),
        max((volume.largest_text for volume in volumes), default=0),
    )
