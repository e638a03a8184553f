"""`gata backfill`: the batches of a range in this process, those that are missing or all; and what that would cost."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter

import dagster as dg
from rich.console import Console

from gata_assets.batches import Batch, Window, batches_between, consecutive
from gata_assets.cli.batches.halves import INTERACTIONS, TICKETS, require_tenants
from gata_assets.cli.batches.progress import LAST_ASSET, followed
from gata_assets.cli.batches.runs import INTERRUPTED, INTERRUPTED_SAID, find_failures, is_interrupted
from gata_assets.cli.terminal import text_console
from gata_assets.definitions import build_definitions, build_store, open_source
from gata_assets.environment import dagster_home_is_set
from gata_assets.errors import ObjectNotFoundError
from gata_assets.logs import RANGE_TAGS
from gata_assets.orchestration.failures import BatchFailure
from gata_assets.orchestration.instances import open_instance
from gata_assets.orchestration.jobs import RUN_CONFIG
from gata_assets.settings.model import Settings
from gata_assets.settings.values import SourceKind
from gata_assets.storage.objects import ObjectStore
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS
from gata_assets.tickets.backfill_estimate import BackfillEstimate, SpanVolume, estimate_backfill
from gata_assets.tickets.rules import PreparationRules
from gata_assets.tickets.sources.base import LabelVolume, TicketSource
from gata_assets.tickets.sources.shared_read import SharedTickets
from gata_assets.tickets.training_files import GENERAL_DATASET, LOW_VOLUME_DATASET, Origin, manifest_key, read_origin
from gata_assets.tickets.windows import BatchWindows, merge_windows, windows_of

# Requests for manifests at a time, which is how many connections the AWS SDK keeps.
_MANIFESTS_AT_ONCE = 10


@dataclass(frozen=True)
class Wanted:
    """The batches of a range: all that were asked for, those that are whole in the target, and those to be made.

    `of_other_settings` are whole, and were made with other settings than the present ones.
    """

    asked: tuple[str, ...]
    whole: tuple[str, ...]
    of_other_settings: tuple[str, ...]
    missing: tuple[str, ...]


def find_wanted(store: ObjectStore, batch_ids: Sequence[str], rules: PreparationRules, *, again: bool) -> Wanted:
    """Look in the target which batches have both of their datasets, whole and made from the same label counts; with
    `again`, all are to be made.
    """

    def origins_of(batch_id: str) -> tuple[Origin | None, Origin | None]:
        general, low_volume = (_read_origin(store, name, batch_id) for name in (GENERAL_DATASET, LOW_VOLUME_DATASET))
        return general, low_volume

    # The first alone: it sets up the AWS SDK, which threads must not do at once.
    first, *others = batch_ids
    found = {first: origins_of(first)}
    with ThreadPoolExecutor(_MANIFESTS_AT_ONCE) as pool:
        found.update(zip(others, pool.map(origins_of, others), strict=True))
    # A dataset of an earlier run beside one of a later, interrupted one belongs to other label counts.
    whole = {
        batch_id: general
        for batch_id, (general, low_volume) in found.items()
        if general and low_volume and general.label_counts == low_volume.label_counts
    }
    settings = rules.as_settings()
    return Wanted(
        asked=tuple(batch_ids),
        whole=tuple(whole),
        of_other_settings=tuple(batch_id for batch_id, origin in whole.items() if origin.settings != settings),
        missing=tuple(batch_ids) if again else tuple(batch_id for batch_id in batch_ids if batch_id not in whole),
    )


def _read_origin(store: ObjectStore, dataset: str, batch_id: str) -> Origin | None:
    try:
        return read_origin(store.read(manifest_key(dataset, batch_id)))
    except ObjectNotFoundError:
        return None


@dataclass
class BackfillResult:
    """How a backfill went: the batches prepared, those that failed, and those that were not tried any more."""

    prepared: list[str] = field(default_factory=list)
    failures: list[BatchFailure] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)
    runs: int = 0
    is_interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 when nothing failed, 1 when a batch did, 130 after an interruption."""
        if self.is_interrupted:
            return INTERRUPTED
        return 1 if self.failures or self.untried else 0

    @property
    def failed(self) -> list[str]:
        """The batches that failed, once each."""
        return list(dict.fromkeys(failure.batch_id for failure in self.failures))


