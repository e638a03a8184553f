"""Processes that are killed while they make events durable and roll them up: nothing that was said to be stored is
missing, and nothing is there twice.

Real: processes, SIGKILL, a directory, threads. Nothing is faked. All processes write one stream, one after another.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest

from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.cursor import read_cursor
from gata_assets.ingestion.segments.group_commit import EventLog
from gata_assets.ingestion.segments.rollup import RollUp
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.event_worlds import STREAM, event, rolled_up

_CALLERS = 4
_CODE = (
    "import sys\nfrom gata_assets_tests.ingestion.segments.test_kills import write\n"
    "write(sys.argv[1], int(sys.argv[2]))"
)


def write(directory: str, start: int) -> None:
    """Append events without end from some threads, print the number of each that is stored, and roll up meanwhile."""
    store = LocalStore(directory)

    def roll_up() -> None:
        while True:
            list(RollUp(store, lambda: datetime.now(UTC)).run(even_open=True))

    with EventLog(store, STREAM, at_most_seconds=0.001) as log, ThreadPoolExecutor(_CALLERS) as pool:

        def send(caller: int) -> None:
            number = start + caller
            while True:
                log.append([event(number), event(number + _CALLERS)]).result()
                # One write: lines of other threads do not get in between.
                sys.stdout.write(f"{number}\n{number + _CALLERS}\n")
                sys.stdout.flush()
                number += 2 * _CALLERS

        Thread(target=roll_up, daemon=True).start()
        list(pool.map(send, range(_CALLERS)))


@pytest.mark.process
@pytest.mark.parametrize(
    ("kills", "events"), [(2, 150), pytest.param(40, 2_000, marks=pytest.mark.soak)], ids=["few", "many"]
)
def test_killed_writers_lose_and_double_nothing_that_they_said_is_stored(
    kills: int, events: int, tmp_path: Path
) -> None:
    directory = str(tmp_path / "target")
    said: list[str] = []
    for attempt in range(kills):
        start = attempt * 1_000_000
        process = subprocess.Popen(
            [sys.executable, "-c", _CODE, directory, str(start)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        with process.stdout:
            # Each time a little later.
            said += [process.stdout.readline() for _ in range(events + 7 * attempt)]
            while read_cursor(LocalStore(directory), STREAM).end == 0 and process.poll() is None:
                # Before anything is rolled up there is nothing to kill in it.
                said.append(process.stdout.readline())
            process.kill()
            # What it said before it was killed; the last line may be cut.
            said += [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        process.wait()
    store = LocalStore(directory)
    end = Chain(store, STREAM).end()
    assert read_cursor(store, STREAM).end > 0
    list(RollUp(store, lambda: datetime.now(UTC)).run(even_open=True))
    found = Counter(one.request_id for _, _, one in rolled_up(store))
    assert set(found.values()) == {1}
    assert {f"r{line.strip()}" for line in said} <= found.keys()
    assert len(said) >= kills * events
    assert sum(found.values()) == end
