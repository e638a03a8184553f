"""Two writers of one tenant at once: whatever comes first and last, no mixed table is taken for a right one.

Real: two curators on threads that write one day into one directory, a schedule that says whose turn each write is,
runs of Dagster over what they leave. Nothing is faked; the store only waits for its turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Condition
from typing import Any

import dagster as dg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gata_assets.batches import Window
from gata_assets.errors import DamagedTableError
from gata_assets.interactions.assets.jobs import CURATE_INTERACTIONS, PREPARE_INTERACTIONS
from gata_assets.interactions.curated.reader import read_catalogue, read_events
from gata_assets.interactions.curated.status import CuratedLayer
from gata_assets.interactions.schema import ITEMS
from gata_assets.storage.objects import Version
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
from gata_assets_tests.support.raw_worlds import curate_day, curator_of, send

DAY = date(2026, 1, 1)
WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
# The manifest is withdrawn, three files are written, and the manifest.
WRITES = 5
EARLY, LATE = "early", "late"


class Turns:
    """Whose turn it is to write; who has no turn left writes when all turns are over."""

    def __init__(self, turns: list[str]) -> None:
        self._turns = turns
        self._changed = Condition()
        self.arrived: set[str] = set()

    def wait_for(self, writer: str) -> None:
        """Wait until all writes before are done."""
        with self._changed:
            self.arrived.add(writer)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: not self._turns or self._turns[0] == writer, timeout=300)

    def end(self) -> None:
        """Give the next writer its turn."""
        with self._changed:
            del self._turns[:1]
            self._changed.notify_all()

    def wait_until_arrived(self, writer: str) -> None:
        """Wait until a writer has read what it makes the day from, and is about to write."""
        with self._changed:
            assert self._changed.wait_for(lambda: writer in self.arrived, timeout=300)


class StoreInTurns:
    """A local store whose writes below the curated days wait for their turn."""

    def __init__(self, directory: Path, writer: str, turns: Turns) -> None:
        self._store = LocalStoreResource(directory=str(directory))
        self._writer, self._turns = writer, turns

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def write(self, key: str, content: bytes, **conditions: Any) -> Version:
        """Write when it is this writer's turn."""
        self._turns.wait_for(self._writer)
        version = self._store.write(key, content, **conditions)
        self._turns.end()
        return version


def rows_of_users(users: int) -> bytes:
    return interactions([str(DAY)], users=users)


def curate_at_once(directory: Path, scratch: Path, turns: list[str]) -> None:
    """Curate a day with six users, then by two writers: the early one does not know of the two users of a late file."""
    curator = curator_of(directory)
    send(curator, catalogue(), scratch, data=ITEMS, name="items.csv")
    curator.refresh_catalogue()
    send(curator, rows_of_users(6), scratch, name="first.csv")
    curate_day(curator, DAY)
    send(curator, rows_of_users(7), scratch, name="second.csv")
    order = Turns(turns)
    with ThreadPoolExecutor(2) as pool:
        writers = []
        for writer in (EARLY, LATE):
            store = StoreInTurns(directory, writer, order)
            writers.append(pool.submit(curate_day, curator_of(store), DAY))
            order.wait_until_arrived(writer)
            if writer == EARLY:
                send(curator_of(directory), rows_of_users(8), scratch, name="late.csv")
        for one in writers:
            one.result(timeout=300)


def read_users(directory: Path) -> int:
    store, places = LocalStoreResource(directory=str(directory)), curator_of(directory).places
    return len(read_events(places, WINDOW, read_catalogue(places, store), store).users)


@settings(max_examples=20, deadline=None)
@given(turns=st.permutations([EARLY] * WRITES + [LATE] * WRITES))
@example(turns=[LATE] * 4 + [EARLY] * 5 + [LATE])
@example(turns=[LATE] * 3 + [EARLY] * 5 + [LATE] * 2)
@example(turns=[EARLY] * 4 + [LATE] * 5 + [EARLY])
@example(turns=[EARLY] * 5 + [LATE] * 5)
@pytest.mark.slow
def test_a_day_that_two_have_written_is_right_or_stale_or_told_and_is_right_after_the_next_run(
    tmp_path_factory: pytest.TempPathFactory, turns: list[str]
) -> None:
    directory, scratch = tmp_path_factory.mktemp("target"), tmp_path_factory.mktemp("files")
    curate_at_once(directory, scratch, list(turns))
    curator = curator_of(directory)
    layer = CuratedLayer(curator)
    is_due = bool(layer.look([DAY]).due)
    try:
        users = read_users(directory)
    except DamagedTableError as error:
        layer.withdraw(error.key or "")
    else:
        assert users == 8 or (is_due and users == 7), "never a mixture, and what is old is known to be"
    for day in curator.stale_days(DAY, DAY):
        curate_day(curator, day)
    assert read_users(directory) == 8


def test_the_worst_turns_leave_files_of_one_with_the_manifest_of_the_other_which_rows_alone_would_not_tell(
    tmp_path: Path,
) -> None:
    curate_at_once(tmp_path / "target", tmp_path / "files", [LATE] * 4 + [EARLY] * 5 + [LATE])
    assert CuratedLayer(curator_of(tmp_path / "target")).look([DAY]).due == (), "the manifest names what counts"
    with pytest.raises(DamagedTableError, match="two commands that ran at once"):
        read_users(tmp_path / "target")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that is gone afterwards."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.mark.parametrize("place", ["curated/interactions/2025-12-02/", "curated/items/"])
@pytest.mark.slow
def test_a_batch_over_files_of_two_writers_fails_by_their_key_and_the_next_curation_makes_them_anew(
    place: str, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    fill(store, "acme")
    assert curate(instance, store, TENANTS="acme").success
    key = f"acme/{place}items.parquet"
    content = store.read(key)
    store.write(key, content[:-20] + bytes(8) + content[-12:])
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, TENANTS="acme")
    [failure] = failures(result)
    assert store.uri(key) in failure.reason
    assert not failure.would_fail_all
    assert not store.exists(f"acme/features/{BATCH}/manifest.json")
    # Any day: what is stale is made too.
    assert run(instance, store, CURATE_INTERACTIONS, "2025-12-05", TENANTS="acme").success
    assert store.read(key) == content
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH, TENANTS="acme").success
    assert manifest(store, "acme", "training_data")["is_made"]
