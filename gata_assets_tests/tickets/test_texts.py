"""White space in texts, and tickets that cannot train.

All real, nothing is faked; Python's own split() is the oracle.
"""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.tables.outcomes import broken
from gata_assets.ticket_contract.accounting import TextCounts, TicketAccount
from gata_assets.tickets.checks import check_table
from gata_assets.tickets.invalid import RULES, find_invalid, list_invalid, valid_tickets
from gata_assets.tickets.schema import Tickets
from gata_assets.tickets.texts import TextEffects, check_few_are_emptied, single_spaced, with_normalized_texts
from gata_assets_tests.support.scenario import tickets_frame

WHITE_SPACE = "".join(chr(code) for code in range(0x110000) if chr(code).isspace())


def series(texts: list[str | None]) -> pd.Series[str]:
    return pd.Series(texts, dtype=pd.StringDtype("pyarrow"))


@given(texts=st.lists(st.none() | st.text(st.sampled_from(f"ab9.é😀{WHITE_SPACE}"), max_size=12), max_size=8))
def test_texts_have_single_spaces_whatever_white_space_they_had(texts: list[str | None]) -> None:
    found = single_spaced(series(texts))
    assert [None if pd.isna(text) else text for text in found] == [text and " ".join(text.split()) for text in texts]
    assert found.dtype == series(texts).dtype


def test_every_white_space_of_unicode_is_a_space() -> None:
    assert len(WHITE_SPACE) > 25
    assert set(single_spaced(series([f"a{space}b" for space in WHITE_SPACE]))) == {"a b"}


@pytest.mark.parametrize("text", ["a  b", " a b", "a b ", "a\tb"])
def test_a_plain_text_with_one_fault_is_seen_beside_texts_without_any(text: str) -> None:
    assert list(single_spaced(series(["x y", text, "z"]))) == ["x y", "a b", "z"]


@pytest.mark.parametrize(
    ("label", "text", "rules"),
    [
        (101, "fine. really?! 9", []),
        (None, "fine", ["no_label"]),
        (-1, "fine", ["negative_label"]),
        (101, None, ["no_text"]),
        (101, "Fine", ["invalid_characters"]),
        (101, "gr\u00fc\u00dfe", ["invalid_characters"]),
        (101, "zero\u200bwidth", ["invalid_characters"]),
        (101, "?! .", ["no_letter_or_digit"]),
        (101, "", ["no_letter_or_digit"]),
        (101, "\u2003\n\t ", ["no_letter_or_digit"]),
        (None, "...", ["no_label", "no_letter_or_digit"]),
        (-7, "NO", ["negative_label", "invalid_characters"]),
    ],
)
def test_what_is_wrong_with_a_ticket_is_listed_and_the_checks_agree(
    label: int | None, text: str | None, rules: list[str]
) -> None:
    table = tickets_frame([(102, "valid"), (label, text)])  # type: ignore[list-item]
    table = table.assign(text=single_spaced(table["text"]))
    listed = list_invalid(table)
    assert [(one.id, one.rule, one.column) for one in listed] == [(2, rule, RULES[rule]) for rule in rules]
    found = find_invalid(table)
    assert list(found.rows) == [False, bool(rules)]
    assert found.by_reason() == ({rules[0]: 1} if rules else {})
    assert bool(broken(check_table(Tickets.to_schema(), table))) == bool(rules)
    quarantined = found.quarantine(table)
    assert [list(row) for row in quarantined["rules"]] == ([rules] if rules else [])
    assert broken(check_table(Tickets.to_schema(), table[~found.rows])) == []


@pytest.mark.parametrize(
    ("text", "normalized", "is_changed", "lost", "is_emptied"),
    [
        ("fine", "fine", False, 0, False),
        ("Fine", "fine", True, 0, False),
        ("\u0416 fine", "fine", True, 1, False),
        ("\u0416", "", True, 1, True),
        ("> Fine", "", True, 0, True),
        ("\U0001f600?!", "?!", True, 0, True),
        ("?!", "?!", False, 0, False),
        (" ", "", True, 0, False),
        ("", "", False, 0, False),
        (None, None, False, 0, False),
    ],
)
def test_what_normalization_does_to_a_text_is_kept_beside_it(
    text: str | None, normalized: str | None, is_changed: bool, lost: int, is_emptied: bool
) -> None:
    tickets = with_normalized_texts(tickets_frame([(101, "Other"), (101, text)]))  # type: ignore[list-item]
    assert [None if pd.isna(found) else found for found in tickets["text"]] == ["other", normalized]
    assert tickets["text"].dtype == series([]).dtype
    effects = TextEffects.of(tickets)
    assert effects is not None
    assert effects.counts() == TextCounts(1 + is_changed, lost, int(is_emptied))
    assert effects.cut(slice(1, 2)).counts() == TextCounts(int(is_changed), lost, int(is_emptied))
    # An emptied text breaks no rule; one that never had content does.
    rules = [one.rule for one in list_invalid(tickets)]
    assert rules == (["no_text"] if text is None else ["no_letter_or_digit"] if text in ("?!", " ", "") else [])
    assert len(valid_tickets(tickets)) == (1 if rules or is_emptied else 2)


def test_tickets_that_are_not_normalized_have_no_effects() -> None:
    assert TextEffects.of(tickets_frame([(101, "fine")])) is None


@pytest.mark.parametrize(("emptied", "failed"), [(0, 0), (10, 0), (11, 11)])
def test_a_greater_share_of_emptied_texts_fails_with_how_many_of_how_many(emptied: int, failed: int) -> None:
    account = TicketAccount(120, 100).normalized(TextCounts(50, 0, emptied))
    [outcome] = check_few_are_emptied(account, 100, most_share=0.1)
    assert (outcome.failed, outcome.checked) == (failed, 100)
    assert "MAX_EMPTIED_TEXTS_SHARE" in outcome.advice


def test_a_repeated_and_a_missing_id_are_listed() -> None:
    table = tickets_frame([(1, "a"), (1, "b"), (1, "c")])
    table["id"] = pd.array([5, 5, None], "Int64")
    assert [tuple(one) for one in list_invalid(table)] == [(1, 5, "id", "repeated_id"), (2, None, "id", "no_id")]
