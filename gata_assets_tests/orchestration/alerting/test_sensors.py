"""The sensors and the schedule, tick by tick: what they ask for, report and say.

Real: Dagster's evaluation of a tick and its instance, SQLite and PostgreSQL, SNS and SQS over HTTP (moto), the runs
that are asked for. Stood in for: the clock, which is injected; Aurora's Data API, by the project's own server; a source
and a channel that refuse, by `fakes`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import dagster as dg
import pandas as pd
import pytest

from gata_assets.definitions import build_definitions
from gata_assets.errors import AlertError, SourceError
from gata_assets.orchestration.alerting.channels import AlertChannel, LoggedAlerts, SnsAlerts
from gata_assets.orchestration.alerting.message import MOST_BODY_BYTES, compose_alert
from gata_assets.orchestration.alerting.sensors import build_failed_runs_sensor
from gata_assets.orchestration.jobs import batch_partitions
from gata_assets.settings.model import parse_settings
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.ticket_contract.source import TicketSource
from gata_assets.tickets.arrivals.decision import ArrivalRules
from gata_assets.tickets.arrivals.sensor import build_new_tickets_sensor
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS
from gata_assets.tickets.sources.data_api import DataApiTickets
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets.tickets.sources.sqlite import SqliteTickets
from gata_assets_tests.conftest import REGION
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.dagster_private import NO_COMPUTE_LOGS
from gata_assets_tests.support.data_api import FaultyDataApi
from gata_assets_tests.support.fakes import AlertsThatBreak, TicketsThatBreak
from gata_assets_tests.support.scenario import FALLBACK_LABEL, TRAINING_WINDOW, database_rows, world

SECRET = canary("a text")

RULES = ArrivalRules(90, 365, recent_batch_days=7, min_new_tickets=1, first_batch_id="2024010100")
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SETTINGS = {"LOW_VOLUME_THRESHOLD": "0.1", "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL)}
NEWEST = "2026010200"


@dataclass
class Desk:
    """The sensor of new tickets over a source, with its cursor and a clock that the test moves."""

    source: TicketSource
    instance: dg.DagsterInstance
    definitions: dg.Definitions
    rules: ArrivalRules = RULES
    now: datetime = NOON
    cursor: str | None = None

    def tick(self) -> Any:
        sensor = build_new_tickets_sensor(
            self.rules, HOUR, batch_partitions(self.rules.first_batch_id), "general_split", clock=lambda: self.now
        )
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            definitions=self.definitions,
            resources={"ticket_source": self.source},
        ) as context:
            ticked = sensor.evaluate_tick(context)
        self.cursor = ticked.cursor
        return ticked

    def asked(self) -> list[str]:
        return [one.partition_key for one in self.tick().run_requests]

    def later(self, delta: timedelta = HOUR) -> Desk:
        self.now += delta
        return self

    def prepare(self, batch_id: str, **tags: str) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_job_def(PREPARE_TICKETS)
        return job.execute_in_process(
            partition_key=batch_id, instance=self.instance, raise_on_error=False, tags=tags or None
        )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def desk_of(instance: dg.DagsterInstance, tmp_path: Path) -> Callable[[TicketSource], Desk]:
    def desk(source: TicketSource) -> Desk:
        store = LocalStoreResource(directory=str(tmp_path / "target"))
        definitions = build_definitions(parse_settings(SETTINGS), ticket_source=source, object_store=store)
        return Desk(source, instance, definitions)

    return desk


@pytest.fixture
def desk(desk_of: Callable[[TicketSource], Desk], tmp_path: Path) -> Desk:
    """The world's tickets in a SQLite file, before the first tick."""
    write(tmp_path / "tickets.sqlite", world())
    return desk_of(SqliteTickets(path=str(tmp_path / "tickets.sqlite")))


def write(path: Path, rows: list[dict[str, object]]) -> None:
    create_sqlite(path, database_rows(rows))


def late_row(desk: Desk, days_ago: int = 3) -> None:
    """One ticket more, closed some days before today."""
    assert isinstance(desk.source, SqliteTickets)
    closed = int((desk.now - timedelta(days=days_ago)).timestamp())
    write(Path(desk.source.path), [*world(), {"closed": closed, "text": "came late"}])


