"""The process that works on rows: as the work where it is, for results, errors, and when either process ends.

Real: the processes, the socket, a directory. Given: work that fails as told.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from gata_assets.errors import DamagedTableError, ProcessLostError, RawFileChangedError, StoreError
from gata_assets.ingestion.http.faults import place_of
from gata_assets.ingestion.http.problems import Problem
from gata_assets.ingestion.http.rows.process import RowProcess
from gata_assets.ingestion.http.rows.work import Landed
from gata_assets.ingestion.http.rows.worker import RowWorker
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.event import NewEvent, StoredEvents
from gata_assets.ingestion.segments.group_commit import EventLog
from gata_assets.interactions.tables import TABLES
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.erasures import erasure_requests
from gata_assets_tests.support.event_worlds import START, STREAM, event, segment_of
from gata_assets_tests.support.raw_worlds import NOW, curator_of, encode, interaction

pytestmark = pytest.mark.process
PATIENCE = 60
ROWS = encode([interaction(), interaction(user_id=None), interaction(item_id="i2")], "jsonl")


def now() -> datetime:
    return NOW


def worker(directory: str) -> RowWorker:
    """The work on rows of a directory."""
    store = LocalStore(directory)
    return RowWorker(
        store, TABLES, lambda tenant, at: curator_of(store, tenant, now=at), now, erasure_requests(store, now)
    )


class Failing(RowWorker):
    """Fails as it is told by a table's name, and sleeps when it is asked about quality."""

    def judge(self, tenant: str | None, table: str, content: bytes, most_rows: int) -> dict[str, Any]:
        raise {
            "problem": Problem(422, "unreadable", "A detail.", headers={"Retry-After": "1"}, s3_path="s3://b/k"),
            "damaged": DamagedTableError("Damaged.", key="a/key"),
            "changed": RawFileChangedError("Changed."),
            "store": ConnectionResetError("by the store, not by the process"),
            "unforeseen": ZeroDivisionError("unforeseen"),
        }[table]

    def find_stored(self, events: Sequence[NewEvent], since: datetime) -> StoredEvents | None:
        sleep(PATIENCE)
        return None


def failing(directory: str) -> Failing:
    """Work that fails."""
    store = LocalStore(directory)
    return Failing(
        store, TABLES, lambda tenant, at: curator_of(store, tenant, now=at), now, erasure_requests(store, now)
    )


def no_work() -> RowWorker:
    """Work that cannot be done here."""
    sys.exit("There is no work: 5c1f0d9e.")


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[RowProcess]:
    """The process, for a directory."""
    with closing(RowProcess(partial(worker, str(tmp_path / "target")))) as found:
        yield found


def wait_until_gone(pid: int) -> None:
    """Wait until there is no such process, or only what its parent has to know of it."""
    until = monotonic() + PATIENCE
    while Path(f"/proc/{pid}").exists() and ") Z " not in Path(f"/proc/{pid}/stat").read_text():
        assert monotonic() < until, "the process goes on"
        sleep(0.01)


def test_it_does_what_the_work_does_where_it_is(rows: RowProcess, tmp_path: Path) -> None:
    own = worker(str(tmp_path / "own"))
    arguments = "acme", "interactions", ROWS, "application/x-ndjson", 10, "request-1"
    landed, landed_here = rows.land_body(*arguments), own.land_body(*arguments)
    assert isinstance(landed, Landed)
    assert (landed.accepted, landed.rejected, landed.rejected_by_rule) == (2, 1, {"user_id_is_given": 1})
    assert {**landed.answer, "s3_path": "", "quarantine_path": ""} == {
        **landed_here.answer,
        "s3_path": "",
        "quarantine_path": "",
    }
    assert rows.land_body(*arguments).was_there
    sample = b"[" + ROWS.strip().replace(b"\n", b",") + b"]"
    assert rows.judge(None, "interactions", sample, 10) == own.judge(None, "interactions", sample, 10)
    segment = segment_of([event(1), event(2)])
    assert rows.encode_segment(segment) == own.encode_segment(segment)
    assert rows.decode_segment(own.encode_segment(segment), "a place") == segment
    assert rows.find_stored([event(1)], START) is None
    assert b'tenant_id="acme"' in rows.measured()


