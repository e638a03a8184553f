"""The sensor of new tickets as it runs: rows arrive in a database, and batches are prepared.

Real: the Dagster daemon in a process of its own with the project's dagster.yaml and workspace.yaml, its runs, and a
PostgreSQL into which rows are inserted. Nothing is stood in for; only the interval is short.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from gata_assets.settings.model import variable_names
from gata_assets.tickets.sources.ddl import insert_postgres
from gata_assets_tests.support.command import instance_of
from gata_assets_tests.support.scenario import database_rows

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
SECONDS_TO_WAIT = 300


@pytest.fixture
def today() -> datetime:
    """Today's midnight, with some time left before the next."""
    now = datetime.now(UTC)
    left = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0) - now
    if left < timedelta(minutes=3):
        time.sleep(left.total_seconds() + 1)
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture
def environment(tmp_path: Path, fill_postgres: Callable[[pd.DataFrame], str]) -> dict[str, str]:
    """What a process needs to use an empty ticket table, a target and a Dagster home of its own."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home / "dagster.yaml")
    kept = {name: value for name, value in os.environ.items() if name not in {*variable_names(), "GATA_ENV_FILE"}}
    return {
        **kept,
        "DAGSTER_HOME": str(home),
        "TICKETS_URL": fill_postgres(database_rows([{"closed": 0}])),
        "TARGET_DIR": str(tmp_path / "target"),
        "LOW_VOLUME_FALLBACK_LABEL": "9000",
        "SENSOR_INTERVAL_MINUTES": "0.05",
    }


@pytest.fixture
def instance(environment: dict[str, str]) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of that home."""
    with instance_of(Path(environment["DAGSTER_HOME"])) as instance:
        yield instance


@pytest.fixture
def daemon(environment: dict[str, str], instance: dg.DagsterInstance, tmp_path: Path) -> Iterator[None]:
    """The sensor switched on, and the daemon; all its processes are gone afterwards."""
    commands = Path(sys.executable).parent
    workspace = ["-w", str(ROOT / "workspace.yaml")]
    switch = [str(commands / "dagster"), "sensor", "start", "new_tickets_sensor", *workspace]
    subprocess.run(switch, env=environment, cwd=tmp_path, check=True, capture_output=True, timeout=SECONDS_TO_WAIT)
    with (tmp_path / "daemon.log").open("w") as log:
        process = subprocess.Popen(
            [str(commands / "dagster-daemon"), "run", *workspace],
            env=environment,
            cwd=tmp_path,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(look: Callable[[], Any], what: str, log: Path) -> Any:
    """What `look` finds, as soon as it does; fails with the end of the daemon's log after a while."""
    until = time.monotonic() + SECONDS_TO_WAIT
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.3)
    pytest.fail(f"waited in vain for {what}; the daemon said:\n" + "\n".join(log.read_text().splitlines()[-30:]))


def test_rows_that_arrive_are_prepared_once_and_again_when_late_ones_come(
    environment: dict[str, str], instance: dg.DagsterInstance, daemon: None, today: datetime, tmp_path: Path
) -> None:
    log = tmp_path / "daemon.log"

    def insert(numbers: range) -> None:
        closed = int(today.timestamp())
        rows = [
            {"id": 1_000 + n, "closed": closed - 3_600 * (n + 1), "label": 101 + n % 2, "text": f"case {n}"}
            for n in numbers
        ]
        insert_postgres(environment["TICKETS_URL"], database_rows(rows))

    def looks() -> int:
        """The ticks that looked at the table."""
        states = instance.all_instigator_state()
        ticks = [tick for one in states for tick in instance.get_ticks(one.instigator_origin_id, one.selector_id)]
        return sum(
            tick.status.value == "SUCCESS"
            or "Found" in (tick.skip_reason or "")
            or "Baseline" in (tick.skip_reason or "")
            for tick in ticks
        )

    def finished(count: int) -> list[dg.DagsterRun] | None:
        runs = list(instance.get_runs())
        return runs if len(runs) >= count and all(run.is_finished for run in runs) else None

    wait_for(looks, "the first look at the table", log)
    insert(range(60))
    [first] = wait_for(lambda: finished(1), "the first run", log)
    insert(range(60, 63))
    second, _ = wait_for(lambda: finished(2), "the second run", log)

    before = looks()
    wait_for(lambda: looks() >= before + 2, "two more looks", log)
    assert [run.run_id for run in instance.get_runs()] == [second.run_id, first.run_id]
    batch_id = f"{today:%Y%m%d}00"
    assert [run.tags["dagster/partition"] for run in (first, second)] == [batch_id] * 2
    assert [run.is_success for run in (first, second)] == [True, True]
    assert first.tags["dagster/run_key"] != second.tags["dagster/run_key"]
    assert second.tags["gata/reason"] == "at least 3 tickets in its window arrived late, changed or disappeared"
    folder = tmp_path / "target" / "training" / "gata-general" / batch_id
    assert sum(len((folder / side / "data.json").read_text().splitlines()) for side in ("train", "test")) == 63
