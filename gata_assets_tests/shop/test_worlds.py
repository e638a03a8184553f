"""Properties of the oracle's verdicts in any small world, and what those worlds contain.

All real: the oracle, and worlds from Hypothesis. Nothing is faked.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gata_assets_tests.shop.oracle import PARKED, QUARANTINED, REJECTED, VALID, judge
from gata_assets_tests.shop.worlds import World, arrivals, changes_of, worlds


@given(world=worlds(), data=st.data())
@settings(max_examples=100)
def test_the_order_and_number_of_deliveries_make_no_difference(world: World, data: st.DataObject) -> None:
    arrived = [arrival.file for arrival in data.draw(arrivals(world.all_files()))]
    assert judge(changes_of(arrived), world.now, world.parked_days) == judge(
        world.changes(), world.now, world.parked_days
    )


@given(world=worlds(), seed=st.integers(0, 9))
@settings(max_examples=100)
def test_what_is_visible_is_balanced_and_every_live_row_has_one_verdict(world: World, seed: int) -> None:
    changes = world.changes()
    for rows in changes.values():
        Random(seed).shuffle(rows)
    result = judge(changes, world.now, world.parked_days)
    for row in result.visible["orders"]:
        items = [one.values for one in result.visible["order_items"] if one.values["order_id"] == row.key[0]]
        sums = [one["quantity"] * one["unit_price"] - (one["discount_amount"] or 0) for one in items]
        assert row.values["total_amount"] == sum(sums)
    for verdicts in result.verdicts.values():
        assert len({verdict.key for verdict in verdicts}) == len(verdicts)
        for verdict in verdicts:
            assert bool(verdict.reasons) == (verdict.verdict != VALID)
            assert (verdict.waiting_since is not None) == (verdict.verdict in (PARKED, QUARANTINED))


@pytest.mark.slow
def test_worlds_contain_what_they_are_for() -> None:
    seen: Counter[object] = Counter()

    @settings(max_examples=500, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(world=worlds())
    def count(world: World) -> None:
        result = judge(world.changes(), world.now, world.parked_days)
        live = {verdict.key: verdict for verdict in result.verdicts["orders"]}
        seen.update({(table, one.verdict) for table, verdicts in result.verdicts.items() for one in verdicts})
        for row in result.visible["orders"]:
            seen["deleted order with items"] += row.key not in live
            seen["older version"] += row.key in live and live[row.key].verdict != VALID
        items = Counter(row.key for row in result.visible["order_items"])
        seen["item in two orders"] += max(items.values(), default=0) > 1

    count()
    waiting = {(table, verdict) for table in ("orders", "order_items", "payments") for verdict in (PARKED, QUARANTINED)}
    wanted: set[object] = {
        *waiting,
        ("payments", VALID),
        ("payments", REJECTED),
        ("inventory", PARKED),
        ("orders", VALID),
    }
    wanted |= {"deleted order with items", "older version", "item in two orders"}
    assert {what for what in wanted if not seen[what]} == set()
