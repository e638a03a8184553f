"""The event log of dagster.yaml: Dagster's own SQLite files, with what belongs together in one transaction.

Real: instances of the project's dagster.yaml and of Dagster's default storage on the same files, and threads. An
instance of the default storage stands for every other process: it has connections of its own, as the UI has.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import dagster as dg
import pytest

from gata_assets.orchestration.dagster_private import in_one_transaction, kept_open, new_run_id
from gata_assets.orchestration.instances import DATA_VERSION, find_unrecorded
from gata_assets_tests.support.command import dagster_home, instance_of
from gata_assets_tests.support.dagster_private import NO_COMPUTE_LOGS, StepMaterializationData


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dagster_home(tmp_path_factory.mktemp("event_log"))


@pytest.fixture(scope="module")
def ours(home: Path) -> Iterator[dg.DagsterInstance]:
    """The instance of dagster.yaml; making its files takes a second, so each test has an asset and a run of its own."""
    with instance_of(home) as instance:
        assert type(instance.event_log_storage).__name__ == "_SqliteEventLog"
        yield instance


@pytest.fixture(scope="module")
def another(ours: dg.DagsterInstance, home: Path) -> Iterator[dg.DagsterInstance]:
    """An instance of Dagster's default storage on the same files."""
    with default_instance(home) as instance:
        yield instance


def default_instance(home: Path) -> dg.DagsterInstance:
    default = {"storage": {"sqlite": {"base_dir": str(home)}}}
    instance = dg.DagsterInstance.local_temp(str(home), overrides={**NO_COMPUTE_LOGS, **default})
    assert type(instance.event_log_storage).__name__ == "SqliteEventLogStorage"
    return instance


@dataclass(frozen=True)
class Run:
    """A run of an asset, which stores materializations as Dagster does."""

    key: dg.AssetKey
    id: str

    def report(self, instance: dg.DagsterInstance, partition: str) -> None:
        data = StepMaterializationData(dg.AssetMaterialization(self.key, partition=partition))
        event = dg.DagsterEvent(dg.DagsterEventType.ASSET_MATERIALIZATION.value, "job", event_specific_data=data)
        instance.report_dagster_event(event, self.id)

    def seen_by(self, instance: dg.DagsterInstance) -> tuple[str, int]:
        """The partitions that the index has records of, and the number of events that the run's page shows."""
        return "".join(sorted(instance.get_materialized_partitions(self.key))), len(instance.all_logs(self.id))


@pytest.fixture
def run() -> Run:
    run_id = new_run_id()
    return Run(dg.AssetKey(f"table_{run_id[:8]}"), run_id)


