"""`gata shop process` and `gata shop replay`: the parts put together, and their results shown."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from typing import IO
from uuid import uuid4

from gata_assets import logs
from gata_assets.cli.exit_codes import DONE, FAILED, QUEUED
from gata_assets.cli.terminal import text_console
from gata_assets.definitions.shop_engine import open_shop
from gata_assets.errors import EventError, SettingsError
from gata_assets.settings.model import Settings
from gata_assets.shop.events import notifications
from gata_assets.shop.events import replay as replaying
from gata_assets.shop.events.dead_letters import DeadLetterQueue, SqsQueue, StoredQueue
from gata_assets.shop.events.event import MANUAL, ObjectEvent, parse_event
from gata_assets.shop.events.metrics import Measured, embedded_metrics
from gata_assets.shop.events.metrics_file import add_to_metrics_file
from gata_assets.shop.events.process import Processor, Result, State, Surroundings
from gata_assets.shop.events.prometheus import Series, series_of, series_of_letters
from gata_assets.shop.events.routing import Place, ShopPlaces, split_by_source
from gata_assets.shop.events.shown import Subject
from gata_assets.shop.events.stages import Stages
from gata_assets.shop.places import CURATED, PROD, RAW
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.masking.card_numbers import truncate_in_text

# SQS and EventBridge have smaller ones.
_MOST_EVENT_BYTES = 1 << 20

OpenShop = Callable[[Settings], Stages]


def event_of(bucket: str, key: str, request_id: str | None) -> ObjectEvent:
    """The event of a bucket and a key; raises EventError."""
    found = {"bucket": bucket, "key": key, "event_type": MANUAL, "id": request_id}
    return parse_event(json.dumps(found))


def read_event(file: IO[bytes] | None, text: str | None) -> ObjectEvent:
    """The event of a file or of a text; raises EventError."""
    if text is not None or file is None:
        return parse_event(text or "")
    content = file.read(_MOST_EVENT_BYTES + 1)
    if len(content) > _MOST_EVENT_BYTES:
        raise EventError(f"The event has more than {_MOST_EVENT_BYTES:,} bytes.")
    try:
        return parse_event(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise EventError("The event is not UTF-8 text.") from None


def process(
    settings: Settings,
    event: ObjectEvent,
    *,
    metrics_file: Path | None,
    as_table: bool,
    open_stages: OpenShop = open_shop,
) -> int:
    """Process an event, for each source if a schedule sent it, and show what became of it; gives the exit code."""
    report = _Report(settings, metrics_file, as_table=as_table)
    processor = _processor(settings, report, open_stages)
    results = [processor.process(one) for one in split_by_source(event, processor.places)]
    report.series.append(series_of_letters(queued=sum(result.is_queued for result in results)))
    report.write_metrics(results[0].subject.as_fields())
    for result in results:
        _show(result, as_table=as_table)
    if any(result.undelivered for result in results):
        # As after a crash, so that whoever started it starts it again.
        return FAILED
    return QUEUED if any(result.failure for result in results) else DONE


def replay(
    settings: Settings,
    *,
    most: int | None,
    metrics_file: Path | None,
    as_table: bool,
    open_stages: OpenShop = open_shop,
) -> int:
    """Process dead letters, and show what became of each and of all; gives the exit code."""
    report = _Report(settings, metrics_file, as_table=as_table)
    processor = _processor(settings, report, open_stages)

    def show(result: Result) -> None:
        _show(result, as_table=as_table)

    done = replaying.Replayed()
    try:
        replaying.replay(processor.queue, processor, done, most=most, on_result=show)
    finally:
        report.series.append(series_of_letters(replayed=done.processed + done.ignored))
        report.write_metrics({})
    counts = {name: getattr(done, name) for name in ("processed", "ignored", "failed", "unreadable", "undelivered")}
    if as_table:
        text = ", ".join(f"{number:,} {name}" for name, number in counts.items() if number)
        text_console().print(f"Dead letters: {text or 'none'}.", markup=False)
    else:
        print(json.dumps({"event": "REPLAY_ENDED", **counts}))
    return DONE if done.is_complete else FAILED


def list_queue(settings: Settings, *, most: int | None, as_table: bool) -> None:
    """Show what is in the dead-letter queue by stage and class of the error; raises QueueError."""
    found = replaying.list_letters(_queue(settings), shop_places(settings), most=most)
    total = found.by_stage_and_error.total() + found.unreadable
    if as_table:
        lines = [f"Dead letters: {total:,}"]
        lines += [
            f"  {stage}, {error}: {count:,}" for (stage, error), count in sorted(found.by_stage_and_error.items())
        ]
        lines += [f"  cannot be read: {found.unreadable:,}"] if found.unreadable else []
        text_console().print("\n".join(lines), markup=False)
        return
    for (stage, error), count in sorted(found.by_stage_and_error.items()):
        print(json.dumps({"event": "DEAD_LETTERS", "stage": stage, "error": error, "messages": count}))
    print(json.dumps({"event": "DEAD_LETTERS_LISTED", "messages": total, "unreadable": found.unreadable}))


def shop_places(settings: Settings) -> ShopPlaces:
    """Where the shop's files are, by the settings; raises SettingsError without a shop."""
    shop, target = settings.shop, settings.target
    if not shop.sources:
        raise SettingsError("SHOP_SOURCES is missing: it names the shops. Example: SHOP_SOURCES=ecommerce")
    everything = target.bucket or str(target.directory)

    def place(bucket: str | None, prefix: str) -> Place:
        return Place(bucket) if bucket else Place(everything, prefix)

    return ShopPlaces(
        place(shop.raw_bucket, RAW),
        place(shop.curated_bucket, CURATED),
        place(shop.prod_bucket, PROD),
        frozenset(shop.sources),
    )


