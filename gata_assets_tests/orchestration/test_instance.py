"""The Dagster instance of `dagster.yaml`: what it limits, tries again, throws away and writes.

Real: the file as it is (but for what steps print, which is not kept), in a home of its own, with Dagster's SQLite
storage, runs and their stderr. Stood in for: the assets, in the tests of pools and retries, by one that waits or
fails as the test needs. `test_compose.py` has a run whose worker is killed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import dagster as dg
import pytest

from gata_assets.definitions import build_definitions
from gata_assets.settings.model import parse_settings
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tickets.assets.definition import GROUP
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets.tickets.sources.sqlite import SqliteTickets
from gata_assets_tests.deploy.test_compose import Stack, stop, wait_for
from gata_assets_tests.support.command import dagster_home, instance_of
from gata_assets_tests.support.dagster_private import InstigatorType, JobFailureData, RunFailureReason, TickStatus
from gata_assets_tests.support.loopback import free_port
from gata_assets_tests.support.scenario import BATCH_ID, FALLBACK_LABEL, TRAINING_WINDOW, database_rows, world

POOL = "ticket_database"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """The instance of one machine, in a home that is gone afterwards."""
    with instance_of(dagster_home(tmp_path)) as instance:
        yield instance


# A code location of one job that reads until it may stop.
READS = """
from pathlib import Path
from time import sleep

import dagster as dg

@dg.op(pool="ticket_database")
def read(context):
    Path(context.run_id).touch()
    while not Path("may-stop").exists():
        sleep(0.05)

@dg.job(executor_def=dg.in_process_executor)
def reads():
    read()

