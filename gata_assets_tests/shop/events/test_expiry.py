"""Parked rows are quarantined when their time is up, by an event of a schedule, although no file arrives any more.

Real: the engine, the processor, the replay, SQS over HTTP (moto) in one test. Faked: the store, in memory, which fails
in some tests; clocks, channels and the other queues.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, ClassVar
from uuid import uuid4

import boto3
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from gata_assets.curation.changes.partitions import PartitionStore
from gata_assets.shop.engine import ShopEngine
from gata_assets.shop.events.dead_letters import DeadLetterQueue, SqsQueue
from gata_assets.shop.events.event import ObjectEvent, parse_event
from gata_assets.shop.events.process import Processor, Result, State
from gata_assets.shop.events.replay import Replayed, list_letters, replay
from gata_assets.shop.events.routing import ALL_TABLES, Place, ShopPlaces, split_by_source
from gata_assets.shop.places import CURATED, PROD, RAW
from gata_assets.shop.prod.source import EVERYTHING, ProdSettings
from gata_assets.shop.prod.tables import TABLES as PROD_TABLES
from gata_assets.storage.catalog.local_file import FileCatalog
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import MANIFEST_FILE
from gata_assets_tests.shop.engine import PLACES, RULES, SOURCE, TABLES, curated_bytes, deliver, run, run_all
from gata_assets_tests.shop.stories import (
    DAYS,
    PARKED_DAYS,
    at,
    at_once,
    customer,
    files_of,
    item,
    order,
    payment,
    product,
    stock,
)
from gata_assets_tests.shop.test_order_of_arrival import arriving_worlds
from gata_assets_tests.shop.worlds import START, Arrival, RawFile
from gata_assets_tests.shop.worlds import World as Files
from gata_assets_tests.support.interleaving import run_in_turns
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore
from gata_assets_tests.support.shop_events import KeptAlerts, World
from gata_assets_tests.support.shop_readers import DATABASE, locations

OF_SHOP = ShopPlaces(Place("target", RAW), Place("target", CURATED), Place("target", PROD), frozenset({SOURCE}))
# What EventBridge sends, and what a queue has of it when it could not be handed over.
SCHEDULED: dict[str, Any] = {
    "version": "0",
    "id": "request-9",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2026-01-05T13:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:events:us-east-1:123456789012:rule/gata-shop-expire"],
    "detail": {},
}
# A valid order; an order and stock without customer and product, a payment without its order; two orders that wait for
# less time, one of the same day.
FILES = files_of(
    0,
    customer("c1", 0),
    product("p1", 0),
    order("o1", 0, 10),
    item("i1", "o1", 0),
    order("o2", 24, 10, customer_id="c9", ordered_at=DAYS[1]),
    item("i2", "o2", 24),
    payment("y1", "o8", 24),
    stock("p9", 24),
    order("o4", 30, 10, customer_id="c9", ordered_at=DAYS[1]),
    item("i4", "o4", 30),
    order("o3", 48, 10, customer_id="c9", ordered_at=DAYS[2]),
    item("i3", "o3", 48),
)
ARRIVED_AT = at(50)
# The first rows have waited for PARKED_DAYS.
DUE_AT = at(24 + 24 * PARKED_DAYS)
QUARANTINED = {"inventory": 1, "order_items": 1, "orders": 1, "payments": 1}


def scheduled() -> ObjectEvent:
    """The event of the schedule for the source."""
    [event] = split_by_source(parse_event(json.dumps(SCHEDULED)), OF_SHOP)
    return event


@dataclass
class Shop:
    """A shop in a store, its events, and a clock that is moved by hand."""

    store: Any = field(default_factory=MemoryStore)
    now: datetime = ARRIVED_AT
    world: World = field(default_factory=World)

    def engine(self, store: ObjectStore | None = None) -> ShopEngine:
        """The engine, over this store or another one."""
        place = store or self.store
        return ShopEngine(
            place,
            TABLES,
            RULES,
            timedelta(days=PARKED_DAYS),
            lambda: FileCatalog(place, f"{PROD}catalog.json"),
            ProdSettings(DATABASE),
            clock=lambda: self.now,
            pause=self._pause,
        )

    def _pause(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def send(self, event: ObjectEvent) -> Result:
        """Process an event."""
        return self.processor().process(event)

    def processor(self, queue: DeadLetterQueue | None = None) -> Processor:
        """A processor of this shop."""
        found = replace(self.world.processor, open_stages=self.engine, places=OF_SHOP)
        return replace(found, queue=queue) if queue else found

    def tick(self, now: datetime) -> Result:
        """The schedule fires."""
        self.now = now
        event = scheduled()
        return self.send(event)

    def publish(self, before: dict[str, object]) -> int:
        """Process the manifests that were written since, as EventBridge has them processed."""
        written = [key for key, version in self.versions().items() if before.get(key) != version]
        results = [self.send(ObjectEvent("target", key)) for key in written if key.endswith(f"/{MANIFEST_FILE}")]
        assert all(result.failure is None for result in results)
        return sum(result.state is State.PROCESSED for result in results)

    def versions(self) -> dict[str, object]:
        """The versions of everything that is stored for the source."""
        return dict(self.store.list_versions(PLACES.root))

    def prod(self) -> dict[tuple[str, object], list[bytes]]:
        """What a reader of the tables for analysts finds."""
        catalog = FileCatalog(self.store, f"{PROD}catalog.json")
        return {
            (table.name, values): [self.store.read(key) for key in self.store.list_keys(place.rpartition("memory:")[2])]
            for table in PROD_TABLES
            for values, place in locations(catalog, table).items()
        }


def arrived(files: list[RawFile] = FILES) -> Shop:
    """A shop whose files have been processed event by event, to prod."""
    shop = Shop()
    for file in files:
        deliver(shop.store, file)
        assert shop.send(ObjectEvent("target", f"{PLACES.raw(file.table)}{file.name}.parquet")).failure is None
    assert shop.publish({}) > 0
    shop.world = World()
    return shop


@pytest.fixture(scope="module")
def stored() -> MemoryStore:
    store: MemoryStore = arrived().store
    return store


@pytest.fixture(scope="module")
def expected() -> dict[str, bytes]:
    """What a run over all files at once curates when the first rows have waited long enough."""
    return at_once(FILES, DUE_AT)


@pytest.fixture
def shop(stored: MemoryStore) -> Shop:
    return Shop(stored.copy())


class TestWhenTheScheduleFires:
    def test_before_the_time_is_up_nothing_is_written_and_nobody_notified(self, shop: Shop) -> None:
        before = shop.versions()
        result = shop.tick(DUE_AT - timedelta(microseconds=1))
        assert (result.state, result.tries, result.undelivered) == (State.PROCESSED, 1, [])
        assert shop.versions() == before
        assert (shop.world.data.sent, shop.world.operations.sent) == ([], [])
        assert [line["level"] for line in shop.world.lines] == [logging.INFO, logging.INFO]

    def test_afterwards_curated_tables_have_the_bytes_of_a_run_over_all_files(
        self, shop: Shop, expected: dict[str, bytes]
    ) -> None:
        shop.tick(DUE_AT)
        assert curated_bytes(shop.store) == expected
        assert not shop.engine().curator(SOURCE).is_due()

    def test_the_manifests_that_it_writes_bring_prod_up_to_date(self, shop: Shop) -> None:
        before = shop.versions()
        shop.tick(DUE_AT)
        assert shop.publish(before) == 3
        other = Shop(MemoryStore(), now=DUE_AT)
        run_all(other.store, FILES, DUE_AT, PARKED_DAYS)
        list(other.engine().build(SOURCE, EVERYTHING))
        assert shop.prod() == other.prod() and any(shop.prod().values())
        assert shop.engine().is_built(SOURCE)

    def test_only_what_is_due_is_written(self, shop: Shop) -> None:
        before = shop.versions()
        shop.tick(DUE_AT)
        written = {key.rpartition("/")[0] for key, version in shop.versions().items() if before.get(key) != version}
        [unit] = shop.engine().curator(SOURCE).graph.units
        unplaced = {partition for partition in PartitionStore(shop.store, PLACES, unit).list_keys() if partition < 0}
        assert len(unplaced) == 1
        folders = {f"{PLACES.curated('orders')}2026-01-02/", PLACES.curated("inventory"), f"{PLACES.root}lease.json"}
        folders |= {PartitionStore(shop.store, PLACES, unit).folder(partition) for partition in unplaced}
        assert written == {folder.rpartition("/")[0] for folder in folders}
        outcome = shop.tick(DAYS[5]).outcome
        assert outcome and outcome.quarantined == {"order_items": 2, "orders": 2}, "those that waited for less"

    def test_a_second_one_finds_nothing_to_do(self, shop: Shop) -> None:
        shop.tick(DUE_AT)
        before = shop.versions()
        result = shop.tick(DUE_AT + timedelta(hours=1))
        assert (shop.versions(), result.outcome and dict(result.outcome.quarantined)) == (before, {})
        assert len(shop.world.data.sent) == 1

    def test_of_a_source_without_files_nothing_is_due(self) -> None:
        shop = Shop()
        assert shop.tick(DUE_AT).state is State.PROCESSED
        assert shop.versions() == {}


class TestWhatItCosts:
    def test_while_nothing_is_due_only_manifests_of_curated_tables_are_read(self, shop: Shop) -> None:
        watched = WatchedStore(shop.store)
        shop.store = watched
        shop.tick(DUE_AT - timedelta(seconds=1))
        places = {PLACES.curated("orders"), PLACES.curated("inventory")}
        assert {key for name, key in watched.called if name.startswith("list")} == {PLACES.curated("orders")}
        read = [key for name, key in watched.called if not name.startswith("list")]
        assert read and len(read) == len(set(read)), "each once"
        assert all(key.endswith(f"/{MANIFEST_FILE}") and key.startswith(tuple(places)) for key in read)
        days = sum(key.endswith(f"/{MANIFEST_FILE}") for key in shop.versions() if key.startswith(tuple(places)))
        assert len(read) == days

    def test_when_rows_are_due_no_raw_file_is_listed_or_read(self, shop: Shop) -> None:
        watched = WatchedStore(shop.store)
        shop.store = watched
        shop.tick(DUE_AT)
        assert not [key for _, key in watched.called if key.startswith(RAW)]


class WatchedStore(MemoryStore):
    """Another store, whose calls are noted."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self._objects, self._numbers = store._objects, store._numbers
        self.called: list[tuple[str, str]] = []

    def read_versioned(self, key: str) -> Any:
        self.called.append(("read", key))
        return super().read_versioned(key)

    def local_copy(self, key: str) -> Any:
        self.called.append(("read", key))
        return super().local_copy(key)

    def list_versions(self, prefix: str) -> Iterator[Any]:
        self.called.append(("list", prefix))
        return super().list_versions(prefix)

    def list_folders(self, prefix: str) -> Iterator[str]:
        self.called.append(("list", prefix))
        return super().list_folders(prefix)


