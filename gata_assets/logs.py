"""Logs of runs: JSON lines for machines, `RunEvent` for callers that follow a run.

Each notable event is one line with batch, asset and run id; ticket text and row values are never logged. Runs that
this project starts use `event_logger`; all other runs use `JsonLinesHandler`, configured in dagster.yaml.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from gata_assets.environment import read_log_level

# The run tags in which Dagster stores a run's partition or partition range.
PARTITION_TAG = "dagster/partition"
RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")

# The run tag with the number of partitions that a run is going to write, where that is known before it starts.
EXPECTED_TAG = "gata/expected_partitions"

# Handlers in dagster.yaml are a beta feature: Dagster warns in every process, in a line that is not JSON.
warnings.filterwarnings("ignore", message="Handling yaml-defined logging configuration is currently in beta")

# Marks a record that is already written as a line. A run may have both our handler and our logger; Dagster calls the
# handlers first and copies such attributes to the loggers' records.
_IS_WRITTEN = "gata_is_written"

# Dagster logs this at the end of an op that reports its checks batch by batch instead of as outputs.
_BY_BATCH = "did not yield or return expected outputs"

# In the metadata of an evaluation that only says that there was none: its run failed, and that is an error line.
NOT_EVALUATED = "not_evaluated"

# Dagster logs its own events at DEBUG; we log these at INFO.
_NOTABLE_EVENTS = frozenset({"STEP_START", "STEP_SUCCESS", "ASSET_MATERIALIZATION"})


@dataclass(frozen=True)
class RunEvent:
    """An event or log line of a run; `event` is Dagster's event type, empty for a plain log line.

    `batch_id` is the partition or partition range: batches, or days in curation runs. `expected` is the number of
    partitions that the run is going to write, None if that is unknown.
    """

    at: datetime
    level: int
    message: str
    event: str
    batch_id: str
    asset: str
    run_id: str
    error: str
    check: str
    has_passed: bool | None
    numbers: dict[str, int | float]
    expected: int | None = None

    @property
    def kind(self) -> str:
        """What `batch_id` contains: `day` (days are written with hyphens, batch IDs without) or `batch`."""
        return "day" if "-" in self.batch_id else "batch"


def event_logger(
    handle: Callable[[RunEvent], None], level: str, *, watch: Callable[[RunEvent], None] | None = None
) -> dg.LoggerDefinition:
    """A Dagster logger that passes a run's events and log lines to a callback.

    Args:
        handle: Receives the events at `level` and above.
        level: The name of a logging level, such as `INFO`.
        watch: Receives every event, whatever its level.
    """
    handler = _EventHandler(handle, logging.getLevelNamesMapping()[level], watch)

    @dg.logger
    def gata(_: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("gata_assets", logging.DEBUG)  # noqa: LOG001 - each run has its own
        logger.addHandler(handler)
        return logger

    return gata


def default_logger(level: str) -> dg.LoggerDefinition:
    """The logger of runs without a follower: Dagster's colored one on a terminal, JSON lines elsewhere."""
    return dg.colored_console_logger if sys.stderr.isatty() else event_logger(write_json_line, level)


def write_json_line(event: RunEvent) -> None:
    """Write an event to stderr as a JSON line, without its empty fields."""
    line = {
        "day" if event.kind == "day" else "batch_id": event.batch_id,
        "asset": event.asset,
        "run_id": event.run_id,
        "event": event.event,
        "message": event.message,
        "check": event.check,
        "passed": event.has_passed,
        "error": event.error,
        **event.numbers,
    }
    write_fields(event.at, event.level, line)


def write_fields(at: datetime, level: int, fields: Mapping[str, object]) -> None:
    """Write a JSON line with these fields to stderr, without empty ones."""
    line = {"at": at.isoformat(timespec="milliseconds"), "level": logging.getLevelName(level), **fields}
    print(json.dumps({key: value for key, value in line.items() if value not in ("", None)}), file=sys.stderr)


class _EventHandler(logging.Handler):
    """Filters by the level of `RunEvent`, not by `record.levelno`, since Dagster logs its events at DEBUG."""

    def __init__(
        self, handle: Callable[[RunEvent], None], level: int, watch: Callable[[RunEvent], None] | None = None
    ) -> None:
        super().__init__(logging.DEBUG)
        self._handle = handle
        self._min_level = level
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        event = _read_record(record)
        if self._watch:
            self._watch(event)
        is_written = self._handle is write_json_line and getattr(record, _IS_WRITTEN, False)
        if event.level >= self._min_level and not is_written and _BY_BATCH not in event.message:
            self._handle(event)


