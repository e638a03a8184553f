"""A target that fails at any call, two curators at once, and what readers see meanwhile.

Real: raw files as Parquet, the curator. Faked: the store, in memory, whose calls fail when they are told to; the clock
is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from gata_assets.errors import ConflictError, StoreError
from gata_assets.storage.datasets import find_manifest
from gata_assets.tables.manifests import MANIFEST_FILE
from gata_assets_tests.shop.engine import PLACES, curated_bytes, deliver, run
from gata_assets_tests.shop.stories import (
    DAYS,
    PARKED_DAYS,
    arrive,
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
from gata_assets_tests.shop.worlds import RawFile
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore, PausingStore

pytestmark = pytest.mark.slow
NOW = at(60)
FIRST = files_of(
    0,
    *(customer("c1", 0), product("p1", 0), product("p2", 0), stock("p1", 0), stock("p3", 0)),
    *(order("o1", 1, 20), item("i1", "o1", 1), item("i2", "o1", 1), payment("y1", "o1", 2)),
    *(order("o2", 1, 10, ordered_at=DAYS[1]), item("i3", "o2", 1, product_id="p2")),
    # Of orders that come later: one of a known day, one of a day that nothing has yet, and one that never does.
    *(item("i4", "o3", 2), payment("y2", "o3", 2), item("i5", "o4", 2), item("i6", "o9", 2)),
    *(item("i7", "o3", 2, "D"), order("o5", 3, 10, "D")),
)
SECOND = files_of(
    1,
    # A version on another day, and an item that moves to another order.
    *(
        order("o1", 5, 10, "U", ordered_at=DAYS[3]),
        item("i2", "o2", 5, "U"),
        order("o2", 5, 20, "U", ordered_at=DAYS[1]),
    ),
    *(order("o3", 5, 10), order("o4", 5, 10, ordered_at=DAYS[4]), item("i7", "o8", 1)),
    *(product("p2", 6, "D"), product("p3", 6), payment("y3", "o1", 6), item("i1", "o7", 7, "U"), order("o5", 1, 0)),
)
# Each on a day that its rows are not on yet, so that all changes of units are copied there.
THIRD = files_of(
    2,
    *(order("o1", 8, 10, "U", ordered_at=DAYS[5]), order("o3", 8, 10, "U", ordered_at=DAYS[6])),
    *(order("o7", 8, 10, ordered_at=DAYS[6]), order("o8", 8, 10, ordered_at=DAYS[7]), order("o9", 8, 10)),
    *(product("p2", 9), stock("p2", 9), customer("c2", 9)),
)
# Every so many calls; soak tests try each.
STEP = 41


@pytest.fixture(scope="module")
def before() -> MemoryStore:
    """What is stored when the second files arrive, validated already."""
    store = MemoryStore()
    arrive(store, FIRST, NOW)
    return store


@pytest.fixture(scope="module")
def expected() -> dict[str, bytes]:
    return at_once([*FIRST, *SECOND], NOW)


def assert_complete(store: MemoryStore) -> None:
    """Each manifest lists files that are there, with their bytes."""
    for key in store.list_keys(PLACES.root):
        folder, _, name = key.rpartition("/")
        if name == MANIFEST_FILE:
            manifest = find_manifest(store, f"{folder}/").manifest
            assert manifest is not None
            for own, entry in manifest.files.items():
                assert entry.matches(store.read(f"{folder}/{own}"))


def curate_only(store: MemoryStore) -> None:
    run(store, NOW, PARKED_DAYS)


def delivered(before: MemoryStore, files: Sequence[RawFile] = SECOND) -> MemoryStore:
    store = before.copy()
    for file in files:
        deliver(store, file)
    return store


def calls_of(store: MemoryStore, *, is_carried_out: bool) -> int:
    counting = FailingStore(store.copy(), float("inf"), is_carried_out=is_carried_out)
    curate_only(counting)
    return counting.calls


def fail_at(start: MemoryStore, call: int, *, is_carried_out: bool) -> MemoryStore:
    """A copy whose curator's target was away from a call on."""
    store = start.copy()
    # Earlier files that cannot be deleted are left.
    with suppress(StoreError):
        curate_only(FailingStore(store, call, is_carried_out=is_carried_out))
    assert_complete(store)
    return store


