"""The tail: with the curated rows of the same moment, each valid event is there exactly once, at every moment.

Real: roll-ups, validation and curation, on a directory and in memory. Faked: the clock, and the store in memory, which
does something else before a call.
"""

from __future__ import annotations

import io
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from gata_assets.curation.layout import INTERACTIONS_FILE, MANIFEST_FILE, USERS_FILE
from gata_assets.curation.mappings.mapping_store import SavedMapping
from gata_assets.errors import ConflictError, StoreError
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.event import NewEvent
from gata_assets.ingestion.segments.rollup import RollUp
from gata_assets.ingestion.segments.tail import CuratedPart, Tail
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.raw_mapping import RawMapping
from gata_assets_tests.support.event_worlds import OTHER, START, STREAM, event, segment_of
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore, PausingStore
from gata_assets_tests.support.raw_worlds import curator_of

NOW = START + timedelta(hours=3)
DAY = START.date()


def put(store: ObjectStore, *events: NewEvent, stream: str = STREAM) -> None:
    chain = Chain(store, stream)
    assert chain.append(segment_of(events, first=chain.end(), stream=stream)).is_own


def roll_up(store: ObjectStore) -> None:
    list(RollUp(store, lambda: NOW).run(even_open=True))


def validate(store: ObjectStore) -> None:
    curator_of(store, now=NOW).validate_new(INTERACTIONS)


def curate(store: ObjectStore, *days: date) -> None:
    curator = curator_of(store, now=NOW)
    list(curator.curate(INTERACTIONS, days or [DAY]))


class Reader:
    """Curated rows and tail, read together: the manifests once, and the rows that these name."""

    def __init__(self, store: ObjectStore) -> None:
        self.curator: Curator = curator_of(store, now=NOW)
        self.curated: list[str] = []
        self.tail = Tail(self.curator, self.curated_parts)

    def curated_parts(self, table: str) -> set[CuratedPart]:
        store = self.curator.store
        found: set[CuratedPart] = set()
        self.curated = []
        folder = self.curator.places.curated(table)
        for key in [key for key in store.list_keys(folder) if key.endswith(MANIFEST_FILE)]:
            place = key.removesuffix(MANIFEST_FILE)
            manifest = find_manifest(store, place).manifest
            assert manifest
            found |= {(date.fromisoformat(place.split("/")[-2]), part["key"]) for part in manifest.made_from["parts"]}
            files = {name: manifest.find(name) for name in (INTERACTIONS_FILE, USERS_FILE)}
            rows, users = (pl.read_parquet(io.BytesIO(store.read(place + file[0]))) for file in files.values() if file)
            self.curated += rows.join(users, on="user_key")["user_id"].to_list()
        return found

    def read(self) -> Counter[str]:
        rows = self.tail.read(INTERACTIONS).rows
        return Counter([*rows["user_id"].to_list(), *self.curated])


def test_an_event_can_be_read_wherever_it_is(any_store: ObjectStore) -> None:
    reader = Reader(any_store)
    assert reader.read() == Counter()
    put(any_store, event(1), event(2, tenant="globex"), event(3, table="items"))
    put(any_store, replace(event(5), payload=b"no json"), event(4), stream=OTHER)
    both = Counter(["u1", "u4"])
    found = reader.tail.read(INTERACTIONS)
    assert found.rejected == 1
    assert found.rows.select("user_id", "_stream", "_offset", "_received_at").rows() == [
        ("u1", STREAM, 0, START + timedelta(seconds=1)),
        ("u4", OTHER, 1, START + timedelta(seconds=4)),
    ]
    roll_up(any_store)
    again = reader.tail.read(INTERACTIONS)
    assert sorted(again.rows.rows()) == sorted(found.rows.rows())
    validate(any_store)
    assert reader.read() == both
    assert sorted(reader.tail.read(INTERACTIONS).rows.rows()) == sorted(found.rows.rows())
    curate(any_store)
    assert (reader.read(), sorted(reader.curated)) == (both, ["u1", "u4"])
    put(any_store, event(6))
    assert reader.read() == both + Counter(["u6"])
    assert Reader(any_store).read() == both + Counter(["u6"])


def test_of_a_file_of_several_days_those_that_are_not_curated_can_be_read() -> None:
    store = MemoryStore()
    other = replace(event(2), payload=event(2).payload.replace(b"2026-01-10T", b"2026-01-09T"))
    put(store, event(1), other)
    roll_up(store)
    validate(store)
    reader = Reader(store)
    for days, curated in (([], []), ([DAY], ["u1"]), ([DAY - timedelta(days=1)], ["u1", "u2"])):
        if days:
            curate(store, *days)
        assert reader.read() == Counter(["u1", "u2"])
        assert sorted(reader.curated) == curated


