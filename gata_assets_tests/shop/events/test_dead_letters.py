"""One contract for every dead-letter queue, and what SQS and SNS answer when they do not do what they are asked.

Real: SQS and SNS over HTTP on loopback (moto), boto3, a store in a directory. Faked: a server that never answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import boto3
import pytest

from gata_assets.errors import AlertError, QueueError
from gata_assets.orchestration.alerting.message import Alert
from gata_assets.shop.events.dead_letters import DeadLetterQueue, SqsQueue, StoredQueue
from gata_assets.shop.events.notifications import DATA_TOPIC, OPERATIONS_TOPIC, open_channel
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.loopback import silent_server

SECRET = canary("the body of a message")
REGION = "us-east-1"


@pytest.fixture
def sqs(moto_url: str, aws_credentials: None, monkeypatch: pytest.MonkeyPatch) -> SqsQueue:
    """An empty queue of its own; boto3 is pointed at the server."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    url = boto3.client("sqs", region_name=REGION).create_queue(QueueName=f"dlq-{uuid4().hex[:12]}")["QueueUrl"]
    return SqsQueue(url, REGION, wait_seconds=0)


@pytest.fixture(params=["stored", pytest.param("sqs", marks=pytest.mark.server)])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> DeadLetterQueue:
    """Each kind of queue in turn, empty."""
    if request.param == "stored":
        return StoredQueue(LocalStore(str(tmp_path / "target")))
    found: SqsQueue = request.getfixturevalue("sqs")
    return found


class TestContract:
    def test_an_empty_queue_gives_nothing(self, queue: DeadLetterQueue) -> None:
        assert list(queue.receive(10, hidden_seconds=60)) == []

    def test_what_is_sent_is_received_as_it_was_and_then_hidden(self, queue: DeadLetterQueue) -> None:
        bodies = {f'{{"é": "{number} …\\n"}}' for number in range(3)}
        for body in bodies:
            queue.send(body)
        found = [*queue.receive(10, hidden_seconds=60), *queue.receive(10, hidden_seconds=60)]
        assert {message.body for message in found} == bodies
        assert len({message.name for message in found}) == 3
        assert list(queue.receive(10, hidden_seconds=60)) == []

    def test_no_more_are_received_than_asked_for(self, queue: DeadLetterQueue) -> None:
        for number in range(5):
            queue.send(f"{{{number}}}")
        assert len(queue.receive(2, hidden_seconds=60)) <= 2

    def test_what_is_deleted_is_gone_also_the_second_time(self, queue: DeadLetterQueue) -> None:
        queue.send("{}")
        [message] = queue.receive(10, hidden_seconds=60)
        queue.delete(message)
        queue.delete(message)
        queue.hide([], seconds=0)
        assert list(queue.receive(10, hidden_seconds=0)) == []

    def test_what_is_shown_again_is_received_again_under_its_name(self, queue: DeadLetterQueue) -> None:
        queue.send("{1}")
        queue.send("{2}")
        first = [*queue.receive(10, hidden_seconds=60), *queue.receive(10, hidden_seconds=60)]
        queue.hide(first, seconds=0)
        second = [*queue.receive(10, hidden_seconds=60), *queue.receive(10, hidden_seconds=60)]
        assert {message.name for message in second} == {message.name for message in first}


class TestFaults:
    @pytest.mark.server
    def test_a_queue_that_is_gone_is_an_error_with_advice_and_without_the_body(self, sqs: SqsQueue) -> None:
        gone = SqsQueue(f"{sqs.url}-gone", REGION, wait_seconds=0, total_attempts=1)
        calls: list[tuple[Callable[[], object], str]] = [
            (lambda: gone.send(SECRET), "sqs:SendMessage"),
            (lambda: gone.receive(1, hidden_seconds=1), "sqs:ReceiveMessage"),
        ]
        for call, action in calls:
            with pytest.raises(QueueError, match=f"SHOP_DLQ_URL .*: .*NonExistentQueue.*{action} on it") as caught:
                call()
            assert SECRET not in str(caught.value)

    @pytest.mark.server
    def test_a_server_that_never_answers_ends_in_time(
        self, aws_credentials: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with silent_server() as port:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
            queue = SqsQueue(
                f"http://127.0.0.1:{port}/123456789012/x", REGION, wait_seconds=0, read_seconds=0.1, total_attempts=1
            )
            with pytest.raises(QueueError, match="SHOP_DLQ_URL took no message: ReadTimeoutError"):
                queue.send(SECRET)

    def test_a_target_that_cannot_be_written_is_an_error_of_the_queue(self, tmp_path: Path) -> None:
        (tmp_path / "target").write_text("a file")
        queue = StoredQueue(LocalStore(str(tmp_path / "target")))
        with pytest.raises(QueueError, match="could not be kept in the target") as caught:
            queue.send(SECRET)
        assert SECRET not in str(caught.value)

    def test_the_region_is_that_of_the_queue(self) -> None:
        url = "https://sqs.eu-central-1.amazonaws.com/123456789012/x"
        assert SqsQueue(url, REGION)._client.meta.region_name == "eu-central-1"
        assert SqsQueue("http://127.0.0.1:5000/123456789012/x", REGION)._client.meta.region_name == REGION


class TestChannels:
    @pytest.mark.server
    def test_a_topic_gets_what_is_sent_and_its_setting_is_in_the_error(self, sqs: SqsQueue) -> None:
        sns = boto3.client("sns", region_name=REGION)
        topic = sns.create_topic(Name=f"topic-{uuid4().hex[:12]}")["TopicArn"]
        name = sqs.url.rpartition("/")[2]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:123456789012:{name}")
        open_channel(topic, DATA_TOPIC).send(Alert("a subject", "a body"))
        [message] = sqs.receive(1, hidden_seconds=60)
        assert json.loads(message.body)["Message"] == "a body"
        with pytest.raises(AlertError, match="The topic SHOP_OPERATIONS_TOPIC_ARN took no alert: NotFound"):
            open_channel(f"{topic}-gone", OPERATIONS_TOPIC).send(Alert("a subject", SECRET))

    def test_without_a_topic_a_line_of_the_log_is_written(self, capsys: pytest.CaptureFixture[str]) -> None:
        for setting in (DATA_TOPIC, OPERATIONS_TOPIC):
            open_channel(None, setting).send(Alert("a subject", '{"rows": 3}'))
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert [(line["level"], line["rows"]) for line in lines] == [("WARNING", 3), ("ERROR", 3)]
