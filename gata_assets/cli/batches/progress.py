"""How far a backfill is: a bar with an estimate on a terminal, lines of JSON elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

import dagster as dg
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from gata_assets.logs import RunEvent, event_logger, write_json_line

# The asset that is written last of a batch.
LAST_ASSET = "low_volume_split"


@contextmanager
def followed(level: str, batch_ids: Sequence[str], *, last_asset: str = LAST_ASSET) -> Iterator[dg.LoggerDefinition]:
    """A logger for the runs: a bar with an estimate on a terminal, JSON lines elsewhere.

    `last_asset` is the one that is written last of a batch.
    """
    if not sys.stderr.isatty():
        yield event_logger(write_json_line, level, watch=_JsonProgress(batch_ids, last_asset).show)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True, emoji=False)) as progress:
        bar = _Bar(progress, progress.add_task("batches", total=len(batch_ids)), batch_ids, last_asset)
        yield event_logger(bar.say, level, watch=bar.show)
        progress.update(bar.task, description="batches")


@contextmanager
def followed_days(level: str, tenant: str) -> Iterator[dg.LoggerDefinition]:
    """A logger for runs that curate a tenant's days: how many are made on a terminal, JSON lines elsewhere."""
    if not sys.stderr.isatty():
        yield event_logger(write_json_line, level)
        return
    columns = (SpinnerColumn(finished_text=""), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, emoji=False), transient=True) as progress:
        days = _Days(progress, tenant)
        yield event_logger(days.say, level, watch=days.show)


class _Days:
    """How many days of a tenant are made; what fails is said above it."""

    def __init__(self, progress: Progress, tenant: str) -> None:
        self._progress, self._tenant = progress, tenant
        self._task = progress.add_task(f"looking at the files and days of {tenant}", total=None)
        self._made = 0

    def show(self, event: RunEvent) -> None:
        if event.event == "ASSET_MATERIALIZATION" and event.kind == "day":
            self._made += 1
            said = f"{self._made:,} days of {self._tenant} curated, {event.batch_id} last"
            self._progress.update(self._task, description=said)

    def say(self, event: RunEvent) -> None:
        if event.event == "ASSET_CHECK_EVALUATION" and not event.has_passed:
            self._progress.console.print(
                f"[yellow]day {event.batch_id}: check {event.check} of {event.asset} has failed[/yellow]"
            )
        elif not event.event:
            self._progress.console.print(event.message, markup=False)


class _Count:
    """How many batches are done, by the events of their runs: those before the one of the latest event."""

    def __init__(self, batch_ids: Sequence[str], last_asset: str) -> None:
        self._places = {batch_id: place for place, batch_id in enumerate(batch_ids)}
        self._last_asset = last_asset
        self.done = 0

    def see(self, event: RunEvent) -> bool:
        """Take note of an event; returns whether more batches are done than before."""
        if event.batch_id not in self._places:
            return False
        is_last = event.event == "ASSET_MATERIALIZATION" and event.asset == self._last_asset
        done = self._places[event.batch_id] + is_last
        is_more = done > self.done
        self.done = max(done, self.done)
        return is_more


class _Bar:
    """The progress bar of a terminal; what fails is said above it."""

    def __init__(self, progress: Progress, task: TaskID, batch_ids: Sequence[str], last_asset: str) -> None:
        self._progress = progress
        self.task = task
        self._count = _Count(batch_ids, last_asset)

    def show(self, event: RunEvent) -> None:
        if self._count.see(event):
            self._progress.update(self.task, completed=self._count.done, description=f"batch {event.batch_id}")

    def say(self, event: RunEvent) -> None:
        if event.event == "ASSET_CHECK_EVALUATION" and not event.has_passed:
            self._progress.console.print(
                f"[yellow]batch {event.batch_id}: check {event.check} of {event.asset} has failed[/yellow]"
            )
        elif not event.event:
            self._progress.console.print(event.message, markup=False)


class _JsonProgress:
    """A line after every batch: how many are done, and about how long the others will take."""

    def __init__(self, batch_ids: Sequence[str], last_asset: str) -> None:
        self._batches = len(batch_ids)
        self._count = _Count(batch_ids, last_asset)
        self._started = perf_counter()

    def show(self, event: RunEvent) -> None:
        if self._count.see(event):
            done = self._count.done
            left = (perf_counter() - self._started) / done * (self._batches - done)
            line = {"event": "BACKFILL_PROGRESS", "done": done, "of": self._batches, "seconds_left": round(left)}
            print(json.dumps(line), file=sys.stderr)
