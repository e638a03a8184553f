"""People erased from the event log: nothing of theirs stays, and every other event is there exactly once.

Real: segments, roll-ups, validation, erasure of tables. Faked: the store in memory, whose calls fail or pause, and the
clock.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from gata_assets.curation.mappings.mapping_store import SavedMapping
from gata_assets.errors import StoreError
from gata_assets.governance.privacy.locators import Cleared, Erasure, People
from gata_assets.governance.privacy.scanning import TargetObjects, scan
from gata_assets.governance.privacy.table_locator import TableLocator
from gata_assets.ingestion.kafka.consuming.judging import Reason
from gata_assets.ingestion.people.event_log import EventLogHaystack, EventLogLocator, is_of_log
from gata_assets.ingestion.people.origins import EventOrigins
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.coding.proofs import check_of
from gata_assets.ingestion.segments.cursor import read_cursor
from gata_assets.ingestion.segments.event import NewEvent, Segment
from gata_assets.ingestion.segments.group_commit import EventLog
from gata_assets.ingestion.segments.quarantined import find_rejected
from gata_assets.ingestion.segments.raw_files import as_it_came
from gata_assets.ingestion.segments.rejected import RejectedMessage
from gata_assets.ingestion.segments.rollup import RollUp
from gata_assets.ingestion.segments.tail import Tail
from gata_assets.ingestion.segments.trace import trace
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.people.tombstones import TombstoneReader, write_tombstones
from gata_assets.tables.people.erased_people import digest_people
from gata_assets.tables.people.privacy_keys import PrivacyKeys, Tombstones
from gata_assets.tables.raw_mapping import RawMapping
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.event_worlds import OTHER, PARTITION, START, STREAM, event, segment_of
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore, PausingStore
from gata_assets_tests.support.raw_worlds import RULES

KEYS = PrivacyKeys({1: b"k" * 32})
PERSON, NAMESAKE = f"user-{canary('whose events go')}", f"user-{canary('whose events go')}-2"
NOW = START + timedelta(hours=3)
# Before the last event of the person.
EARLIER = START + timedelta(minutes=30)
# A stream and an offset there.
Place = tuple[str, int]


def of(user: str, number: int, **values: str) -> NewEvent:
    """An event of a user, which happened so many minutes after the start."""
    given = event(number, tenant=values.get("tenant", "acme"), source=values.get("source", "http"))
    row = json.loads(given.payload) | {"user_id": user, "timestamp": f"{START + timedelta(minutes=number):%FT%TZ}"}
    return replace(given, payload=json.dumps(row).encode())


def put(store: ObjectStore, *events: NewEvent, stream: str = STREAM) -> None:
    chain = Chain(store, stream)
    assert chain.append(segment_of(events, first=chain.end(), stream=stream)).is_own


def rejected(offset: int, key: str, value: str) -> RejectedMessage:
    return RejectedMessage(offset, Reason.NO_JSON, key.encode(), value.encode(), (), START)


def fill(store: ObjectStore) -> None:
    """The person and others: in raw files with and without a report, in segments, in rejected messages."""
    put(store, of(NAMESAKE, 1), of(PERSON, 2), of("u3", 3), of(PERSON, 4))
    roll_up(store)
    curator_of(store).validate_new(INTERACTIONS)
    put(store, of(PERSON, 5), of("u6", 6, source="webhook/shop"), of(PERSON, 7, tenant="globex"), stream=OTHER)
    chain = Chain(store, PARTITION)
    chain.end()
    messages = [
        rejected(0, "acme", f"hello {PERSON}"),
        rejected(1, "globex", f"hello {PERSON}"),
        rejected(2, "acme:u1", "hello"),
        rejected(3, PERSON, "hello"),
    ]
    assert chain.append(Segment(PARTITION, 0, 4, (), tuple(messages))).is_own
    roll_up(store)
    broken = replace(event(8), payload=f'{{"user_id": "{PERSON}", "item'.encode())
    put(store, of("u1", 1), broken, of(PERSON, 59))
    put(store, of(PERSON, 3), stream=OTHER)
    more = tuple(replace(message, offset=message.offset + 4) for message in messages)
    assert chain.append(Segment(PARTITION, 4, 9, (), more)).is_own


# Where the valid events of the tenant are that stay.
STAY = {(STREAM, 0): NAMESAKE, (STREAM, 2): "u3", (OTHER, 1): "u6", (STREAM, 4): "u1"}
COMES_BACK = {(STREAM, 6): PERSON}


def roll_up(store: ObjectStore) -> None:
    list(RollUp(store, lambda: NOW).run(even_open=True))


def curator_of(store: ObjectStore, tenant: str = "acme") -> Curator:
    return Curator(store, tenant, replace(RULES, tombstones=TombstoneReader(KEYS)), NOW)


def request(store: ObjectStore, at: datetime = NOW, person: str = PERSON) -> Erasure:
    """A person's tombstones, and who is to be erased."""
    stones = Tombstones(1, at, tuple(digest_people(KEYS, "acme", 1, pl.Series([person]))))
    write_tombstones(store, curator_of(store).places.tombstones, "request-1", stones)
    return Erasure("acme", (person,), "request-1", curator_of(store).erased())


