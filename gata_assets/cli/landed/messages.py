"""`gata quarantine messages`: messages of topics that are no events, by reason, and judging them again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from rich.table import Table

from gata_assets.cli.target import open_store
from gata_assets.cli.terminal import text_console
from gata_assets.definitions.messages import build_decoder, build_judge, build_roll_up
from gata_assets.errors import RegistryError, StoreError
from gata_assets.ingestion.kafka.consuming.replay import Replay, Replayed, quarantined_streams, waiting_in_quarantine
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.cursor import find_streams, read_cursor
from gata_assets.settings.model import Settings
from gata_assets.storage.objects import ObjectStore


def show(settings: Settings, topic: str | None, *, as_table: bool) -> None:
    """Show how many messages wait in quarantine, by stream and reason; raises StoreError."""
    store = open_store(settings)
    counts: Counter[tuple[str, str]] = Counter()
    for stream in sorted({*quarantined_streams(store), *_kafka_streams(store)}):
        if topic in (None, stream.split("/")[1]):
            counts.update((stream, one.reason) for one in waiting_in_quarantine(store, stream))
            cursor = read_cursor(store, stream)
            for segment in Chain(store, stream).segments(cursor.end):
                counts.update((stream, one.reason) for one in segment.rejected)
    if not as_table:
        for (stream, reason), messages in sorted(counts.items()):
            facts = {"stream": stream, "reason": reason, "messages": messages}
            print(json.dumps({"event": "MESSAGES_IN_QUARANTINE", **facts}))
        return
    if not counts:
        text_console().print("No message of a topic is in quarantine.")
        return
    table = Table("stream", "reason", title="Messages in quarantine", title_justify="left")
    table.add_column("messages", justify="right")
    for (stream, reason), messages in sorted(counts.items()):
        table.add_row(stream, reason, f"{messages:,}")
    text_console().print(table)


def replay(settings: Settings, topic: str | None, *, as_table: bool) -> bool:
    """Judge messages again, show what became of each range, and return whether all streams could be read.

    What is not rolled up yet is rolled up first. Raises SettingsError, or StoreError if nothing can be listed.
    """
    store, decoder = open_store(settings), build_decoder(settings)
    again = Replay(store, build_judge(settings, store, decoder), decoder)
    roll_up = build_roll_up(settings, store)
    failed = False
    for stream in sorted({*quarantined_streams(store), *_kafka_streams(store)}):
        if topic not in (None, stream.split("/")[1]):
            continue
        try:
            cursor = read_cursor(store, stream)
            if any(segment.rejected for segment in Chain(store, stream).segments(cursor.end)):
                roll_up.roll_up(stream, even_open=True)
            for done in again.run(stream):
                _show(done, as_table=as_table)
        except (StoreError, RegistryError) as error:
            failed = True
            if as_table:
                text_console().print(f"FAILED {stream}: {error}", markup=False)
            else:
                print(json.dumps({"event": "REPLAY_FAILED", "stream": stream, "reason": str(error)}))
    return not failed


def _kafka_streams(store: ObjectStore) -> Iterator[str]:
    return (stream for stream in find_streams(store) if stream.startswith("kafka/"))


def _show(done: Replayed, *, as_table: bool) -> None:
    taken = sum(len(file.offsets) for file in done.files)
    if not as_table:
        facts = {"stream": done.stream, "first": done.first, "taken": taken, "rejected": done.rejected}
        print(json.dumps({"event": "MESSAGES_REPLAYED", **facts, "files": [file.key for file in done.files]}))
        return
    left = ", ".join(f"{messages:,} {reason}" for reason, messages in sorted(done.rejected.items())) or "none"
    text_console().print(
        f"{done.stream} from {done.first}: {taken:,} messages came in; rejected still: {left}", markup=False
    )
    for file in done.files:
        text_console().print(f"  {file.key}", markup=False)
