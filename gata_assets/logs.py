"""What runs say while they run: JSON lines for machines, events for whoever follows a run.

One line a notable event with batch, asset and run id; no ticket text and no value of a row gets here.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

# Dagster logs its own events at DEBUG; these are worth INFO.
_NOTABLE_EVENTS = frozenset({"STEP_START", "STEP_SUCCESS", "ASSET_MATERIALIZATION"})


@dataclass(frozen=True)
class RunEvent:
    """One thing that happened in a run; `event` is Dagster's type of it, empty for a plain log line."""

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


def event_logger(handle: Callable[[RunEvent], None], level: str) -> dg.LoggerDefinition:
    """A Dagster logger that hands on the events and log lines of a run from `level` up."""
    handler = _EventHandler(handle, logging.getLevelNamesMapping()[level])

    @dg.logger
    def gata(_: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("gata_assets", logging.DEBUG)
        logger.addHandler(handler)
        return logger

    return gata


def default_logger(level: str) -> dg.LoggerDefinition:
    """The logger of runs that nobody follows: Dagster's coloured one on a terminal, JSON lines elsewhere."""
    return dg.colored_console_logger if sys.stderr.isatty() else event_logger(write_json_line, level)


def write_json_line(event: RunEvent) -> None:
    """Write an event as one line of JSON; fields that say nothing are left out."""
    line = {
        "at": event.at.isoformat(timespec="milliseconds"),
        "level": logging.getLevelName(event.level),
        "batch_id": event.batch_id,
        "asset": event.asset,
        "run_id": event.run_id,
        "event": event.event,
        "message": event.message,
        "check": event.check,
        "passed": event.has_passed,
        "error": event.error,
        **event.numbers,
    }
    print(json.dumps({key: value for key, value in line.items() if value not in ("", None)}), file=sys.stderr)


class _EventHandler(logging.Handler):
    def __init__(self, handle: Callable[[RunEvent], None], level: int) -> None:
        super().__init__(logging.DEBUG)
        self._handle = handle
        self._least = level

    def emit(self, record: logging.LogRecord) -> None:
        event = _read_record(record)
        if event.level >= self._least:
            self._handle(event)


def _read_record(record: logging.LogRecord) -> RunEvent:
    meta = getattr(record, "dagster_meta", {})
    event: dg.DagsterEvent | None = meta.get("dagster_event")
    numbers: dict[str, int | float] = {}
    check, has_passed, level = "", None, record.levelno
    if event and event.event_type_value in _NOTABLE_EVENTS:
        level = max(level, logging.INFO)
    if event and event.event_type_value == "ASSET_MATERIALIZATION":
        numbers = numbers_of(event.step_materialization_data.materialization.metadata)
    if event and event.event_type_value == "ASSET_CHECK_EVALUATION":
        evaluation = event.asset_check_evaluation_data
        check, has_passed = evaluation.check_name, evaluation.passed
        if not has_passed:
            level = logging.ERROR if evaluation.severity is dg.AssetCheckSeverity.ERROR else logging.WARNING
    return RunEvent(
        at=datetime.fromtimestamp(record.created, UTC),
        level=level,
        message=str(meta.get("orig_message") or record.getMessage()),
        event=event.event_type_value if event else "",
        batch_id=str((meta.get("job_tags") or {}).get("dagster/partition", "")),
        asset=str(meta.get("step_key") or ""),
        run_id=str(meta.get("run_id") or ""),
        error=failure_reason(event) if event and event.is_failure else "",
        check=check,
        has_passed=has_passed,
        numbers=numbers,
    )


def numbers_of(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, int | float]:
    """The metadata that are numbers, without Dagster's prefix."""
    return {
        name.removeprefix("dagster/"): value.value
        for name, value in metadata.items()
        if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue) and value.value is not None
    }


def failure_reason(event: dg.DagsterEvent) -> str:
    """Why a step or a run failed, in the words of the error that was raised first."""
    if event.is_step_failure:
        failure = event.step_failure_data.user_failure_data
        if failure and failure.description:
            return str(failure.description)
        error = event.step_failure_data.error
    else:
        # A run that was marked as failed from outside, by Dagster's run monitoring say, has no data.
        error = event.job_failure_data.error if event.event_specific_data else None
    while error and error.cause:
        error = error.cause
    if error is None:
        return "no reason is known"
    # "gata_assets.errors.NoTicketsError: tickets: no ticket …": the class is for programmers.
    name, _, said = error.message.strip().partition(": ")
    return said if name.startswith("gata_assets.") else f"{name}: {said}" if said else name
