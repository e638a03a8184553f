"""Files beside the target: scratch space, unfinished writes, and the records and logs of runs.

Real: files, locks, a process that was killed, SQLite files as Dagster's are. TMPDIR is the test's own.
"""

from __future__ import annotations

import gzip
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gata_assets.errors import StoreError
from gata_assets.governance.privacy.local_files import RunRecords, TemporaryFiles
from gata_assets.governance.privacy.locators import Cleared, Erasure, People
from gata_assets.governance.privacy.scanning import Haystack, scan
from gata_assets.storage.local import LocalStore
from gata_assets.storage.scratch import scratch_directory
from gata_assets.tables.people.erased_people import ErasedPeople
from gata_assets.tables.people.privacy_keys import PrivacyKeys
from gata_assets_tests.support.canaries import canary

PERSON = f"user-{canary('who is erased from local files')}"
NAMESAKE = f"{PERSON}-2"
ERASURE = Erasure("acme", (PERSON,), "request-1", ErasedPeople("acme", PrivacyKeys({}), []))
HOLD = """
import sys, time
from gata_assets.storage.scratch import scratch_directory
with scratch_directory() as folder:
    (folder / "rows.csv").write_text(f"who\\n{sys.argv[1]}\\n")
    print("there", flush=True)
    time.sleep(600)
"""


def found(*haystacks: Haystack) -> list[str]:
    return [finding.key.rpartition("/")[2] for finding in scan(haystacks, People("acme", (PERSON,))).findings]


@pytest.mark.process
def test_what_a_killed_process_left_is_found_and_goes_and_what_runs_stays(temporary: Path) -> None:
    place = TemporaryFiles()
    with scratch_directory() as own, subprocess.Popen([sys.executable, "-c", HOLD, PERSON], stdout=-1) as other:
        (own / "own.jsonl.gz").write_bytes(gzip.compress(f'{{"user_id": "{PERSON}"}}\n'.encode()))
        (own / "namesake.csv").write_text(f"who\n{NAMESAKE}\n")
        # Of other programs.
        (temporary / "others.csv").write_text(f"who\n{PERSON}\n")
        (own / "link.csv").symlink_to(temporary / "others.csv")
        assert other.stdout
        other.stdout.readline()
        assert sorted(found(place)) == ["own.jsonl.gz", "rows.csv"]
        assert list(place.erase(ERASURE)) == [Cleared("temporary files of killed processes", 0, {"directories": 0})]
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert [cleared.objects for cleared in place.erase(ERASURE)] == [1]
        assert found(place) == ["own.jsonl.gz"]
    assert found(place) == []


def test_unfinished_writes_of_the_target_are_searched_and_go_with_the_next_write(
    tmp_path: Path, temporary: Path
) -> None:
    store = LocalStore(str(tmp_path / "target"))
    place = TemporaryFiles(store.unfinished_files)
    assert found(place) == []
    with store.open_write("acme/raw/a.csv") as writer:
        writer.write(f"who\n{PERSON}\n".encode() * 100_000)
        (unfinished,) = (path.name for path in store.unfinished_files())
        assert found(place) == [unfinished]
    assert found(place) == []
    left = tmp_path / "target" / ".staging" / "0123"
    left.write_text(f"who\n{PERSON}\n")
    assert found(place) == ["0123"]
    store.write("acme/privacy/log/1.json", b"{}")
    assert not left.exists()


def test_databases_of_runs_and_their_logs_are_searched_for_words(tmp_path: Path, temporary: Path) -> None:
    home = tmp_path / "home"
    place = RunRecords(home)
    assert found(place) == []
    logs = home / "storage" / "run" / "compute_logs"
    logs.mkdir(parents=True)
    (logs / "step.err").write_text(f'{{"message": "a row of {PERSON} was left out"}}\n')
    (logs / "step.out").write_text(f'{{"message": "a row of {NAMESAKE} was left out"}}\n')
    database = home / "runs.db"
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute('CREATE TABLE "event ""logs" (id INTEGER, run TEXT, event TEXT)')
        connection.execute('INSERT INTO "event ""logs" VALUES (1, ?, ?)', ("abc", NAMESAKE))
        connection.commit()
        assert found(place) == ["step.err"]
        # What is beside it in the file would be a part of the word.
        connection.execute('INSERT INTO "event ""logs" VALUES (1, ?, ?)', ("abc", PERSON))
        connection.commit()
        assert sorted(found(place)) == ["runs.db", "step.err"]
    connection.close()
    assert sorted(found(place)) == ["runs.db", "step.err"]
    (home / "index.db").write_bytes(b"SQLite format 3\x00" + f"cut off {PERSON} ".encode())
    scanned = scan([place], People("acme", (PERSON,)))
    assert (scanned.objects, scanned.damaged, len(scanned.findings)) == (4, 1, 3)


def test_a_file_that_may_not_be_read_is_an_error_and_never_passed_over(tmp_path: Path, temporary: Path) -> None:
    log = tmp_path / "home" / "step.err"
    log.parent.mkdir()
    log.write_text(PERSON)
    log.chmod(0)
    try:
        log.read_text()
    except PermissionError:
        with pytest.raises(StoreError, match=r"step\.err cannot be searched: Permission denied"):
            found(RunRecords(log.parent))
    else:
        # The superuser reads it all the same.
        assert found(RunRecords(log.parent)) == ["step.err"]
