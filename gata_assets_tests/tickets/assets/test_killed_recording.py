"""A backfill that is killed while it records a batch: all of the batch is recorded, or nothing, and later all.

Real: `gata backfill` as a process, its Dagster instance of the project's dagster.yaml, and SIGKILL, sent by a log
handler of the tests once so many records are stored. What is recorded is read from the index's file itself.
"""

from __future__ import annotations

import random
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from gata_assets_tests.conftest import sqlite_of
from gata_assets_tests.support.command import ROOT, gata_process
from gata_assets_tests.support.kills import KILL_AFTER, home_that_kills
from gata_assets_tests.support.scenario import BATCH_ID, FALLBACK_LABEL, world

LAST = "2026010206"
BATCHES = ["2026010203", "2026010204", "2026010205", "2026010206"]
# The materializations and evaluations of a batch.
RECORDS = 5 + 21
# In the middle of the second batch; and, in rounds, at its edges and anywhere.
MIDDLE = RECORDS + RECORDS // 2
ANYWHERE = sorted({RECORDS, RECORDS + 1, *random.Random(8).sample(range(1, 4 * RECORDS), 10)} - {MIDDLE})


def records_of(home: Path) -> Counter[str]:
    """The number of materializations and evaluations of each batch, as the index has them for the UI."""
    with closing(sqlite3.connect(home / "history/runs/index.db")) as connection:
        query = (
            "SELECT partition FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION' "
            "UNION ALL SELECT partition FROM asset_check_executions WHERE execution_status != 'PLANNED'"
        )
        return Counter(partition for (partition,) in connection.execute(query))


def events_of_run(home: Path) -> int:
    """The number of materializations and evaluations in the file of the only run."""
    [path] = [path for path in (home / "history/runs").glob("*.db") if path.stem != "index"]
    with closing(sqlite3.connect(path)) as connection:
        types = "('ASSET_MATERIALIZATION', 'ASSET_CHECK_EVALUATION')"
        [(number,)] = connection.execute(f"SELECT COUNT(*) FROM event_logs WHERE dagster_event_type IN {types}")
        return int(number)


@pytest.mark.process
@pytest.mark.parametrize("kill_after", [MIDDLE, *(pytest.param(number, marks=pytest.mark.soak) for number in ANYWHERE)])
def test_a_killed_backfill_leaves_each_batch_recorded_completely_or_not_at_all_and_the_next_records_it(
    kill_after: int, tmp_path: Path
) -> None:
    sqlite_of(tmp_path, world())
    home = home_that_kills(tmp_path / "home", ROOT / "dagster.yaml")
    variables = {
        "LOW_VOLUME_THRESHOLD": "0.1",
        "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL),
        "TICKETS_URL": f"sqlite:///{tmp_path / 'tickets.sqlite'}",
        "TARGET_DIR": str(tmp_path / "target"),
        "DAGSTER_HOME": str(home),
        # The handler is of the tests.
        "PYTHONPATH": str(ROOT),
    }
    command = ["backfill", BATCH_ID, LAST, "--only", "tickets"]
    killed = gata_process(tmp_path, *command, **variables, **{KILL_AFTER: str(kill_after)})
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2_000:]

    recorded = records_of(home)
    assert recorded == dict.fromkeys(BATCHES[: (kill_after - 1) // RECORDS], RECORDS)
    assert events_of_run(home) == recorded.total()
    complete = {path.parent.name for path in tmp_path.glob("target/training/gata-low-vol/*/manifest.json")}
    lost = sorted(complete - recorded.keys())
    assert lost, "killed while it recorded a batch that it had written"

    ran = gata_process(tmp_path, *command, **variables)
    assert ran.returncode == 0, ran.stderr[-2_000:]
    due = len(BATCHES) - len(recorded)
    assert f"{len(complete)} are complete in the target, {due} to prepare" in ran.stdout
    assert f"{len(lost)} are complete, but their runs did not record them, first {lost[0]}" in ran.stdout
    assert records_of(home) == dict.fromkeys(BATCHES, RECORDS)
    assert (
        f"{len(BATCHES)} are complete in the target, 0 to prepare"
        in gata_process(tmp_path, *command, "--plan", **variables).stdout
    )
