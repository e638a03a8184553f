"""Reading measures again and again: what is read anew, and what stays when something cannot be read.

Real: curation, a directory and S3 over HTTP on loopback (moto). Clocks are given; a store counts what is read of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest

from gata_assets.curation.quality.measures import CuratedRows, Tally
from gata_assets.curation.quality.reader import QualityReader
from gata_assets.errors import StoreError
from gata_assets.interactions.tables import INTERACTIONS, ITEMS, TABLES
from gata_assets.storage.objects import ObjectStore, Version
from gata_assets_tests.support.memory_store import MemoryStore
from gata_assets_tests.support.raw_worlds import NOW, RULES, curate_day, curator_of, encode, interaction, item

VALID, WRONG = interaction(), interaction(rating="9")
OURS = ("acme", INTERACTIONS)


@dataclass
class Desk:
    """A reader of a store, and a clock that the test moves: each reading is due."""

    store: ObjectStore
    seconds: float = 0.0
    most_tenants: int = 500
    reader: QualityReader = field(init=False)

    def __post_init__(self) -> None:
        self.reader = QualityReader(
            self.store,
            RULES.applied_to(TABLES),
            lambda: NOW,
            seconds=lambda: self.seconds,
            most_tenants=self.most_tenants,
        )

    def read(self) -> dict[tuple[str, str], Tally]:
        self.seconds += 60
        self.reader.refresh()
        return dict(self.reader.reading.tallies)

    def put(self, rows: list[dict[str, str | None]], name: str, *, hours: float = 0, **more: str) -> str:
        """Land a file and validate it, as if that were so many hours later; gives its id."""
        key = f"{more.get('tenant', 'acme')}/raw/{more.get('table', INTERACTIONS)}/{name}"
        self.store.write(key, encode(rows, "csv"))
        now = NOW + timedelta(hours=hours)
        curator = curator_of(self.store, more.get("tenant", "acme"), now=now)
        return curator.validate(key, replaces=[more["replaces"]] if "replaces" in more else []).file_id


class CountingStore(MemoryStore):
    """Notes the keys that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.keys_read: list[str] = []
        self.is_away = False

    def read_versioned(self, key: str) -> tuple[bytes, Version]:
        self.keys_read.append(key)
        return super().read_versioned(key)

    def list_folders(self, prefix: str) -> list[str]:
        if self.is_away:
            raise StoreError("The store is away.")
        return list(super().list_folders(prefix))

    def list_versions(self, prefix: str) -> Iterator[tuple[str, Version]]:
        if prefix.startswith("denied/"):
            raise StoreError("The role needs s3:ListBucket.")
        return super().list_versions(prefix)

    def reads(self, desk: Desk) -> list[str]:
        """What one reading reads."""
        self.keys_read.clear()
        desk.read()
        return sorted(self.keys_read)


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def desk(store: CountingStore) -> Desk:
    return Desk(store)


def test_each_tenant_and_table_is_measured_by_its_own_files(any_store: ObjectStore) -> None:
    desk = Desk(any_store)
    assert desk.read() == {}
    desk.put([VALID, WRONG], "a.csv")
    desk.put([VALID, VALID, VALID], "a.csv", tenant="other")
    desk.put([item(title=None)], "a.csv", table=ITEMS)
    curate_day(curator_of(any_store, "other"), date(2026, 1, 2))
    found = desk.read()
    assert {name: (tally.rows, tally.rejected) for name, tally in found.items()} == {
        OURS: (2, 1),
        ("acme", ITEMS): (1, 1),
        ("other", INTERACTIONS): (3, 0),
    }
    assert found["acme", ITEMS].figures.missing == 1
    assert found["other", INTERACTIONS].curated == CuratedRows(1, 2)
    assert found[OURS].curated is None
    assert desk.reader.reading.read_at == NOW


def test_a_reading_reads_what_changed_and_nothing_else(store: CountingStore, desk: Desk) -> None:
    for number in range(5):
        desk.put([VALID], f"{number}.csv", hours=number * 30)
    curate_day(curator_of(store), date(2026, 1, 2))
    assert len([key for key in store.reads(desk) if "/reports/" in key]) == 5
    assert store.reads(desk) == []
    desk.put([interaction(user_id="u2")], "new.csv", hours=121)
    [key] = store.reads(desk)
    assert key.startswith("acme/reports/interactions/")
    curate_day(curator_of(store), date(2026, 1, 2))
    assert store.reads(desk) == ["acme/curated/interactions/2026-01-02/manifest.json"]
    assert desk.reader.reading.tallies[OURS].files == 2


def test_between_readings_nothing_is_read(store: CountingStore, desk: Desk) -> None:
    desk.put([VALID], "a.csv")
    desk.read()
    desk.put([VALID, WRONG], "b.csv", hours=1)
    store.keys_read.clear()
    desk.seconds += 59
    desk.reader.refresh()
    assert store.keys_read == []
    desk.seconds += 1
    desk.reader.refresh()
    assert desk.reader.reading.tallies[OURS].rows == 3


def test_older_files_are_recent_again_when_the_newest_counts_no_more(store: CountingStore, desk: Desk) -> None:
    desk.put([VALID, WRONG], "old.csv")
    newest = desk.put([VALID], "newest.csv", hours=48)
    assert desk.read()[OURS].rows == 1
    for key in [key for key in store.list_keys("acme/reports/") if newest in key]:
        store.delete(key)
    assert desk.read()[OURS].rows == 2


def test_a_superseded_file_counts_no_more(desk: Desk) -> None:
    wrong = desk.put([VALID, WRONG], "wrong.csv")
    assert desk.read()[OURS].rejected == 1
    desk.put([VALID, VALID], "right.csv", hours=1, replaces=wrong)
    assert (desk.read()[OURS].rejected, desk.read()[OURS].files) == (0, 1)


def test_what_cannot_be_read_stays_as_it_was_and_is_counted(store: CountingStore, desk: Desk) -> None:
    desk.put([VALID], "a.csv")
    desk.put([item()], "a.csv", table=ITEMS)
    before = desk.read()
    [report] = store.list_keys("acme/reports/interactions/")
    content = store.read(report)
    store.write(report, b"no report")
    desk.put([item(item_id="i2")], "b.csv", table=ITEMS)
    after = desk.read()
    assert (after[OURS], after["acme", ITEMS].files) == (before[OURS], 2)
    assert desk.reader.reading.failures == 1
    store.is_away = True
    assert (desk.read(), desk.reader.reading.failures) == (after, 2)
    store.is_away = False
    store.write(report, content)
    assert (desk.read()[OURS], desk.reader.reading.failures) == (before[OURS], 2)


def test_a_folder_that_was_never_listed_is_no_failure(store: CountingStore, desk: Desk) -> None:
    store.write("denied/raw/items/a.csv", b"")
    desk.put([VALID], "a.csv")
    assert (list(desk.read()), desk.reader.reading.failures) == ([OURS], 0)


def test_a_report_that_was_damaged_from_the_start_is_one(store: CountingStore, desk: Desk) -> None:
    store.write("acme/reports/items/a.json", b"no report")
    assert (desk.read(), desk.reader.reading.failures) == ({}, 1)


def test_of_too_many_tenants_the_rest_is_counted(store: CountingStore) -> None:
    desk = Desk(store, most_tenants=2)
    for tenant in ("c", "a", "b"):
        desk.put([VALID], "a.csv", tenant=tenant)
    assert [tenant for tenant, _ in desk.read()] == ["a", "b"]
    assert desk.reader.reading.left_out == 1
