"""White space in texts, and tickets that cannot train.

All real, nothing is faked; Python's own split() is the oracle.
"""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.tables.outcomes import broken
from gata_assets.tickets.checks import check_table
from gata_assets.tickets.invalid import RULES, find_invalid, list_invalid
from gata_assets.tickets.schema import Tickets
from gata_assets.tickets.texts import single_spaced
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


def test_a_repeated_and_a_missing_id_are_listed() -> None:
    table = tickets_frame([(1, "a"), (1, "b"), (1, "c")])
    table["id"] = pd.array([5, 5, None], "Int64")
    assert [tuple(one) for one in list_invalid(table)] == [(1, 5, "id", "repeated_id"), (2, None, "id", "no_id")]
