"""Curated tables and verdicts have the same bytes in whatever order files arrive, and are what the oracle says.

Real: raw files as Parquet in a directory, the curator, the store. Nothing is faked; the clock is an argument.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gata_assets.storage.local import LocalStore
from gata_assets_tests.shop.engine import assert_as_the_oracle_says, curated_bytes, deliver, run, run_all
from gata_assets_tests.shop.oracle import KEYS, Change, judge
from gata_assets_tests.shop.worlds import START, World, arrivals, worlds

# Shrinking takes minutes; the seed that is shown repeats a failure.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]


def oracle_of(world: World, now: object) -> object:
    changes = {
        table: [with_key_only(table, change) for change in of_table] for table, of_table in world.changes().items()
    }
    return judge(changes, now, world.parked_days)  # type: ignore[arg-type]


def with_key_only(table: str, change: Change) -> Change:
    """A delete counts by its key, whatever else it carries."""
    if change.op != "D":
        return change
    return replace(change, values={name: change.values[name] for name in KEYS[table]})


def check_any_order(data: st.DataObject) -> None:
    world = data.draw(worlds())
    coming = data.draw(arrivals(world.all_files()))
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        store, clock = LocalStore(first), START
        for arrival in coming:
            clock += arrival.after
            deliver(store, arrival.file)
            run(store, clock, world.parked_days)
        now = max(clock, world.now)
        run(store, now, world.parked_days)
        run_all(Path(second), world.all_files(), now, world.parked_days)
        assert_as_the_oracle_says(Path(second), oracle_of(world, now))  # type: ignore[arg-type]
        assert curated_bytes(Path(first)) == curated_bytes(Path(second))
        assert run(store, now + timedelta(microseconds=0), world.parked_days) == 0


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(st.data())
def test_the_order_in_which_files_arrive_changes_no_byte(data: st.DataObject) -> None:
    check_any_order(data)


@pytest.mark.soak
@settings(max_examples=1_500, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(st.data())
def test_the_order_in_which_files_arrive_changes_no_byte_of_many_worlds(data: st.DataObject) -> None:
    check_any_order(data)
