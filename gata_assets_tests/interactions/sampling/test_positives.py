"""Positives: distinct pairs at their last time, the k-core, and the newest of each user.

All real, nothing is faked; a naive oracle in plain Python says what is to come out.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.interactions.rules import InteractionType, SamplingRules
from gata_assets.interactions.sampling.positives import (
    choose_positives,
    count_largest,
    find_below_minimum,
    find_positives,
)
from gata_assets_tests.support.sampling_oracle import Event, code, positives_of, rules_of

CLICK, VIEW = InteractionType.CLICK, InteractionType.VIEW
START = 50

events_of_worlds = st.lists(
    st.tuples(
        st.integers(0, 6).map(lambda number: f"user {number}"),
        st.integers(0, 8).map(lambda number: f"item {number}"),
        st.integers(START - 5, START + 12),
        st.sampled_from(list(InteractionType)),
    ),
    max_size=150,
)
all_rules = st.builds(
    rules_of,
    types=st.sets(st.sampled_from(list(InteractionType)), min_size=1),
    least=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    most=st.integers(1, 7),
)


def choose(events: list[Event], rules: SamplingRules) -> dict[str, list[str]]:
    table = code(events)
    positives = choose_positives(table, first=int(np.searchsorted(table.timestamp, START)), rules=rules)
    return {
        table.users.ids[int(user)]: [
            table.items.ids[int(item)]
            for item in positives.items[positives.starts[place] : positives.starts[place + 1]]
        ]
        for place, user in enumerate(positives.users)
    }


@given(events=events_of_worlds, rules=all_rules)
def test_the_positives_are_those_of_the_oracle_in_its_order(events: list[Event], rules: SamplingRules) -> None:
    chosen, expected = choose(events, rules), positives_of(events, START, rules)
    assert chosen == expected
    assert list(chosen) == list(expected)


@given(
    seed=st.integers(0, 10**6),
    share=st.floats(0.2, 0.8),
    least=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_the_core_is_that_of_the_oracle_in_dense_worlds(seed: int, share: float, least: tuple[int, int]) -> None:
    met = np.random.default_rng(seed).random((8, 9)) < share
    events = [(f"user {user}", f"item {item}", START + int(user + item), CLICK) for user, item in np.argwhere(met)]
    assert choose(events, rules_of(least=least)) == positives_of(events, START, rules_of(least=least))


@given(events=events_of_worlds, rules=all_rules)
def test_every_pair_is_kept_or_counted_under_the_rule_that_left_it_out(
    events: list[Event], rules: SamplingRules
) -> None:
    table = code(events)
    positives = choose_positives(table, first=int(np.searchsorted(table.timestamp, START)), rules=rules)
    pairs = {(event[0], event[1]) for event in events if event[2] >= START and event[3] in rules.positive_types}
    assert len(positives.items) + positives.left_out_by_minimum + positives.left_out_by_maximum == len(pairs)
    unlimited = rules_of(
        types=tuple(rules.positive_types),
        least=(rules.min_interactions_per_user, rules.min_interactions_per_item),
        most=10**6,
    )
    assert len(positives.items) + positives.left_out_by_maximum == sum(map(len, choose(events, unlimited).values()))


def test_thin_users_and_items_fall_one_after_the_other_until_none_is_left() -> None:
    # A chain: every item has two users and every user two items, but for the ends.
    events = [(f"user {at}", f"item {at + step}", START, CLICK) for at in range(300) for step in (0, 1)]
    assert choose(events, rules_of(least=(2, 2))) == {}
    closed = [*events, ("user 299", "item 0", START, CLICK)]
    assert len(choose([event for event in closed if event[1] != "item 300"], rules_of(least=(2, 2)))) == 300


def test_the_core_is_worked_out_before_users_are_cut_to_their_newest() -> None:
    events = [(f"user {user}", f"item {item}", START + item, CLICK) for user in range(3) for item in range(4)]
    assert choose(events, rules_of(least=(4, 3), most=2)) == {f"user {user}": ["item 3", "item 2"] for user in range(3)}


def test_a_pair_counts_once_at_its_last_time() -> None:
    events = [
        ("user", "item a", START, CLICK),
        ("user", "item b", START + 1, CLICK),
        ("user", "item a", START + 2, CLICK),
        ("user", "item b", START + 3, VIEW),
    ]
    assert choose(events, rules_of()) == {"user": ["item a", "item b"]}
    assert choose(events, rules_of(least=(3, 1))) == {}


def test_items_of_one_time_are_in_the_order_of_their_ids_and_the_lesser_are_kept() -> None:
    events = [(user, f"item {letter}", START, CLICK) for letter in "dbeac" for user in ("u", "v")]
    assert choose(events, rules_of(most=3)) == {user: ["item a", "item b", "item c"] for user in ("u", "v")}


def test_the_events_are_not_changed() -> None:
    table = code([("u", f"item {letter}", START, CLICK) for letter in "dbeac"])
    before = table.user.copy(), table.item.copy(), table.timestamp.copy()
    choose_positives(table, first=0, rules=rules_of(least=(2, 2), most=1))
    for one, other in zip(before, (table.user, table.item, table.timestamp), strict=True):
        assert (one == other).all()


@given(
    pairs=st.sets(st.tuples(st.integers(-7, 7), st.integers(-7, 7))),
    rules=st.builds(
        rules_of,
        types=st.just({CLICK}),
        least=st.tuples(st.integers(1, 5), st.integers(1, 5)),
        most=st.just(7),
    ),
)
def test_who_is_thin_is_found_by_taking_thin_users_and_items_out_till_none_is(
    pairs: set[tuple[int, int]], rules: SamplingRules
) -> None:
    user, item = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    left, before = set(pairs), -1
    while len(left) != before:
        before = len(left)
        of_user, of_item = Counter(pair[0] for pair in left), Counter(pair[1] for pair in left)
        left = {
            pair
            for pair in left
            if of_user[pair[0]] >= rules.min_interactions_per_user
            and of_item[pair[1]] >= rules.min_interactions_per_item
        }
    users, items, count = find_below_minimum(user, item, rules)
    assert count == len(left)
    assert {pair for pair in pairs if pair[0] not in users and pair[1] not in items} == left
    assert set(users) == {pair[0] for pair in pairs} - {pair[0] for pair in left}
    assert set(items) == {pair[1] for pair in pairs} - {pair[1] for pair in left}


@given(events=events_of_worlds, rules=all_rules)
def test_the_largest_user_and_item_have_most_distinct_pairs(events: list[Event], rules: SamplingRules) -> None:
    table = code(events)
    rows = find_positives(table, int(np.searchsorted(table.timestamp, START)), rules)
    pairs = {(user, item) for user, item, at, kind in events if at >= START and kind in rules.positive_types}
    largest = [max(Counter(names).values(), default=0) for names in zip(*pairs, strict=True)] or [0, 0]
    assert list(count_largest(table.user[rows], table.item[rows]).values()) == largest