class TestNewTickets:
    def test_what_it_asks_for_runs_and_is_not_asked_for_again(self, desk: Desk) -> None:
        ticked = desk.tick()
        [request] = ticked.run_requests
        assert (request.partition_key, request.tags["dagster/partition"]) == (NEWEST, NEWEST)
        assert request.run_key.startswith(f"{NEWEST}:")
        assert request.tags["gata/reason"] == "the newest complete batch, with 473 tickets"
        assert desk.prepare(NEWEST).success
        assert desk.later().asked() == []

    def test_a_late_ticket_asks_for_the_batches_that_are_materialized_and_read_its_day(self, desk: Desk) -> None:
        assert all(desk.prepare(batch_id).success for batch_id in ("2025123106", "2025122900"))
        assert desk.asked() == [NEWEST]
        late_row(desk.later(), days_ago=3)
        assert desk.asked() == [NEWEST, "2025123106"]

    @pytest.mark.parametrize(
        "tags",
        [
            {"dagster/partition": "2026010203"},
            {
                "dagster/asset_partition_range_start": "2026010202",
                "dagster/asset_partition_range_end": "2026010203",
            },
        ],
    )
    def test_a_batch_of_a_run_that_goes_on_is_asked_for_when_its_tickets_change(
        self, desk: Desk, tags: dict[str, str]
    ) -> None:
        desk.tick()
        job = desk.definitions.resolve_job_def(PREPARE_TICKETS)
        desk.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
        late_row(desk.later())
        assert desk.asked()[0] == "2026010203"

    def test_a_tick_says_what_it_saw(self, desk: Desk) -> None:
        desk.tick()
        said = desk.later().tick().skip_message
        assert said.startswith("Found 989 tickets on ")
        assert said.endswith("; nothing has changed. No batch requested.")

    def test_the_table_is_looked_at_no_more_often_than_the_setting_says(self, desk: Desk) -> None:
        desk.tick()
        seen = desk.cursor
        late_row(desk.later(timedelta(minutes=59)))
        ticked = desk.tick()
        assert ticked.skip_message == "The next poll of the ticket table is due at 13:00:00 UTC."
        assert (ticked.run_requests, ticked.cursor) == ([], seen)
        assert desk.later(timedelta(minutes=1)).asked() == [NEWEST]

    def test_a_failed_read_is_a_skip_with_its_reason_and_keeps_what_was_seen(self, desk: Desk) -> None:
        desk.tick()
        table, desk.source = desk.source, TicketsThatBreak(message="the table ticket is gone")
        ticked = desk.later().tick()
        assert ticked.skip_message == ("Nothing was read, new tickets were not detected: the table ticket is gone")
        assert "next poll" in desk.later(timedelta(minutes=5)).tick().skip_message
        desk.source = table
        late_row(desk.later())
        assert desk.asked() == [NEWEST]

    def test_an_error_that_nobody_foresaw_fails_the_tick(self, desk: Desk) -> None:
        desk.source = TicketsThatBreak(message="")
        with pytest.raises(RuntimeError, match="nobody foresaw this"):
            desk.tick()

    def test_a_resuming_database_is_left_for_the_next_tick_which_comes_before_it_pauses_again(
        self,
        desk_of: Callable[[TicketSource], Desk],
        data_api: FaultyDataApi,
        data_api_source: DataApiTickets,
        fill_postgres: Callable[[pd.DataFrame], str],
    ) -> None:
        fill_postgres(database_rows(world()))
        desk = desk_of(data_api_source)
        desk.tick()
        data_api.fail_next("DatabaseResumingException")
        calls = len(data_api.calls)
        ticked = desk.later().tick()
        assert ticked.skip_message == (
            "Nothing was read: The Aurora cluster is resuming from a pause; this read does not wait for it. The next "
            "tick tries again."
        )
        assert len(data_api.calls) == calls + 1
        sensor = desk.definitions.get_repository_def().get_sensor_def("new_tickets_sensor")
        assert sensor.minimum_interval_seconds is not None and sensor.minimum_interval_seconds < 300
        assert desk.later(timedelta(seconds=240)).tick().skip_message.startswith("Found 989 tickets")

    @pytest.mark.parametrize("error", ["ThrottlingException", "StatementTimeoutException", "BadRequestException"])
    def test_a_look_through_the_data_api_tries_nothing_twice(
        self, error: str, data_api: FaultyDataApi, data_api_source: DataApiTickets
    ) -> None:
        data_api.fail_next(error, times=9)
        with pytest.raises(SourceError, match=error):
            data_api_source.take_census(TRAINING_WINDOW)
        assert len(data_api.calls) == 1

    def test_no_batch_before_the_first_is_asked_for(self, desk: Desk) -> None:
        desk.rules = ArrivalRules(90, 365, recent_batch_days=7, min_new_tickets=1, first_batch_id="2026010201")
        assert desk.prepare("2026010105").success  # of a time when an earlier batch was the first
        assert desk.asked() == []
        late_row(desk.later())
        assert desk.asked() == []
        assert desk.later(timedelta(days=1)).asked() == ["2026010300"]


