"""No event is lost, whatever call of SQS or SNS fails and how.

Real: boto3, SQS and SNS over HTTP (moto), a proxy that fails calls. Faked: the engine, clock and sleep; the SDK tries
once, so that each failed call counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import boto3
import pytest

from gata_assets.errors import QueueError, StoreError
from gata_assets.orchestration.alerting.channels import SnsAlerts
from gata_assets.shop.events.dead_letters import SqsQueue
from gata_assets.shop.events.process import Processor, Result
from gata_assets.shop.events.replay import Replayed, replay
from gata_assets.shop.events.stages import StageOutcome
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.fault_proxy import JSON_ERROR, FaultProxy, Faults, Manner
from gata_assets_tests.support.shop_events import RAW_EVENT, World

SECRET = canary("a value of a row")
REGION = "us-east-1"
EVENTS = [replace(RAW_EVENT, event_id=f"request-{number}") for number in range(2)]
MOST_CALLS = 30
MANNERS = [
    pytest.param(manner, id=manner.name, marks=pytest.mark.soak if manner in (Manner.REFUSED, Manner.CUT_SHORT) else [])
    for manner in Manner
]


class Cloud:
    """A queue and two topics of their own behind a proxy, and processors over them."""

    def __init__(self, moto_url: str, proxy: FaultProxy) -> None:
        self.faults = proxy.faults
        direct = boto3.client("sqs", region_name=REGION, endpoint_url=moto_url)
        topics = boto3.client("sns", region_name=REGION, endpoint_url=moto_url)
        self._topics = [
            topics.create_topic(Name=f"{name}-{uuid4().hex[:8]}")["TopicArn"] for name in ("data", "operations")
        ]
        self._direct = direct
        self.empty()

    @property
    def queue(self) -> SqsQueue:
        """The queue through the proxy."""
        return SqsQueue(self._url, REGION, wait_seconds=0, total_attempts=1)

    def processor(self, world: World) -> Processor:
        """A processor whose messages go through the proxy."""
        data, operations = (SnsAlerts(topic_arn=topic, total_attempts=1) for topic in self._topics)
        return replace(world.processor, queue=self.queue, data=data, operations=operations)

    def bodies(self) -> list[str]:
        """What is in the queue."""
        found = self._direct.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [message["Body"] for message in found.get("Messages", [])]

    def empty(self) -> None:
        """Go on with a new queue."""
        self._url = self._direct.create_queue(QueueName=f"dlq-{uuid4().hex[:12]}")["QueueUrl"]


@pytest.fixture
def cloud(moto_url: str, aws_credentials: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with FaultProxy("aws", moto_url, Faults(), JSON_ERROR) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield Cloud(moto_url, proxy)


ENDS: dict[str, StageOutcome | BaseException] = {
    "rejected rows": StageOutcome(rows=2, rejected=1, rejected_by_rule={"a_rule": 1}),
    "a failure": StoreError("an outage"),
    "an unforeseen failure": ValueError(SECRET),
}


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_an_event_is_processed_or_queued_or_its_exit_code_says_so(
    cloud: Cloud, end: StageOutcome | BaseException, manner: Manner
) -> None:
    for number in range(1, MOST_CALLS):
        cloud.empty()
        world = World()
        world.stages.ends = [end]
        cloud.faults.begin(manner, first=number, last=number)
        result = cloud.processor(world).process(RAW_EVENT)
        failed = cloud.faults.failed
        cloud.faults.begin()
        bodies = cloud.bodies()
        assert world.stages.done or bodies or result.undelivered
        assert bool(failed) == bool(result.undelivered)
        assert SECRET not in world.everything_shown + "".join(bodies) + repr(result)
        if not failed:
            assert bool(bodies) == isinstance(end, BaseException)
            return
    pytest.fail("more calls than were tried")


@pytest.mark.parametrize("manner", MANNERS)
def test_a_replay_deletes_only_what_it_processed(cloud: Cloud, manner: Manner) -> None:
    for number in range(1, MOST_CALLS):
        cloud.empty()
        world = World()
        world.stages.ends = [StoreError("an outage")]
        for event in EVENTS:
            cloud.processor(world).process(event)
        world.stages.ends = [StageOutcome(rows=2, rejected=1)]
        results: list[Result] = []
        cloud.faults.begin(manner, first=number, last=number)
        try:
            _replay(cloud, world, results)
        except QueueError:
            assert cloud.faults.failed
        failed = cloud.faults.failed
        cloud.faults.begin()
        done = {result.subject.request_id for result in results if not result.failure}
        queued = {json.loads(body)["request_id"] for body in cloud.bodies()}
        assert {event.event_id for event in EVENTS} <= done | queued
        _replay(cloud, world, results)
        assert cloud.bodies() == []
        if not failed:
            assert number > 6
            return
    pytest.fail("more calls than were tried")


def _replay(cloud: Cloud, world: World, results: list[Result]) -> None:
    # Hidden for no time: what stays is there at once, as after an hour.
    replay(cloud.queue, cloud.processor(world), Replayed(), most=None, on_result=results.append, hidden_seconds=0)