def log_of(store: ObjectStore) -> EventLogLocator:
    curators = [lambda tenant: curator_of(store, tenant)]
    return EventLogLocator(store, RollUp(store, lambda: NOW), curators, as_it_came)


def erase(store: ObjectStore, erasure: Erasure) -> list[Cleared]:
    """Erase the event log, then tables."""
    tables = TableLocator(lambda tenant: curator_of(store, tenant), lambda tenant: EventOrigins(store, tenant))
    return [*log_of(store).erase(erasure), *tables.erase(erasure)]


def tail(store: ObjectStore, tenant: str = "acme") -> dict[Place, str]:
    """The valid events by their places, each of which is there once."""
    rows = Tail(curator_of(store, tenant), lambda _: ()).read(INTERACTIONS).rows
    found = {(stream, offset): user for user, stream, offset in rows.select("user_id", "_stream", "_offset").rows()}
    assert len(found) == len(rows)
    return found


def traced(store: ObjectStore, column: str = "user_id") -> dict[Place, str]:
    """The records of raw files by where each came from, and the user of each that is an object; a source may have a
    column of its own.
    """
    found = {}
    for key in curator_of(store).raw_keys(INTERACTIONS):
        with pa.CompressedInputStream(pa.BufferReader(store.read(key)), "zstd") as file:
            lines = file.read().splitlines()
        for record, line in enumerate(lines, 1):
            origin = trace(store, "acme", INTERACTIONS, key, record)
            found[origin.stream, origin.offset] = json.loads(line).get(column) or json.loads(line)["user_id"]
        origins = key.replace("/raw/", "/events/").split("/")
        check = check_of(f"{'/'.join(origins[:3])}/{origins[-1]}.parquet")
        assert check
        check(store, f"{'/'.join(origins[:3])}/{origins[-1]}.parquet")
    return found


def places_of_theirs(store: ObjectStore, erasure: Erasure) -> Counter[str]:
    """In how many objects of each folder something of theirs is found."""
    own = TargetObjects(store, lambda tenant, key: key.startswith(f"{tenant}/") and not is_of_log(key))
    found = scan([own, EventLogHaystack(store)], erasure)
    assert not found.damaged
    return Counter("/".join(one.key.split("/")[:2]) for one in found.findings)


def test_nothing_of_theirs_stays_and_all_of_others_does() -> None:
    store = MemoryStore()
    fill(store)
    gone = [(STREAM, 1), (STREAM, 3), (OTHER, 0), (OTHER, 3), (STREAM, 6)]
    assert tail(store) == STAY | dict.fromkeys(gone, PERSON)
    erasure = request(store)
    assert places_of_theirs(store, erasure) == {
        "acme/raw": 2,
        "ingestion/segments": 6,
        "ingestion/quarantine": 1,
        "acme/staged": 1,
    }
    assert tail(store) == STAY
    keys = list(store.list_keys("ingestion/segments/"))
    done = {one.place: (one.objects, dict(one.removed)) for one in erase(store, erasure) if one.objects}
    assert done == {
        "events: segments": (6, {"events": 6, "rejected_messages": 4}),
        "events: rejected messages": (2, {"rejected_messages": 4}),
        "interactions: raw files, staged and rejected rows": (4, {"records": 6, "rows": 2, "rejected_rows": 1}),
        "interactions: curated": (1, {}),
    }
    assert places_of_theirs(store, erasure) == {}
    assert tail(store) == traced(store) == STAY
    assert tail(store, "globex") == {(OTHER, 2): PERSON}
    assert [one.offset for one in find_rejected(store, PARTITION)] == [1, 2, 5, 6]
    assert list(store.list_keys("ingestion/segments/")) == keys
    for stream in (STREAM, OTHER, PARTITION):
        assert list(Chain(store, stream).segments(0))[-1].end == Chain(store, stream).end()
    assert not any(one.objects for one in erase(store, erasure))


def test_what_comes_later_is_read_if_it_happened_later() -> None:
    store = MemoryStore()
    fill(store)
    erasure = request(store, EARLIER)
    erase(store, erasure)
    stays = STAY | COMES_BACK
    assert tail(store) == traced(store) == stays
    put(store, of(PERSON, 29), of("u2", 2), of(PERSON, 31))
    for step in (lambda: None, lambda: roll_up(store), lambda: curator_of(store).validate_new(INTERACTIONS)):
        step()
        assert tail(store) == stays | {(STREAM, 8): "u2", (STREAM, 9): PERSON}
    curator = curator_of(store)
    [day] = curator.curate(INTERACTIONS, [START.date()])
    assert day.rows == len(stays) + 2