class TestSchedule:
    def tick(self, at: datetime, **settings: str) -> Any:
        repository = build_definitions(parse_settings({**SETTINGS, **settings})).get_repository_def()
        schedule = repository.get_schedule_def("prepare_schedule")
        with dg.build_schedule_context(scheduled_execution_time=at, repository_def=repository) as context:
            return schedule.evaluate_tick(context)

    def test_it_asks_for_the_batch_of_its_hour(self) -> None:
        [request] = self.tick(datetime(2026, 1, 5, 3, tzinfo=UTC)).run_requests
        assert (request.partition_key, request.run_key) == ("2026010503", "2026010503")
        [request] = self.tick(datetime(2026, 1, 5, 18, 30, tzinfo=UTC), PREPARE_SCHEDULE="30 */6 * * *").run_requests
        assert request.partition_key == "2026010518"

    def test_it_is_weekly_unless_set_otherwise(self) -> None:
        for settings, cron in (({}, "0 3 * * 1"), ({"PREPARE_SCHEDULE": "0 */6 * * *"}, "0 */6 * * *")):
            repository = build_definitions(parse_settings({**SETTINGS, **settings})).get_repository_def()
            schedule = repository.get_schedule_def("prepare_schedule")
            assert (schedule.cron_schedule, schedule.execution_timezone) == (cron, "UTC")

    def test_the_batch_of_this_hour_exists_already(self) -> None:
        now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        assert len(self.tick(now).run_requests) == 1

    def test_a_batch_before_the_first_is_skipped_with_a_reason(self) -> None:
        ticked = self.tick(datetime(2026, 1, 5, 3, tzinfo=UTC), FIRST_BATCH_ID="2026010504")
        assert ticked.run_requests == []
        assert ticked.skip_message.startswith("There is no batch 2026010503")


def test_everything_is_stopped_until_it_is_switched_on() -> None:
    repository = build_definitions(parse_settings(SETTINGS | {"TENANTS": "acme"})).get_repository_def()
    assert {one.name: one.default_status for one in repository.sensor_defs} == {
        "new_tickets_sensor": dg.DefaultSensorStatus.STOPPED,
        "new_events_sensor": dg.DefaultSensorStatus.STOPPED,
        "new_files_sensor": dg.DefaultSensorStatus.STOPPED,
        "failed_runs_sensor": dg.DefaultSensorStatus.STOPPED,
        "low_quality_sensor": dg.DefaultSensorStatus.STOPPED,
        "overdue_sensor": dg.DefaultSensorStatus.STOPPED,
    }
    assert {one.name: one.default_status for one in repository.schedule_defs} == {
        "clean_history_schedule": dg.DefaultScheduleStatus.STOPPED,
        "erase_people_schedule": dg.DefaultScheduleStatus.STOPPED,
        "prepare_schedule": dg.DefaultScheduleStatus.STOPPED,
        "prepare_interactions_schedule": dg.DefaultScheduleStatus.STOPPED,
    }


@dataclass
class Reporter:
    """The sensor of failed runs, with its cursor."""

    instance: dg.DagsterInstance
    definitions: dg.Definitions
    alerts: AlertChannel
    cursor: str | None = None

    def tick(self) -> Any:
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, definitions=self.definitions, resources={"alerts": self.alerts}
        ) as context:
            ticked = build_failed_runs_sensor().evaluate_tick(context)
        self.cursor = ticked.cursor
        return ticked


