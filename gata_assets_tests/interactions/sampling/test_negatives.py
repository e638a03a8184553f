"""Training rows: the same as those of a plain-Python oracle, and what they promise for every world.

All real, nothing is faked; the oracle is `sampling_oracle`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.errors import DataRuleError
from gata_assets.interactions.rules import InteractionType, SamplingRules
from gata_assets.interactions.sampling.candidates import choose_candidates
from gata_assets.interactions.sampling.negatives import Negatives, gather_histories, sample_negatives, split_evenly
from gata_assets.interactions.sampling.samples import SampledRows, sample_rows
from gata_assets_tests.support.sampling_oracle import (
    Event,
    Row,
    Stream,
    available,
    code,
    draw_by_weight,
    draw_uniformly,
    lemire,
    probabilities_of,
    rules_of,
    training_rows,
)

CLICK, VIEW = InteractionType.CLICK, InteractionType.VIEW
START = 100
ITEMS = [f"item {letter}" for letter in "abcdefghijkl"]

events_of_worlds = st.lists(
    st.tuples(
        st.sampled_from([f"user {letter}" for letter in "äbcd"]),
        st.sampled_from([*ITEMS[:10], "no longer sold", "a thing"]),
        st.integers(START - 30, START + 60),
        st.sampled_from(list(InteractionType)),
    ),
    min_size=1,
    max_size=60,
)
catalogues = st.lists(st.sampled_from(ITEMS), min_size=1, unique=True)
powers_of_tests = [None, 0.0, 0.75, 1.0, 2.0, 4.0]
powers = st.sampled_from(powers_of_tests)
all_rules = st.builds(
    rules_of,
    least=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    most=st.integers(1, 6),
    ratio=st.integers(1, 8),
    power=powers,
    seed=st.integers(0, 2**63 - 1),
)


def sample(events: Sequence[Event], catalogue: Sequence[str], rules: SamplingRules, threads: int = 1) -> SampledRows:
    table = code(events, catalogue)
    first = int(np.searchsorted(table.timestamp, START))
    return sample_rows(table, first=first, is_available=available(table, catalogue), rules=rules, threads=threads)


def rows_of(sampled: SampledRows) -> list[Row]:
    table = sampled.table(0, len(sampled.positives.users)).to_pylist()
    return [(row["user_id"], row["item_id"], row["label"], row["sampling_probability"]) for row in table]


def negatives_of(sampled: SampledRows) -> dict[str, list[str]]:
    rows = [row for row in rows_of(sampled) if row[2] == 0]
    return {user: [row[1] for row in of_user] for user, of_user in groupby(rows, key=lambda row: row[0])}


def draw_for(seen: Sequence[set[int]], wanted: int, places: int, rules: SamplingRules, threads: int = 1) -> Negatives:
    """The negatives of users with the keys 0, 1, 2, … ; item i has had i * i interactions."""
    user = [one for one, items in enumerate(seen) for _ in items]
    item = [place for items in seen for place in items]
    candidates = choose_candidates(np.ones(places, dtype=bool), np.arange(places) ** 2, rules)
    histories = gather_histories(
        np.array(user, dtype=np.int32),
        np.array(item, dtype=np.int32),
        candidates,
        keys=np.arange(len(seen), dtype=np.uint64),
        wanted=np.full(len(seen), wanted),
    )
    return sample_negatives(histories, candidates, rules, threads=threads)


def places_of(drawn: Negatives) -> list[list[int]]:
    return [drawn.places[first:last].tolist() for first, last in pairwise(drawn.starts)]


def drawn_by_the_oracle(seen: Sequence[set[int]], wanted: int, places: int, rules: SamplingRules) -> list[list[int]]:
    candidates = choose_candidates(np.ones(places, dtype=bool), np.arange(places) ** 2, rules)
    if candidates.table is None or candidates.weights is None:
        return [draw_uniformly(rules.seed, key, items, places, wanted) for key, items in enumerate(seen)]
    weights, table = candidates.weights.tolist(), candidates.table
    return [draw_by_weight(rules.seed, key, items, weights, table, wanted) for key, items in enumerate(seen)]


def require_rows_of_the_oracle(events: Sequence[Event], catalogue: Sequence[str], rules: SamplingRules) -> SampledRows:
    sampled = sample(events, catalogue, rules)
    keys = dict(zip(sampled.users.ids, sampled.users.keys.tolist(), strict=True))
    expected = training_rows(events, START, catalogue, rules, keys=keys, table=sampled.candidates.table)
    rows = rows_of(sampled)
    assert [row[:3] for row in rows] == [row[:3] for row in expected]
    assert [row[3] for row in rows] == [
        None if row[3] is None else pytest.approx(row[3], rel=1e-12) for row in expected
    ]
    assert sampled.numbers["row_count"] == len(expected)
    return sampled


@given(events=events_of_worlds, catalogue=catalogues, rules=all_rules)
def test_the_rows_are_those_of_the_oracle(events: list[Event], catalogue: list[str], rules: SamplingRules) -> None:
    require_rows_of_the_oracle(events, catalogue, rules)


@pytest.mark.parametrize("power", [None, 0.75, 2.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_rows_of_a_zipf_world_are_those_of_the_oracle(seed: int, power: float | None) -> None:
    random = np.random.default_rng(seed)
    catalogue = [f"item {place:03}" for place in range(300)]
    users, items = (np.minimum(most, random.zipf(1.2, 4_000)) - 1 for most in (120, len(catalogue)))
    types = random.choice(list(InteractionType), 4_000).tolist()
    events = [
        (f"user {user:03}", catalogue[item], START - 20 + at % 120, InteractionType(kind))
        for at, (user, item, kind) in enumerate(zip(users.tolist(), items.tolist(), types, strict=True))
    ]
    sampled = require_rows_of_the_oracle(events, catalogue[:280], rules_of(least=(2, 2), power=power, seed=seed))
    counts = sampled.numbers
    assert counts["users"] > 30
    assert counts["left_out_by_minimum"] > 0
    assert counts["left_out_by_maximum"] > 0


@given(
    seen=st.lists(st.sets(st.integers(0, 199)), min_size=1, max_size=4),
    places=st.integers(200, 260),
    wanted=st.integers(0, 300),
    power=powers,
)
def test_draws_are_those_of_the_oracle_on_both_sides_of_the_turn(
    seen: list[set[int]], places: int, wanted: int, power: float | None
) -> None:
    drawn = draw_for(seen, wanted, places, rules_of(power=power))
    assert places_of(drawn) == drawn_by_the_oracle(seen, wanted, places, rules_of(power=power))


@pytest.mark.parametrize("power", powers_of_tests)
@pytest.mark.parametrize("wanted", [1, 7, 60])
def test_users_one_after_another_leave_nothing_behind_whatever_the_turn(power: float | None, wanted: int) -> None:
    # Many of a range have seen more than half or nearly all: of what is left, one is chosen, or many, or all.
    random = np.random.default_rng(3)
    seen = [set(random.choice(300, count, replace=False).tolist()) for count in random.integers(0, 299, 200)]
    drawn = draw_for(seen, wanted, 300, rules_of(power=power))
    assert places_of(drawn) == drawn_by_the_oracle(seen, wanted, 300, rules_of(power=power))


@pytest.mark.parametrize("power", powers_of_tests)
def test_how_often_and_in_which_order_an_item_was_met_changes_nothing(power: float | None) -> None:
    candidates = choose_candidates(np.ones(12, dtype=bool), np.arange(12), rules_of(power=power))
    drawn = [
        sample_negatives(
            gather_histories(
                np.zeros(len(met), dtype=np.int32),
                np.array(met, dtype=np.int32),
                candidates,
                keys=np.array([5], dtype=np.uint64),
                wanted=np.array([4]),
            ),
            candidates,
            rules_of(power=power),
        )
        for met in ([1, 3], [3, 1, 3, 1, 3, 1, 1, 3, 1, 3])
    ]
    once, often = (places_of(one) for one in drawn)
    assert once == often and len(often[0]) == 4
    assert len({tuple(probabilities_of(one, candidates).tolist()) for one in drawn}) == 1
    assert drawn[1].shortfall.tolist() == [0]


def test_where_nearly_all_the_weight_was_seen_the_probabilities_of_the_rest_have_all_their_digits() -> None:
    events = [("crowd", "item a", START, CLICK)] * 3_000 + [("user", "item a", START, CLICK)]
    rows = rows_of(sample(events, ITEMS[:4], rules_of(power=8.0)))
    assert [row[3] for row in rows if row[0] == "user"] == [None] + [pytest.approx(1 / 3, rel=1e-12)] * 3


@pytest.mark.parametrize("power", [None, 0.0])
def test_a_number_that_would_make_some_places_likelier_is_thrown_away(power: float | None) -> None:
    # Of 2^32 numbers one in 2,387 is left over by so many places: where such a one comes first, the next one draws.
    places, users, rules = 2**32 // 2_387 + 1, 20_000, rules_of(power=power)
    streams = [Stream.of(rules.seed, key) for key in range(users)]
    firsts = [lemire(stream.next() >> 32, places) for stream in streams]
    left_over = [key for key in range(users) if firsts[key] is None]
    assert len(left_over) > 3
    drawn = draw_for([set()] * users, 1, places, rules)
    for key in left_over:
        stream = Stream.of(rules.seed, key)
        if power is None:
            numbers = iter(half for _ in range(9) for half in divmod(stream.next(), 2**32))
            expected = next(place for half in numbers if (place := lemire(half, places)) is not None)
        else:
            expected = stream.below(places)
        assert drawn.places[key] == expected


@given(events=events_of_worlds, catalogue=catalogues, rules=all_rules)
def test_no_negative_was_met_in_any_way_and_none_is_there_twice(
    events: list[Event], catalogue: list[str], rules: SamplingRules
) -> None:
    for user, negatives in negatives_of(sample(events, catalogue, rules)).items():
        assert set(negatives) <= set(catalogue) - {item for who, item, _, _ in events if who == user}
        assert len(negatives) == len(set(negatives))


@given(events=events_of_worlds, catalogue=catalogues, rules=all_rules, shuffled=st.randoms(use_true_random=False))
def test_neither_the_order_of_interactions_nor_threads_change_a_row(
    events: list[Event], catalogue: list[str], rules: SamplingRules, shuffled: object
) -> None:
    other = list(events)
    shuffled.shuffle(other)  # type: ignore[attr-defined]
    assert rows_of(sample(events, catalogue, rules)) == rows_of(sample(other, catalogue, rules, threads=2))


@given(events=events_of_worlds, catalogue=catalogues, rules=all_rules.filter(lambda rules: rules.power == 0))
def test_taking_other_users_away_changes_no_row(
    events: list[Event], catalogue: list[str], rules: SamplingRules
) -> None:
    # Thin items and popularity are the doing of all users, and have no part here.
    rules = rules_of(least=(1, 1), most=rules.max_interactions_per_user, ratio=rules.ratio, seed=rules.seed)
    alone = [event for event in events if event[0] == events[0][0]]
    rows = [row for row in rows_of(sample(events, catalogue, rules)) if row[0] == events[0][0]]
    assert rows == rows_of(sample(alone, catalogue, rules))


@given(events=events_of_worlds, catalogue=catalogues, rules=all_rules)
def test_items_that_cannot_be_drawn_have_no_part(
    events: list[Event], catalogue: list[str], rules: SamplingRules
) -> None:
    before = negatives_of(sample(events, catalogue, rules))
    views = [(user, "never sold", START - 1, VIEW) for user in {event[0] for event in events}]
    assert negatives_of(sample([*events, *views], catalogue, rules)) == before


@given(
    seen=st.lists(st.sets(st.integers(0, 40)), min_size=1, max_size=4),
    fewer=st.integers(0, 60),
    more=st.integers(0, 60),
    power=powers,
)
def test_more_negatives_are_more_of_the_same(seen: list[set[int]], fewer: int, more: int, power: float | None) -> None:
    few, many = (draw_for(seen, wanted, 41, rules_of(power=power)) for wanted in (fewer, fewer + more))
    for user in range(len(seen)):
        start = many.starts[user]
        of_user = few.places[few.starts[user] : few.starts[user + 1]]
        assert of_user.tolist() == many.places[start : start + len(of_user)].tolist()


@pytest.mark.parametrize("power", [None, 0.75, 4.0])
@pytest.mark.parametrize("unseen", [0, 1, 2, 5])
def test_a_user_who_has_seen_all_but_a_few_gets_those_and_the_rest_is_counted_short(
    power: float | None, unseen: int
) -> None:
    drawn = draw_for([set(range(unseen, 500))] * 3, 4, 500, rules_of(power=power))
    for user in range(3):
        of_user = drawn.places[drawn.starts[user] : drawn.starts[user + 1]].tolist()
        assert len(of_user) == len(set(of_user)) == min(unseen, 4)
        assert set(of_user) <= set(range(unseen))
    assert drawn.shortfall.tolist() == [4 - min(unseen, 4)] * 3


@pytest.mark.parametrize("power", [None, 1.0])
def test_one_user_and_one_item_leave_no_negative(power: float | None) -> None:
    sampled = sample([("user", "item a", START, CLICK)], ["item a"], rules_of(power=power))
    assert rows_of(sampled) == [("user", "item a", 1.0, None)]
    assert (sampled.numbers["shortfall"], sampled.numbers["users_with_shortfall"]) == (4, 1)


@pytest.mark.parametrize("power", [None, 1.0])
def test_the_only_unseen_item_has_the_probability_one(power: float | None) -> None:
    sampled = sample([("user", "item a", START, CLICK)], ["item a", "item b"], rules_of(power=power))
    assert rows_of(sampled)[1:] == [("user", "item b", 0.0, 1.0)]


def test_what_is_popular_is_reported_by_the_window_alone_and_not_by_what_was_seen_before() -> None:
    earlier = [(f"user {number}", "item b", START - 1, CLICK) for number in range(8)]
    sampled = sample([*earlier, ("user", "item a", START, CLICK)], ITEMS[:3], rules_of(power=1.0))
    # Each with a weight of one: nobody met them in the window.
    assert sorted(rows_of(sampled)[1:]) == [("user", "item b", 0.0, 0.5), ("user", "item c", 0.0, 0.5)]


def test_positives_without_a_catalog_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(DataRuleError, match=r"1 positives, but no catalog item .* ingest the items"):
        sample([("user", "item a", START, CLICK)], [], rules_of())


@pytest.mark.parametrize(("user", "item"), [(1, 0), (0, 3), (0, -1)])
def test_a_user_or_an_item_that_is_not_there_is_an_error_and_not_a_crash(user: int, item: int) -> None:
    candidates = choose_candidates(np.ones(3, dtype=bool), np.zeros(3, dtype=np.int64), rules_of())
    met = np.array([user], dtype=np.int32), np.array([item], dtype=np.int32)
    with pytest.raises(IndexError, match="is out of range"):
        gather_histories(*met, candidates, keys=np.zeros(1, dtype=np.uint64), wanted=np.array([1]))


def test_without_positives_there_is_no_row_and_no_error() -> None:
    sampled = sample([("user", "item a", START, VIEW)], [], rules_of(power=0.75))
    assert rows_of(sampled) == [] and sampled.ranges() == []
    assert sampled.numbers["row_count"] == 0


def test_heavy_tails_to_the_fourth_power_end_and_keep_to_the_rules() -> None:
    places = 3_000
    interactions = (10**6 / np.arange(1, places + 1)).astype(np.int64)
    rules = rules_of(power=4.0)
    candidates = choose_candidates(np.ones(places, dtype=bool), interactions, rules)
    histories = gather_histories(
        np.repeat(np.arange(40, dtype=np.int32), 3),
        np.tile(np.array([0, 1, 5], dtype=np.int32), 40),
        candidates,
        keys=np.arange(40, dtype=np.uint64),
        wanted=np.full(40, 200),
    )
    drawn = sample_negatives(histories, candidates, rules, threads=2)
    for user in range(40):
        of_user = drawn.places[drawn.starts[user] : drawn.starts[user + 1]].tolist()
        assert len(set(of_user)) == 200 and not {0, 1, 5} & set(of_user)
        assert of_user[0] == 2 or of_user.index(2) < 5
    probabilities = probabilities_of(drawn, candidates)
    assert ((probabilities > 0) & (probabilities <= 1)).all()


@given(counts=st.lists(st.integers(0, 50), max_size=30), parts=st.integers(1, 12))
def test_ranges_of_users_have_like_work_and_leave_nobody_out(counts: list[int], parts: int) -> None:
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
    ranges = split_evenly(starts, parts)
    assert [user for first, last in ranges for user in range(first, last)] == list(range(len(counts)))
    assert len(ranges) <= parts
    for first, last in ranges:
        assert starts[last] - starts[first] <= sum(counts) / parts + 2 * max(counts)
