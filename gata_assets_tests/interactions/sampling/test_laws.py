"""The laws of the draws, by statistics over many users: uniform, and successive draws in proportion to weights.

All real, nothing is faked: the compiled loops draw, exact enumeration of small worlds says what is to be expected.
Seeds are fixed, so that a test that passes does so always; a chance below 10^-4 fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from gata_assets.interactions.sampling.candidates import Candidates, choose_candidates
from gata_assets.interactions.sampling.negatives import gather_histories, sample_negatives
from gata_assets_tests.support.sampling_oracle import probabilities_of, rules_of

USERS = 40_000
LEAST_CHANCE = 1e-4


def draw(
    seen: Sequence[int], interactions: Sequence[int], wanted: int, *, power: float | None, seed: int = 42
) -> tuple[np.ndarray, Candidates]:
    """Negatives (a row a user) of many users who have all seen the same."""
    rules = rules_of(power=power, seed=seed)
    candidates = choose_candidates(np.ones(len(interactions), dtype=bool), np.array(interactions), rules)
    histories = gather_histories(
        np.repeat(np.arange(USERS, dtype=np.int32), len(seen)),
        np.tile(np.array(seen, dtype=np.int32), USERS),
        candidates,
        keys=np.arange(USERS, dtype=np.uint64),
        wanted=np.full(USERS, wanted),
    )
    return sample_negatives(histories, candidates, rules, threads=2).places.reshape(USERS, wanted), candidates


def chance_of(counts: Sequence[int], expected: Sequence[float]) -> float:
    """How likely counts are to be as far from what is expected, or farther."""
    observed, wanted = np.array(counts, dtype=np.float64), np.array(expected)
    assert wanted.min() > 5 and observed.sum() == pytest.approx(wanted.sum())
    return float(chi2.sf(((observed - wanted) ** 2 / wanted).sum(), len(wanted) - 1))


@pytest.mark.parametrize("seen", [[], [3], [0, 1, 2, 3, 4, 5], [1, 4, 5, 7, 9, 10, 12]])
def test_every_unseen_item_is_equally_likely_at_every_position(seen: list[int]) -> None:
    places, wanted = 13, 6
    drawn, _ = draw(seen, [0] * places, wanted, power=None)
    unseen = [place for place in range(places) if place not in seen]
    for position in range(wanted):
        counts = np.bincount(drawn[:, position], minlength=places)[unseen]
        assert chance_of(counts.tolist(), [USERS / len(unseen)] * len(unseen)) > LEAST_CHANCE


@pytest.mark.parametrize("seen", [[], [0], [0, 1, 2]])
def test_every_order_of_all_unseen_items_is_equally_likely(seen: list[int]) -> None:
    unseen = [place for place in range(6) if place not in seen]
    drawn, _ = draw(seen, [0] * 6, len(unseen), power=None)
    orders = Counter(map(tuple, drawn.tolist()))
    expected = list(permutations(unseen))
    assert chance_of([orders[order] for order in expected], [USERS / len(expected)] * len(expected)) > LEAST_CHANCE


@pytest.mark.parametrize("places", [3, 1_000, 2**20 + 1, 2**31 - 1])
def test_numbers_below_a_bound_are_uniform_for_large_bounds_too(places: int) -> None:
    from gata_assets.interactions.sampling.kernel import _draw_below  # a loop's part, compiled where it is used

    state, numbers = np.uint64(7), []
    for _ in range(2_000):
        number, state = _draw_below(np.uint64(state), np.uint64(places))
        numbers.append(int(number))
    assert min(numbers) >= 0 and max(numbers) < places
    counts = np.bincount(np.array(numbers) * 3 // places, minlength=3)
    assert chance_of(counts.tolist(), [2_000 / 3] * 3) > LEAST_CHANCE


def test_the_draws_of_one_user_under_neighbouring_seeds_are_uniform_and_differ() -> None:
    firsts = [tuple(draw_one(seed)) for seed in range(600)]
    counts = np.bincount(np.array([place for first in firsts for place in first]), minlength=20)
    assert chance_of(counts.tolist(), [600 * 4 / 20] * 20) > LEAST_CHANCE
    assert len(set(firsts)) > 590


def draw_one(seed: int) -> list[int]:
    candidates = choose_candidates(np.ones(20, dtype=bool), np.zeros(20, dtype=np.int64), rules_of())
    nothing = np.zeros(0, dtype=np.int32)
    keys = np.array([2**64 - 5], dtype=np.uint64)
    histories = gather_histories(nothing, nothing, candidates, keys=keys, wanted=np.array([4]))
    drawn: list[int] = sample_negatives(histories, candidates, rules_of(seed=seed)).places.tolist()
    return drawn


@given(interactions=st.lists(st.integers(0, 10**6), min_size=1, max_size=40), power=st.floats(0, 4))
def test_an_alias_table_has_exactly_the_weights(interactions: list[int], power: float) -> None:
    candidates = choose_candidates(
        np.ones(len(interactions), dtype=bool), np.array(interactions), rules_of(power=power)
    )
    assert candidates.table is not None and candidates.weights is not None
    kept = candidates.table.thresholds.astype(np.float64) / 2.0**53
    shares = kept.copy()
    np.add.at(shares, candidates.table.aliases, 1 - kept)
    expected = candidates.weights / candidates.weights.sum() * len(interactions)
    assert shares == pytest.approx(expected, rel=1e-9, abs=1e-12 * len(interactions))


def orders_of(weights: dict[int, float], wanted: int) -> dict[tuple[int, ...], float]:
    """The chance of each sequence of successive draws in proportion to the weights of what is left."""
    if wanted == 0:
        return {(): 1.0}
    total = sum(weights.values())
    return {
        (first, *others): weight / total * chance
        for first, weight in weights.items()
        for others, chance in orders_of({i: w for i, w in weights.items() if i != first}, wanted - 1).items()
    }


@pytest.mark.parametrize(
    ("seen", "interactions"),
    [
        pytest.param([], [3, 1, 2, 3, 2, 3], id="never-at-the-turn-or-late"),
        pytest.param([0], [20, 4, 3, 2, 1, 5], id="over-half-seen-at-once"),
        pytest.param([1], [30, 2, 3, 4, 2, 3], id="one-draw-takes-over-half"),
        pytest.param([5], [9, 9, 9, 2, 2, 3, 1], id="in-the-middle"),
    ],
)
@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_draws_by_popularity_follow_successive_sampling_on_both_sides_of_the_turn(
    seen: list[int], interactions: list[int], wanted: int
) -> None:
    drawn, candidates = draw(seen, interactions, wanted, power=0.75)
    assert candidates.weights is not None
    unseen = {place: float(weight) for place, weight in enumerate(candidates.weights) if place not in seen}
    expected = orders_of(unseen, wanted)
    counted = Counter(map(tuple, drawn.tolist()))
    assert set(counted) <= set(expected)
    common = [order for order, chance in expected.items() if chance * USERS > 10]
    rare = sum(chance for order, chance in expected.items() if chance * USERS <= 10)
    counts = [counted[order] for order in common]
    wants = [expected[order] * USERS for order in common]
    if rare * USERS > 10:
        counts, wants = [*counts, USERS - sum(counts)], [*wants, rare * USERS]
    else:
        wants = [want * sum(counts) / sum(wants) for want in wants]
    assert chance_of(counts, wants) > LEAST_CHANCE


def test_the_probability_of_a_first_draw_is_how_often_it_comes() -> None:
    rules = rules_of(power=0.75)
    interactions = np.array([0, 1, 5, 20, 40, 3, 9])
    drawn, candidates = draw([2], interactions.tolist(), 1, power=0.75)
    one = gather_histories(
        np.array([0], dtype=np.int32),
        np.array([2], dtype=np.int32),
        candidates,
        keys=np.array([1], dtype=np.uint64),
        wanted=np.array([6]),
    )
    negatives = sample_negatives(one, candidates, rules)
    probabilities = probabilities_of(negatives, candidates)
    assert probabilities.sum() == pytest.approx(1)
    counts = np.bincount(drawn[:, 0], minlength=7)[negatives.places]
    assert chance_of(counts.tolist(), (probabilities * USERS).tolist()) > LEAST_CHANCE