class TestWhoLearnsOfIt:
    def test_the_data_engineers_get_the_counts_by_table(self, shop: Shop) -> None:
        shop.tick(DUE_AT)
        [alert] = shop.world.data.sent
        assert alert.subject == "Invalid data: store all_tables, 4 rows quarantined"
        body = json.loads(alert.body)
        assert (body["event"], body["quarantined"], body["rejected"]) == ("DATA_INVALID", QUARANTINED, 0)
        assert (body["request_id"], body["stage"]) == ("request-9", "parked-to-quarantined")
        assert shop.world.operations.sent == []

    def test_each_line_has_the_request_and_the_folder_of_the_source(self, shop: Shop) -> None:
        shop.tick(DUE_AT)
        expected = {
            "request_id": "request-9",
            "bucket": "target",
            "key": f"{CURATED}{SOURCE}/",
            "stage": "parked-to-quarantined",
        }
        assert [line["event"] for line in shop.world.lines] == ["EVENT_STARTED", "EVENT_PROCESSED"]
        assert all(expected.items() <= line.items() for line in shop.world.lines)
        assert shop.world.lines[-1]["quarantined"] == QUARANTINED

    def test_it_is_measured(self, shop: Shop) -> None:
        shop.tick(DUE_AT)
        [measured] = shop.world.measured
        assert (measured.source, measured.table, measured.stage) == (SOURCE, ALL_TABLES, "parked-to-quarantined")
        assert (measured.quarantined, measured.values["QuarantinedRecords"], measured.rows) == (4, 4, 0)

    def test_a_file_that_arrives_when_rows_are_due_notifies_of_them_too(self, shop: Shop) -> None:
        shop.now = DUE_AT
        [late] = files_of(1, customer("c7", 30))
        deliver(shop.store, late)
        shop.send(ObjectEvent("target", f"{PLACES.raw(late.table)}{late.name}.parquet"))
        assert shop.world.data.sent[0].subject == "Invalid data: store customers, 4 rows quarantined"

    def test_no_id_of_a_row_is_shown(self, shop: Shop) -> None:
        shop.tick(DUE_AT)
        assert not [key for key in ("o2", "i2", "y1", "p9", "c9") if f'"{key}"' in shop.world.everything_shown]


