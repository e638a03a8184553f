"""Dagster's history is cleaned, and its UI shows partitions as filled and up to date as before.

Real: `gata prepare` with a Dagster home (SQLite), its instance, one in a PostgreSQL, the job. The clock is set by hand.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as objects.
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import psycopg
import pytest

from gata_assets.definitions import build_definitions
from gata_assets.governance.retention.history import MATERIALIZED_AT, OF_RUN, clean_runs
from gata_assets.governance.retention.history_job import (
    CLEAN_HISTORY,
    CLEAN_HISTORY_SCHEDULE,
    build_history_cleaning,
)
from gata_assets.orchestration.jobs import batch_partitions
from gata_assets.settings.model import parse_settings
from gata_assets_tests.support.command import dagster_home, gata, instance_of
from gata_assets_tests.support.dagster_private import NO_COMPUTE_LOGS, stale_status

BATCHES = ("2026010203", "2026010204", "2026010205")
GENERAL = dg.AssetKey("general_split")
TABLES = ("tickets", "label_counts", "general_split", "low_volume_tickets", "low_volume_split")
LATER = datetime.now(UTC) + timedelta(days=400)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three batches of tickets, each of a run of its own, in a Dagster home."""
    directory = tmp_path_factory.mktemp("history")
    home = dagster_home(directory)
    sample = ("--since", "2025-12-01", "--until", "2026-01-03", "--interactions", "0", "--lake-tickets", "0")
    assert gata(directory, "sample-data", *sample, "--tickets-per-day", "10", "--shop-orders", "0").returncode == 0
    for batch_id in BATCHES:
        assert gata(directory, "prepare", batch_id, DAGSTER_HOME=str(home)).returncode == 0
    return directory


def sizes(home: Path) -> dict[str, int]:
    return {path.stem: path.stat().st_size for path in (home / "history" / "runs").glob("*-*.db")}


def test_old_runs_go_and_their_partitions_stay_filled_and_up_to_date(directory: Path) -> None:
    definitions = build_definitions(parse_settings({"TENANTS": "none", "TARGET_DIR": str(directory / "gata-data")}))
    with instance_of(directory / "home") as instance:
        before = {
            (table, batch_id): stale_status(instance, definitions, dg.AssetKey(table), batch_id)
            for table in TABLES
            for batch_id in BATCHES
        }
        checks = checks_of(instance, definitions)
        assert "FRESH" in before.values()
        assert list(clean_runs(instance, datetime.now(UTC) - timedelta(days=1), most=10)) == [], "none is old"
        first, second, third = clean_runs(instance, LATER, most=10)
        assert (first.recorded_again, second.recorded_again) == (len(TABLES), len(TABLES))
        assert third.is_kept, "the page of each asset shows the run of its newest materialization"
        assert [run.run_id for run in instance.get_runs()] == [third.run_id]
        assert set(sizes(directory / "home")) == {third.run_id}, "a run's own file is what its history takes"
        assert instance.all_logs(first.run_id) == []
        for table in TABLES:
            key = dg.AssetKey(table)
            assert instance.get_materialized_partitions(key) == set(BATCHES)
            found = instance.get_status_by_partition(key, list(BATCHES), batch_partitions("2024010100"))
            assert {status.value if status else None for status in (found or {}).values()} == {"MATERIALIZED"}
        after = {
            (table, batch_id): stale_status(instance, definitions, dg.AssetKey(table), batch_id)
            for table, batch_id in before
        }
        assert after == before
        assert checks_of(instance, definitions) == checks
        [kept] = instance.fetch_materializations(
            dg.AssetRecordsFilter(GENERAL, asset_partitions=[BATCHES[0]]), limit=5
        ).records
        assert kept.asset_materialization is not None
        metadata = kept.asset_materialization.metadata
        assert metadata[OF_RUN].value == first.run_id
        assert {MATERIALIZED_AT, "train_rows"} <= set(metadata)
        # What was recorded again is not counted as newest: the same run stays, and nothing is recorded twice.
        assert [run.is_kept for run in clean_runs(instance, LATER, most=10)] == [True]


