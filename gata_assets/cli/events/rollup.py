"""`gata events rollup`: events of past hours become raw files."""

from __future__ import annotations

import json

from gata_assets.cli.raw_files.outcomes import open_store
from gata_assets.cli.terminal import text_console
from gata_assets.definitions.messages import build_roll_up
from gata_assets.errors import RegistryError, StoreError
from gata_assets.ingestion.segments.cursor import find_streams
from gata_assets.ingestion.segments.rollup import RolledUp
from gata_assets.settings.model import Settings


def run(settings: Settings, *, even_open: bool, as_table: bool) -> bool:
    """Roll up all streams, show each, and return whether all could be; one that fails stops no other.

    Raises StoreError if the streams cannot be listed.
    """
    store = open_store(settings)
    roll_up = build_roll_up(settings, store)
    failed = False
    streams = list(find_streams(store))
    for stream in streams:
        try:
            _show(roll_up.roll_up(stream, even_open=even_open), as_table=as_table)
        except (StoreError, RegistryError) as error:
            failed = True
            if as_table:
                text_console().print(f"FAILED {stream}: {error}", markup=False)
            else:
                print(json.dumps({"event": "ROLL_UP_FAILED", "stream": stream, "reason": str(error)}))
    if as_table and not streams:
        text_console().print("No event has arrived yet.", markup=False)
    return not failed


def _show(done: RolledUp, *, as_table: bool) -> None:
    if not as_table:
        found = {"events": done.events, "end": done.end, "deleted_segments": done.deleted, "files": done.files}
        print(json.dumps({"event": "STREAM_ROLLED_UP", "stream": done.stream, **found}))
        return
    files = f"{done.events:,} events to {len(done.files):,} raw files"
    text_console().print(f"{done.stream}: {files}, {done.deleted:,} old segments deleted", markup=False)
    for key in done.files:
        text_console().print(f"  {key}", markup=False)