def expire_with_a_fault(stored: MemoryStore, at_call: int, expected: dict[str, bytes], *, is_carried_out: bool) -> int:
    """Let one call of the first try fail, and all later ones of it; gives how many calls the tries made."""
    shop = Shop(stored.copy())
    places = iter([FailingStore(shop.store, at_call, is_carried_out=is_carried_out)])
    failing = []

    def open_stages() -> ShopEngine:
        failing.append(next(places, shop.store))
        return shop.engine(failing[-1])

    shop.now = DUE_AT
    event = scheduled()
    # A lease that a fault left runs out while it is waited for.
    result = replace(shop.processor(), open_stages=open_stages).process(event)
    assert (result.state, shop.world.queue.bodies) == (State.PROCESSED, {})
    assert curated_bytes(shop.store) == expected
    return int(failing[0].calls)


class TestFaults:
    @pytest.mark.parametrize("is_carried_out", [False, True])
    def test_some_calls_fail_and_the_next_try_finishes(
        self, stored: MemoryStore, expected: dict[str, bytes], is_carried_out: bool
    ) -> None:
        self.fail_calls(stored, expected, 9, is_carried_out=is_carried_out)

    @pytest.mark.soak
    @pytest.mark.parametrize("is_carried_out", [False, True])
    def test_each_call_fails_and_the_next_try_finishes(
        self, stored: MemoryStore, expected: dict[str, bytes], is_carried_out: bool
    ) -> None:
        self.fail_calls(stored, expected, 1, is_carried_out=is_carried_out)

    def fail_calls(self, stored: MemoryStore, expected: dict[str, bytes], step: int, *, is_carried_out: bool) -> None:
        for number in count(1, step):
            if expire_with_a_fault(stored, number, expected, is_carried_out=is_carried_out) < number:
                assert number > 10
                return

    def test_what_fails_three_times_is_a_dead_letter_and_a_replay_finishes_it(
        self, stored: MemoryStore, expected: dict[str, bytes]
    ) -> None:
        shop = Shop(stored.copy())
        working, shop.store = shop.store, FailingStore(shop.store, 3)
        result = shop.tick(DUE_AT)
        assert (result.state, result.tries, result.is_queued, len(shop.world.slept)) == (State.FAILED, 3, True, 2)
        [letter] = map(json.loads, shop.world.queue.bodies.values())
        assert (letter["request_id"], letter["stage"]) == ("request-9", "parked-to-quarantined")
        assert letter["event"]["key"] == f"{CURATED}{SOURCE}/"
        [alert] = shop.world.operations.sent
        assert alert.subject == "Failed: parked-to-quarantined, StoreError, in the dead-letter queue"
        listed = list_letters(shop.world.queue, OF_SHOP, most=None)
        assert listed.by_stage_and_error == {("parked-to-quarantined", "StoreError"): 1}
        shop.store = working
        assert replayed(shop, shop.world.queue) == Replayed(processed=1)
        assert shop.world.queue.bodies == {}
        assert curated_bytes(shop.store) == expected

    def test_one_source_that_fails_holds_no_other_back(self, stored: MemoryStore, expected: dict[str, bytes]) -> None:
        shop = Shop(stored.copy())
        shop.store.write(f"{CURATED}broken/curated/orders/of-no-day/{MANIFEST_FILE}", b"{}")
        places = replace(OF_SHOP, sources=frozenset({SOURCE, "broken"}))
        shop.now = DUE_AT
        events = split_by_source(parse_event(json.dumps(SCHEDULED)), places)
        results = [replace(shop.processor(), places=places).process(event) for event in events]
        assert [(event.event_id, result.state) for event, result in zip(events, results, strict=True)] == [
            ("request-9", State.FAILED),
            ("request-9", State.PROCESSED),
        ]
        assert len(shop.world.queue.bodies) == 1
        assert curated_bytes(shop.store) == expected