def check_every_call(
    start: MemoryStore, expected: dict[str, bytes], step: int, finish: Callable[[MemoryStore], None], *, late: bool
) -> None:
    calls = calls_of(start, is_carried_out=late)
    assert calls > step
    for call in range(1 + calls % step, calls + 1, step):
        store = fail_at(start, call, is_carried_out=late)
        finish(store)
        assert curated_bytes(store) == expected, f"after call {call} of {calls}"
        assert_complete(store)


LATE = pytest.mark.parametrize("late", [False, True], ids=["before", "after"])


@LATE
def test_files_that_arrive_after_a_failure_are_curated_with_what_failed(before: MemoryStore, late: bool) -> None:
    expected = at_once([*FIRST, *SECOND, *THIRD], NOW)
    check_every_call(delivered(before), expected, STEP, lambda store: arrive(store, THIRD, NOW), late=late)


@LATE
@pytest.mark.soak
def test_a_run_that_failed_at_any_call_is_repeated(before: MemoryStore, expected: dict[str, bytes], late: bool) -> None:
    check_every_call(delivered(before), expected, 1, curate_only, late=late)


@LATE
@pytest.mark.soak
def test_files_that_arrive_after_a_failure_at_any_call(before: MemoryStore, late: bool) -> None:
    expected = at_once([*FIRST, *SECOND, *THIRD], NOW)
    check_every_call(delivered(before), expected, 1, lambda store: arrive(store, THIRD, NOW), late=late)


def test_a_run_that_fails_a_few_calls_later_each_time_ends(before: MemoryStore, expected: dict[str, bytes]) -> None:
    store, call = delivered(before), 0
    while True:
        call += STEP
        failing = FailingStore(store, call)
        with suppress(StoreError):
            curate_only(failing)
        assert_complete(store)
        if failing.calls < call:
            break
    assert curated_bytes(store) == expected


@pytest.mark.parametrize("call", [100, 160, 220])
def test_a_file_that_is_overwritten_after_a_failure_counts_as_it_is_now(before: MemoryStore, call: int) -> None:
    store = fail_at(delivered(before), call, is_carried_out=False)
    # Fewer rows, and others in the places of those that were read before the failure.
    changed = [replace(file, rows=file.rows[1:]) for file in SECOND]
    arrive(store, changed, NOW)
    assert curated_bytes(store) == at_once([*FIRST, *changed], NOW)


def curators_in_turns(start: MemoryStore, pause: int, files: Sequence[RawFile]) -> tuple[MemoryStore, int]:
    """Pause a curator before a call, deliver files and curate them by another, let the first continue; returns how many
    of them ended with a conflict.
    """
    store, conflicts = start.copy(), 0

    def interrupt() -> None:
        arrive(store, files, NOW)

    try:
        curate_only(PausingStore(store, pause, interrupt))
    except ConflictError:
        conflicts += 1
    assert_complete(store)
    return store, conflicts


@pytest.mark.parametrize("files", [SECOND, THIRD], ids=["the same files", "other files"])
def test_of_two_curators_one_ends_with_a_conflict_and_is_repeated(
    before: MemoryStore, files: Sequence[RawFile]
) -> None:
    start, ended = delivered(before), 0
    expected = at_once([*FIRST, *SECOND, *([] if files is SECOND else files)], NOW)
    calls = calls_of(start, is_carried_out=False)
    for pause in range(5, calls, 4 * STEP):
        store, conflicts = curators_in_turns(start, pause, files)
        ended += conflicts
        curate_only(store)
        assert curated_bytes(store) == expected, f"paused at call {pause} of {calls}"
    assert ended
