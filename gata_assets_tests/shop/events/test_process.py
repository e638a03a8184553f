"""One event, processed: tries, dead letters, notifications, log lines.

Real: the processor. Faked: the engine, the queue and the channels (in memory), clock, sleep and randomness.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.errors import (
    ConflictError,
    DamagedTableError,
    DataRuleError,
    DeleteDeniedError,
    GataError,
    ManifestVersionError,
    ObjectNotFoundError,
    RawFileError,
    StoreError,
)
from gata_assets.shop.events.event import ObjectEvent, parse_event
from gata_assets.shop.events.process import MOST_TRIES, State
from gata_assets.shop.events.routing import Stage
from gata_assets.shop.events.stages import StageOutcome
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.shop_events import (
    MANIFEST_EVENT,
    RAW_EVENT,
    SOURCE_EVENT,
    FailingCalls,
    KeptAlerts,
    KeptQueue,
    World,
)

SECRET = canary("a value of a row")
CARD = "4111111111111111"


@pytest.mark.parametrize(
    ("event", "stage"),
    [
        (RAW_EVENT, Stage.RAW_TO_CURATED),
        (MANIFEST_EVENT, Stage.CURATED_TO_PROD),
        (SOURCE_EVENT, Stage.PARKED_TO_QUARANTINED),
    ],
)
def test_an_event_is_processed_by_its_stage(event: ObjectEvent, stage: Stage) -> None:
    world = World()
    result = world.processor.process(event)
    assert (result.state, result.tries, result.undelivered) == (State.PROCESSED, 1, [])
    assert [work.stage for work in world.stages.done] == [stage]
    assert (world.queue.bodies, world.data.sent, world.operations.sent, world.slept) == ({}, [], [], [])


def test_every_line_has_request_bucket_key_and_stage() -> None:
    world = World()
    world.stages.ends = [
        StoreError("out of reach"),
        StageOutcome(rows=5, rejected=1, rejected_by_rule={"price_is_positive": 1}),
    ]
    world.processor.process(RAW_EVENT)
    assert [line["event"] for line in world.lines] == ["EVENT_STARTED", "EVENT_RETRIED", "EVENT_PROCESSED"]
    expected = {
        "request_id": "request-1",
        "bucket": RAW_EVENT.bucket,
        "key": RAW_EVENT.key,
        "stage": "raw-to-curated",
    }
    assert all(expected.items() <= line.items() for line in world.lines)


def test_an_event_without_an_id_gets_a_new_one() -> None:
    world = World()
    result = world.processor.process(replace(RAW_EVENT, event_id=None))
    request_id = result.subject.request_id
    assert request_id.startswith("new-")
    world.stages.ends = [StoreError("x")]
    failed = world.processor.process(replace(RAW_EVENT, event_id=None))
    [body] = world.queue.bodies.values()
    assert parse_event(body).event_id == failed.subject.request_id != request_id, "a replay has the same"


def test_an_object_that_is_ignored_opens_no_engine() -> None:
    world = World(opens=[StoreError("never asked")])
    result = world.processor.process(replace(RAW_EVENT, bucket="prod-bucket"))
    assert (result.state, result.tries) == (State.IGNORED, 0)
    assert [(line["event"], line["level"]) for line in world.lines] == [("EVENT_IGNORED", logging.INFO)]
    world.processor.process(replace(RAW_EVENT, bucket="nobodys-bucket"))
    assert world.lines[-1]["level"] == logging.WARNING, "somebody may wait for it"


class TestTries:
    @pytest.mark.parametrize("error", [StoreError("x"), ConflictError("x"), ObjectNotFoundError("x")])
    def test_a_fault_of_the_environment_is_tried_three_times(self, error: GataError) -> None:
        world = World()
        world.stages.ends = [error, error, StageOutcome(rows=1)]
        result = world.processor.process(RAW_EVENT)
        assert (result.state, result.tries, len(world.slept)) == (State.PROCESSED, 3, 2)
        assert world.queue.bodies == {}

    def test_after_the_last_try_it_is_a_dead_letter_and_operations_know(self) -> None:
        world = World()
        world.stages.ends = [StoreError("s3://raw-bucket/x cannot be read.")]
        result = world.processor.process(RAW_EVENT)
        assert (result.state, result.tries, result.is_queued) == (State.FAILED, MOST_TRIES, True)
        [body] = world.queue.bodies.values()
        letter = json.loads(body)
        assert parse_event(body) == RAW_EVENT
        assert (letter["request_id"], letter["stage"], letter["tries"]) == ("request-1", "raw-to-curated", 3)
        assert (letter["error"], letter["reason"]) == ("StoreError", "s3://raw-bucket/x cannot be read.")
        assert letter["at"].startswith("2026-01-03T04:05:")
        [alert] = world.operations.sent
        assert alert.subject == "Failed: raw-to-curated, StoreError, in the dead-letter queue"
        assert json.loads(alert.body)["is_queued"] is True
        assert world.data.sent == []

    @pytest.mark.parametrize(
        "error",
        [
            DamagedTableError("x"),
            DeleteDeniedError("x"),
            ManifestVersionError("x"),
            DataRuleError("x"),
            GataError("x"),
            ValueError("x"),
            KeyError("x"),
            MemoryError(),
            RecursionError(),
        ],
    )
    def test_what_another_try_cannot_help_is_tried_once_and_queued(self, error: Exception) -> None:
        world = World()
        world.stages.ends = [error]
        result = world.processor.process(RAW_EVENT)
        assert (result.state, result.tries, world.slept) == (State.FAILED, 1, [])
        [body] = world.queue.bodies.values()
        assert json.loads(body)["error"] == type(error).__name__

    def test_an_engine_that_cannot_be_opened_is_tried_as_well(self) -> None:
        world = World(opens=[StoreError("x"), StoreError("x")])
        assert world.processor.process(RAW_EVENT).tries == 3
        world = World(opens=[GataError("it is not there")])
        assert world.processor.process(RAW_EVENT).is_queued

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit(1)])
    def test_an_interruption_goes_through(self, interruption: BaseException) -> None:
        world = World()
        world.stages.ends = [interruption]
        with pytest.raises(type(interruption)):
            world.processor.process(RAW_EVENT)

    @given(st.integers(0, 2**32))
    def test_waits_are_jittered_over_a_bound_that_doubles(self, seed: int) -> None:
        world = World(seed=seed)
        world.stages.ends = [StoreError("x")]
        world.processor.process(RAW_EVENT)
        first, second = world.slept
        assert 0 <= first <= 1 and 0 <= second <= 2

    def test_other_randomness_waits_for_other_times(self) -> None:
        waits = set()
        for seed in range(5):
            world = World(seed=seed)
            world.stages.ends = [StoreError("x")]
            world.processor.process(RAW_EVENT)
            waits.add(tuple(world.slept))
        assert len(waits) == 5


class TestInvalidData:
    def test_rejected_rows_are_an_outcome_that_the_data_engineers_learn_of(self) -> None:
        world = World()
        world.stages.ends = [
            StageOutcome(rows=10, rejected=3, rejected_by_rule={"price_is_positive": 2, "email_is_given": 1})
        ]
        result = world.processor.process(RAW_EVENT)
        assert (result.state, result.undelivered, world.queue.bodies) == (State.PROCESSED, [], {})
        [alert] = world.data.sent
        assert alert.subject == "Invalid data: ecommerce customers, 3 of 10 rows rejected"
        assert json.loads(alert.body)["rejected_by_rule"] == {"email_is_given": 1, "price_is_positive": 2}
        assert world.operations.sent == []

    def test_quarantined_rows_are_one_too(self) -> None:
        world = World()
        world.stages.ends = [StageOutcome(rows=10, rejected=3, quarantined={"orders": 1, "order_items": 2})]
        world.processor.process(RAW_EVENT)
        [alert] = world.data.sent
        assert alert.subject == "Invalid data: ecommerce customers, 3 of 10 rows rejected, 3 rows quarantined"
        assert json.loads(alert.body)["quarantined"] == {"orders": 1, "order_items": 2}

    def test_a_refused_file_is_one_too(self) -> None:
        for end in (StageOutcome(is_refused=True), RawFileError(f"has a column {SECRET}")):
            world = World()
            world.stages.ends = [end]
            result = world.processor.process(RAW_EVENT)
            assert (result.state, result.tries) == (State.PROCESSED, 1)
            [alert] = world.data.sent
            assert alert.subject.endswith("refused")
            assert SECRET not in world.everything_shown

    def test_what_is_no_name_of_a_rule_is_not_shown(self) -> None:
        world = World()
        by_rule = {f"{SECRET} is no price": 2, "Ünknown": 1, "a_rule": 1}
        world.stages.ends = [StageOutcome(rows=4, rejected=4, rejected_by_rule=by_rule)]
        world.processor.process(RAW_EVENT)
        assert json.loads(world.data.sent[0].body)["rejected_by_rule"] == {"a_rule": 1, "other_rule": 3}
        assert SECRET not in world.everything_shown


class TestNothingOfTheDataIsShown:
    @pytest.mark.parametrize("kind", [ValueError, KeyError, UnicodeError, RuntimeError])
    def test_an_unforeseen_error_is_shown_by_its_class_and_place(self, kind: type[Exception]) -> None:
        world = World()
        error = kind(f"could not parse {SECRET}")
        error.add_note(SECRET)
        error.__cause__ = ValueError(SECRET)
        world.stages.ends = [error]
        result = world.processor.process(RAW_EVENT)
        assert result.failure and result.failure.reason.startswith("unforeseen, raised at gata_assets/shop/events/")
        assert SECRET not in world.everything_shown
        assert SECRET not in repr(result)

    def test_digits_of_a_card_in_a_key_are_in_no_line_and_no_alert(self) -> None:
        world = World()
        event = replace(RAW_EVENT, key=RAW_EVENT.key.replace("LOAD00000001", CARD))
        world.stages.ends = [StoreError(f"s3://{event.bucket}/{event.key} cannot be read.")]
        world.processor.process(event)
        [body] = world.queue.bodies.values()
        assert parse_event(body).key == event.key, "or nobody could process it again"
        assert CARD not in json.loads(body)["reason"]
        world.queue.bodies.clear()
        assert CARD not in world.everything_shown

    def test_subjects_of_alerts_are_short_and_ascii(self) -> None:
        world = World()
        world.stages.ends = [type("Fehlerß" * 30, (StoreError,), {})("x")]
        world.processor.process(RAW_EVENT)
        [alert] = world.operations.sent
        assert alert.subject.isascii() and len(alert.subject) <= 100


class TestWhatIsNotDelivered:
    def test_a_queue_that_takes_nothing_hides_no_fault(self) -> None:
        world = World(queue=KeptQueue(calls=FailingCalls(frozenset({1}))))
        world.stages.ends = [StoreError("the fault")]
        result = world.processor.process(RAW_EVENT)
        assert (result.is_queued, result.undelivered) == (False, ["it was not done"])
        assert result.failure and result.failure.reason == "the fault"
        [alert] = world.operations.sent
        assert "NOT in the dead-letter queue" in alert.subject
        assert [line["event"] for line in world.lines][-2:] == ["EVENT_FAILED", "MESSAGE_UNDELIVERED"]

    def test_topics_that_take_nothing_are_reported(self) -> None:
        def failing() -> KeptAlerts:
            return KeptAlerts(calls=FailingCalls(frozenset({1})))

        world = World(operations=failing())
        world.stages.ends = [StoreError("the fault")]
        result = world.processor.process(RAW_EVENT)
        assert result.is_queued and result.undelivered == ["it was not done"]
        world = World(data=failing())
        world.stages.ends = [StageOutcome(rows=1, rejected=1)]
        result = world.processor.process(RAW_EVENT)
        assert (result.state, result.undelivered) == (State.PROCESSED, ["it was not done"])


def test_what_is_measured_is_what_happened() -> None:
    world = World()
    world.stages.ends = [StageOutcome(rows=100, rejected=7, duplicates=3), StoreError("x")]
    world.processor.process(RAW_EVENT)
    world.processor.process(MANIFEST_EVENT)
    done, failed = world.measured
    assert (done.source, done.table, done.stage) == ("ecommerce", "customers", "raw-to-curated")
    assert (done.rows, done.rejected, done.duplicates, done.has_failed) == (100, 7, 3, False)
    assert done.seconds > 0
    assert (failed.stage, failed.has_failed, failed.rows) == ("curated-to-prod", True, 0)
