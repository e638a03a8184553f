"""Whether the newest prepared batch is overdue: the decision, the check, the sensor, and the runs that leave it alone.

Real: Dagster's evaluation of ticks and runs, its instances in memory and in SQLite, the tickets and files of the runs.
Stood in for: the clock, which is injected, and the daemon, whose part (to record what a tick reports) is one line here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from gata_assets.batches import batches_between, parse_batch_id
from gata_assets.definitions import build_definitions
from gata_assets.orchestration.alerting.overdue_check import (
    NEWEST_BATCH_IS_NOT_OVERDUE,
    OverdueRule,
    assess_newest_batch,
    build_overdue_check,
)
from gata_assets.orchestration.alerting.sensors import build_overdue_sensor
from gata_assets.orchestration.jobs import RUN_CONFIG, batch_partitions
from gata_assets.settings.model import parse_settings
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets.tickets.sources.sqlite import SqliteTickets
from gata_assets_tests.support.dagster_private import NO_COMPUTE_LOGS
from gata_assets_tests.support.scenario import BATCH_ID, FALLBACK_LABEL, database_rows, world

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
GENERAL = dg.AssetKey("general_split")
CHECK = dg.AssetCheckKey(GENERAL, NEWEST_BATCH_IS_NOT_OVERDUE)
PARTITIONS = batch_partitions("2024010100")
SETTINGS = {"LOW_VOLUME_THRESHOLD": "0.1", "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL)}


@pytest.fixture(params=["in memory", "in files"])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance, of each kind in turn, that is gone afterwards."""
    in_memory, files = dg.DagsterInstance.ephemeral, partial(dg.DagsterInstance.local_temp, overrides=NO_COMPUTE_LOGS)
    with in_memory() if request.param == "in memory" else files(str(tmp_path)) as instance:
        yield instance


@dataclass
class Watch:
    """The sensor over an instance, with a clock that the test moves; 48 hours are allowed."""

    instance: dg.DagsterInstance
    now: datetime = NOON
    reported: list[bool] = field(default_factory=list)

    @property
    def rule(self) -> OverdueRule:
        return OverdueRule(GENERAL, PARTITIONS, 48, clock=lambda: self.now)

    def tick(self) -> str:
        """One tick, whose events are recorded as the daemon does; gives what the tick says."""
        with dg.build_sensor_context(instance=self.instance) as context:
            ticked: Any = build_overdue_sensor(self.rule).evaluate_tick(context)
        assert ticked.run_requests == []
        for event in ticked.asset_events:
            self.instance.report_runless_asset_event(event)
        self.reported.append(bool(ticked.asset_events))
        return str(ticked.skip_message)

    def shown(self) -> dg.AssetCheckEvaluation:
        """The check's latest evaluation as the instance keeps it."""
        [record] = self.instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=1)
        assert record.evaluation is not None
        assert record.evaluation.passed == (record.status.value == "SUCCEEDED")
        return record.evaluation

    def prepare(self, *batch_ids: str) -> None:
        for batch_id in batch_ids:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(GENERAL, partition=batch_id))

    def later(self, **hours: float) -> Watch:
        self.now += timedelta(**hours)
        return self


@pytest.fixture
def watch(instance: dg.DagsterInstance) -> Watch:
    """The sensor before its first tick; batch 2026010712 is prepared, which is 72 hours old."""
    watch = Watch(instance)
    watch.prepare("2026010712")
    return watch


@pytest.mark.parametrize(
    ("minutes", "is_overdue", "said"),
    [
        (0, False, "24.0 hours old; overdue from 2026-01-10 11:00 UTC on (OVERDUE_AFTER_HOURS=24)."),
        (1, True, "24.0 hours old; overdue since 2026-01-10 11:00 UTC (OVERDUE_AFTER_HOURS=24)."),
        (90, True, "25.5 hours old; overdue since 2026-01-10 11:00 UTC (OVERDUE_AFTER_HOURS=24)."),
    ],
)
def test_a_batch_is_overdue_when_more_hours_than_allowed_have_gone_since_its_own(
    minutes: int, is_overdue: bool, said: str
) -> None:
    present = datetime(2026, 1, 10, 11, tzinfo=UTC) + timedelta(minutes=minutes)
    newest = assess_newest_batch("2026010911", present, 24)
    assert (newest.is_overdue, newest.age_hours) == (is_overdue, 24 + minutes / 60)
    assert newest.message == f"Batch 2026010911 is the newest that is prepared, and {said}"


