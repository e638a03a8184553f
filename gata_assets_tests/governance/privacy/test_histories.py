"""Deliveries, replays, batches and erasures in any order: no row of who was erased is read, and none of others missing.

Real: all of curation, features by Polars, and erasing as the commands do, in a store in memory. The oracle is a set of
rows, of which those count that precede no tombstone of their person.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gata_assets.batches import Window, parse_batch_id
from gata_assets.curation.landing import Landing
from gata_assets.errors import RawFileError
from gata_assets.governance.privacy.actors import DAGSTER
from gata_assets.governance.privacy.erasing import PrivacyPlaces, erase
from gata_assets.governance.privacy.locators import People
from gata_assets.governance.privacy.scanning import TargetObjects, scan
from gata_assets.governance.privacy.table_locator import TableLocator
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.curated.reader import read_catalog, read_events
from gata_assets.interactions.datasets import DatasetKind
from gata_assets.interactions.engines.base import CuratedWindow
from gata_assets.interactions.engines.polars import PolarsEngine
from gata_assets.interactions.erasure import BatchLocator
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.storage.datasets import DatasetWrite, read_manifest
from gata_assets.storage.people.tombstones import TombstoneReader
from gata_assets.tables.manifests import Manifest
from gata_assets.tables.people.privacy_keys import PrivacyKeys
from gata_assets_tests.support.erasures import erasure_requests
from gata_assets_tests.support.memory_store import MemoryStore
from gata_assets_tests.support.raw_worlds import NOW, RULES, curate_day, encode, interaction, item, send

TENANT = "acme"
KEYS = PrivacyKeys({1: b"k" * 32})
FIRST = parse_batch_id("2026010200").starts_at
HOURS, DAYS = 48, 2
# A name of the other's is in each: an id is never taken for another that begins with it.
USERS = ("user-5f0e93", "user-5f0e93-2", "user-77c1d4", "ü-user")
WINDOW = Window(FIRST, FIRST + timedelta(days=DAYS))


class Event(NamedTuple):
    """A row of an interaction."""

    user: str
    item: str
    hour: int

    @property
    def at(self) -> datetime:
        """When it happened."""
        return FIRST + timedelta(hours=self.hour)


class Step(NamedTuple):
    """Something that happens: `what`, of which the further values are used as it needs them."""

    what: str
    events: tuple[Event, ...]
    ending: str
    number: int
    user: str


events = st.builds(Event, st.sampled_from(USERS), st.sampled_from(["i1", "i2"]), st.integers(0, HOURS - 1))
steps = st.builds(
    Step,
    st.sampled_from(["deliver", "deliver", "deliver again", "replay", "curate", "batch", "erase", "erase"]),
    st.lists(events, min_size=1, max_size=8).map(tuple),
    st.sampled_from(["csv", "jsonl", "parquet", "csv.gz"]),
    st.integers(0, HOURS),
    st.sampled_from(USERS),
)


class History:
    """A tenant to whom things happen, and what has to be there."""

    def __init__(self, folder: Path) -> None:
        self.store, self.folder = MemoryStore(), folder
        self.delivered: list[tuple[str, bytes]] = []
        self.events: set[Event] = set()
        self.erased_at: dict[str, datetime] = {}
        # The people of each batch's features when it was prepared.
        self.batches: dict[str, set[str]] = {}
        self.requests = 0
        send(self.curator(), [item(item_id=one) for one in ("i1", "i2")], folder, data=ITEMS, name="items.csv")
        self.curator().refresh(ITEMS)

    def curator(self, tenant: str = TENANT) -> Curator:
        """As a new process has it."""
        return Curator(self.store, tenant, replace(RULES, tombstones=TombstoneReader(KEYS)), NOW)

    def take(self, step: Step) -> None:
        """Let something happen."""
        doing: dict[str, Callable[[Step], None]] = {
            "deliver": self._deliver,
            "deliver again": self._deliver_again,
            "replay": self._replay,
            "curate": lambda step: self._curate(days()[step.number % DAYS]),
            "batch": self._prepare,
            "erase": self._erase,
        }
        doing[step.what](step)

    def counting(self) -> set[Event]:
        """The events that count."""
        return {
            event for event in self.events if event.user not in self.erased_at or event.at > self.erased_at[event.user]
        }

    def _deliver(self, step: Step) -> None:
        rows = [
            interaction(user_id=one.user, item_id=one.item, timestamp=f"{one.at:%Y-%m-%dT%H:%M:%SZ}")
            for one in step.events
        ]
        name = f"f{len(self.delivered)}.{step.ending}"
        content = encode(rows, step.ending)
        # The same rows may have come before, and people been erased from them.
        came_before = any(content == earlier for _, earlier in self.delivered)
        with suppress(RawFileError) if came_before else nullcontext():
            send(self.curator(), content, self.folder, name=name)
        self.delivered.append((name, content))
        self.events.update(step.events)

    def _deliver_again(self, step: Step) -> None:
        if self.delivered:
            name, content = self.delivered[step.number % len(self.delivered)]
            # What was erased from is refused; what is left of it counts.
            with suppress(RawFileError):
                send(self.curator(), content, self.folder, name=f"again-{name}")

    def _replay(self, step: Step) -> None:
        curator = self.curator()
        if reports := list(curator.reports(INTERACTIONS)):
            Landing(curator).validate_again(reports[step.number % len(reports)])

    def _curate(self, day: date) -> None:
        assert curate_day(self.curator(), day).is_written

    def _prepare(self, step: Step) -> None:
        for day in days():
            self._curate(day)
        batch_id = f"{WINDOW.end_at + timedelta(hours=step.number):%Y%m%d%H}"
        curator = self.curator()
        curated = CuratedWindow(curator.places, WINDOW, WINDOW, curator.erased())
        folder = DatasetKind.FEATURES.prefix(curator.places, batch_id)
        with DatasetWrite(self.store, folder) as write:
            tables = PolarsEngine().make_features(curated, self.store).write(folder, write.token)
            files = {file.key.removeprefix(folder): file.entry for parts in tables.values() for file in parts}
            write.publish(Manifest(DatasetKind.FEATURES.value, files))
        self.batches[batch_id] = {event.user for event in self.counting()}
        assert self._people_of(batch_id) == self.batches[batch_id]

    def _erase(self, step: Step) -> None:
        self.requests += 1
        reader, at = TombstoneReader(KEYS), FIRST + timedelta(hours=step.number)
        places = PrivacyPlaces(
            self.store,
            reader,
            erasure_requests(self.store, lambda: at, KEYS),
            (TableLocator(self.curator), BatchLocator(self.store)),
            (TargetObjects(self.store),),
        )
        asked = places.requests.ask(TENANT, [step.user], f"request-{self.requests}", DAGSTER)
        erase(places, asked, by=DAGSTER, clock=lambda: at)
        self.erased_at[step.user] = max(at, self.erased_at.get(step.user, at))
        for batch_id, people in self.batches.items():
            # A batch whose window is not past when they are erased was built without what precedes it.
            if parse_batch_id(batch_id).starts_at <= at:
                people.discard(step.user)

    def _people_of(self, batch_id: str) -> set[str]:
        folder = DatasetKind.FEATURES.prefix(self.curator().places, batch_id)
        manifest = read_manifest(self.store, folder).manifest
        assert manifest
        parts = [folder + name for name in manifest.files if name.startswith("user_features/")]
        return {user for key in parts for user in pl.read_parquet(self.store.read(key))["user_id"].to_list()}

    def check(self, *, is_curated: bool) -> None:
        """Nobody who was erased is read; once all is curated, nothing of others is missing either."""
        curator = self.curator()
        if not all(self.store.exists(curator.places.curated(INTERACTIONS, day) + "manifest.json") for day in days()):
            return
        found = read_events(
            curator.places, WINDOW, read_catalog(curator.places, self.store), self.store, erased=curator.erased()
        )
        users, items = found.users.ids.to_list(), found.items.ids.to_list()
        read = {
            Event(users[user], items[one], round((at / 1e6 - FIRST.timestamp()) / 3600))
            for user, one, at in zip(found.user.tolist(), found.item.tolist(), found.timestamp.tolist(), strict=True)
        }
        assert read <= self.counting()
        assert read == self.counting() or not is_curated
        assert {batch_id: self._people_of(batch_id) for batch_id in self.batches} == self.batches


def days() -> list[date]:
    """The days on which things happen."""
    return [(FIRST + timedelta(days=number)).date() for number in range(DAYS)]


def hold(history_of: list[Step]) -> None:
    """Whatever has happened, readers get what counts; and once everybody is erased, nobody is anywhere."""
    with TemporaryDirectory() as folder:
        history = History(Path(folder))
        for step in history_of:
            history.take(step)
            history.check(is_curated=False)
        for day in days():
            history.take(Step("curate", (), "csv", days().index(day), USERS[0]))
        history.check(is_curated=True)
        for user in USERS:
            history.take(Step("erase", (), "csv", HOURS + 24 * DAYS, user))
        assert scan([TargetObjects(history.store)], People(TENANT, USERS)).findings == ()


@given(st.lists(steps, min_size=4, max_size=10))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_row_of_who_was_erased_is_read_and_none_of_others_is_missing(history_of: list[Step]) -> None:
    hold(history_of)


@pytest.mark.soak
@given(st.lists(steps, min_size=4, max_size=25))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_many_histories(history_of: list[Step]) -> None:
    hold(history_of)