@dataclass
class Topic:
    arn: str
    queue: str

    def received(self) -> list[dict[str, Any]]:
        found = boto3.client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        for one in found:
            boto3.client("sqs").delete_message(QueueUrl=self.queue, ReceiptHandle=one["ReceiptHandle"])
        return [json.loads(one["Body"]) for one in found]


@pytest.fixture
def topic(moto_url: str, monkeypatch: pytest.MonkeyPatch, aws_credentials: None) -> Topic:
    """An SNS topic and a queue that gets what is published to it; boto3 is pointed at both."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    name = f"alerts-{uuid4().hex[:12]}"
    arn = boto3.client("sns").create_topic(Name=name)["TopicArn"]
    queue = boto3.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    queue_arn = f"arn:aws:sqs:{REGION}:{arn.split(':')[4]}:{name}"
    boto3.client("sns").subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)
    return Topic(arn, queue)


class TestFailedRuns:
    def failing(self, desk: Desk) -> Desk:
        """A desk whose batch fails at the checks: a text has a character that the fine-tuning job refuses."""
        assert isinstance(desk.source, SqliteTickets)
        write(Path(desk.source.path), [*world(), {"text": SECRET.upper()}])
        return desk

    def test_a_failed_run_reaches_the_topic_with_batch_asset_check_and_reason_and_no_text(
        self, desk: Desk, topic: Topic
    ) -> None:
        reporter = Reporter(desk.instance, desk.definitions, SnsAlerts(topic_arn=topic.arn))
        self.failing(desk).prepare("2026010101")
        assert reporter.tick().skip_message == "Reporting starts with the next run."
        assert reporter.tick().skip_message == "No run has failed."
        result = desk.prepare("2026010203")
        assert reporter.tick().skip_message == f"Reported {result.run_id}."
        assert reporter.tick().skip_message == "No run has failed."
        [message] = topic.received()
        assert message["Subject"] == "Failed: batch 2026010203, tickets"
        body = json.loads(message["Message"])
        assert (body["event"], body["run_id"], body["not_listed"]) == ("RUN_FAILED", result.run_id, 0)
        [failure] = body["failures"]
        assert (failure["batch_id"], failure["asset"]) == ("2026010203", "tickets")
        assert failure["checks"] == ["tickets_are_valid"]
        assert failure["reason"].startswith("tickets breaks 1 rule, and nothing was written.")
        assert SECRET not in json.dumps(message).lower()

    def test_what_others_say_of_an_error_is_left_to_the_run(self, desk: Desk, topic: Topic) -> None:
        reporter = Reporter(desk.instance, desk.definitions, SnsAlerts(topic_arn=topic.arn))
        reporter.tick()
        desk.prepare("2026010203")
        broken = dg.asset(name="tickets")(lambda: [].index(SECRET))
        dg.materialize([broken], instance=desk.instance, raise_on_error=False)
        reporter.tick()
        [message] = topic.received()
        assert SECRET not in json.dumps(message)
        [failure] = json.loads(message["Message"])["failures"]
        assert (failure["batch_id"], failure["reason"]) == ("none", "ValueError: see the run")

    def test_a_run_that_was_killed_is_reported_with_what_dagster_says(self, desk: Desk, topic: Topic) -> None:
        reporter = Reporter(desk.instance, desk.definitions, SnsAlerts(topic_arn=topic.arn))
        reporter.tick()
        job = desk.definitions.resolve_job_def(PREPARE_TICKETS)
        run = desk.instance.create_run_for_job(
            job, tags={"dagster/partition": NEWEST}, status=dg.DagsterRunStatus.STARTED
        )
        desk.instance.report_run_failed(run, "The run's process was not heard of for 180 seconds.")
        reporter.tick()
        [message] = topic.received()
        [failure] = json.loads(message["Message"])["failures"]
        assert failure == {
            "batch_id": NEWEST,
            "asset": "run",
            "checks": [],
            "reason": "The run's process was not heard of for 180 seconds.",
            "would_fail_all": True,
        }

    def test_an_alert_that_is_not_taken_fails_the_tick_and_is_sent_by_the_next(
        self, desk: Desk, topic: Topic, tmp_path: Path
    ) -> None:
        """Dagster keeps the cursor of a tick that raises; one that goes on has sent something."""
        reporter = Reporter(desk.instance, desk.definitions, SnsAlerts(topic_arn=topic.arn))
        reporter.tick()
        runs = [self.failing(desk).prepare(batch_id).run_id for batch_id in ("2026010201", "2026010202", "2026010203")]
        reporter.alerts = SnsAlerts(topic_arn=topic.arn + "-gone")
        with pytest.raises(AlertError, match=r"took no alert: NotFound\. Look whether it exists"):
            reporter.tick()
        reporter.alerts = AlertsThatBreak(topic_arn=topic.arn, sent=str(tmp_path / "sent"), breaks_at=2)
        assert reporter.tick().skip_message == f"Reported {runs[0]}; then: the channel broke"
        reporter.alerts = SnsAlerts(topic_arn=topic.arn)
        assert reporter.tick().skip_message == f"Reported {runs[1]}, {runs[2]}."
        assert [json.loads(one["Message"])["run_id"] for one in topic.received()] == runs

    @pytest.mark.slow
    def test_the_cursor_goes_on_in_an_instance_that_keeps_runs_in_files(self, desk: Desk, tmp_path: Path) -> None:
        """There every run has an event log of its own; the order of failures is kept beside them."""
        with dg.DagsterInstance.local_temp(str(tmp_path), overrides=NO_COMPUTE_LOGS) as desk.instance:
            alerts = AlertsThatBreak(topic_arn="none", sent=str(tmp_path / "sent"), breaks_at=1)
            reporter = Reporter(desk.instance, desk.definitions, alerts)
            self.failing(desk).prepare("2026010201")
            reporter.tick()
            runs = [desk.prepare(batch_id).run_id for batch_id in ("2026010202", "2026010203")]
            with pytest.raises(AlertError):
                reporter.tick()
            reporter.alerts = LoggedAlerts()
            assert reporter.tick().skip_message == f"Reported {runs[0]}, {runs[1]}."
            assert reporter.tick().skip_message == "No run has failed."

    def test_without_a_topic_a_failed_run_is_one_line_of_json(
        self, desk: Desk, capsys: pytest.CaptureFixture[str]
    ) -> None:
        reporter = Reporter(desk.instance, desk.definitions, LoggedAlerts())
        reporter.tick()
        self.failing(desk).prepare("2026010203")
        capsys.readouterr()
        reporter.tick()
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith('{"level"')]
        assert json.loads(lines[0])["subject"] == "Failed: batch 2026010203, tickets"
        assert len(lines) == 1

    def test_a_topic_that_cannot_be_reached_is_an_error_that_says_where_to_look(
        self, monkeypatch: pytest.MonkeyPatch, aws_credentials: None
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", "http://127.0.0.1:9")
        with pytest.raises(AlertError, match=r"EndpointConnectionError\. Look at the network"):
            SnsAlerts(topic_arn="arn:aws:sns:us-east-1:123456789012:gata").send(alert_of(1))


def alert_of(failures: int, reason: str = "wrong") -> Any:
    one = {"asset": "tickets", "checks": ("a",), "reason": reason}
    return compose_alert(
        run_id="r",
        job="prepare_tickets",
        failed_at="2026-01-02T03:04:05+00:00",
        failures=[{"batch_id": f"{2026010100 + number}", **one} for number in range(failures)],
    )


def test_an_alert_keeps_within_what_a_topic_takes_and_says_what_it_leaves_out() -> None:
    alert = alert_of(1_000, "ä" * 5_000)
    body = json.loads(alert.body)
    assert len(alert.body.encode()) <= MOST_BODY_BYTES
    assert len(body["failures"]) + body["not_listed"] == 1_000
    assert 0 < body["not_listed"] < 1_000
    assert body["failures"][0]["reason"].endswith("ä...")
    assert alert.subject == "Failed: 1000 batches, tickets"
    assert len(alert_of(24).body) < 10_000 and json.loads(alert_of(24).body)["not_listed"] == 0
