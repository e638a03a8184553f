"""The checks of training rows: they pass what is right, and each sees what it is there for.

Real: the checks, and the rows that the project makes. Rows with a fault are made by hand from these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from gata_assets.interactions.check_names import (
    NEGATIVES_COVER_THE_CATALOGUE,
    NEGATIVES_WERE_NEVER_INTERACTED,
    NO_NEGATIVE_TWICE,
    RATIO_IS_KEPT_OR_COUNTED_SHORT,
)
from gata_assets.interactions.rules import InteractionType, SamplingRules
from gata_assets.interactions.sampling.checks import check_samples, check_times
from gata_assets.interactions.sampling.coverage import check_coverage, measure_coverage
from gata_assets.interactions.sampling.evidence import (
    Evidence,
    count_evidence,
    expected_draws,
    gather_evidence,
    weigh_items,
)
from gata_assets.interactions.sampling.samples import RowColumns, SampledRows, sample_rows
from gata_assets.tables.columns.id_encoding import group_by
from gata_assets.tables.outcomes import broken
from gata_assets_tests.interactions.sampling.test_negatives import START, all_rules, catalogues, events_of_worlds
from gata_assets_tests.support.sampling_oracle import Event, available, code, rules_of

CLICK, VIEW = InteractionType.CLICK, InteractionType.VIEW
ITEMS = 400
CATALOGUE = [f"item {number:04}" for number in range(ITEMS)]


class World:
    """Users with Zipf-like clicks and views, their rows, and what the checks say of the rows or of others."""

    def __init__(self, rules: SamplingRules, users: int = 60, seed: int = 1) -> None:
        random = np.random.default_rng(seed)
        items = np.minimum(ITEMS - 1, random.zipf(1.3, (users, 30)) - 1)
        events: list[Event] = [
            (f"user {user:03}", CATALOGUE[item], START + at, CLICK if at % 3 else VIEW)
            for user in range(users)
            for at, item in enumerate(items[user])
        ]
        self.rules = rules
        self.events = code(events, CATALOGUE)
        self.is_available = available(self.events, CATALOGUE)
        self.rows = sample_rows(self.events, first=0, is_available=self.is_available, rules=rules)
        met = np.bincount(self.events.item, minlength=len(self.events.items))
        self.weights = weigh_items(met, self.is_available, rules)
        self.columns = self.rows.columns(0, len(self.rows.positives.users))

    def evidence(self, columns: RowColumns | None = None) -> Evidence:
        starts, seen = group_by(self.events.user, self.events.item, len(self.events.users))
        users = self.rows.positives.users
        return count_evidence(columns or self.columns, users, starts, seen, self.weights, self.rules.ratio)

    def failed(self, columns: RowColumns | None = None, *, shortfall: int | None = None) -> set[str]:
        reported = self.rows.numbers["shortfall"] if shortfall is None else shortfall
        outcomes = check_samples(self.evidence(columns), self.weights, reported_shortfall=reported)
        return {name for name, of_check in outcomes.items() if broken(of_check)}

    def negatives(self) -> np.ndarray:
        """The rows that are negatives."""
        return np.flatnonzero(self.columns.label == 0)

    def with_item(self, row: int, item: int) -> RowColumns:
        """The rows, with another item in one of them."""
        items = self.columns.item.copy()
        items[row] = item
        return self.columns._replace(item=items)


def evidence_of(rows: SampledRows, events: list[Event], catalogue: list[str], rules: SamplingRules) -> Evidence:
    table = code(events, catalogue)
    first = int(np.searchsorted(table.timestamp, START))
    weights = weigh_items(
        np.bincount(table.item[first:], minlength=len(table.items)), available(table, catalogue), rules
    )
    return gather_evidence(table, rows, weights, rules.ratio, threads=2)


@given(events=events_of_worlds, catalogue=catalogues, rules=all_rules)
def test_rows_that_are_right_pass_every_check(events: list[Event], catalogue: list[str], rules: SamplingRules) -> None:
    table = code(events, catalogue)
    first = int(np.searchsorted(table.timestamp, START))
    is_available = available(table, catalogue)
    rows = sample_rows(table, first=first, is_available=is_available, rules=rules)
    evidence = evidence_of(rows, events, catalogue, rules)
    weights = weigh_items(np.bincount(table.item[first:], minlength=len(table.items)), is_available, rules)
    outcomes = check_samples(evidence, weights, reported_shortfall=rows.numbers["shortfall"])
    assert [broken(of_check) for of_check in outcomes.values()] == [[]] * 4
    assert (evidence.positives, evidence.negatives) == (len(rows.positives.items), len(rows.negatives.places))
    assert expected_draws(evidence, weights).sum() == pytest.approx(evidence.drawn.sum())


@given(events=events_of_worlds, catalogue=catalogues, rules=all_rules, cut=st.integers(0, 4))
def test_evidence_of_groups_of_users_adds_up(
    events: list[Event], catalogue: list[str], rules: SamplingRules, cut: int
) -> None:
    table = code(events, catalogue)
    is_available = available(table, catalogue)
    rows = sample_rows(table, first=0, is_available=is_available, rules=rules)
    weights = weigh_items(np.bincount(table.item, minlength=len(table.items)), is_available, rules)
    starts, seen = group_by(table.user, table.item, len(table.users))
    users = rows.positives.users
    ends = [0, min(cut, len(users)), len(users)]

    def between(first: int, last: int) -> Evidence:
        return count_evidence(rows.columns(first, last), users[first:last], starts, seen, weights, rules.ratio)

    parts, whole = between(ends[0], ends[1]) + between(ends[1], ends[2]), between(0, len(users))
    for name in ("users", "positives", "negatives", "shortfall"):
        assert getattr(parts, name) == getattr(whole, name)
    assert parts.drawn.tolist() == whole.drawn.tolist()
    assert expected_draws(parts, weights) == pytest.approx(expected_draws(whole, weights))


@pytest.mark.parametrize("power", [None, 0.75, 1.0])
def test_a_negative_that_was_met_is_seen_even_if_only_viewed(power: float | None) -> None:
    world = World(rules_of(power=power))
    row = int(world.negatives()[7])
    user = int(world.rows.positives.users[world.columns.user[row]])
    viewed = (world.events.user == user) & (world.events.type_code == VIEW.code)
    assert world.failed() == set()
    assert NEGATIVES_WERE_NEVER_INTERACTED in world.failed(world.with_item(row, int(world.events.item[viewed][0])))


def test_a_positive_that_nobody_met_is_seen() -> None:
    world = World(rules_of())
    assert NEGATIVES_WERE_NEVER_INTERACTED in world.failed(
        world.with_item(0, int(world.columns.item[world.negatives()[0]]))
    )


def test_a_negative_that_is_there_twice_is_seen() -> None:
    world = World(rules_of())
    one, other = world.negatives()[:2].tolist()
    assert world.failed(world.with_item(one, int(world.columns.item[other]))) == {NO_NEGATIVE_TWICE}


def test_a_missing_row_and_a_shortfall_that_is_not_reported_are_seen() -> None:
    world = World(rules_of())
    keep = np.arange(len(world.columns.user)) != world.negatives()[0]
    columns = world.columns
    fewer = RowColumns(columns.user[keep], columns.item[keep], columns.label[keep], columns.probability[keep])
    assert RATIO_IS_KEPT_OR_COUNTED_SHORT in world.failed(fewer)
    assert world.failed(shortfall=3) == {RATIO_IS_KEPT_OR_COUNTED_SHORT}


def test_a_user_whose_rows_are_apart_is_seen() -> None:
    world = World(rules_of())
    order = np.argsort(world.columns.label, kind="stable")
    columns = world.columns
    apart = RowColumns(columns.user[order], columns.item[order], columns.label[order], columns.probability[order])
    assert RATIO_IS_KEPT_OR_COUNTED_SHORT in world.failed(apart)


def test_a_row_after_those_of_the_last_user_is_seen() -> None:
    world = World(rules_of())
    columns = world.columns
    again = RowColumns(
        np.append(columns.user, columns.user[0]),
        np.append(columns.item, columns.item[0]),
        np.append(columns.label, columns.label[0]),
        np.append(columns.probability, columns.probability[0]),
    )
    assert world.failed(again) == {RATIO_IS_KEPT_OR_COUNTED_SHORT}


@pytest.mark.parametrize(("told", "off"), [(3, 3), (0, 0)])
def test_a_shortfall_is_off_by_what_it_is_reported_too_high_or_too_low(told: int, off: int) -> None:
    world = World(rules_of())
    _, counted = check_samples(world.evidence(), world.weights, reported_shortfall=told)[RATIO_IS_KEPT_OR_COUNTED_SHORT]
    assert counted.failed == off
    short = replace(world.evidence(), shortfall=5)
    _, counted = check_samples(short, world.weights, reported_shortfall=told)[RATIO_IS_KEPT_OR_COUNTED_SHORT]
    assert counted.failed == 5 - told


def test_a_wrong_probability_is_seen() -> None:
    world = World(rules_of(power=0.75))
    probability = world.columns.probability.copy()
    probability[world.negatives()[0]] *= 1.001
    assert world.failed(world.columns._replace(probability=probability)) == {NEGATIVES_COVER_THE_CATALOGUE}


def redraw(world: World, choose: Callable[[np.ndarray, int, np.random.Generator], np.ndarray]) -> RowColumns:
    """The rows with negatives that another sampler chooses from what each user has not seen."""
    random, items = np.random.default_rng(5), world.columns.item.copy()
    for place, user in enumerate(world.rows.positives.users):
        unseen = np.setdiff1d(np.arange(ITEMS), world.events.item[world.events.user == user])
        rows = np.flatnonzero((world.columns.user == place) & (world.columns.label == 0))
        items[rows] = choose(unseen, len(rows), random)
    return world.columns._replace(item=items)


def test_a_sampler_that_takes_most_from_the_lower_half_of_the_ids_is_seen() -> None:
    def lower(unseen: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
        half = len(unseen) // 2
        low = random.choice(unseen[:half], round(0.88 * count), replace=False)
        return np.concatenate([low, random.choice(unseen[half:], count - len(low), replace=False)])

    world = World(rules_of())
    assert world.failed(redraw(world, lower)) == {NEGATIVES_COVER_THE_CATALOGUE}


def test_a_sampler_that_sorts_what_it_draws_is_seen_where_much_is_drawn() -> None:
    world = World(rules_of(ratio=15))
    uniform = redraw(world, lambda unseen, count, random: random.choice(unseen, count, replace=False))
    assert world.failed(uniform) == set()
    cut = redraw(world, lambda unseen, count, random: unseen[:count])
    assert world.failed(cut) == {NEGATIVES_COVER_THE_CATALOGUE}


@pytest.mark.parametrize(("made", "claimed"), [(None, 0.75), (0.75, None), (0.5, 1.0)])
def test_draws_of_another_law_than_the_claimed_are_seen(made: float | None, claimed: float | None) -> None:
    world, other = World(rules_of(power=claimed), users=200), World(rules_of(power=made), users=200)
    columns = world.columns._replace(item=other.columns.item)
    outcomes = check_samples(world.evidence(columns), world.weights, reported_shortfall=0)
    assert broken(outcomes[NEGATIVES_COVER_THE_CATALOGUE][:1])


@pytest.mark.parametrize(
    ("power", "least", "most"), [(None, 0.8, 1.2), (0.75, 0.8, 1.2), (2.0, 0.8, 1.2), (4.0, 0.4, 1.2)]
)
def test_the_statistic_of_rows_that_are_right_is_that_of_chance(power: float | None, least: float, most: float) -> None:
    # Chi-square has its degrees of freedom as its mean: of 25 seeds with 20 parts each it is within 0.2 of that. At the
    # fourth power nearly all users draw the few heavy items, and what all draw has no chance in it: it is less.
    statistics, freedom = 0.0, 0
    for seed in range(25):
        world = World(rules_of(power=power, seed=seed), seed=seed)
        evidence = world.evidence()
        statistic, parts, _ = measure_coverage(evidence.drawn, expected_draws(evidence, world.weights))
        statistics, freedom = statistics + statistic, freedom + parts - 1
    assert freedom > 25 * 5
    assert least < statistics / freedom < 1.2


def test_the_alarm_is_as_seldom_as_is_said() -> None:
    # Of two parts the statistic is that of one degree of freedom, and 37.3 or more in one of 10^9.
    assert chi2.isf(1e-9, 1) == pytest.approx(37.3, abs=0.05)
    for off, is_alarm in ((136, False), (137, True)):
        outcome = check_coverage(np.array([1_000 + off, 1_000 - off]), np.array([1_000.0, 1_000.0]))
        assert (2 * off**2 / 1_000 > 37.3) == is_alarm
        assert outcome.failed == (off if is_alarm else 0)


@pytest.mark.parametrize("power", [4.0, 8.0])
def test_rows_that_are_right_pass_where_what_was_seen_has_all_but_the_last_digits_of_the_weight(power: float) -> None:
    crowd = [("crowd", CATALOGUE[0], START, VIEW)] * 3_000
    users = [(f"user {n:02}", CATALOGUE[item], START, CLICK) for n in range(40) for item in (0, n + 1)]
    rules = rules_of(power=power)
    table = code([*crowd, *users], CATALOGUE)
    is_available = available(table, CATALOGUE)
    rows = sample_rows(table, first=0, is_available=is_available, rules=rules)
    evidence = evidence_of(rows, [*crowd, *users], CATALOGUE, rules)
    weights = weigh_items(np.bincount(table.item, minlength=ITEMS), is_available, rules)
    assert weights.sum() - weights[0] < 1e-6 * weights[0]
    assert evidence.negatives == 40 * 2 * rules.ratio
    outcomes = check_samples(evidence, weights, reported_shortfall=0)
    assert [broken(of_check) for of_check in outcomes.values()] == [[]] * 4
    assert evidence.drawn.sum() == 0, "draws of less than a millionth of the weight are not tested"


def test_few_draws_are_not_tested() -> None:
    assert not broken([check_coverage(np.array([150, 0]), np.array([75.0, 75.0]))])
    assert broken([check_coverage(np.array([250, 0]), np.array([125.0, 125.0]))])
    assert not broken([check_coverage(np.zeros(0, dtype=np.int64), np.zeros(0))])


def test_interactions_and_items_of_after_the_batch_are_seen() -> None:
    world = World(rules_of())
    evidence = world.evidence()
    end = int(world.events.timestamp.max()) + 1
    assert not broken(check_times(world.events.timestamp, end, evidence))
    late, _ = check_times(world.events.timestamp, end - 1, evidence)
    assert late.failed == int((world.events.timestamp == end - 1).sum())
    world.weights[world.columns.item[world.negatives()[0]]] = 0
    _, items = check_times(world.events.timestamp, end, world.evidence())
    assert items.failed > 0