def test_where_no_batch_is_prepared_that_is_said() -> None:
    newest = assess_newest_batch(None, NOON, 24)
    assert (newest.is_overdue, newest.message) == (True, "No batch is prepared.")


def test_an_overdue_batch_fails_the_check_in_the_instance_without_a_run(watch: Watch) -> None:
    said = watch.tick()
    assert said.startswith("Batch 2026010712 is the newest that is prepared, and 72.0 hours old; overdue since ")
    shown = watch.shown()
    assert (shown.passed, shown.severity, shown.description) == (False, dg.AssetCheckSeverity.ERROR, said)
    assert (shown.asset_check_key, shown.partition, shown.blocking) == (CHECK, None, False)
    assert shown.metadata["newest_batch"].value == "2026010712"
    assert shown.metadata["age_hours"].value == 72.0
    assert watch.instance.get_runs() == []


def test_old_batches_that_are_prepared_hide_nothing_and_the_newest_one_does_end_it(watch: Watch) -> None:
    watch.tick()
    watch.prepare("2025010100", "2026010711")
    watch.tick()
    assert not watch.shown().passed
    assert watch.shown().metadata["newest_batch"].value == "2026010712"
    watch.prepare("2026010812")
    watch.tick()
    assert watch.shown().passed
    watch.later(minutes=1).tick()
    assert not watch.shown().passed


def test_without_a_batch_the_check_fails_and_says_so(instance: dg.DagsterInstance) -> None:
    watch = Watch(instance)
    assert watch.tick() == watch.tick() == "No batch is prepared."
    assert (watch.shown().passed, watch.shown().metadata, watch.reported) == (False, {}, [True, False])


def test_what_is_no_batch_does_not_count(watch: Watch) -> None:
    watch.prepare("2023123123", "9999123123", "2026-01-10", "newest")
    watch.tick()
    assert watch.shown().metadata["newest_batch"].value == "2026010712"


def test_a_tick_reports_what_the_ui_does_not_show_yet_and_the_age_once_an_hour(watch: Watch) -> None:
    watch.tick()
    watch.later(minutes=59).tick()
    watch.later(minutes=1).tick()
    assert watch.reported == [True, False, True]
    # Otherwise the UI would take the check for one that was not executed since.
    watch.prepare("2026010711")
    watch.tick()
    watch.tick()
    assert watch.reported[3:] == [True, False]
    [latest] = watch.instance.fetch_materializations(GENERAL, limit=1).records
    target = watch.shown().target_materialization_data
    assert target is not None and target.storage_id == latest.storage_id


def test_the_check_is_executed_by_itself_and_loads_nothing(watch: Watch) -> None:
    general = dg.AssetSpec("general_split", partitions_def=PARTITIONS)
    definitions = dg.Definitions(assets=[general], asset_checks=[build_overdue_check(watch.rule)])
    job = definitions.resolve_implicit_global_asset_job_def()
    for expected in (False, True):
        result = job.execute_in_process(instance=watch.instance)
        [evaluation] = result.get_asset_check_evaluations()
        assert (result.success, evaluation.passed) == (True, expected)
        assert evaluation.description == watch.rule.assess(watch.instance).message
        watch.tick()
        watch.prepare("2026010912")
    # The sensor had nothing to add to the first; the second is of before what was prepared last.
    assert watch.reported == [False, False]


@pytest.fixture
def definitions(tmp_path: Path) -> dg.Definitions:
    """The project over the world's tickets."""
    create_sqlite(tmp_path / "tickets.sqlite", database_rows(world()))
    return build_definitions(
        parse_settings({**SETTINGS, "TICKETS_URL": "sqlite:///tickets.sqlite", "OVERDUE_AFTER_HOURS": "7.5"}),
        ticket_source=SqliteTickets(path=str(tmp_path / "tickets.sqlite")),
        object_store=LocalStoreResource(directory=str(tmp_path / "target")),
    )


