"""Curated tables and verdicts have the same bytes in whatever order files arrive, and are what the oracle says.

Real: raw files as Parquet, the curator, and a directory in one test. Faked: the store in memory of the others; the
clock is an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.shop.engine import assert_as_the_oracle_says, curated_bytes, deliver, run, run_all
from gata_assets_tests.shop.oracle import KEYS, Change, Outcome, judge
from gata_assets_tests.shop.worlds import START, Arrival, World, arrivals, worlds
from gata_assets_tests.support.memory_store import MemoryStore

# Shrinking takes minutes; the seed that is shown repeats a failure.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]


def oracle_of(world: World, now: datetime) -> Outcome:
    changes = {
        table: [with_key_only(table, change) for change in of_table] for table, of_table in world.changes().items()
    }
    return judge(changes, now, world.parked_days)


def with_key_only(table: str, change: Change) -> Change:
    """A delete counts by its key, whatever else it carries."""
    if change.op != "D":
        return change
    return replace(change, values={name: change.values[name] for name in KEYS[table]})


def check_any_order(world: World, coming: Sequence[Arrival], first: ObjectStore) -> None:
    second, clock = MemoryStore(), START
    for arrival in coming:
        clock += arrival.after
        deliver(first, arrival.file)
        run(first, clock, world.parked_days)
    now = max(clock, world.now)
    run(first, now, world.parked_days)
    run_all(second, world.all_files(), now, world.parked_days)
    assert_as_the_oracle_says(second, oracle_of(world, now))
    assert curated_bytes(first) == curated_bytes(second)
    assert run(first, now, world.parked_days) == 0


@st.composite
def arriving_worlds(draw: st.DrawFn) -> tuple[World, Sequence[Arrival]]:
    world = draw(worlds())
    return world, draw(arrivals(world.all_files()))


@pytest.mark.slow
@settings(max_examples=15, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(arriving_worlds())
def test_the_order_in_which_files_arrive_changes_no_byte(arriving: tuple[World, Sequence[Arrival]]) -> None:
    check_any_order(*arriving, MemoryStore())


@settings(max_examples=1, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(arriving_worlds())
def test_so_it_is_in_a_directory(arriving: tuple[World, Sequence[Arrival]]) -> None:
    with TemporaryDirectory() as directory:
        check_any_order(*arriving, LocalStore(directory))


@pytest.mark.soak
@settings(max_examples=5_000, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(arriving_worlds())
def test_the_order_in_which_files_arrive_changes_no_byte_of_many_worlds(
    arriving: tuple[World, Sequence[Arrival]],
) -> None:
    check_any_order(*arriving, MemoryStore())
