"""The progress that commands show: bars and spinners on a terminal, lines of JSON elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Protocol

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
from gata_assets.orchestration.pipelines import Pipeline


@contextmanager
def followed_batch(level: str) -> Iterator[dg.LoggerDefinition]:
    """A logger for the runs of `gata prepare`: a line per asset on a terminal, JSON lines elsewhere."""
    if not sys.stderr.isatty():
        yield event_logger(write_json_line, level)
        return
    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=_console()) as progress:
        yield event_logger(_BatchDisplay(progress).show, level)


class FollowedBackfill:
    """What `gata backfill` shows, stage by stage, through one logger for all of its runs."""

    def __init__(self, level: str) -> None:
        self._stage: _Stage | None = None
        self._is_terminal = sys.stderr.isatty()
        say = self._say if self._is_terminal else write_json_line
        self.logger = event_logger(say, level, watch=self._show)

    @contextmanager
    def refresh(self, pipeline: Pipeline) -> Iterator[None]:
        """Show the progress of bringing a pipeline's inputs up to date: the number of days on a terminal."""
        if not self._is_terminal:
            yield
            return
        columns = (SpinnerColumn(finished_text=""), TextColumn("{task.description}"), TimeElapsedColumn())
        progress = Progress(*columns, console=_console(), transient=True)
        with progress, self._at(_Days(progress, pipeline.scope or pipeline.name)):
            yield

    @contextmanager
    def batches(self, pipeline: Pipeline, batch_ids: Sequence[str]) -> Iterator[None]:
        """Show the progress of batches: a bar with an estimate on a terminal, a line per batch elsewhere."""
        done = _Done(batch_ids, pipeline.last_asset)
        if not self._is_terminal:
            with self._at(_JsonProgress(done)):
                yield
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=_console()) as progress:
            bar = _Bar(progress, progress.add_task("batches", total=len(batch_ids)), done)
            with self._at(bar):
                yield
            progress.update(bar.task, description="batches")

    @contextmanager
    def _at(self, stage: _Stage) -> Iterator[None]:
        self._stage = stage
        try:
            yield
        finally:
            self._stage = None

    def _show(self, event: RunEvent) -> None:
        if self._stage:
            self._stage.show(event)

    def _say(self, event: RunEvent) -> None:
        if self._stage:
            self._stage.say(event)


class _Stage(Protocol):
    """A display for a stage of runs: `show` gets every event, `say` those from the log level up."""

    def show(self, event: RunEvent) -> None: ...

    def say(self, event: RunEvent) -> None: ...


class _OnTerminal:
    """A stage on a terminal: failed checks and log lines are printed above the moving part."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def say(self, event: RunEvent) -> None:
        if event.event == "ASSET_CHECK_EVALUATION" and not event.has_passed:
            self._progress.console.print(
                f"[yellow]{event.kind} {event.batch_id}: check {event.check} of {event.asset} has failed[/yellow]"
            )
        elif not event.event:
            self._progress.console.print(event.message, markup=False)


class _Days(_OnTerminal):
    """The number of curated days."""

    def __init__(self, progress: Progress, title: str) -> None:
        super().__init__(progress)
        self._title = title
        self._task = progress.add_task(f"looking at the files and days of {title}", total=None)
        self._days = 0

    def show(self, event: RunEvent) -> None:
        if event.event == "ASSET_MATERIALIZATION" and event.kind == "day":
            self._days += 1
            description = f"{self._days:,} days of {self._title} curated, {event.batch_id} last"
            self._progress.update(self._task, description=description)


class _Bar(_OnTerminal):
    """The progress bar of batches."""

    def __init__(self, progress: Progress, task: TaskID, done: _Done) -> None:
        super().__init__(progress)
        self.task = task
        self._done = done

    def show(self, event: RunEvent) -> None:
        if self._done.see(event):
            batch = f"batch {event.batch_id}"
            self._progress.update(self.task, completed=self._done.number, description=batch, refresh=True)


class _JsonProgress:
    """A line after every batch: the number of finished batches, and an estimate for the others."""

    def __init__(self, done: _Done) -> None:
        self._done = done
        self._started = perf_counter()

    def show(self, event: RunEvent) -> None:
        if self._done.see(event):
            number, of = self._done.number, self._done.of
            left = (perf_counter() - self._started) / number * (of - number)
            line = {"event": "BACKFILL_PROGRESS", "done": number, "of": of, "seconds_left": round(left)}
            print(json.dumps(line), file=sys.stderr)

    def say(self, event: RunEvent) -> None:
        """Do nothing: events are lines of JSON already."""


class _Done:
    """Counts finished batches by the events of their runs: those before the batch of the latest event."""

    def __init__(self, batch_ids: Sequence[str], last_asset: str) -> None:
        self._places = {batch_id: place for place, batch_id in enumerate(batch_ids)}
        self._last_asset = last_asset
        self.of = len(batch_ids)
        self.number = 0

    def see(self, event: RunEvent) -> bool:
        """Count an event; returns whether more batches are finished than before."""
        if event.batch_id not in self._places:
            return False
        is_last = event.event == "ASSET_MATERIALIZATION" and event.asset == self._last_asset
        number = self._places[event.batch_id] + is_last
        is_more = number > self.number
        self.number = max(number, self.number)
        return is_more


class _BatchDisplay:
    """A line for each written asset, and below a spinner during the run."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def show(self, event: RunEvent) -> None:
        title = f"{event.kind} {event.batch_id}"
        if event.event == "STEP_START":
            self._task = self._progress.add_task(title, total=1)
        elif event.event == "ASSET_MATERIALIZATION" and event.kind == "day" and self._task is not None:
            # There are too many for separate lines.
            self._progress.update(self._task, description=f"{title} of {event.asset}")
        elif event.event == "ASSET_MATERIALIZATION":
            self._progress.console.print(f"✓ {event.asset}: {event.numbers.get('row_count', 0):,} rows")
        elif event.event == "ASSET_CHECK_EVALUATION" and not event.has_passed:
            self._progress.console.print(f"[yellow]check {event.check} of {event.asset} has failed[/yellow]")
        elif event.event in ("STEP_SUCCESS", "STEP_FAILURE") and self._task is not None:
            description = title if event.event == "STEP_SUCCESS" else f"[red]{title}: failed[/red]"
            self._progress.update(self._task, completed=1, description=description)


def _console() -> Console:
    return Console(stderr=True, emoji=False)
