"""Every rule, broken on purpose: the outcome names it and counts the rows, and holds no value. All real."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from gata_assets.tables.outcomes import broken
from gata_assets.tickets.checks import (
    check_counts_add_up,
    check_label_shares,
    check_no_text_in_two_splits,
    check_no_ticket_in_two_splits,
    check_table,
    check_test_share,
    check_window_of_valid_tickets,
    count_sides,
)
from gata_assets.tickets.low_volume import count_labels
from gata_assets.tickets.schema import TrainingRows, tickets_schema
from gata_assets.tickets.splitting.splits import Split, split_by_text
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.scenario import TRAINING_WINDOW, tickets_frame

SECRET = canary("a text")

GOOD = tickets_frame([(n % 3, f"good {n}") for n in range(60)])


def changed(column: str, value: Any, rows: int = 2) -> pd.DataFrame:
    """Good tickets, the first of which have another value in a column."""
    frame = GOOD.copy()
    frame.loc[: rows - 1, column] = value
    return frame


@pytest.mark.parametrize(
    ("tickets", "rule", "failed"),
    [
        (changed("label", pd.NA), "label not_nullable", 2),
        (changed("text", pd.NA), "text not_nullable", 2),
        (changed("label", -1), "label greater_than_or_equal_to(0)", 2),
        (changed("text", SECRET.upper()), "text str_matches", 2),
        (changed("text", ""), "text str_matches", 2),
        (changed("text", "umlaut ä"), "text str_matches", 2),
        (changed("text", "one line\nanother line;"), "text str_matches", 2),
        (changed("id", 7), "id field_uniqueness", 3),
        (changed("closed", TRAINING_WINDOW.end), "closed closed_inside_the_window", 2),
        (changed("closed", TRAINING_WINDOW.start - 1), "closed closed_inside_the_window", 2),
        (changed("closed", pd.NA), "closed not_nullable", 2),
        (GOOD.drop(columns="label"), "column_in_dataframe", 1),
        (GOOD.assign(extra=1), "column_in_schema", 1),
        (GOOD.astype({"label": "float64"}), "label dtype", 1),
    ],
)
def test_a_broken_rule_is_named_and_its_rows_counted(tickets: pd.DataFrame, rule: str, failed: int) -> None:
    outcomes = check_table(tickets_schema(TRAINING_WINDOW), tickets)
    assert [outcome.failed for outcome in outcomes if rule in outcome.rule] == [failed]
    assert all(outcome.checked == 60 and outcome.advice for outcome in outcomes)
    assert SECRET not in str(outcomes).lower()


def test_good_tickets_break_no_rule() -> None:
    [outcome] = check_table(tickets_schema(TRAINING_WINDOW), GOOD)
    assert (outcome.rule, outcome.failed, outcome.checked) == ("every rule of tickets", 0, 60)
    assert check_window_of_valid_tickets(GOOD, TRAINING_WINDOW)[0] == outcome


def test_a_window_of_two_parts_holds_both_and_nothing_between() -> None:
    from gata_assets_tests.support.scenario import OLDER_WINDOW

    both = pd.concat([GOOD, changed("closed", OLDER_WINDOW.start).assign(id=GOOD["id"] + 100)], ignore_index=True)
    assert broken(check_table(tickets_schema(TRAINING_WINDOW, OLDER_WINDOW), both)) == []
    assert check_table(tickets_schema(TRAINING_WINDOW), both)[0].failed == 2


def test_training_rows_need_text_and_label() -> None:
    rows = GOOD[["text", "label"]]
    assert broken(check_table(TrainingRows.to_schema(), rows)) == []
    assert check_table(TrainingRows.to_schema(), rows.assign(label=rows["label"].mask(rows.index < 3)))[0].failed == 3


def test_counts_that_do_not_add_up_are_seen() -> None:
    counts = count_labels(GOOD, low_volume_threshold=0.1)
    counts.loc[0, "count"] += 5
    counts.loc[0, "share"] += 0.1
    assert [outcome.failed for outcome in broken(check_counts_add_up(counts, GOOD))] == [5, 1]


SPLIT = split_by_text(GOOD, seed=1)


def moved(rows: int) -> Split:
    """A split from whose train so many rows were put into test."""
    return Split(SPLIT.train.iloc[rows:], pd.concat([SPLIT.test, SPLIT.train.iloc[:rows]], ignore_index=True))


def test_a_ticket_on_both_sides_is_seen() -> None:
    both = Split(SPLIT.train, pd.concat([SPLIT.test, SPLIT.train.iloc[:2]], ignore_index=True))
    assert [outcome.failed for outcome in broken(check_no_ticket_in_two_splits(both, 60))] == [2, 2]


def test_a_ticket_that_was_lost_is_seen() -> None:
    assert [outcome.failed for outcome in broken(check_no_ticket_in_two_splits(SPLIT, 63))] == [3]


def test_a_text_on_both_sides_is_seen() -> None:
    leaky = Split(SPLIT.train, SPLIT.test.assign(text=SPLIT.train["text"].iloc[: len(SPLIT.test)].to_numpy()))
    assert [outcome.failed for outcome in broken(check_no_text_in_two_splits(leaky))] == [len(SPLIT.test)]


def test_a_label_that_is_missing_on_one_side_is_seen() -> None:
    without = Split(SPLIT.train, SPLIT.test[SPLIT.test["label"] != 1])
    assert "every label is on both sides" in [
        outcome.rule for outcome in broken(check_label_shares(count_sides(without)))
    ]


def test_a_label_off_its_quota_is_seen() -> None:
    assert "every label's test rows are at its quota" in [
        o.rule for o in broken(check_label_shares(count_sides(moved(12))))
    ]


def test_a_test_share_that_is_not_the_one_asked_for_is_seen() -> None:
    assert broken(check_test_share(count_sides(SPLIT))) == []
    assert [outcome.rule for outcome in broken(check_test_share(count_sides(moved(12))))] == [
        "test rows are TEST_SHARE of all"
    ]