def checks_of(instance: dg.DagsterInstance, definitions: dg.Definitions) -> dict[str, str]:
    """The latest status of each check of the tickets' assets, as the UI shows it."""
    graph = definitions.resolve_asset_graph()
    keys = [check for table in TABLES for check in graph.get_check_keys_for_assets({dg.AssetKey(table)})]
    found = instance.event_log_storage.get_asset_check_summary_records(keys)
    return {
        str(check): record.last_check_execution_record.status.value
        for check, record in found.items()
        if record.last_check_execution_record
    }


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b", "c"]))
def _table(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """A table of these tests; `b` fails."""
    if context.partition_key == "b":
        raise dg.Failure("no b", allow_retries=False)
    return dg.MaterializeResult(data_version=dg.DataVersion("1"))


def materialize(instance: dg.DagsterInstance, partition: str) -> str:
    return dg.materialize([_table], instance=instance, partition_key=partition, raise_on_error=False).run_id


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An empty instance, with the storage of one machine and with that of AWS."""
    if request.param == "sqlite":
        with instance_of(dagster_home(tmp_path)) as instance:
            yield instance
        return
    url: str = request.getfixturevalue("postgres_url")
    name = f"dagster_{uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    # The driver that deploy/*/dagster.yaml names.
    own = url.replace("/gata?", f"/{name}?").replace("postgresql:", "postgresql+psycopg2:")
    storage = {"postgres": {"postgres_url": own}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides={**NO_COMPUTE_LOGS, "storage": storage}) as instance:
        yield instance


def test_a_partition_that_was_materialized_since_is_not_recorded_again(recorded: dg.DagsterInstance) -> None:
    first, failed, newest = (materialize(recorded, partition) for partition in ("a", "b", "a"))
    cleaned = {run.run_id: run for run in clean_runs(recorded, LATER, most=10)}
    assert {run_id: (run.recorded_again, run.is_kept) for run_id, run in cleaned.items()} == {
        first: (0, False),
        failed: (0, False),
        newest: (0, True),
    }
    assert recorded.get_materialized_partitions(_table.key) == {"a"}


def test_a_partition_of_a_deleted_run_stays_filled(recorded: dg.DagsterInstance) -> None:
    old, newest = materialize(recorded, "a"), materialize(recorded, "c")
    cleaned = {run.run_id: run for run in clean_runs(recorded, LATER, most=10)}
    assert (cleaned[old].recorded_again, cleaned[newest].is_kept) == (1, True)
    assert recorded.get_materialized_partitions(_table.key) == {"a", "c"}
    assert [run.run_id for run in recorded.get_runs()] == [newest]
    # Once more: the page of the asset is not that of what was recorded again.
    assert [run.is_kept for run in clean_runs(recorded, LATER, most=10)] == [True]


def test_so_many_runs_are_deleted_at_once_and_those_that_stay_stop_nothing(recorded: dg.DagsterInstance) -> None:
    newest = materialize(recorded, "a")
    failed = [materialize(recorded, "b") for _ in range(3)]
    assert [run.run_id for run in clean_runs(recorded, LATER, most=2)] == [newest, *failed[:2]]
    assert [run.run_id for run in clean_runs(recorded, LATER, most=2)] == [newest, failed[2]]
    assert {run.run_id for run in recorded.get_runs()} == {newest}


@pytest.mark.parametrize("is_on", [False, True])
def test_the_job_deletes_while_retention_is_on_and_else_says_that_it_is_off(is_on: bool, tmp_path: Path) -> None:
    found = build_history_cleaning(30, is_on=is_on, clock=lambda: LATER)
    with instance_of(dagster_home(tmp_path)) as instance:
        failed = materialize(instance, "b")
        result = found.resolve_job_def(CLEAN_HISTORY).execute_in_process(instance=instance, raise_on_error=False)
        assert (result.success, instance.has_run(failed)) == (is_on, not is_on)
        if not is_on:
            [step] = result.get_step_failure_events()
            assert "RETENTION=off" in str(step.step_failure_data.user_failure_data.description)


def test_the_schedule_is_stopped_until_somebody_starts_it() -> None:
    schedule = build_definitions(parse_settings({"TENANTS": "none"})).resolve_schedule_def(CLEAN_HISTORY_SCHEDULE)
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
