"""What the project relies on of Dagster beyond its public interface, name by name, and what breaks when it changes.

Real: the pinned Dagster, an instance with its SQLite files, one without records. Nothing is faked.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from gata_assets.logs import RANGE_TAGS
from gata_assets.orchestration import dagster_private
from gata_assets_tests.support import dagster_private as tests_private

ROOT = Path(__file__).parents[2]
OURS = Path(str(dagster_private.__file__))
OF_TESTS = Path(str(tests_private.__file__))

BREAKS = {
    "AssetCheckEvaluationTargetMaterializationData": "the UI shows checks of a range as those of an earlier batch",
    "EventRecordsResult": "`gata prepare` without DAGSTER_HOME fails where a run looks for what it was built from",
    "InstanceType": "commands without DAGSTER_HOME cannot open an instance",
    "SyncInMemoryRunLauncher": "commands without DAGSTER_HOME cannot open an instance",
    "DefaultRunCoordinator": "commands without DAGSTER_HOME cannot open an instance",
    "InMemoryEventLogStorage": "commands without DAGSTER_HOME keep all events in memory, or cannot open an instance",
    "SqliteEventLogStorage": "dagster.yaml names a storage that does not load, or a killed run leaves half of a batch",
    "DagsterSqliteStorage": "dagster.yaml names a storage that does not load",
    "ConfigurableClassData": "dagster.yaml names a storage that does not load",
    "create_engine": "recorded runs over ranges take three times as long: their event log is closed for each event",
    "SQLITE_BUSY_TIMEOUT_SECONDS": "runs that write at once fail, since one does not wait for the other",
    "NoOpComputeLogManager": "commands without DAGSTER_HOME cannot open an instance",
    "TemporaryLocalArtifactStorage": "commands without DAGSTER_HOME cannot open an instance",
    "InMemoryRunStorage": "commands without DAGSTER_HOME cannot open an instance",
    "InMemoryJob": "commands cannot run jobs as runs of the code location",
    "execute_run": "commands cannot run jobs as runs of the code location",
    "ManagedGrpcPythonEnvCodeLocationOrigin": "runs of commands are not in the UI's timeline, nor with their jobs",
    "RemoteRepositoryOrigin": "runs of commands are not in the UI's timeline, nor with their jobs",
    "LoadableTargetOrigin": "runs of commands are not in the UI's timeline, nor with their jobs",
    "SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION": "of a run over days of a shop, the tables for analysts are skipped",
    "make_new_run_id": "commands cannot start runs: their event log is opened by run ID before they start",
}
BREAKS_TESTS = {
    "ModuleCodePointer": "the test of ECS tasks cannot say where a task finds the code",
    "CachingStaleStatusResolver": "tests cannot ask which assets the UI shows as stale",
    "SensorExecutionData": "tests of the sensor of files lack a type",
    "JobFailureData": "tests of retries cannot report a run as failed for a reason",
    "StepMaterializationData": "tests of the event log cannot store a materialization by itself",
    "RunFailureReason": "tests of retries cannot report a run as failed for a reason",
    "LaunchRunContext": "the test of ECS tasks cannot launch a run",
    "LoadingContextForTest": "tests cannot ask which assets the UI shows as stale",
    "DEFAULT_DAGSTER_ENTRY_POINT": "the test of ECS tasks cannot say how a task starts",
    "JobPythonOrigin": "the test of ECS tasks cannot say where a task finds the code",
    "RepositoryPythonOrigin": "the test of ECS tasks cannot say where a task finds the code",
    "InstigatorType": "the test of dagster.yaml cannot ask how long ticks are kept",
    "TickStatus": "the test of dagster.yaml cannot ask how long ticks are kept",
}


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance with SQLite files in a directory of its own."""
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=tests_private.NO_COMPUTE_LOGS) as instance:
        yield instance


@dg.asset
def _one_asset() -> dg.MaterializeResult[None]:
    """An asset of these tests."""
    return dg.MaterializeResult(metadata={"rows": 1})


def _private_imports(path: Path) -> set[str]:
    return {
        alias.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("dagster._")
        for alias in node.names
    }


@pytest.mark.parametrize(("path", "breaks"), [(OURS, BREAKS), (OF_TESTS, BREAKS_TESTS)], ids=["package", "tests"])
def test_every_private_name_says_what_breaks_when_it_changes(path: Path, breaks: dict[str, str]) -> None:
    assert _private_imports(path) == set(breaks)


def test_no_other_file_imports_a_private_name_of_dagster() -> None:
    files = [*(ROOT / "gata_assets").rglob("*.py"), *(ROOT / "gata_assets_tests").rglob("*.py")]
    files += [*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "deploy").rglob("*.py")]
    found = {
        path
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.ImportFrom) and str(node.module).startswith(("dagster._", "dagster_pandera._")))
        or (isinstance(node, ast.Import) and any(alias.name.startswith("dagster._") for alias in node.names))
        or (isinstance(node, ast.Attribute) and node.attr.startswith("_core"))
    }
    assert found == {OURS, OF_TESTS}