@pytest.mark.parametrize("is_carried_out", [False, True])
@pytest.mark.parametrize("step", [53, pytest.param(1, marks=pytest.mark.soak)])
def test_whoever_is_killed_is_completed_by_the_next(step: int, is_carried_out: bool) -> None:
    start = MemoryStore()
    fill(start)
    erasure = request(start)
    for number in count(1, step):
        store = start.copy()
        try:
            erase(FailingStore(store, number, is_carried_out=is_carried_out), erasure)
        except StoreError:
            assert tail(store) == STAY
            erase(store, erasure)
            assert tail(store) == traced(store) == STAY
            assert places_of_theirs(store, erasure) == {}
        else:
            break
    assert number > step


def erase_meanwhile(store: ObjectStore, erasure: Erasure) -> None:
    erase(store, erasure)


@pytest.mark.parametrize("has_plan", [False, True])
def test_a_roll_up_at_the_same_time_goes_on(has_plan: bool) -> None:
    start = MemoryStore()
    put(start, of(PERSON, 1, source="webhook/shop"), of("u1", 1))
    put(start, of("u2", 2))
    if has_plan:
        # Of a roll-up that was killed: its second write is that of a file.
        with pytest.raises(StoreError):
            roll_up(FailingStore(start, 2, is_carried_out=True))
        assert read_cursor(start, STREAM).plan
    erasure = request(start)
    for number in count(1, 2 if has_plan else 7):
        store = start.copy()
        pausing = PausingStore(store, number, partial(erase_meanwhile, store, erasure))
        roll_up(pausing)
        erase(store, erasure)
        assert tail(store) == traced(store) == {(STREAM, 1): "u1", (STREAM, 2): "u2"}
        assert places_of_theirs(store, erasure) == {}
        if pausing.calls < number:
            break
    assert number > 10


def test_another_request_completes_a_file_whose_origins_were_rewritten_alone() -> None:
    store = MemoryStore()
    broken = replace(event(1), payload=f'{{"user_id": "{PERSON}", "item'.encode())
    put(store, of("u1", 1), broken, of("u3", 1), of("u2", 2))
    roll_up(store)
    [key] = curator_of(store).raw_keys(INTERACTIONS)
    EventOrigins(store, "acme").remove(key, np.array([False, True, False, False]))
    assert tail(store) == {(STREAM, 0): "u1", (STREAM, 2): "u3", (STREAM, 3): "u2"}
    erase(store, request(store, person="u3"))
    assert tail(store) == traced(store) == {(STREAM, 0): "u1", (STREAM, 3): "u2"}


def test_a_segment_that_was_rewritten_before_its_writer_had_an_answer_counts_once() -> None:
    store = MemoryStore()

    class LosesAnswers(FailingStore):
        """Carries the first segment out, which people are then erased from, and answers nothing."""

        def _call(self, number: int, call: Callable[[], Any]) -> Any:
            result = call()
            if number == 1:
                erase(store, request(store))
                raise StoreError("No answer.")
            return result

    with EventLog(LosesAnswers(store, 1, is_carried_out=True), STREAM) as log:
        assert log.append([of("u1", 1), of(PERSON, 2)]).result(20) == (0, 1)
        assert log.append([of("u2", 2)]).result(20) == (2,)
    assert tail(store) == {(STREAM, 0): "u1", (STREAM, 2): "u2"}


def test_whose_an_event_is_says_the_mapping_of_its_source() -> None:
    store = MemoryStore()
    mapping = SavedMapping("shop", RawMapping(columns={"user_id": ("who",)}), "events-webhook-shop-*")
    curator_of(store).mappings.save(INTERACTIONS, mapping)
    mapped = (of(user, 1, source="webhook/shop") for user in (PERSON, "u1"))
    put(store, *(replace(one, payload=one.payload.replace(b"user_id", b"who")) for one in mapped), of("u2", 1))
    erasure = request(store)
    erase(store, erasure)
    assert tail(store) == traced(store, "who") == {(STREAM, 1): "u1", (STREAM, 2): "u2"}
    assert places_of_theirs(store, erasure) == {}


def test_a_stream_without_them_is_not_rolled_up() -> None:
    store = MemoryStore()
    put(store, of("u1", 1), of(PERSON, 1, tenant="globex"))
    erase(store, request(store))
    assert list(store.list_keys("acme/raw/")) == []
    assert tail(store) == {(STREAM, 0): "u1"}


def test_whatever_the_log_has_of_them_is_exported_as_the_scan_finds_it() -> None:
    store = MemoryStore()
    fill(store)
    people = People("acme", (PERSON,))
    found = {one.key: list(one.rows) for one in log_of(store).export(people)}
    scanned = scan([EventLogHaystack(store)], people)
    assert {key for key, rows in found.items() if rows} == {finding.key for finding in scanned.findings}
    assert len(scanned.findings) > 3
    [row] = [row for one in log_of(store).export(People("acme", (PERSON,))) for row in one.rows if row["offset"] == 6]
    assert (row["stream"], row["table"], row["row"]["user_id"]) == (STREAM, INTERACTIONS, PERSON)