def replayed(shop: Shop, queue: DeadLetterQueue) -> Replayed:
    done = Replayed()
    replay(queue, shop.processor(queue), done, most=None, on_result=lambda _: None)
    return done


class TestReplayFromSqs:
    @pytest.fixture
    def queue(self, moto_url: str, aws_credentials: None, monkeypatch: pytest.MonkeyPatch) -> SqsQueue:
        monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
        url = boto3.client("sqs", region_name="us-east-1").create_queue(QueueName=f"dlq-{uuid4().hex[:12]}")["QueueUrl"]
        return SqsQueue(url, "us-east-1", wait_seconds=0)

    # What the rule `failed` and a queue `undelivered-…` have of it, and what the command queues itself.
    FORMS: ClassVar[dict[str, dict[str, Any]]] = {
        "of a job that crashed": {
            "bucket": "aws.events",
            "key": SCHEDULED["resources"][0],
            "event_type": "batch-job-failed",
            "id": "request-9",
            "error": "JobFailed",
        },
        "undelivered": SCHEDULED,
        "of one source": {"event": {"bucket": "target", "key": f"{CURATED}{SOURCE}/", "event_type": "Scheduled Event"}},
    }

    @pytest.mark.server
    @pytest.mark.parametrize("body", FORMS.values(), ids=FORMS.keys())
    def test_each_form_is_processed_and_deleted(
        self, shop: Shop, queue: SqsQueue, body: dict[str, object], expected: dict[str, bytes]
    ) -> None:
        queue.send(json.dumps(body))
        shop.now = DUE_AT
        assert replayed(shop, queue) == Replayed(processed=1)
        assert curated_bytes(shop.store) == expected
        assert list(queue.receive(1, hidden_seconds=0)) == []

    def test_a_letter_of_a_schedule_stays_while_one_source_fails(self, stored: MemoryStore) -> None:
        shop = Shop(stored.copy(), now=DUE_AT)
        shop.store.write(f"{CURATED}broken/curated/orders/of-no-day/{MANIFEST_FILE}", b"{}")
        shop.world.queue.send(json.dumps(SCHEDULED))
        both = replace(shop.processor(), places=replace(OF_SHOP, sources=frozenset({SOURCE, "broken"})))
        done, results = Replayed(), list[Result]()
        replay(shop.world.queue, both, done, most=None, on_result=results.append)
        assert (done, [result.state for result in results]) == (
            Replayed(failed=1),
            [State.FAILED, State.PROCESSED],
        )
        assert len(shop.world.queue.bodies) == 1


