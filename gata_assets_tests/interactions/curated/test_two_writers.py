"""Two writers of one tenant at once: whatever comes first and last, no mixed table is taken for a right one.

Real: two curators on threads in turns before every call of the store (a directory, S3 over HTTP on loopback), runs of
Dagster over damaged files. Nothing is faked.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import product
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from gata_assets.batches import Window
from gata_assets.errors import ConflictError, StoreError
from gata_assets.interactions.assets.jobs import CURATE_INTERACTIONS, PREPARE_INTERACTIONS
from gata_assets.interactions.curated.reader import read_catalog, read_events
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.interactions.assets.test_batch_run import (
    BATCH,
    catalogue,
    curate,
    failures,
    fill,
    interactions,
    manifest,
    run,
)
from gata_assets_tests.support.interleaving import run_in_turns
from gata_assets_tests.support.raw_worlds import curate_day, curator_of, send
from gata_assets_tests.support.stored_datasets import stored_key

DAY = date(2026, 1, 1)
WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
NEVER = float("inf")


def rows_of_users(users: int) -> bytes:
    return interactions([str(DAY)], users=users)


def read_users(store: ObjectStore, tenant: str) -> int:
    places = curator_of(store, tenant).places
    return len(read_events(places, WINDOW, read_catalog(places, store), store).users)


@pytest.mark.parametrize("pauses", [1, 2])
@pytest.mark.parametrize("every", [131, pytest.param(5, marks=pytest.mark.soak)])
def test_of_two_that_curate_a_day_one_is_read_and_the_day_is_right_or_stale(
    pauses: int, every: int, any_store: ObjectStore, tmp_path: Path
) -> None:
    """The early one does not know of the two users of a file that comes while it is paused."""
    calls = range(1, 25)
    for first, second in product(calls, calls if pauses == 2 else [NEVER]):
        if pauses == 2 and (first + 3 * second) % every:
            continue
        tenant, scratch = f"t{first}-{second}", tmp_path / f"{first}-{second}"
        curator = curator_of(any_store, tenant)
        send(curator, catalogue(), scratch, data=ITEMS, name="items.csv")
        curator.refresh(ITEMS)
        send(curator, rows_of_users(6), scratch, name="first.csv")
        curate_day(curator, DAY)

        def late(paced: Any, tenant: str = tenant, scratch: Path = scratch) -> None:
            send(curator_of(any_store, tenant), rows_of_users(8), scratch, name="late.csv")
            curate_day(curator_of(paced, tenant), DAY)

        def look(ends: list[StoreError | None], tenant: str = tenant) -> None:
            assert read_users(any_store, tenant) in (6, 8), "never a mixture"

        ends, made = run_in_turns(
            any_store,
            lambda paced, tenant=tenant: curate_day(curator_of(paced, tenant), DAY),
            late,
            pause_first=first,
            pause_second=second,
            after_each=look,
        )
        assert None in ends
        assert all(end is None or isinstance(end, ConflictError) for end in ends)
        present = curator_of(any_store, tenant)
        is_due = present.stale(INTERACTIONS, DAY, DAY) == [DAY]
        assert read_users(any_store, tenant) == (6 if is_due else 8)
        for day in present.stale(INTERACTIONS, DAY, DAY):
            curate_day(present, day)
        assert read_users(any_store, tenant) == 8
        if made[0] < first and pauses == 1:
            return
    assert pauses == 2, "all calls were tried"


def test_of_two_that_build_the_catalog_one_is_read(any_store: ObjectStore, tmp_path: Path) -> None:
    for pause in range(1, 25):
        tenant, scratch = f"t{pause}", tmp_path / str(pause)
        send(curator_of(any_store, tenant), catalogue(3), scratch, data=ITEMS, name="items.csv")

        def late(paced: Any, tenant: str = tenant, scratch: Path = scratch) -> None:
            send(curator_of(any_store, tenant), catalogue(5), scratch, data=ITEMS, name="more.csv")
            next(curator_of(paced, tenant).curate(ITEMS, [None]))

        ends, made = run_in_turns(
            any_store,
            lambda paced, tenant=tenant: next(curator_of(paced, tenant).curate(ITEMS, [None])),
            late,
            pause_first=pause,
            after_each=lambda _: None,
        )
        assert ends[1] is None
        assert ends[0] is None or isinstance(ends[0], ConflictError)
        present = curator_of(any_store, tenant)
        items = len(read_catalog(present.places, any_store))
        assert items == (3 if present.is_due(ITEMS) else 5)
        if made[0] < pause:
            return
    pytest.fail("not all calls were tried")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that is gone afterwards."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.mark.parametrize("place", ["curated/interactions/2025-12-02/", "curated/items/"])
@pytest.mark.slow
def test_a_batch_over_files_of_two_writers_fails_by_their_key_and_the_next_curation_rebuilds_them(
    place: str, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    fill(store, "acme")
    curate(store, TENANTS="acme")
    key = stored_key(store, f"acme/{place}", "items.parquet")
    content = store.read(key)
    store.write(key, content[:-20] + bytes(8) + content[-12:])
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, TENANTS="acme")
    [failure] = failures(result)
    assert store.uri(key) in failure.reason
    assert not failure.would_fail_all
    assert not store.exists(f"acme/features/{BATCH}/manifest.json")
    # Any day: what is stale is made too.
    assert run(instance, store, CURATE_INTERACTIONS, "2025-12-05", TENANTS="acme").success
    assert store.read(stored_key(store, f"acme/{place}", "items.parquet")) == content
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH, TENANTS="acme").success
    assert manifest(store, "acme", "training_data")["is_made"]