def run(
    settings: Settings,
    first: Batch,
    last: Batch,
    *,
    every_hours: int,
    again: bool,
    only_plan: bool,
    only: str | None = None,
) -> int:
    """Prepare what is missing of a range, or say what that would cost; returns the exit code.

    Raises SettingsError where `only` asks for interactions and there is no tenant.
    """
    require_tenants(settings, only)
    batch_ids = [batch.batch_id for batch in batches_between(first, last, every_hours=every_hours)]
    console = text_console()
    code = 0 if only == INTERACTIONS else _run_tickets(settings, batch_ids, again=again, only_plan=only_plan)
    if only != TICKETS and settings.tenants_prepared and code != INTERRUPTED:
        # Who prepares tickets alone does not load what interactions need.
        from gata_assets.cli.batches import backfill_interactions as interaction_backfill

        ended = interaction_backfill.run(settings, batch_ids, console, again=again, only_plan=only_plan)
        code = max(code, ended)
    if only_plan and code != INTERRUPTED:
        console.print("Nothing was written. Without --plan the batches are prepared.")
    return code


def _run_tickets(settings: Settings, batch_ids: Sequence[str], *, again: bool, only_plan: bool) -> int:
    rules = settings.tickets.rules
    wanted = find_wanted(build_store(settings), batch_ids, rules, again=again)
    chunks = _chunks(wanted.missing, settings.project.backfill_chunk)
    if only_plan:
        source = open_source(settings)
        volumes = [_measure(source, chunk, rules) for chunk in chunks]
        runs = sum(len(consecutive(chunk)) for chunk in chunks)
        estimate = estimate_backfill(
            [one for of_chunk in volumes for one in of_chunk],
            runs=runs,
            has_pages=settings.tickets.source_kind is SourceKind.DATA_API,
            is_recorded=dagster_home_is_set(),
        )
        _print_plan(wanted, runs, estimate)
        return 0
    started = perf_counter()
    with followed(settings.project.log_level, wanted.missing) as logger:
        result = backfill(settings, chunks, rules, logger=logger)
    _print_result(wanted, result, perf_counter() - started)
    return result.exit_code


def backfill(
    settings: Settings, chunks: Sequence[Sequence[str]], rules: PreparationRules, *, logger: dg.LoggerDefinition
) -> BackfillResult:
    """Prepare batches, a run for each stretch of consecutive ones; those of a chunk share one read of their tickets.

    Batches that fail do not stop the others; what would fail for every batch does, and the rest is not tried.
    """
    result = BackfillResult()
    source = open_source(settings)
    with open_instance() as instance:
        for chunk in chunks:
            shared = SharedTickets(source, [windows_of(batch_id, rules) for batch_id in chunk])
            job = build_definitions(settings, ticket_source=shared, logger=logger).resolve_job_def(PREPARE_TICKETS)
            for batch_ids in consecutive(chunk):
                if result.is_interrupted or any(failure.would_fail_all for failure in result.failures):
                    result.untried.extend(batch_ids)
                else:
                    _run_range(job, batch_ids, instance, result)
    return result


