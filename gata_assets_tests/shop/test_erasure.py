"""People erased from a shop, with what belongs to their orders: as if they had never been there, whoever is killed.

Real: raw files in Parquet, all of curation, tables for analysts. Faked: the store, which is in memory. The oracle is
the shop's, over changes without theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from itertools import count
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gata_assets.curation.changes.encoding import decode
from gata_assets.curation.curated.erasures import ERASED_BY
from gata_assets.curation.erasure.changes import ChangesEraser, ErasedChanges
from gata_assets.errors import StoreError
from gata_assets.governance.privacy.locators import Cleared, Erasure
from gata_assets.governance.privacy.scanning import TargetObjects, scan
from gata_assets.shop.engine import ShopEngine
from gata_assets.shop.people.locator import ShopLocator
from gata_assets.shop.prod.source import EVERYTHING, ProdSettings
from gata_assets.storage.catalog.local_file import FileCatalog
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.people.tombstones import TombstoneReader, write_tombstones
from gata_assets.tables.changes.declared import SOURCE_LINE
from gata_assets.tables.people.erased_people import digest_people
from gata_assets.tables.people.privacy_keys import PrivacyKeys, Tombstones
from gata_assets_tests.shop.engine import (
    PLACES,
    RULES,
    SOURCE,
    TABLES,
    Curator,
    assert_as_the_oracle_says,
    curated_bytes,
    deliver,
    stored_rows,
)
from gata_assets_tests.shop.oracle import KEYS, judge
from gata_assets_tests.shop.worlds import CUSTOMERS, RawChange, RawFile, World, arrivals, changes_of, worlds
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore

PRIVACY_KEYS = PrivacyKeys({1: b"k" * 32})
PERSON, NAMESAKE = CUSTOMERS[0], f"{CUSTOMERS[0]}-2"
START = datetime(2026, 1, 2, tzinfo=UTC)
ERASED_AT = datetime(2026, 6, 1, tzinfo=UTC)
NOW = START + timedelta(days=9)


def curator_of(store: ObjectStore, now: datetime = NOW, parked_days: int = 7) -> Curator:
    """A curator that knows who was erased, as another command would have it."""
    found = Curator(store, SOURCE, replace(RULES, tombstones=TombstoneReader(PRIVACY_KEYS)), now)
    found.parked = timedelta(days=parked_days)
    return found


def write_stones(store: ObjectStore) -> None:
    digests = tuple(digest_people(PRIVACY_KEYS, PLACES.owner, 1, pl.Series([PERSON])))
    write_tombstones(store, PLACES.tombstones, "letter", Tombstones(1, ERASED_AT, digests))


def erasure_of(store: ObjectStore) -> Erasure:
    return Erasure(PLACES.owner, (PERSON,), "letter", curator_of(store).erased())


def erase(store: ObjectStore, now: datetime = NOW, parked_days: int = 7) -> ErasedChanges:
    """Erase the person from curated tables and what they are made of."""
    curator = curator_of(store, now, parked_days)
    return ChangesEraser(curator, erasure_of(store).mentions, "letter").erase()


def run(store: ObjectStore, now: datetime, parked_days: int) -> None:
    curator = curator_of(store, now, parked_days)
    for table in TABLES:
        curator.validate_new(table)
    assert all(one.manifest for one in curator.curate())


def keys_of_person(files: Sequence[RawFile]) -> dict[str, set[str]]:
    """The oracle of whose rows are: the keys of the person, and of what belongs to them alone, by table."""
    gone: dict[str, set[str]] = {"customers": {PERSON}}
    for table, column, parent in (
        ("orders", "customer_id", "customers"),
        ("order_items", "order_id", "orders"),
        ("payments", "order_id", "orders"),
    ):
        # A delete has its key alone.
        named = [row.values for file in files if file.table == table for row in file.rows if row.op != "D"]
        theirs = {row[KEYS[table][0]] for row in named if row[column] in gone[parent]}
        gone[table] = theirs - {row[KEYS[table][0]] for row in named if row[column] not in gone[parent]}
    return gone


def without_person(files: Sequence[RawFile]) -> list[RawFile]:
    """Files without the rows of the person, and of what belongs to them."""
    gone = keys_of_person(files)
    belongs_to = {"orders": ("customer_id", "customers"), "order_items": ("order_id", "orders")}
    belongs_to["payments"] = belongs_to["order_items"]

    def is_theirs(table: str, row: RawChange) -> bool:
        if row.values[KEYS[table][0]] in gone.get(table, ()):
            return True
        column, parent = belongs_to.get(table, ("", ""))
        return row.op != "D" and row.values.get(column) in gone.get(parent, ())

    # Numbers of rows say which comes first: what is removed leaves a gap.
    blank = RawChange("", START, {})
    return [
        replace(file, rows=tuple(blank if is_theirs(file.table, row) else row for row in file.rows)) for file in files
    ]


def expected_changes(files: Sequence[RawFile]) -> dict[str, list[Any]]:
    found = changes_of(without_person(files))
    return {table: [change for change in changes if change.op] for table, changes in found.items()}


@pytest.mark.parametrize("examples", [6, pytest.param(150, marks=pytest.mark.soak)])
def test_what_is_curated_is_as_if_they_had_never_come(examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(world=worlds(), data=st.data(), at=st.integers(0, 8))
    def hold(world: World, data: st.DataObject, at: int) -> None:
        require_as_if_never_come(world, [one.file for one in data.draw(arrivals(world.all_files()))], at)

    hold()


def require_as_if_never_come(world: World, arrived: Sequence[RawFile], at: int) -> None:
    """Deliver files, erase the person before one of them, and again at the end; compare with the oracle."""
    store = MemoryStore()
    first, last = keys_of_person(arrived[:at]), keys_of_person(arrived)
    # What was theirs when they were erased counts no more, also if somebody else is said to have it later.
    assume(all(keys <= last[table] for table, keys in first.items()))
    for number, file in enumerate(arrived):
        if number == at:
            write_stones(store)
            erase(store, world.now, world.parked_days)
        deliver(store, file)
        if number % 2:
            run(store, world.now, world.parked_days)
    if at >= len(arrived):
        write_stones(store)
        erase(store, world.now, world.parked_days)
    run(store, world.now, world.parked_days)
    for table in ("customers", "orders"):
        assert all(row["customer_id"] != PERSON for row in stored_rows(store, table))
    erase(store, world.now, world.parked_days)
    assert_as_the_oracle_says(store, judge(expected_changes(arrived), world.now, world.parked_days))
    assert not scan([TargetObjects(store)], erasure_of(store)).findings
    before = {key: version for key, version in store.list_versions("") if "/contents/" not in key}
    again = erase(store, world.now, world.parked_days)
    assert (sum(map(len, again.files.values())), again.partitions, again.leftovers) == (0, 0, 0)
    assert dict(store.list_versions("")) == before


def changes(table: str, *rows: Mapping[str, Any], name: str = "LOAD00000001", op: str = "I") -> RawFile:
    path = f"year=2026/month=01/day=02/{name}"
    return RawFile(table, path, tuple(RawChange(op, START, row) for row in rows))


def order(number: int, customer: str, **more: Any) -> dict[str, Any]:
    values = {"order_id": f"o{number}", "customer_id": customer, "ordered_at": START + timedelta(days=number % 3)}
    return {**values, "status": "paid", "currency": "EUR", "total_amount": Decimal("10.00"), **more}


def item(number: int) -> dict[str, Any]:
    values = {"order_item_id": f"i{number}", "order_id": f"o{number}", "product_id": "p1", "quantity": 1}
    return {**values, "unit_price": Decimal("10.00")}


def payment(number: int) -> dict[str, Any]:
    values = {"payment_id": f"y{number}", "order_id": f"o{number}", "method": "cash", "amount": Decimal("10.00")}
    return {**values, "currency": "EUR", "status": "captured", "paid_at": START + timedelta(hours=1)}


def files_of(people: Sequence[str]) -> list[RawFile]:
    """Files of a shop with three customers, who have every third order.

    Orders 3 to 5 wait, since they are not what their items cost, and those after the eighth are rejected; the payments
    of 6 to 8 were deleted by their key alone.
    """
    customers = ({"customer_id": one, "country": "DE", "created_at": START} for one in people)
    orders = (order(number, people[number % 3], total_amount=Decimal(10 + (3 <= number < 6))) for number in range(9))
    rejected = (order(number, people[number % 3], status="lost") for number in (9, 10))
    deleted = ({"payment_id": f"y{number}"} for number in (6, 7, 8))
    return [
        changes("customers", *customers),
        changes("products", {"product_id": "p1", "name": "Pan", "price": Decimal(1), "currency": "EUR"}),
        changes("orders", *orders, *rejected),
        changes("order_items", *map(item, range(9))),
        changes("payments", *map(payment, range(9))),
        changes("payments", *deleted, name="20260102-030405678", op="D"),
    ]


FILES = files_of((PERSON, NAMESAKE, "c9"))


def engine_of(store: ObjectStore, now: datetime = NOW) -> ShopEngine:
    return ShopEngine(
        store,
        TABLES,
        replace(RULES, tombstones=TombstoneReader(PRIVACY_KEYS)),
        timedelta(days=7),
        lambda: FileCatalog(store, "shop/prod/catalog.json"),
        ProdSettings("shop"),
        clock=lambda: now,
        pause=lambda _: None,
    )


def clear(store: ObjectStore, now: datetime = NOW) -> dict[str, Cleared]:
    """Erase the person from all of the shop."""
    return {one.place: one for one in ShopLocator(lambda: engine_of(store, now)).erase(erasure_of(store))}


def filled() -> MemoryStore:
    """A shop that was curated and published, of which the person is to be erased."""
    store = MemoryStore()
    for file in FILES:
        deliver(store, file)
    run(store, NOW, 7)
    list(engine_of(store).build(SOURCE, EVERYTHING))
    write_stones(store)
    return store


def curated_rows(store: ObjectStore) -> dict[str, list[dict[str, Any]]]:
    """The curated rows by key; whoever validates a raw file again without theirs counts other lines."""
    decoded = {key: decode(content) for key, content in curated_bytes(store).items()}
    return {key: rows.drop(SOURCE_LINE, strict=False).to_dicts() for key, rows in decoded.items()}


def published(store: ObjectStore) -> dict[str, list[dict[str, Any]]]:
    """The rows of tables for analysts that readers see, by table."""
    found: dict[str, list[dict[str, Any]]] = {}
    for key in store.list_keys(PLACES.prod):
        if "build=" in key:
            table = key.removeprefix(PLACES.prod).partition("/")[0]
            found.setdefault(table, []).extend(pl.read_parquet(BytesIO(store.read(key))).to_dicts())
    return found


def test_they_go_from_every_place_and_others_stay_byte_for_byte() -> None:
    store = filled()
    before = curated_bytes(store)
    cleared = clear(store)
    removed = {place: dict(one.removed) for place, one in cleared.items() if "raw files" in place}
    assert removed == {
        "customers: raw files, staged and rejected rows": {"records": 1, "rows": 1, "rejected_rows": 0},
        "orders: raw files, staged and rejected rows": {"records": 4, "rows": 3, "rejected_rows": 1},
        "order_items: raw files, staged and rejected rows": {"records": 3, "rows": 3, "rejected_rows": 0},
        "payments: raw files, staged and rejected rows": {"records": 4, "rows": 4, "rejected_rows": 0},
    }
    assert not scan([TargetObjects(store)], erasure_of(store)).findings
    after = curated_bytes(store)
    # Of the three days one was theirs alone.
    same = {key for key, content in after.items() if before.get(key) == content}
    assert {key.split("/")[-2] for key in same} >= {"2026-01-03", "2026-01-04", "products"}
    assert {key.split("/")[-2] for key in before.keys() - after.keys()} == {"2026-01-02"}
    manifest = find_manifest(store, f"{PLACES.curated('orders')}2026-01-02/").manifest
    assert manifest is not None
    assert manifest.details[ERASED_BY] == ["letter"]
    rows = published(store)
    assert {row["customer_id"] for row in rows["customer_summary"]} == {NAMESAKE, "c9"}
    assert sum(row["orders"] for row in rows["daily_sales"]) == len(rows["order_facts"]) == 4
    # Nothing is stale by it, and the second time there is nothing to do.
    assert not curator_of(store).is_due()
    assert engine_of(store).is_built(SOURCE)
    assert {(one.objects, sum(one.removed.values())) for one in clear(store).values()} == {(0, 0)}


def test_the_same_files_once_more_bring_nobody_back() -> None:
    store = filled()
    clear(store)
    before, seen = curated_bytes(store), published(store)
    for file in FILES:
        deliver(store, file)
        deliver(store, replace(file, name=file.name.replace("day=02", "day=03")))
    run(store, NOW, 7)
    list(engine_of(store).build(SOURCE, EVERYTHING))
    named = {row["order_id"] for table in ("orders", "order_items") for row in stored_rows(store, table)}
    assert "o0" not in named
    assert {row["customer_id"] for row in stored_rows(store, "customers")} == {NAMESAKE, "c9"}
    assert published(store).keys() == seen.keys()
    # What was sent is there as it came, until the next request.
    clear(store)
    assert not scan([TargetObjects(store)], erasure_of(store)).findings
    assert curated_bytes(store).keys() == before.keys()


@pytest.mark.parametrize(
    ("step", "is_carried_out"),
    # Of calls that are carried out, those that write are counted alone.
    [(160, False), (40, True), *(pytest.param(1, one, marks=pytest.mark.soak) for one in (False, True))],
)
def test_whoever_is_killed_is_completed_by_the_next(step: int, is_carried_out: bool) -> None:
    start = filled()
    undisturbed = start.copy()
    clear(undisturbed)
    for number in count(step // 2 + 1, step):
        store = start.copy()
        try:
            clear(FailingStore(store, number, is_carried_out=is_carried_out))
        except StoreError:
            # Once the lease has run out.
            clear(store, NOW + timedelta(minutes=2))
            assert not scan([TargetObjects(store)], erasure_of(store)).findings, number
            assert curated_rows(store) == curated_rows(undisturbed), number
            assert published(store) == published(undisturbed), number
        else:
            break
    assert number > step // 2 + 1