def _run(instance: dg.DagsterInstance, run_id: str) -> bool:
    """A run of the asset under an ID that was chosen before."""
    job = dg.Definitions(assets=[_one_asset], jobs=[dg.define_asset_job("all_assets")]).resolve_job_def("all_assets")
    return job.execute_in_process(instance=instance, run_id=run_id).success


def test_a_run_of_a_given_id_is_recorded_under_it(recorded: dg.DagsterInstance) -> None:
    run_id = dagster_private.new_run_id()
    assert _run(recorded, run_id)
    assert [run.run_id for run in recorded.get_runs()] == [run_id]
    assert dagster_private.new_run_id() != run_id


@pytest.mark.parametrize("with_result", [True, False])
def test_readers_of_a_range_run_after_a_result_that_records_nothing(
    recorded: dg.DagsterInstance, with_result: bool
) -> None:
    days = dg.DailyPartitionsDefinition("2026-01-01", end_offset=1)
    spec = dg.AssetSpec("days", partitions_def=days, skippable=True)

    @dg.multi_asset(specs=[spec], can_subset=True, backfill_policy=dg.BackfillPolicy.single_run())
    def by_day() -> Iterator[dg.AssetMaterialization | dg.MaterializeResult[None]]:
        asked = dg.AssetExecutionContext.get().partition_keys
        yield from (dg.AssetMaterialization("days", partition=day) for day in asked)
        if with_result:
            yield dagster_private.unrecorded_result(spec.key)

    of_reader = dg.AssetSpec("reader", partitions_def=days, deps=[spec])

    @dg.multi_asset(specs=[of_reader], backfill_policy=dg.BackfillPolicy.single_run())
    def reader() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(asset_key="reader")

    job = dg.Definitions(assets=[by_day, reader], jobs=[dg.define_asset_job("both")]).resolve_job_def("both")
    tags = dict(zip(RANGE_TAGS, ("2026-01-02", "2026-01-03"), strict=True))
    events = job.execute_in_process(instance=recorded, tags=tags).get_asset_materialization_events()
    read = [("reader", day) for day in ("2026-01-02", "2026-01-03")] if with_result else []
    found = [(event.asset_key.path[-1], event.partition) for event in events if event.asset_key]
    assert found == [("days", "2026-01-02"), ("days", "2026-01-03"), *read]


def test_a_run_of_a_command_is_one_of_the_code_location(recorded: dg.DagsterInstance) -> None:
    [load] = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    module = load["python_module"]
    other = dg.asset(name="other")(lambda: None)
    job = dg.Definitions(assets=[_one_asset, other], jobs=[dg.define_asset_job("all_assets")]).resolve_job_def(
        "all_assets"
    )
    run_id = dagster_private.new_run_id()
    ended = dagster_private.execute_job(
        job, recorded, run_id=run_id, run_config={}, tags={"reason": "a test"}, assets=[_one_asset.key]
    )
    assert ended.success
    assert [event.asset_key for event in ended.get_asset_materialization_events()] == [_one_asset.key]
    run = recorded.get_run_by_id(run_id)
    assert run is not None
    assert run.tags["reason"] == "a test"
    assert run.remote_job_origin is not None
    assert run.remote_job_origin.job_name == "all_assets"
    repository = run.remote_job_origin.repository_origin
    assert repository.get_label() == f"__repository__@{module['location_name']}"
    target = repository.code_location_origin.loadable_target_origin
    assert (target.module_name, target.attribute) == (module["module_name"], module["attribute"])


def test_an_instance_without_records_runs_assets_and_keeps_no_event() -> None:
    with dagster_private.unrecorded_instance() as instance:
        assert instance.is_ephemeral
        ended = dg.materialize([_one_asset], instance=instance)
        assert ended.success
        assert [event.asset_key for event in ended.get_asset_materialization_events()] == [_one_asset.key]
        assert instance.all_logs(ended.run_id) == []
        assert instance.fetch_materializations(_one_asset.key, limit=1).records == []


def test_an_evaluation_points_to_the_materialization_that_it_is_of(recorded: dg.DagsterInstance) -> None:
    assert dg.materialize([_one_asset], instance=recorded).success
    [record] = recorded.fetch_materializations(_one_asset.key, limit=1).records
    target = dagster_private.target_of(record)
    assert (target.storage_id, target.run_id, target.timestamp) == (record.storage_id, record.run_id, record.timestamp)
    recorded.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=_one_asset.key,
            check_name="has_rows",
            passed=True,
            target_materialization_data=target,
        )
    )
    key = dg.AssetCheckKey(_one_asset.key, "has_rows")
    kept = recorded.get_latest_asset_check_evaluation_record(key)
    assert kept is not None
    assert kept.evaluation is not None
    assert kept.evaluation.target_materialization_data == target