def materialize(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str) -> bool:
    """Materialize a partition in a run of Dagster's own; the asset has no `d`, and the run fails."""

    @dg.asset(key=key, partitions_def=dg.StaticPartitionsDefinition(["a", "b", "c", "d"]))
    def table(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        if context.partition_key == "d":
            raise dg.Failure("no d", allow_retries=False)
        return dg.MaterializeResult(data_version=dg.DataVersion(f"version of {context.partition_key}"))

    return dg.materialize([table], partition_key=partition, instance=instance, raise_on_error=False).success


def test_what_is_stored_together_is_seen_by_others_at_once(
    run: Run, ours: dg.DagsterInstance, another: dg.DagsterInstance
) -> None:
    with kept_open(ours, run.id):
        run.report(ours, "a")
        assert run.seen_by(another) == ("a", 1)
        with in_one_transaction(ours):
            run.report(ours, "b")
            run.report(ours, "c")
            assert run.seen_by(ours) == ("abc", 3), "it reads what it has stored"
            assert run.seen_by(another) == ("a", 1)
            # Another thread of the same process sees what other processes see, and does not wait.
            with ThreadPoolExecutor(1) as thread:
                assert thread.submit(run.seen_by, ours).result(timeout=20) == ("a", 1)
        assert run.seen_by(another) == ("abc", 3)


def test_nothing_is_kept_of_what_could_not_be_stored_together(
    run: Run, ours: dg.DagsterInstance, another: dg.DagsterInstance
) -> None:
    def fail_midway() -> None:
        with in_one_transaction(ours):
            run.report(ours, "a")
            raise ZeroDivisionError

    with kept_open(ours, run.id):
        with pytest.raises(ZeroDivisionError):
            fail_midway()
        assert run.seen_by(ours) == run.seen_by(another) == ("", 0)
        run.report(ours, "b")
    assert run.seen_by(ours) == run.seen_by(another) == ("b", 1)


def test_another_process_that_writes_meanwhile_waits_for_its_turn(
    run: Run, ours: dg.DagsterInstance, another: dg.DagsterInstance
) -> None:
    other = Run(run.key, new_run_id())
    with ThreadPoolExecutor(1) as thread, kept_open(ours, run.id):
        with in_one_transaction(ours):
            run.report(ours, "a")
            waiting = thread.submit(other.report, another, "b")
            run.report(ours, "c")
            with pytest.raises(TimeoutError):
                waiting.result(timeout=1)
        waiting.result(timeout=60)
        assert run.seen_by(ours) == ("abc", 2)
        assert other.seen_by(ours) == ("abc", 1)


def test_a_run_that_is_kept_open_twice_is_closed_by_the_first(run: Run, ours: dg.DagsterInstance, home: Path) -> None:
    def journals() -> set[str]:
        # SQLite removes a journal with the last connection.
        return {path.stem for path in (home / "history/runs").glob("*.db-wal")}

    with kept_open(ours, run.id):
        with kept_open(ours, run.id):
            run.report(ours, "a")
        run.report(ours, "b")
        assert journals() == {"index", run.id}
    assert journals() == set()
    assert run.seen_by(ours) == ("ab", 2)


def test_who_watches_a_run_is_told_of_its_events_while_it_runs(
    run: Run, ours: dg.DagsterInstance, another: dg.DagsterInstance
) -> None:
    """As the UI watches the page of a run."""
    told: Queue[str] = Queue()

    def tell(event: dg.EventLogEntry, _cursor: str) -> None:
        told.put(str(event.get_dagster_event().partition))

    with kept_open(ours, run.id):
        run.report(ours, "a")
        another.watch_event_logs(run.id, None, tell)
        try:
            with in_one_transaction(ours):
                run.report(ours, "b")
                run.report(ours, "c")
            assert [told.get(timeout=60) for _ in "abc"] == ["a", "b", "c"]
        finally:
            another.end_watch_event_logs(run.id, tell)


def test_files_of_the_default_storage_are_continued_and_may_go_back_to_it(run: Run, tmp_path: Path) -> None:
    home = dagster_home(tmp_path)
    with default_instance(home) as before:
        assert materialize(before, run.key, "a")
    files = {path.name for path in (home / "history/runs").glob("*.db")}
    with instance_of(home) as ours:
        assert (ours.get_materialized_partitions(run.key), len(ours.get_runs())) == ({"a"}, 1)
        # As Dagster starts a run in a process of its own.
        with dg.DagsterInstance.from_ref(ours.get_ref()) as worker:
            assert type(worker.event_log_storage) is type(ours.event_log_storage)
            assert materialize(worker, run.key, "b")
    with default_instance(home) as after:
        assert (after.get_materialized_partitions(run.key), len(after.get_runs())) == ({"a", "b"}, 2)
        assert len({path.name for path in (home / "history/runs").glob("*.db")} - files) == 1


def test_other_storages_store_each_event_by_itself(
    run: Run, another: dg.DagsterInstance, ours: dg.DagsterInstance
) -> None:
    with kept_open(another, run.id), in_one_transaction(another):
        run.report(another, "a")
        assert run.seen_by(ours) == ("a", 1)


STORED = {partition: f"version of {partition}" for partition in "abcd"}


class TestUnrecorded:
    """Partitions that were written by a run that was killed before it recorded them."""

    def test_what_a_run_has_begun_and_not_recorded_is_found(self, run: Run, ours: dg.DagsterInstance) -> None:
        assert materialize(ours, run.key, "a")
        assert not materialize(ours, run.key, "d")
        # No run of this instance has begun `b` and `c`: nobody was to record them.
        assert find_unrecorded(ours, run.key, STORED) == {"d"}
        assert find_unrecorded(ours, run.key, {"a": "version of a"}) == set()

    def test_a_run_that_failed_and_left_what_is_recorded_is_not(self, run: Run, ours: dg.DagsterInstance) -> None:
        tags = {DATA_VERSION: "version of d"}
        ours.report_runless_asset_event(dg.AssetMaterialization(run.key, partition="d", tags=tags))
        assert not materialize(ours, run.key, "d")
        assert find_unrecorded(ours, run.key, STORED) == set()
        assert find_unrecorded(ours, run.key, {"d": "a later version"}) == {"d"}