def _run_range(
    job: dg.JobDefinition, batch_ids: Sequence[str], instance: dg.DagsterInstance, result: BackfillResult
) -> None:
    tags = dict(zip(RANGE_TAGS, (batch_ids[0], batch_ids[-1]), strict=True))
    ended = job.execute_in_process(run_config=RUN_CONFIG, instance=instance, tags=tags, raise_on_error=False)
    failures = [] if ended.success else find_failures(ended, batch_ids[0])
    if is_interrupted(failures):
        # Dagster names no batch: those that are not written are not tried.
        result.is_interrupted, failures = True, []
    events = ended.get_asset_materialization_events()
    written = {event.partition for event in events if event.asset_key and event.asset_key.path[-1] == LAST_ASSET}
    failed = {failure.batch_id for failure in failures}
    result.runs += 1
    result.failures.extend(failures)
    for batch_id in batch_ids:
        if batch_id not in failed:
            (result.prepared if batch_id in written else result.untried).append(batch_id)


def _chunks(batch_ids: Sequence[str], most: int) -> list[Sequence[str]]:
    return [batch_ids[start : start + most] for start in range(0, len(batch_ids), most)]


def _measure(source: TicketSource, batch_ids: Sequence[str], rules: PreparationRules) -> list[SpanVolume]:
    windows = {batch_id: windows_of(batch_id, rules) for batch_id in batch_ids}
    return [
        _measure_span(source, span, [one for one in windows.values() if _is_inside(one.training, span.training)], rules)
        for span in merge_windows(windows.values())
    ]


def _is_inside(window: Window, span: Window) -> bool:
    return span.start_at <= window.start_at and window.end_at <= span.end_at


def _measure_span(
    source: TicketSource, span: BatchWindows, batches: Sequence[BatchWindows], rules: PreparationRules
) -> SpanVolume:
    training = source.measure(span.training)
    tickets, text_bytes = _total(training)
    low_volume = [
        one.label for one in training if one.label is not None and one.tickets / tickets < rules.low_volume_threshold
    ]
    older_tickets, older_bytes = _total(source.measure(span.older, low_volume) if low_volume else ())
    share = sum(one.training.end - one.training.start for one in batches) / len(batches)
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


def _total(volumes: Sequence[LabelVolume]) -> tuple[int, int]:
    return sum(one.tickets for one in volumes), sum(one.text_bytes for one in volumes)


def _print_plan(wanted: Wanted, runs: int, estimate: BackfillEstimate) -> None:
    console = text_console()
    _print_wanted(console, wanted)
    console.print(f"runs               {runs:,}")
    console.print(f"tickets read       {estimate.tickets_read:,}, each once a chunk")
    console.print(f"database calls     about {estimate.database_calls:,}, {_size(estimate.bytes_read)}")
    console.print(f"written            about {_size(estimate.bytes_written)}")
    console.print(f"time               about {_duration(estimate.seconds)}")


def _print_wanted(console: Console, wanted: Wanted) -> None:
    console.print(
        f"batches            {len(wanted.asked):,} from {wanted.asked[0]} to {wanted.asked[-1]}: "
        f"{len(wanted.whole):,} are whole in the target, {len(wanted.missing):,} to prepare"
    )
    kept = [one for one in wanted.of_other_settings if one not in wanted.missing]
    if kept:
        console.print(
            f"other settings     {len(kept):,} whole batches were made with other settings, first {kept[0]}; "
            "--again makes them anew"
        )


def _print_result(wanted: Wanted, result: BackfillResult, seconds: float) -> None:
    console = text_console()
    _print_wanted(console, wanted)
    for failure in result.failures[:10]:
        console.print(f"FAILED {failure.batch_id} {failure.asset}: {failure.reason}", markup=False)
    if len(result.failures) > 10:
        console.print(f"and {len(result.failures) - 10:,} more failures")
    if result.is_interrupted:
        console.print(INTERRUPTED_SAID)
    if result.untried:
        console.print(f"not tried          {len(result.untried):,} batches, from {result.untried[0]}; run this again")
    console.print(
        f"{len(result.prepared):,} batches prepared, {len(result.failed):,} failed, in {result.runs:,} runs and "
        f"{_duration(seconds)}."
    )


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1_000:
            return f"{size:,.0f} {unit}"
        size /= 1_000
    return f"{size:,.1f} GB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7_200 else f"{seconds / 3_600:,.1f} h"
