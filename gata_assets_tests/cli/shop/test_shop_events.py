"""`gata shop process` and `gata shop replay`: arguments, what is shown, exit codes.

Real: the commands in this process, queues in a directory, SQS and SNS over HTTP (moto), files of metrics. Faked: the
engine.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import boto3
import pytest

from gata_assets.cli.exit_codes import DONE, FAILED, QUEUED, WRONG
from gata_assets.cli.shop import events as commands
from gata_assets.errors import GataError, SettingsError
from gata_assets.settings.model import Settings, parse_settings
from gata_assets.shop.events.event import ObjectEvent
from gata_assets.shop.events.prometheus import read_series
from gata_assets.shop.events.routing import Place, ShopPlaces
from gata_assets.shop.events.stages import StageOutcome
from gata_assets.shop.places import CURATED, PROD, RAW
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import gata
from gata_assets_tests.support.pushgateway import pushgateway
from gata_assets_tests.support.shop_events import ToldStages

REGION = "us-east-1"
# A queue that is never asked.
NO_QUEUE = "http://127.0.0.1:9/123456789012/nobodys-queue"
SECRET = canary("the content of an event")
KEY = "shop/raw/ecommerce/customers-raw/year=2025/month=01/day=16/a.parquet"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse_settings({"SHOP_SOURCES": "ecommerce", "TARGET_DIR": str(tmp_path / "target")})


def engine(*ends: StageOutcome | BaseException) -> Callable[[Settings], ToldStages]:
    stages = ToldStages(list(ends))
    return lambda _: stages


def process(settings: Settings, *ends: StageOutcome | BaseException, as_table: bool = False, key: str = KEY) -> int:
    event = ObjectEvent(str(settings.target.directory), key, event_id="request-1")
    metrics = settings.target.directory.parent / "shop.prom"
    return commands.process(settings, event, metrics_file=metrics, as_table=as_table, open_stages=engine(*ends))


def replay(settings: Settings, *ends: StageOutcome | BaseException, as_table: bool = False) -> int:
    metrics = settings.target.directory.parent / "shop.prom"
    return commands.replay(settings, most=None, metrics_file=metrics, as_table=as_table, open_stages=engine(*ends))


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


class TestPlaces:
    def test_without_buckets_they_are_prefixes_of_the_target(self) -> None:
        for target in ({"TARGET_BUCKET": "my-target"}, {"TARGET_DIR": "my-target"}):
            places = commands.shop_places(parse_settings({"SHOP_SOURCES": "a,b", **target}))
            expected = [Place("my-target", prefix) for prefix in (RAW, CURATED, PROD)]
            assert places == ShopPlaces(*expected, frozenset({"a", "b"}))

    def test_each_may_be_a_bucket_of_its_own(self) -> None:
        given = {"SHOP_SOURCES": "a", "TARGET_BUCKET": "my-target", "SHOP_RAW_BUCKET": "my-raw"}
        places = commands.shop_places(parse_settings(given))
        assert (places.raw, places.curated) == (Place("my-raw"), Place("my-target", CURATED))

    def test_without_sources_there_is_no_shop(self) -> None:
        with pytest.raises(SettingsError, match="SHOP_SOURCES is missing"):
            commands.shop_places(parse_settings({}))

    def test_dead_letters_of_buckets_are_kept_in_no_directory(self, tmp_path: Path) -> None:
        given = {"SHOP_SOURCES": "ecommerce", "SHOP_RAW_BUCKET": "my-raw"}
        for words in (["process", "--event", '{"bucket": "b", "key": "k"}'], ["replay"]):
            ran = gata(tmp_path, "shop", *words, **given)
            assert ran.returncode == WRONG and "SHOP_DLQ_URL is missing" in ran.stderr
        assert (
            gata(
                tmp_path, "shop", "process", "--event", '{"bucket": "b", "key": "k"}', **given, SHOP_DLQ_URL=NO_QUEUE
            ).returncode
            == DONE
        )


class TestProcess:
    def test_what_was_done_is_a_line_of_json(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        assert process(settings, StageOutcome(rows=5, rejected=2, rejected_by_rule={"a_rule": 2})) == DONE
        out, err = capsys.readouterr()
        [line] = lines(out)
        assert (line["event"], line["request_id"], line["key"]) == ("EVENT_PROCESSED", "request-1", KEY)
        assert (line["rows"], line["rejected"], line["rejected_by_rule"]) == (5, 2, {"a_rule": 2})
        logged = lines(err)
        subject = {"request_id": "request-1", "key": KEY, "stage": "raw-to-curated"}
        assert all(subject.items() <= one.items() for one in logged)
        assert [one.get("event", "METRICS") for one in logged] == [
            "EVENT_STARTED",
            "EVENT_PROCESSED",
            "METRICS",
            "DATA_INVALID",
        ]

    def test_for_people_it_is_text(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        outcome = StageOutcome(rows=5_000, rejected=2, duplicates=1, rejected_by_rule={"a_rule": 2})
        assert process(settings, outcome, as_table=True) == DONE
        out = capsys.readouterr().out
        assert f"{KEY}: raw-to-curated done in 0.0 s" in out
        assert "  5,000 rows: 2 rejected, 1 superseded\n  2 broke a_rule\n" in out
        process(settings, StageOutcome(is_refused=True), as_table=True)
        assert "REFUSED: it cannot be read as a table" in capsys.readouterr().out

    def test_the_event_of_a_schedule_is_processed_for_each_source(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings = parse_settings({"SHOP_SOURCES": "a,b", "TARGET_DIR": str(tmp_path / "target")})
        event = ObjectEvent("aws.events", "a-rule", event_id="request-1")

        def run(*ends: StageOutcome | BaseException, as_table: bool = False) -> int:
            stages = engine(*ends)
            return commands.process(settings, event, metrics_file=None, as_table=as_table, open_stages=stages)

        quarantined = StageOutcome(quarantined={"orders": 2})
        assert run(quarantined, StageOutcome()) == DONE
        found = lines(capsys.readouterr().out)
        assert [(line["key"], line["request_id"], line["quarantined"]) for line in found] == [
            ("shop/curated/a/", "request-1", {"orders": 2}),
            ("shop/curated/b/", "request-1", {}),
        ]
        assert run(GataError("it is closed"), quarantined) == QUEUED
        assert [line["event"] for line in lines(capsys.readouterr().out)] == ["EVENT_FAILED", "EVENT_PROCESSED"]
        [letter] = (settings.target.directory / "shop" / "dead-letters").iterdir()
        assert json.loads(letter.read_text())["event"]["key"] == "shop/curated/a/"
        assert run(quarantined, as_table=True) == DONE
        assert "  2 of orders were quarantined\n" in capsys.readouterr().out

    def test_a_failure_is_queued_and_exits_with_3(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        assert process(settings, ValueError(SECRET)) == QUEUED
        out, err = capsys.readouterr()
        [line] = lines(out)
        assert (line["event"], line["error"], line["is_queued"]) == ("EVENT_FAILED", "ValueError", True)
        [letter] = (settings.target.directory / "shop" / "dead-letters").iterdir()
        assert SECRET not in out + err + letter.read_text()
        assert process(settings, GataError("it is closed"), as_table=True) == QUEUED
        assert "GataError after 1 try\n  it is closed\n  It is in the dead-letter queue" in capsys.readouterr().out

    def test_a_queue_that_takes_nothing_exits_with_1(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings.target.directory.mkdir()
        (settings.target.directory / "shop").write_text("in the way")
        assert process(settings, GataError("it is closed")) == FAILED
        out, err = capsys.readouterr()
        assert lines(out)[0]["is_queued"] is False
        assert "MESSAGE_UNDELIVERED" in err and "it is closed" in err

    def test_an_object_that_nothing_is_done_for_exits_with_0(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert process(settings, key="shop/prod/ecommerce/x", as_table=True) == DONE
        assert "nothing is done, it is of prod" in capsys.readouterr().out

    @pytest.mark.server
    def test_how_the_last_event_went_is_pushed_and_a_push_that_fails_fails_nothing(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        target = {"SHOP_SOURCES": "ecommerce", "TARGET_DIR": str(settings.target.directory)}
        with pushgateway() as gateway:
            pushing = parse_settings({**target, "PROMETHEUS_PUSHGATEWAY_URL": gateway.url})
            assert process(pushing, StageOutcome(rows=8, rejected_by_rule={SECRET: 2}, rejected=2)) == DONE
            [path] = gateway.pushed
            assert path.startswith("/metrics/job/gata_shop/")
            for label in ("tenant_id/ecommerce", "data_type/customers", "stage/raw-to-curated"):
                assert label in path
            found = gateway.samples(path)
            assert (found["gata_data_validity_ratio"], found["data_validity_percent"]) == (0.75, 75)
            assert found["gata_shop_last_event_timestamp_seconds"] > 0
            assert not any(name.endswith("_total") for name in found), "a gateway adds nothing up"
            assert SECRET not in gateway.pushed[path]
            gateway.status = 500
            assert process(pushing, StageOutcome(rows=8)) == DONE
        assert "Metrics were not pushed to PROMETHEUS_PUSHGATEWAY_URL: HTTPError 500." in capsys.readouterr().err

    def test_a_file_of_metrics_that_cannot_be_written_fails_nothing(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (settings.target.directory.parent / "shop.prom").mkdir()
        assert process(settings, StageOutcome(rows=1)) == DONE
        [line] = [one for one in lines(capsys.readouterr().err) if one.get("event") == "METRICS_FAILED"]
        assert (line["request_id"], line["key"], line["stage"]) == ("request-1", KEY, "raw-to-curated")

    def test_lines_are_those_of_the_log_level(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        given = {"SHOP_SOURCES": "ecommerce", "TARGET_DIR": str(tmp_path / "target"), "LOG_LEVEL": "ERROR"}
        process(parse_settings(given), StageOutcome(rows=1))
        assert [line for line in lines(capsys.readouterr().err) if "_aws" not in line] == []


class TestReplay:
    def test_letters_are_processed_and_counted(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        process(settings, GataError("it is closed"))
        assert replay(settings, GataError("still")) == FAILED
        assert lines(capsys.readouterr().out)[-1]["failed"] == 1
        commands.list_queue(settings, most=None, as_table=True)
        assert capsys.readouterr().out == "Dead letters: 1\n  raw-to-curated, GataError: 1\n"
        assert replay(settings, StageOutcome(rows=1)) == DONE
        assert lines(capsys.readouterr().out)[-1] == {
            "event": "REPLAY_ENDED",
            "processed": 1,
            "ignored": 0,
            "failed": 0,
            "unreadable": 0,
            "undelivered": 0,
        }
        assert replay(settings, as_table=True) == DONE
        assert capsys.readouterr().out == "Dead letters: none.\n"
        commands.list_queue(settings, most=None, as_table=False)
        assert lines(capsys.readouterr().out)[-1] == {"event": "DEAD_LETTERS_LISTED", "messages": 0, "unreadable": 0}

    def test_the_file_of_metrics_says_how_many_letters_wait(self, settings: Settings) -> None:
        for number in range(3):
            process(settings, GataError("it is closed"), key=KEY.replace("a.parquet", f"{number}.parquet"))
        replay(settings, StageOutcome(rows=1), GataError("again"))
        found = read_series((settings.target.directory.parent / "shop.prom").read_text())
        assert found["gata_shop_dead_letters_total", ()] == 3
        assert found["gata_shop_replayed_dead_letters_total", ()] == 1


class TestOnAws:
    def test_queue_and_topics_are_those_of_the_settings(
        self,
        moto_url: str,
        aws_credentials: None,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
        sqs, sns = boto3.client("sqs", region_name=REGION), boto3.client("sns", region_name=REGION)
        urls = {
            name: sqs.create_queue(QueueName=f"{name}-{uuid4().hex[:12]}")["QueueUrl"]
            for name in ("letters", "data", "operations")
        }
        topics = {}
        for name in ("data", "operations"):
            topics[name] = sns.create_topic(Name=f"{name}-{uuid4().hex[:12]}")["TopicArn"]
            arn = f"arn:aws:sqs:{REGION}:123456789012:{urls[name].rpartition('/')[2]}"
            sns.subscribe(TopicArn=topics[name], Protocol="sqs", Endpoint=arn)
        settings = parse_settings(
            {
                "SHOP_SOURCES": "ecommerce",
                "TARGET_DIR": str(tmp_path / "target"),
                "SHOP_DLQ_URL": urls["letters"],
                "SHOP_DATA_TOPIC_ARN": topics["data"],
                "SHOP_OPERATIONS_TOPIC_ARN": topics["operations"],
            }
        )

        def waiting(name: str) -> int:
            found = sqs.get_queue_attributes(QueueUrl=urls[name], AttributeNames=["ApproximateNumberOfMessages"])
            return int(found["Attributes"]["ApproximateNumberOfMessages"])

        assert process(settings, StageOutcome(rows=2, rejected=1)) == DONE
        assert (waiting("letters"), waiting("data"), waiting("operations")) == (0, 1, 0)
        assert process(settings, ValueError(SECRET)) == QUEUED
        assert (waiting("letters"), waiting("data"), waiting("operations")) == (1, 1, 1)
        bodies = [
            sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"][0]["Body"] for url in urls.values()
        ]
        assert SECRET not in "".join(bodies)
        stages = engine(StageOutcome(rows=1))
        assert commands.replay(settings, most=1, metrics_file=None, as_table=False, open_stages=stages) == DONE
        assert waiting("letters") == 0
        assert not (tmp_path / "target").exists()
        out, err = capsys.readouterr()
        assert SECRET not in out + err


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "fault"),
        [
            ([], "Give one event"),
            (["--event", "{}", "--bucket", "b", "--key", "k"], "Give one event"),
            (["--bucket", "b"], "--bucket and --key go together"),
            (["--event", "{}", "--request-id", "x"], "--request-id goes with"),
            (["--event", "{}"], "`bucket` is missing"),
            (["--event", f'["{SECRET}"]'], "not an object of JSON"),
            (["nowhere.json"], "nowhere.json"),
            (["-"], "The event is not JSON"),
        ],
    )
    def test_a_wrong_argument_or_event_exits_with_2(self, arguments: list[str], fault: str, tmp_path: Path) -> None:
        ran = gata(tmp_path, "shop", "process", *arguments, SHOP_SOURCES="ecommerce")
        assert ran.returncode == WRONG and fault in ran.stderr
        assert SECRET not in ran.stdout + ran.stderr

    def test_an_event_is_a_file_the_input_or_words(self, tmp_path: Path) -> None:
        event = {"bucket": "prod-bucket", "key": "a/b", "event_type": "manual"}
        (tmp_path / "event.json").write_text("\ufeff" + json.dumps(event))
        given = {"SHOP_SOURCES": "ecommerce", "SHOP_PROD_BUCKET": "prod-bucket", "SHOP_DLQ_URL": NO_QUEUE}
        for words, stdin in (
            (["event.json"], None),
            (["-"], json.dumps(event).encode()),
            (["--event", json.dumps(event)], None),
            (["--bucket", "prod-bucket", "--key", "a/b", "--request-id", "my-id"], None),
        ):
            ran = gata(tmp_path, "shop", "process", *words, "--json", stdin=stdin, **given)
            assert ran.returncode == DONE, ran.stderr
            [line] = lines(ran.stdout)
            assert (line["event"], line["bucket"], line["key"]) == ("EVENT_IGNORED", "prod-bucket", "a/b")
        assert line["request_id"] == "my-id"

    def test_an_event_that_is_not_text_or_too_large_is_refused(self, tmp_path: Path) -> None:
        for content, fault in ((b"\xff\xfe", "not UTF-8 text"), (b" " * (1 << 20) + b" ", "more than 1,048,576 bytes")):
            ran = gata(tmp_path, "shop", "process", "-", stdin=content, SHOP_SOURCES="ecommerce")
            assert ran.returncode == WRONG and fault in ran.stderr

    @pytest.mark.parametrize("command", [["process", "--event", '{"bucket": "b", "key": "k"}'], ["replay"]])
    def test_without_sources_both_commands_exit_with_2(self, command: list[str], tmp_path: Path) -> None:
        ran = gata(tmp_path, "shop", *command)
        assert ran.returncode == WRONG and "SHOP_SOURCES is missing" in ran.stderr

    def test_a_dry_run_of_an_empty_queue_lists_nothing(self, tmp_path: Path) -> None:
        ran = gata(tmp_path, "shop", "replay", "--dry-run", "--json", SHOP_SOURCES="ecommerce")
        assert lines(ran.stdout) == [{"event": "DEAD_LETTERS_LISTED", "messages": 0, "unreadable": 0}]