def meet_at(stored: MemoryStore, expected: dict[str, bytes], steps: range) -> None:
    """Two events of the schedule at once, the first of which pauses before a call."""
    event = scheduled()
    for pause in steps:
        shop = Shop(stored.copy(), now=DUE_AT)

        def process(store: Any, shop: Shop = shop) -> None:
            other = replace(shop.processor(), open_stages=lambda: shop.engine(store), data=KeptAlerts())
            assert other.process(event).state is State.PROCESSED

        _, calls = run_in_turns(shop.store, process, process, pause_first=pause, after_each=lambda _: None)
        assert curated_bytes(shop.store) == expected, pause
        if calls[0] < pause:
            break


class TestTwoAtOnce:
    def test_they_leave_the_bytes_of_one(self, stored: MemoryStore, expected: dict[str, bytes]) -> None:
        meet_at(stored, expected, range(2, 1_000, 17))

    @pytest.mark.soak
    def test_so_they_do_at_each_call(self, stored: MemoryStore, expected: dict[str, bytes]) -> None:
        meet_at(stored, expected, range(1, 1_000))

    def test_who_waits_for_another_that_did_it_writes_nothing(self, shop: Shop, expected: dict[str, bytes]) -> None:
        shop.now = DUE_AT
        event = scheduled()

        pauses = []

        def finish(seconds: float) -> None:
            pauses.append(seconds)
            shop.now += timedelta(seconds=seconds)
            list(shop.engine().curator(SOURCE).curate())

        waiting = replace(shop.engine(), pause=finish)
        with shop.engine().lease(SOURCE).held(lambda: False):
            result = replace(shop.processor(), open_stages=lambda: waiting).process(event)
        assert result.outcome and not result.outcome.quarantined
        assert len(pauses) == 1
        assert curated_bytes(shop.store) == expected


@settings(max_examples=2, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(arriving_worlds())
def test_whenever_the_schedule_fires_the_bytes_are_those_of_one_run(arriving: tuple[Files, list[Arrival]]) -> None:
    files, coming = arriving
    shop = Shop(now=START)
    engine = replace(shop.engine(), parked=timedelta(days=files.parked_days))
    event = scheduled()

    def fire() -> None:
        assert replace(shop.processor(), open_stages=lambda: engine).process(event).state is State.PROCESSED

    for arrival in coming:
        shop.now += arrival.after
        fire()
        deliver(shop.store, arrival.file)
        run(shop.store, shop.now, files.parked_days)
    shop.now = max(shop.now, files.now)
    fire()
    second = MemoryStore()
    run_all(second, files.all_files(), shop.now, files.parked_days)
    assert curated_bytes(shop.store) == curated_bytes(second)
