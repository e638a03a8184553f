"""The pipeline of tickets: which batches are due by their manifests, what they cost, and the runs that prepare them.

The decision (`tickets.provenance`) and the estimate are pure; this module reads the manifests and volumes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import dagster as dg

from gata_assets.batches import Window, consecutive
from gata_assets.errors import ObjectNotFoundError
from gata_assets.orchestration.batch_status import BatchStatus, Plan
from gata_assets.orchestration.pipelines import BatchRun, describe_duration, describe_size
from gata_assets.orchestration.runs import Runs, Written
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.tickets.backfill_estimate import SpanVolume, estimate_backfill
from gata_assets.tickets.provenance import batch_status
from gata_assets.tickets.rules import PreparationRules
from gata_assets.tickets.sources.base import LabelVolume, TicketSource
from gata_assets.tickets.sources.shared_read import SharedTickets
from gata_assets.tickets.training_files import GENERAL_DATASET, LOW_VOLUME_DATASET, Origin, manifest_key, read_origin
from gata_assets.tickets.windows import BatchWindows, merge_windows, windows_of


@dataclass(frozen=True)
class TicketPipeline:
    """From closed tickets to training files, for all tickets together.

    `job` resolves the job that prepares tickets, from the source of the settings or from tickets that several runs
    share; `chunk` batches share a read. `has_pages` and `is_recorded` are for the estimate: whether tickets come from
    the RDS Data API, and whether an instance records the runs.
    """

    store: ObjectStore
    rules: PreparationRules
    job: Callable[[SharedTickets | None], dg.JobDefinition]
    open_source: Callable[[], TicketSource]
    chunk: int
    has_pages: bool
    is_recorded: bool

    name: ClassVar[str] = "tickets"
    scope: ClassVar[str] = ""
    last_asset: ClassVar[str] = "low_volume_split"

    def refresh(self, runs: Runs, batch_ids: Sequence[str]) -> bool:  # noqa: ARG002 (the protocol's)
        """Nothing to refresh: tickets are read when a batch is prepared."""
        return True

    def plan(self, batch_ids: Sequence[str], *, again: bool) -> Plan:
        """Read both manifests of each batch; raises StoreError."""
        settings = self.rules.as_settings()

        def look(batch_id: str) -> BatchStatus:
            general, low_volume = (self._read_origin(name, batch_id) for name in (GENERAL_DATASET, LOW_VOLUME_DATASET))
            return batch_status(general, low_volume, settings)

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
        estimate = estimate_backfill(
            [volume for chunk in chunks for volume in self._measure(source, chunk)],
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
        }

    def runs(self, batch_ids: Sequence[str]) -> Iterator[BatchRun]:
        """A run for each range of consecutive batches; those of a chunk share one read of their tickets."""
        for chunk in self._chunks(batch_ids):
            ranges = consecutive(chunk)
            shared = None
            if len(ranges) > 1:
                shared = SharedTickets(self.open_source(), [windows_of(batch_id, self.rules) for batch_id in chunk])
            # The batches of a single run share their read in any case.
            job = self.job(shared)
            for stretch in ranges:
                yield BatchRun(job, stretch)

    def summarize(self, written: Sequence[Written]) -> list[Written]:
        """Every asset as it is: a batch has only five."""
        return list(written)

    def _read_origin(self, dataset: str, batch_id: str) -> Origin | None:
        try:
            return read_origin(self.store.read(manifest_key(dataset, batch_id)))
        except ObjectNotFoundError:
            return None

    def _chunks(self, batch_ids: Sequence[str]) -> list[Sequence[str]]:
        return [batch_ids[start : start + self.chunk] for start in range(0, len(batch_ids), self.chunk)]

    def _measure(self, source: TicketSource, batch_ids: Sequence[str]) -> Iterator[SpanVolume]:
        windows = [windows_of(batch_id, self.rules) for batch_id in batch_ids]
        for span in merge_windows(windows):
            inside = [batch.training for batch in windows if _is_inside(batch.training, span.training)]
            yield self._measure_span(source, span, inside)

    def _measure_span(self, source: TicketSource, span: BatchWindows, batches: Sequence[Window]) -> SpanVolume:
        volumes = source.measure(span.training)
        tickets, text_bytes = _total(volumes)
        low_volume = [
            volume.label
            for volume in volumes
            if volume.label is not None and volume.tickets / tickets < self.rules.low_volume_threshold
        ]
        older_tickets, older_bytes = _total(source.measure(span.older, low_volume) if low_volume else ())
        share = sum(window.end - window.start for window in batches) / len(batches)
        share /= span.training.end - span.training.start
        return SpanVolume(
            batches=len(batches),
            training_tickets=tickets,
            training_bytes=text_bytes,
            older_tickets=older_tickets,
            older_bytes=older_bytes,
            batch_tickets=tickets * share + older_tickets,
            batch_bytes=text_bytes * share + older_bytes,
        )


def _is_inside(window: Window, span: Window) -> bool:
    return span.start_at <= window.start_at and window.end_at <= span.end_at


def _total(volumes: Sequence[LabelVolume]) -> tuple[int, int]:
    return sum(volume.tickets for volume in volumes), sum(volume.text_bytes for volume in volumes)
