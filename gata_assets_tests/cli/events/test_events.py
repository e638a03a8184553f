"""`gata events` and `gata trace`: the commands over events that a log has stored.

Real: the commands in this process, a directory, the log's thread. Nothing is faked.
"""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gata_assets.curation.files.formats import file_id
from gata_assets.curation.layout import TenantLayout
from gata_assets.ingestion.segments.group_commit import EventLog
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.command import PROGRAM, Ran, environment, gata
from gata_assets_tests.support.event_worlds import OTHER, STREAM, event

TAIL = ("events", "tail", "--tenant", "acme", "--table", "interactions")


def lines(ran: Ran, code: int = 0) -> list[dict[str, Any]]:
    assert ran.returncode == code, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """Three valid events of a tenant, and one that is none, received now."""
    now = datetime.now(UTC)
    with EventLog(LocalStore(str(tmp_path / "gata-data")), STREAM, at_most_seconds=0) as log:
        for number in range(3):
            log.append([replace(event(number), received_at=now)]).result(20)
        log.append([replace(event(3), payload=b"no json", received_at=now)]).result(20)
    return tmp_path


def test_what_arrived_can_be_read_until_it_is_curated(workplace: Path) -> None:
    *rows, last = lines(gata(workplace, *TAIL))
    assert [(row["stream"], row["offset"], row["row"]["user_id"]) for row in rows] == [
        (STREAM, number, f"u{number}") for number in range(3)
    ]
    assert (last["event"], last["rows"], last["rejected"]) == ("TAIL_READ", 3, 1)
    [newest, last] = lines(gata(workplace, *TAIL, "--limit", "1"))
    assert (newest["row"]["user_id"], last["rows"]) == ("u2", 3)
    shown = gata(workplace, *TAIL, "--summary", "table", "--limit", "2").stdout
    assert "│ u2 " in shown
    assert "2 of 3 valid rows that are not curated yet; 1 events are not valid." in shown
    lines(gata(workplace, "events", "rollup", "--all"))
    assert lines(gata(workplace, *TAIL))[-1]["rows"] == 3


def test_past_hours_are_rolled_up_and_with_all_the_present_one(workplace: Path) -> None:
    done, ended = lines(gata(workplace, "events", "rollup"))
    assert (done["stream"], done["events"], done["files"]) == (STREAM, 0, [])
    assert (ended["event"], ended["streams"], ended["events"]) == ("EVENTS_ROLLED_UP", 1, 0)
    assert ended["oldest_waits_seconds"] > 0
    done, ended = lines(gata(workplace, "events", "rollup", "--all"))
    assert (done["events"], done["end"], len(done["files"])) == (4, 4, 1)
    assert (ended["events"], ended["files"], ended["oldest_waits_seconds"]) == (4, 1, 0)
    assert "0 events to 0 raw files" in gata(workplace, "events", "rollup", "--summary", "table").stdout


def test_a_stream_that_cannot_be_rolled_up_stops_no_other(workplace: Path) -> None:
    store = LocalStore(str(workplace / "gata-data"))
    store.write(f"ingestion/segments/{OTHER}/{0:020}.arrow", b"damaged")
    done, failed, ended = lines(gata(workplace, "events", "rollup", "--all"), code=1)
    assert (done["events"], failed["event"], failed["stream"]) == (4, "ROLL_UP_FAILED", OTHER)
    assert (ended["streams"], ended["failed"], ended["events"]) == (2, 1, 4)
    assert "FAILED" in gata(workplace, "events", "rollup", "--summary", "table").stdout


def test_a_record_is_traced_by_the_id_the_name_or_the_key_of_its_file(workplace: Path) -> None:
    done, _ = lines(gata(workplace, "events", "rollup", "--all"))
    [key] = done["files"]
    for file in (key, key.rpartition("/")[2], file_id(TenantLayout("acme"), "interactions", key)):
        [found] = lines(gata(workplace, "trace", file, "3", "--tenant", "acme"))
        assert (found["raw"], found["stream"], found["offset"], found["request_id"]) == (key, STREAM, 2, "r2")
    assert "request: r2" in gata(workplace, "trace", key, "3", "--tenant", "acme", "--summary", "table").stdout
    for words, said in ((("other", "1"), "There is no raw file other of acme"), ((key, "5"), "records 1 to 4")):
        ran = gata(workplace, "trace", *words, "--tenant", "acme")
        assert (ran.returncode, ran.stdout) == (1, "")
        assert said in ran.stderr


def test_where_nothing_has_arrived_the_commands_say_so(tmp_path: Path) -> None:
    assert lines(gata(tmp_path, *TAIL))[-1]["rows"] == 0
    [ended] = lines(gata(tmp_path, "events", "rollup"))
    assert not any(count for name, count in ended.items() if name != "event")
    assert "No event waits for its raw file." in gata(tmp_path, "events", "rollup", "--summary", "table").stdout
    ran = gata(tmp_path, *TAIL[:-1], "unheard_of")
    assert (ran.returncode, "there are: interactions, items" in ran.stderr) == (2, True)


@pytest.mark.process
def test_rounds_go_on_until_sigterm_and_the_process_says_whether_the_last_was_whole(workplace: Path) -> None:
    store = LocalStore(str(workplace / "gata-data"))
    command = [*PROGRAM, "events", "rollup", "--every", "0.2", "--all"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), cwd=workplace, text=True) as process:
        try:
            assert process.stdout
            rounds = (json.loads(line) for line in process.stdout)
            assert [next(rounds)["event"] for _ in range(2)] == ["STREAM_ROLLED_UP", "EVENTS_ROLLED_UP"]
            store.write(f"ingestion/segments/{OTHER}/{0:020}.arrow", b"damaged")
            assert any(one["event"] == "ROLL_UP_FAILED" and one["stream"] == OTHER for one in rounds)
            assert next(rounds)["failed"] == 1
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 1
        finally:
            process.kill()
