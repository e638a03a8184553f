"""Counting, the decision for a low-volume dataset, the two policies and the low-volume selection. All real."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.errors import DataRuleError
from gata_assets.tables.outcomes import broken
from gata_assets.tickets.checks import check_counts_add_up, check_table
from gata_assets.tickets.low_volume import (
    GeneralTickets,
    LowVolumeDecision,
    apply_low_volume_policy,
    count_labels,
    decide_low_volume,
    select_low_volume_tickets,
)
from gata_assets.tickets.rules import LowVolumePolicy
from gata_assets.tickets.schema import LabelCounts
from gata_assets_tests.support.scenario import FALLBACK_LABEL, OLDER_WINDOW, RULES, tickets_frame

some_labels = st.lists(st.integers(0, 9), min_size=1, max_size=100)


def frame_of(counts: dict[int, int], window: object = None) -> pd.DataFrame:
    """Tickets with so many distinct texts a label."""
    rows = [(label, f"text {label} {n}") for label, count in counts.items() for n in range(count)]
    return tickets_frame(rows, OLDER_WINDOW) if window is OLDER_WINDOW else tickets_frame(rows)


@given(labels=some_labels, threshold=st.floats(0.01, 0.99))
def test_counts_sum_to_the_tickets_and_keep_their_schema(labels: list[int], threshold: float) -> None:
    tickets = tickets_frame([(label, "x") for label in labels])
    counts = count_labels(tickets, low_volume_threshold=threshold)
    assert broken([*check_counts_add_up(counts, tickets), *check_table(LabelCounts.to_schema(), counts)]) == []
    assert dict(zip(counts["label"], counts["count"], strict=True)) == {n: labels.count(n) for n in set(labels)}
    assert list(counts["is_low_volume"]) == [share < threshold for share in counts["share"]]


def test_the_threshold_itself_is_not_low_volume() -> None:
    counts = count_labels(frame_of({1: 90, 2: 10}), low_volume_threshold=0.1)
    assert not counts["is_low_volume"].any()


@pytest.mark.parametrize(
    ("counts", "is_needed"),
    [({1: 300, 2: 10, 3: 10}, True), ({1: 300, 2: 10, 3: 9}, False), ({1: 300, 2: 100}, False), ({1: 50}, False)],
)
def test_two_low_volume_labels_with_enough_tickets_make_a_dataset(counts: dict[int, int], is_needed: bool) -> None:
    table = count_labels(frame_of(counts), low_volume_threshold=0.1)
    assert decide_low_volume(table, min_count=10).is_needed is is_needed


def test_labels_below_the_count_are_low_volume_labels_too() -> None:
    table = count_labels(frame_of({1: 300, 2: 10, 3: 10, 4: 2}), low_volume_threshold=0.1)
    assert decide_low_volume(table, min_count=10).low_volume_labels == (2, 3, 4)


MADE = LowVolumeDecision(is_needed=True, reason="", low_volume_labels=(2, 3))
NOT_MADE = replace(MADE, is_needed=False)


def apply_policy(tickets: pd.DataFrame, decision: LowVolumeDecision, policy: LowVolumePolicy) -> GeneralTickets:
    rules = replace(RULES, low_volume_policy=policy)
    return apply_low_volume_policy(tickets, decision, rules, fallback_label=FALLBACK_LABEL)


@pytest.mark.parametrize(
    ("policy", "decision", "expected"),
    [
        (LowVolumePolicy.DOCUMENTED, MADE, {1: 5, 4: 5, FALLBACK_LABEL: 4}),
        (LowVolumePolicy.DOCUMENTED, NOT_MADE, {1: 5, 4: 5}),
        (LowVolumePolicy.ROUTER, MADE, {1: 5, 4: 5, 0: 4}),
        (LowVolumePolicy.ROUTER, NOT_MADE, {1: 5, 4: 5, FALLBACK_LABEL: 4}),
    ],
)
def test_low_volume_tickets_become_what_the_policy_says(
    policy: LowVolumePolicy, decision: LowVolumeDecision, expected: dict[int, int]
) -> None:
    tickets = frame_of({1: 5, 2: 3, 3: 1, 4: 5})
    general = apply_policy(tickets, decision, policy)
    assert general.tickets["label"].value_counts().to_dict() == expected
    assert general.relabeled + general.removed == 4
    assert general.removed == len(tickets) - len(general.tickets)


@given(labels=some_labels, policy=st.sampled_from(LowVolumePolicy), is_needed=st.booleans())
def test_relabelling_touches_labels_only_and_only_of_low_volume_tickets(
    labels: list[int], policy: LowVolumePolicy, is_needed: bool
) -> None:
    tickets = tickets_frame([(label, f"t{n}") for n, label in enumerate([*labels, 7, 8])])
    before = tickets.copy(deep=True)
    decision = replace(MADE, is_needed=is_needed)
    general = apply_policy(tickets, decision, policy).tickets
    pd.testing.assert_frame_equal(tickets, before)
    kept = tickets.set_index("id").loc[general["id"]]
    assert list(kept["text"]) == list(general["text"])
    is_low = kept["label"].isin([2, 3]).to_numpy()
    assert list(kept["label"][~is_low]) == list(general["label"][~is_low])


def test_a_general_dataset_of_one_label_is_refused() -> None:
    with pytest.raises(DataRuleError, match=r"1 label left.* LOW_VOLUME_THRESHOLD=0\.1: lower it"):
        apply_policy(frame_of({1: 5, 2: 3}), NOT_MADE, RULES.low_volume_policy)


def test_the_low_volume_dataset_has_the_training_windows_own_tickets_and_the_older_ones() -> None:
    training, older = frame_of({1: 50, 2: 8, 3: 10}), frame_of({2: 4, 3: 1, 9: 30}, OLDER_WINDOW)
    older["id"] += 1_000
    selected = select_low_volume_tickets(training, older, MADE, min_count=10)
    assert selected.tickets["label"].value_counts().to_dict() == {2: 12, 3: 11}
    assert (selected.other_labels, selected.read_twice, selected.below_min_count) == (80, 0, 0)
    assert selected.tickets["closed"].is_monotonic_increasing


def test_labels_with_fewer_than_the_count_in_all_are_dropped() -> None:
    older = frame_of({2: 1}, OLDER_WINDOW)
    older["id"] += 1_000
    selected = select_low_volume_tickets(frame_of({1: 50, 2: 8, 3: 10}), older, MADE, min_count=10)
    assert set(selected.tickets["label"]) == {3}
    assert (selected.other_labels, selected.below_min_count) == (50, 9)


def test_a_ticket_that_both_reads_saw_counts_once() -> None:
    training = frame_of({2: 10, 3: 10})
    older = training.iloc[:3].assign(closed=OLDER_WINDOW.start)
    selected = select_low_volume_tickets(training, older, MADE, min_count=10)
    assert sorted(selected.tickets["id"]) == list(range(1, 21))
    assert OLDER_WINDOW.start not in set(selected.tickets["closed"])
    assert selected.read_twice == 3


def test_nothing_is_selected_without_a_low_volume_dataset() -> None:
    selected = select_low_volume_tickets(frame_of({2: 20, 3: 20}), frame_of({}), NOT_MADE, min_count=10)
    assert selected.tickets.empty and selected.other_labels == 40
    assert list(selected.tickets.columns) == ["id", "closed", "label", "text"]