@dataclass
class _Report:
    """Where log lines and metrics of a command go."""

    settings: Settings
    metrics_file: Path | None
    as_table: bool
    series: list[Series] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)

    def log(self, at: datetime, level: int, fields: Mapping[str, object]) -> None:
        """Write a line of JSON at LOG_LEVEL and above; for people, only what they should know."""
        lowest = logging.getLevelNamesMapping()[self.settings.project.log_level]
        if level >= max(lowest, logging.WARNING if self.as_table else lowest):
            logs.write_fields(at, level, fields)

    def measure(self, measured: Measured, subject: Subject) -> None:
        """Write the line that CloudWatch reads, and keep the samples for the file."""
        self.series.append(series_of(measured))
        self.measured.append(measured)
        if not self.as_table:
            print(json.dumps(embedded_metrics(measured) | subject.as_fields()), file=sys.stderr)

    def write_metrics(self, subject: Mapping[str, str]) -> None:
        """Write the file of metrics, and push them; that it cannot be done fails no event."""
        try:
            if self.metrics_file is not None:
                add_to_metrics_file(self.metrics_file, self.series)
        except OSError as error:
            message = f"The metrics were not written: {self.metrics_file} cannot be written ({type(error).__name__})."
            self._warn(message, subject)
        for reason in self._push():
            self._warn(reason, subject)

    def _push(self) -> Iterator[str]:
        """Push what was measured, if there is a gateway; gives the reasons why it could not be done."""
        url = self.settings.quality.pushgateway_url
        if url is None:
            return
        try:
            from gata_assets.shop.events.pushed import push_measured
        except ModuleNotFoundError as error:
            yield f"Metrics were not pushed: {error.name} is not installed: pip install 'gata-assets[service]'."
            return
        for measured in self.measured:
            if reason := push_measured(url, measured):
                yield reason

    def _warn(self, message: str, subject: Mapping[str, str]) -> None:
        self.log(datetime.now(UTC), logging.ERROR, {"event": "METRICS_FAILED", "message": message, **subject})


