"""`gata events rollup`: events of past hours become raw files, once or again and again."""

from __future__ import annotations

import json

from gata_assets.cli.ending import ended_by_signals
from gata_assets.cli.target import open_store
from gata_assets.cli.terminal import text_console
from gata_assets.definitions.messages import open_upkeep
from gata_assets.ingestion.segments.rollup import RolledUp
from gata_assets.ingestion.upkeep.repeat import Rounds
from gata_assets.ingestion.upkeep.rounds import Failed, Round
from gata_assets.settings.model import Settings


def run(settings: Settings, *, even_open: bool, as_table: bool) -> bool:
    """Roll up all streams, show each, and return whether all could be; one that fails stops no other.

    Raises StoreError if the streams cannot be listed.
    """
    shown = _Shown(as_table=as_table, even_if_idle=True)
    done = open_upkeep(settings, open_store(settings)).run(shown.note, even_open=even_open)
    shown.end(done)
    return not done.failed


def keep_on(settings: Settings, seconds: float, *, even_open: bool, as_table: bool) -> bool:
    """Do a round every so many seconds, until SIGTERM or Ctrl-C; returns whether nothing failed in the last."""
    shown = _Shown(as_table=as_table, even_if_idle=False)
    with ended_by_signals() as ended:
        rounds = Rounds(shown.note, shown.end, ended.wait, ended.is_set)
        return rounds.repeat(open_upkeep(settings, open_store(settings)), seconds, even_open=even_open)


class _Shown:
    """What rounds show: each stream, or with `even_if_idle` unset those with news, and failures; then the numbers."""

    def __init__(self, *, as_table: bool, even_if_idle: bool) -> None:
        self._as_table, self._even_if_idle = as_table, even_if_idle

    def note(self, done: RolledUp | Failed) -> None:
        """Show a stream, or a failure."""
        if isinstance(done, Failed):
            self._show_failed(done)
        elif self._even_if_idle or done.events or done.deleted:
            self._show_stream(done)

    def end(self, done: Round) -> None:
        """Show a round."""
        found = done.numbers
        if not self._as_table:
            print(json.dumps({"event": "EVENTS_ROLLED_UP", **found}), flush=True)
        elif self._even_if_idle or any(found[name] for name in ("events", "failed", "deleted_requests")):
            text_console().print(_in_words(done), markup=False)

    def _show_failed(self, failed: Failed) -> None:
        if self._as_table:
            text_console().print(f"FAILED {failed.what}: {failed.reason}", markup=False)
        else:
            line = {"event": "ROLL_UP_FAILED", "stream": failed.what, "reason": failed.reason}
            print(json.dumps(line), flush=True)

    def _show_stream(self, done: RolledUp) -> None:
        if not self._as_table:
            found = {"events": done.events, "end": done.end, "deleted_segments": done.deleted, "files": done.files}
            print(json.dumps({"event": "STREAM_ROLLED_UP", "stream": done.stream, **found}), flush=True)
            return
        files = f"{done.events:,} events to {len(done.files):,} raw files"
        text_console().print(f"{done.stream}: {files}, {done.deleted:,} old segments deleted", markup=False)
        for key in done.files:
            text_console().print(f"  {key}", markup=False)


def _in_words(done: Round) -> str:
    found = done.numbers
    if not found["streams"]:
        events = "No event waits for its raw file"
    else:
        events = f"{found['streams']:,} streams, {found['events']:,} events to {found['files']:,} raw files"
    waits = f"; the oldest event in none waits for {found['oldest_waits_seconds']:,.0f} s"
    swept = f"; {found['deleted_requests']:,} old requests removed" if found["deleted_requests"] else ""
    damaged = f"; {found['damaged_requests']:,} requests damaged" if found["damaged_requests"] else ""
    return f"{events}{waits if found['oldest_waits_seconds'] else ''}{swept}{damaged}."