defs = dg.Definitions(jobs=[reads])
"""


class TestPools:
    @pytest.mark.process
    def test_two_runs_do_not_read_the_ticket_database_at_once(
        self, instance: dg.DagsterInstance, tmp_path: Path
    ) -> None:
        (tmp_path / "reads.py").write_text(READS)
        # What the first run of a new instance does: until then the queue knows of no pool, and lets two runs pass.
        instance.event_log_storage.initialize_concurrency_limit_to_default(POOL)
        port, log = free_port(), tmp_path / "log"
        command = [sys.executable, "-m", "dagster", "dev", "-f", "reads.py", "-h", "127.0.0.1", "-p", str(port)]
        environment = {**os.environ, "DAGSTER_HOME": instance.root_directory}
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, env=environment, cwd=tmp_path, stdout=file, stderr=file, start_new_session=True
            )
        ui = Stack(f"http://127.0.0.1:{port}", None, "", log)
        try:
            wait_for("UI", lambda: urlopen(f"{ui.url}/server_info").status == 200)
            runs = [ui.launch("reads", "reads.py", batch_id="") for _ in range(2)]
            [reading] = wait_for("a reader", lambda: [run for run in runs if (tmp_path / run).exists()])
            [waiting] = set(runs) - {reading}
            wait_for(
                "held back", lambda: f"Run {waiting} is blocked by global concurrency limits" in log.read_text(), 200
            )
            assert not (tmp_path / waiting).exists() and ui.status(waiting) == "QUEUED"
            (tmp_path / "may-stop").touch()
            assert [ui.wait_for(run, "SUCCESS", "FAILURE") for run in runs] == ["SUCCESS", "SUCCESS"]
        finally:
            stop(process)

    def test_a_reader_that_was_killed_outside_of_the_queue_holds_nobody_up(self, instance: dg.DagsterInstance) -> None:
        # By `op`, a place would be taken inside of the run, and stay taken until the daemon gives it back.
        @dg.op(pool=POOL)
        def read() -> None: ...

        @dg.job(executor_def=dg.in_process_executor)
        def reads() -> None:
            read()

        storage = instance.event_log_storage
        storage.set_concurrency_slots(POOL, 1)
        storage.claim_concurrency_slot(POOL, "a run that was killed", "read")
        assert reads.execute_in_process(instance=instance).success


def failed_run(instance: dg.DagsterInstance, reason: RunFailureReason | None, parent: str = "") -> dg.DagsterRun:
    """A run that has ended so; `parent` is the run that it tries again."""

    @dg.job
    def prepares() -> None: ...

    lineage = {"dagster/parent_run_id": parent, "dagster/root_run_id": parent} if parent else {}
    run = instance.create_run_for_job(prepares, parent_run_id=parent or None, root_run_id=parent or None, tags=lineage)
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.RUN_FAILURE.value,
        job_name="prepares",
        message="",
        event_specific_data=JobFailureData(error=None, failure_reason=reason),
    )
    instance.report_dagster_event(event, run_id=run.run_id)
    return instance.get_run_by_id(run.run_id)  # type: ignore[return-value]


def will_be_tried_again(run: dg.DagsterRun) -> bool:
    return run.tags["dagster/will_retry"] == "true"


class TestRetries:
    @pytest.mark.parametrize(
        "reason",
        # None: said by the server or the launcher whose worker is gone, and of a run that took too long.
        [None, RunFailureReason.UNEXPECTED_TERMINATION, RunFailureReason.START_TIMEOUT],
    )
    def test_a_run_that_lost_its_worker_is_tried_again_twice(
        self, reason: RunFailureReason | None, instance: dg.DagsterInstance
    ) -> None:
        first = failed_run(instance, reason)
        second = failed_run(instance, reason, parent=first.run_id)
        third = failed_run(instance, reason, parent=first.run_id)
        assert [will_be_tried_again(run) for run in (first, second, third)] == [True, True, False]

    def test_a_run_in_which_a_check_failed_is_not_tried_again(self, instance: dg.DagsterInstance) -> None:
        @dg.asset(check_specs=[dg.AssetCheckSpec("texts_are_valid", asset="table")])
        def table() -> Iterator[Any]:
            yield dg.AssetCheckResult(check_name="texts_are_valid", passed=False)
            raise dg.Failure("1 of 20 rows breaks a rule", allow_retries=False)

        result = dg.materialize([table], instance=instance, raise_on_error=False)
        run = instance.get_run_by_id(result.run_id)
        assert run and run.status is dg.DagsterRunStatus.FAILURE
        assert not will_be_tried_again(run)

    def test_a_run_in_which_an_asset_failed_is_not_tried_again_either(self, instance: dg.DagsterInstance) -> None:
        assert not will_be_tried_again(failed_run(instance, RunFailureReason.STEP_FAILURE))


class TestRetention:
    def test_ticks_are_kept_for_a_quarter_and_those_that_did_nothing_for_a_week(
        self, instance: dg.DagsterInstance
    ) -> None:
        kept = dict.fromkeys((TickStatus.STARTED, TickStatus.SUCCESS, TickStatus.FAILURE), 90)
        assert dict(instance.get_tick_retention_settings(InstigatorType.SENSOR)) == {**kept, TickStatus.SKIPPED: 7}
        assert set(instance.get_tick_retention_settings(InstigatorType.SCHEDULE).values()) == {90}


def test_nothing_is_passed_to_dagsters_makers(instance: dg.DagsterInstance) -> None:
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled


class TestLogs:
    """stderr is a file under pytest, so these are the lines of a container."""

    @staticmethod
    def run(instance: dg.DagsterInstance, directory: Path, job: str, **rows: object) -> dg.ExecuteInProcessResult:
        create_sqlite(directory / "tickets.sqlite", database_rows([*world(), *([rows] if rows else [])]))
        definitions = build_definitions(
            parse_settings({"LOW_VOLUME_THRESHOLD": "0.1", "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL)}),
            ticket_source=SqliteTickets(path=str(directory / "tickets.sqlite")),
            object_store=LocalStoreResource(directory=str(directory / "target")),
        )
        chosen = definitions.resolve_job_def(job)
        # As the UI does, which chooses assets: those of all lines have no partition in common.
        tickets = dg.AssetSelection.groups(GROUP).resolve(definitions.resolve_asset_graph())
        return chosen.execute_in_process(
            partition_key=BATCH_ID, instance=instance, raise_on_error=False, asset_selection=sorted(tickets)
        )

    # The second one is what "Materialize" in the UI starts, which takes no logger of ours.
    @pytest.mark.parametrize("job", [PREPARE_TICKETS, "__ASSET_JOB"])
    @pytest.mark.slow
    def test_every_run_writes_each_event_once_as_json_with_its_batch_asset_and_run(
        self, job: str, instance: dg.DagsterInstance, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        result = self.run(instance, tmp_path, job)
        lines = capfd.readouterr().err.splitlines()
        said = [json.loads(line) for line in lines]
        assert len(set(lines)) == len(lines)
        assert {one["run_id"] for one in said} == {result.run_id}
        written = [one for one in said if one["event"] == "ASSET_MATERIALIZATION"]
        assert {(one["batch_id"], one["level"]) for one in written} == {(BATCH_ID, "INFO")}
        recorded = [event.asset_key for event in result.get_asset_materialization_events()]
        assert sorted(one["asset"] for one in written) == sorted(key.to_user_string() for key in recorded if key)

    def test_a_failed_check_is_an_error_of_its_asset(
        self, instance: dg.DagsterInstance, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        bad = {"text": "CAPITALS", "closed": TRAINING_WINDOW.start + 5}
        assert not self.run(instance, tmp_path, "__ASSET_JOB", **bad).success
        said = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
        [check] = [one for one in said if one["event"] == "ASSET_CHECK_EVALUATION"]
        assert (check["asset"], check["batch_id"], check["level"]) == ("tickets", BATCH_ID, "ERROR")
        assert (check["check"], check["passed"]) == ("tickets_are_valid", False)

    # The batch is an old one, and the check that says so is a part of such a run.
    @pytest.mark.parametrize(
        ("level", "events"), [("ERROR", {"ASSET_CHECK_EVALUATION"}), ("DEBUG", {"RUN_SUCCESS", "STEP_START"})]
    )
    def test_the_level_is_the_settings(
        self,
        level: str,
        events: set[str],
        instance: dg.DagsterInstance,
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("LOG_LEVEL", level)
        assert self.run(instance, tmp_path, "__ASSET_JOB").success
        said = {json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()}
        assert said >= events
        assert (said == events) == (level == "ERROR")