def test_a_batch_is_prepared_without_the_check(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def(PREPARE_TICKETS)
    assert [node.name for node in job.graph.nodes] == ["ticket_line"]
    checked = job.asset_layer.asset_graph.asset_check_keys
    assert len(checked) == 21 and CHECK not in checked


@pytest.mark.slow
def test_a_run_over_all_assets_that_prepares_one_batch_says_at_once_what_is_so(
    definitions: dg.Definitions, watch: Watch
) -> None:
    """As the UI's "Materialize all" runs it; such a run executes every check of its assets."""
    everything = definitions.resolve_implicit_global_asset_job_def()
    assert everything.execute_in_process(partition_key=BATCH_ID, instance=watch.instance).success
    assert not watch.shown().passed
    # The run's own clock is not injected.
    watch.prepare(f"{datetime.now(UTC):%Y%m%d%H}")
    assert everything.execute_in_process(partition_key=BATCH_ID, instance=watch.instance).success
    assert watch.shown().passed


@pytest.mark.slow
def test_the_sensor_says_what_is_so_again_after_a_range_over_all_assets_has_skipped_the_check(
    definitions: dg.Definitions, watch: Watch
) -> None:
    watch.tick()
    everything = definitions.resolve_implicit_global_asset_job_def()
    ends = {"start": BATCH_ID, "end": "2026010204"}
    tags = {f"dagster/asset_partition_range_{end}": batch_id for end, batch_id in ends.items()}
    result = everything.execute_in_process(tags=tags, run_config=RUN_CONFIG, instance=watch.instance)
    assert result.success
    assert CHECK not in {one.asset_check_key for one in result.get_asset_check_evaluations()}
    watch.tick()
    assert watch.reported == [True, True]
    assert watch.shown().metadata["newest_batch"].value == "2026010712"


def test_the_sensor_says_what_is_so_again_after_a_run_over_all_assets_has_failed(
    definitions: dg.Definitions, watch: Watch, tmp_path: Path
) -> None:
    watch.tick()
    create_sqlite(tmp_path / "tickets.sqlite", database_rows([*world(), {"text": "PRIVATE Person"}]))
    everything = definitions.resolve_implicit_global_asset_job_def()
    assert not everything.execute_in_process(
        partition_key=BATCH_ID, instance=watch.instance, raise_on_error=False
    ).success
    watch.tick()
    assert watch.reported == [True, True]
    assert watch.shown().metadata["newest_batch"].value == "2026010712"


@pytest.mark.slow
def test_the_setting_reaches_the_check_and_the_sensor(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    sensor = definitions.get_repository_def().get_sensor_def("overdue_sensor")
    this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for age, passed in ((8, False), (6, True)):
        batch_id = f"{this_hour - timedelta(hours=age):%Y%m%d%H}"
        instance.report_runless_asset_event(dg.AssetMaterialization(GENERAL, partition=batch_id))
        with dg.build_sensor_context(instance=instance, definitions=definitions) as context:
            [evaluation] = sensor.evaluate_tick(context).asset_events
        assert isinstance(evaluation, dg.AssetCheckEvaluation)
        assert evaluation.passed is passed
        check = definitions.resolve_implicit_global_asset_job_def().get_subset(
            asset_selection=set(), asset_check_selection={CHECK}
        )
        [executed] = check.execute_in_process(instance=instance).get_asset_check_evaluations()
        assert executed.passed is passed


def test_no_asset_has_a_second_signal_of_its_own(definitions: dg.Definitions) -> None:
    graph = definitions.get_repository_def().asset_graph
    assert [key for key in graph.get_all_asset_keys() if graph.get(key).freshness_policy] == []


def test_the_newest_of_many_batches_is_found_by_two_questions_whether_one_is_a_partition(
    instance: dg.DagsterInstance,
) -> None:
    """To ask that takes a third of a millisecond: not to be done for each of tens of thousands."""
    asked: list[str] = []

    class Counted(dg.HourlyPartitionsDefinition):
        def has_partition_key(self, partition_key: str, *args: Any, **kwargs: Any) -> bool:
            asked.append(partition_key)
            return super().has_partition_key(partition_key, *args, **kwargs)

    watch = Watch(instance)
    days = batches_between(parse_batch_id("2026010100"), parse_batch_id("2026010900"), every_hours=24)
    watch.prepare("9999123123", *[day.batch_id for day in days])
    counted = Counted(start_date="2024010100", fmt="%Y%m%d%H", end_offset=1)
    assert OverdueRule(GENERAL, counted, 48, clock=lambda: NOON).assess(instance).batch_id == "2026010900"
    assert asked == ["9999123123", "2026010900"]