def _processor(settings: Settings, report: _Report, open_stages: OpenShop) -> Processor:
    shop = settings.shop
    return Processor(
        open_stages=lambda: open_stages(settings),
        places=shop_places(settings),
        queue=_queue(settings),
        data=notifications.open_channel(shop.data_topic_arn, notifications.DATA_TOPIC),
        operations=notifications.open_channel(shop.operations_topic_arn, notifications.OPERATIONS_TOPIC),
        around=Surroundings(
            now=lambda: datetime.now(UTC),
            seconds=time.monotonic,
            sleep=time.sleep,
            random=SystemRandom(),
            new_id=lambda: str(uuid4()),
            log=report.log,
            measure=report.measure,
            clean=truncate_in_text,
        ),
    )


def _queue(settings: Settings) -> DeadLetterQueue:
    if settings.shop.dlq_url:
        return SqsQueue(settings.shop.dlq_url, settings.target.region)
    shop = settings.shop
    if settings.target.bucket is None and (shop.raw_bucket or shop.curated_bucket or shop.prod_bucket):
        # The directory may be a container's, and gone with it.
        raise SettingsError(
            "SHOP_DLQ_URL is missing: the shop has buckets, and the target, where dead letters would be kept, is a "
            "directory. Example: SHOP_DLQ_URL=https://sqs.us-east-1.amazonaws.com/123456789012/gata-shop-dlq"
        )
    return StoredQueue(_target(settings))


def _target(settings: Settings) -> ObjectStore:
    """The target; a directory without Dagster's resources."""
    if settings.target.bucket is None:
        return LocalStore(str(settings.target.directory))
    from gata_assets.definitions.stores import build_store

    return build_store(settings)


def _show(result: Result, *, as_table: bool) -> None:
    if as_table:
        text_console().print("\n".join(_lines(result)), markup=False)
    else:
        print(json.dumps(_fields(result)))


def _lines(result: Result) -> list[str]:
    key, outcome, failure = result.subject.key, result.outcome, result.failure
    if result.state is State.IGNORED:
        return [f"{key}: nothing is done, {result.reason}."]
    if failure:
        where = "It is in the dead-letter queue: `gata shop replay` processes it again."
        kept = [f"  {where}"] if result.is_queued else []
        tries = "1 try" if result.tries == 1 else f"{result.tries} tries"
        return [f"FAILED {key}: {failure.error} after {tries}", f"  {failure.reason}", *kept]
    lines = [f"{key}: {result.subject.stage} done in {result.seconds:.1f} s"]
    if outcome and outcome.is_refused:
        lines.append("  REFUSED: it cannot be read as a table, and counts with no row")
    elif outcome:
        lines.append(f"  {outcome.rows:,} rows: {outcome.rejected:,} rejected, {outcome.duplicates:,} superseded")
        lines += [f"  {rows:,} broke {rule}" for rule, rows in outcome.counts_by_rule.items()]
        lines += [f"  {rows:,} of {table} were quarantined" for table, rows in outcome.quarantined.items()]
    return lines


def _fields(result: Result) -> dict[str, object]:
    outcome, failure = result.outcome, result.failure
    found: dict[str, object] = {
        "event": f"EVENT_{result.state.upper()}",
        **result.subject.as_fields(),
        "tries": result.tries,
        "seconds": round(result.seconds, 3),
    }
    if outcome:
        found |= {"rows": outcome.rows, "rejected": outcome.rejected, "duplicates": outcome.duplicates}
        found |= {"rejected_by_rule": outcome.counts_by_rule, "is_refused": outcome.is_refused}
        found |= {"quarantined": dict(outcome.quarantined)}
    if failure:
        found |= {"error": failure.error, "reason": failure.reason, "is_queued": result.is_queued}
    if result.reason:
        found["reason"] = result.reason
    return found | {"undelivered": len(result.undelivered)}
