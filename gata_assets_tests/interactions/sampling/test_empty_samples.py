"""Why there are no training rows: the reason by the numbers. All real, nothing is faked."""

from __future__ import annotations

import pytest

from gata_assets.interactions.rules import InteractionType
from gata_assets.interactions.sampling.empty_samples import (
    MOST_OF_A_USER,
    MOST_OF_AN_ITEM,
    why_no_negatives,
    why_no_rows,
)
from gata_assets_tests.support.sampling_oracle import rules_of

RULES = rules_of(types=[InteractionType.LIKE, InteractionType.CLICK], least=(5, 4))
NO_USER = "no user has MIN_INTERACTIONS_PER_USER (5) positives, the largest has"
NO_ITEM = "no item has MIN_INTERACTIONS_PER_ITEM (4) positives, the largest has"


@pytest.mark.parametrize(
    ("of_user", "of_item", "reasons"),
    [
        (3, 4, [f"{NO_USER} 3"]),
        (5, 3, [f"{NO_ITEM} 3"]),
        (4, 1, [f"{NO_USER} 4; {NO_ITEM} 1"]),
        (5, 4, ["no users with MIN_INTERACTIONS_PER_USER (5) and items with", "user has 5, the largest item 4"]),
    ],
)
def test_minimums_that_leave_nothing_are_named_with_the_largest(of_user: int, of_item: int, reasons: list[str]) -> None:
    numbers = {"left_out_by_minimum": 1234, MOST_OF_A_USER: of_user, MOST_OF_AN_ITEM: of_item}
    said = why_no_rows(numbers, RULES)
    assert said.startswith("0 training rows of 1,234 positives: ")
    assert [reason for reason in reasons if reason not in said] == []
    assert ("no user has" in said, "no item has" in said) == (of_user < 5, of_item < 4)


def test_without_positives_their_types_are_named() -> None:
    said = why_no_rows({"left_out_by_minimum": 0, MOST_OF_A_USER: 0, MOST_OF_AN_ITEM: 0}, RULES)
    assert "no interaction in the window is a positive, of POSITIVE_INTERACTION_TYPES (click, like)" in said


def test_positives_alone_are_explained_and_other_rows_are_not() -> None:
    assert "has met all 7 items" in why_no_negatives({"positives": 3, "negatives": 0, "candidates": 7})
    assert why_no_negatives({"positives": 3, "negatives": 1, "candidates": 7}) == ""
    assert why_no_negatives({"positives": 0, "negatives": 0, "candidates": 7}) == ""