def test_events_are_stored_and_found_through_it(rows: RowProcess, tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "target"))
    with EventLog(store, STREAM, at_most_seconds=0, coding=rows) as log:
        assert log.append([event(1), event(2)]).result(PATIENCE) == (0, 1)
    assert [one.request_id for segment in Chain(store, STREAM).segments(0) for one in segment.events] == ["r1", "r2"]
    assert rows.find_stored([event(2)], START) == StoredEvents(STREAM, (1,))


def test_errors_come_as_they_were_raised_with_their_place(tmp_path: Path) -> None:
    with closing(RowProcess(partial(failing, str(tmp_path)))) as rows:

        def error_of(table: str) -> Exception:
            with pytest.raises(Exception) as raised:  # noqa: PT011 (which one is asserted below)
                rows.judge(None, table, b"", 0)
            return raised.value

        problem = error_of("problem")
        assert isinstance(problem, Problem)
        assert (problem.status, problem.kind, str(problem)) == (422, "unreadable", "A detail.")
        assert (problem.headers, problem.members) == ({"Retry-After": "1"}, {"s3_path": "s3://b/k"})
        damaged = error_of("damaged")
        assert isinstance(damaged, DamagedTableError)
        assert (str(damaged), damaged.key) == ("Damaged.", "a/key")
        assert isinstance(error_of("changed"), RawFileChangedError)
        # A fault of the work's own connections is none of the process.
        assert isinstance(error_of("store"), ConnectionResetError)
        unforeseen = error_of("unforeseen")
        assert isinstance(unforeseen, ZeroDivisionError)
        assert place_of(unforeseen).startswith("test_process.py:")


def test_a_process_that_ends_is_replaced_once_and_who_waited_for_it_learns_so(tmp_path: Path) -> None:
    losses = []
    with closing(RowProcess(partial(failing, str(tmp_path)))) as rows, ThreadPoolExecutor(8) as threads:
        rows.on_loss = lambda: losses.append(1)
        first = rows.pid
        waiting = [threads.submit(rows.find_stored, [event(1)], START) for _ in range(8)]
        segment = segment_of([event(1)])
        content = rows.encode_segment(segment)
        os.kill(first, signal.SIGKILL)
        for one in waiting:
            with pytest.raises(ProcessLostError):
                one.result(PATIENCE)
        assert rows.pid != first
        assert rows.encode_segment(segment) == content
    assert losses == [1]


def test_an_event_whose_process_ends_is_stored_once(rows: RowProcess, tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "target"))
    with EventLog(store, STREAM, at_most_seconds=0, coding=rows) as log:
        log.append([event(1)]).result(PATIENCE)
        os.kill(rows.pid, signal.SIGKILL)
        assert log.append([event(2)]).result(PATIENCE) == (1,)
    assert [one.request_id for segment in Chain(store, STREAM).segments(0) for one in segment.events] == ["r1", "r2"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_that_all_processes_get_do_not_end_it(number: signal.Signals, rows: RowProcess) -> None:
    first = rows.pid
    os.kill(first, number)
    assert rows.encode_segment(segment_of([event(1)]))
    assert rows.pid == first


def test_close_ends_it(rows: RowProcess) -> None:
    pid = rows.pid
    rows.close()
    wait_until_gone(pid)


_STARTS = """
import os, sys, time
from functools import partial
from gata_assets.ingestion.http.rows.process import RowProcess
from gata_assets_tests.ingestion.http.rows.test_process import worker
if __name__ == "__main__":
    rows = RowProcess(partial(worker, sys.argv[1]))
    print(rows.pid, flush=True)
    time.sleep(600)
"""


def test_it_ends_with_the_process_that_started_it_and_leaves_nothing(tmp_path: Path) -> None:
    script, scratch = tmp_path / "starts.py", tmp_path / "t"
    script.write_text(_STARTS)
    scratch.mkdir()
    command = [sys.executable, str(script), str(tmp_path / "target")]
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as starter:
        assert starter.stdout
        pid = int(starter.stdout.readline())
        starter.kill()
    try:
        wait_until_gone(pid)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert list(scratch.iterdir()) == []


def test_one_that_does_not_start_says_so() -> None:
    with pytest.raises(ProcessLostError, match="did not start"):
        RowProcess(no_work)


def test_faults_of_the_target_are_no_loss(rows: RowProcess, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("a file, where the directory is to be")
    first = rows.pid
    with pytest.raises(StoreError):
        rows.land_body("acme", "interactions", ROWS, "application/x-ndjson", 10, "request-1")
    assert rows.pid == first