def steps(store: MemoryStore) -> None:
    """All that happens to events, with new ones in between."""
    roll_up(store)
    put(store, event(7))
    validate(store)
    curate(store)
    roll_up(store)
    validate(store)
    curate(store)


def world() -> MemoryStore:
    store = MemoryStore()
    put(store, event(1), event(2))
    put(store, event(3), stream=OTHER)
    return store


def test_each_event_is_there_once_after_a_roll_up_that_ended_at_any_call() -> None:
    for calls in range(1, 200):
        store = world()
        failing = FailingStore(store, calls)
        with suppress(StoreError):
            roll_up(failing)
        assert Reader(store).read() == Counter(["u1", "u2", "u3"])
        if failing.calls < calls:
            break
    assert calls > 10


# Of the moments every so many; soak tests try each.
@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.soak)])
def test_each_event_is_there_once_at_every_moment_of_its_way(every: int) -> None:
    for pause in range(1, 1_000, every):
        store = world()
        seen: list[Counter[str]] = []
        pausing = PausingStore(store, pause, lambda store=store, seen=seen: seen.append(Reader(store).read()))  # type: ignore[misc]
        steps(pausing)
        if not seen:
            break
        assert {name: seen[0][name] for name in ("u1", "u2", "u3")} == {"u1": 1, "u2": 1, "u3": 1}
        assert seen[0]["u7"] <= 1
    assert pause > 50


@pytest.mark.parametrize("known", [False, True], ids=["first read", "later read"])
def test_each_event_is_there_once_whatever_happens_while_the_tail_is_read(known: bool) -> None:
    for pause in range(1, 1_000):
        store = world()
        pausing = PausingStore(store, 0, lambda store=store: steps(store))  # type: ignore[misc]
        reader = Reader(pausing)
        if known:
            reader.read()
        pausing.calls, pausing._pauses_at = 0, pause
        found = reader.read()
        if pausing.calls < pause:
            break
        assert {name: found[name] for name in ("u1", "u2", "u3")} == {"u1": 1, "u2": 1, "u3": 1}
        assert found["u7"] <= 1
    assert pause > 10


def test_events_are_read_by_the_mapping_of_their_source() -> None:
    store = MemoryStore()
    curator = curator_of(store, now=NOW)
    mapping = RawMapping(columns={"user_id": ("who",)})
    curator.mappings.save(INTERACTIONS, SavedMapping("shop", mapping, "events-webhook-shop-*"))
    payload = event(1).payload.replace(b"user_id", b"who")
    put(store, replace(event(1, source="webhook/shop"), payload=payload), replace(event(2), payload=payload))
    found = Reader(store).tail.read(INTERACTIONS)
    assert (found.rows["user_id"].to_list(), found.rejected) == (["u1"], 1)
    roll_up(store)
    again = Reader(store).tail.read(INTERACTIONS)
    assert (again.rows.rows(), again.rejected) == (found.rows.rows(), 1)
    reports = curator_of(store, now=NOW).validate_new(INTERACTIONS)
    assert sorted((report.valid, report.rejected, report.mapping_name) for report in reports) == [
        (0, 1, None),
        (1, 0, "shop"),
    ]


def test_a_table_without_event_time_has_a_tail_too(tmp_path: Path) -> None:
    store = MemoryStore()
    item = b'{"item_id": "i1", "title": "A thing", "price": 9.5}'
    put(store, replace(event(1, table=ITEMS), payload=item))
    curator = curator_of(store, now=NOW)
    tail = Tail(curator, curator.curated_parts)
    assert tail.read(ITEMS).rows["item_id"].to_list() == ["i1"]
    roll_up(store)
    curator.validate_new(ITEMS)
    assert tail.read(ITEMS).rows["item_id"].to_list() == ["i1"]
    curator.refresh(ITEMS)
    assert tail.read(ITEMS).rows["item_id"].to_list() == []


def test_files_that_were_refused_or_superseded_are_not_in_the_tail() -> None:
    store = MemoryStore()
    put(store, event(1))
    put(store, event(2, source="webhook/a"))
    roll_up(store)
    validate(store)
    curator = curator_of(store, now=NOW)
    old, new = curator.reports(INTERACTIONS)
    curator.supersede(new, [old.file_id])
    assert sum(Reader(store).read().values()) == 1


def test_a_tail_that_is_rolled_up_all_the_time_is_not_read() -> None:
    store = world()
    reader = Reader(store)
    before = reader.curated_parts

    def restless(table: str) -> set[CuratedPart]:
        put(store, event(8))
        roll_up(store)
        return before(table)

    with pytest.raises(ConflictError, match="5 times"):
        Tail(reader.curator, restless).read(INTERACTIONS)