class JsonLinesHandler(_EventHandler):
    """Writes the events of all runs of a Dagster instance at LOG_LEVEL and above as JSON lines; set in dagster.yaml.

    It is silent on a terminal, where the user has the UI or the display of `gata prepare`, and while `is_muted`: this
    process shows its runs as text.
    """

    is_muted = False

    def __init__(self) -> None:
        super().__init__(write_json_line, logging.getLevelNamesMapping()[read_log_level()])
        # Checked here because Dagster redirects stderr to a file during a step.
        self._is_silent = sys.stderr.isatty()

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's event, and mark the record as written."""
        if not (self._is_silent or JsonLinesHandler.is_muted):
            super().emit(record)
            setattr(record, _IS_WRITTEN, True)


@contextmanager
def without_json_lines() -> Iterator[None]:
    """Runs of this process write no JSON lines meanwhile, whatever their Dagster instance has."""
    JsonLinesHandler.is_muted = True
    try:
        yield
    finally:
        JsonLinesHandler.is_muted = False


def _read_record(record: logging.LogRecord) -> RunEvent:
    meta = getattr(record, "dagster_meta", {})
    event: dg.DagsterEvent | None = meta.get("dagster_event")
    numbers: dict[str, int | float] = {}
    check, has_passed, level = "", None, record.levelno
    # A step may build several assets for several batches: the event's own asset and partition take precedence.
    tags = meta.get("job_tags") or {}
    asset, batch_id = str(meta.get("step_key") or ""), _batches_of_run(tags)
    if event and event.event_type_value in _NOTABLE_EVENTS:
        level = max(level, logging.INFO)
    if event and event.event_type_value == "ASSET_MATERIALIZATION":
        materialization = event.step_materialization_data.materialization
        numbers = numbers_of(materialization.metadata)
        asset, batch_id = materialization.asset_key.to_user_string(), materialization.partition or batch_id
    if event and event.event_type_value == "ASSET_CHECK_EVALUATION":
        evaluation = event.asset_check_evaluation_data
        check, has_passed = evaluation.check_name, evaluation.passed
        asset, batch_id = evaluation.asset_key.to_user_string(), evaluation.partition or batch_id
        if not has_passed and NOT_EVALUATED not in evaluation.metadata:
            level = logging.ERROR if evaluation.severity is dg.AssetCheckSeverity.ERROR else logging.WARNING
    return RunEvent(
        at=datetime.fromtimestamp(record.created, UTC),
        level=level,
        message=str(meta.get("orig_message") or record.getMessage()),
        event=event.event_type.name if event else "",
        batch_id=batch_id,
        asset=asset,
        run_id=str(meta.get("run_id") or ""),
        error=failure_reason(event) if event and event.is_failure else "",
        check=check,
        has_passed=has_passed,
        numbers=numbers,
        expected=int(tags[EXPECTED_TAG]) if EXPECTED_TAG in tags else None,
    )


def span_of(tags: Mapping[str, str]) -> tuple[str, str]:
    """The first and the last partition of a run by its tags: the same for a run of one, empty for a run of none."""
    first, last = (tags.get(tag, tags.get(PARTITION_TAG, "")) for tag in RANGE_TAGS)
    return first, last


def _batches_of_run(tags: Mapping[str, str]) -> str:
    """The run's batch ID; for a run over a range its first and last one, `2026010200...2026010223`."""
    first, last = span_of(tags)
    return first if first == last else f"{first}...{last}"


def numbers_of(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, int | float]:
    """The numeric metadata, without Dagster's prefix in their names."""
    return {
        name.removeprefix("dagster/"): value.value
        for name, value in metadata.items()
        if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue) and value.value is not None
    }


def failure_reason(event: dg.DagsterEvent) -> str:
    """The message of the root error that made a step or run fail."""
    if event.is_step_failure:
        failure = event.step_failure_data.user_failure_data
        if failure and failure.description:
            return str(failure.description)
        error = event.step_failure_data.error
    else:
        # A run that was marked as failed from outside, for example by Dagster's run monitoring, has no data.
        error = event.job_failure_data.error if event.event_specific_data else None
    while error and error.cause:
        error = error.cause
    if error is None:
        return "no reason is known"
    # "gata_assets.errors.NoTicketsError: tickets: no ticket …": the class is for programmers.
    name, _, message = error.message.strip().partition(": ")
    return message if name.startswith("gata_assets.") else f"{name}: {message}" if message else name
