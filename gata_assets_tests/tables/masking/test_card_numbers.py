"""Card numbers in texts are truncated to their last four digits, and little else is.

All real, nothing is faked. Card numbers and look-alikes are those of `card_corpus`, which shares nothing with the code.
"""

from __future__ import annotations

import random
import sys
import unicodedata
from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gata_assets.tables.masking.card_numbers import last_four, truncate_card_numbers, truncate_in_text
from gata_assets.tables.masking.issuers import card_lengths
from gata_assets_tests.tables.masking.card_corpus import (
    APART,
    BESIDE,
    NETWORKS,
    SEPARATORS,
    Planted,
    card_number,
    check_digit,
    corpus,
    is_card,
    written,
)

VISA = "4111 1111 1111 1111"
# Pieces that make and break numbers, escapes and masks.
PIECES = (
    *(*"0123456789４٤*#x", " ", "-", "\n", "\\", "%", "&", ";", "\\u", "\\uff14", "\\u00a0", "\\u0034", "\\n", "%20"),
    *("%E2%80%8B", "&nbsp;", "&#52;", "&#160;", "&#", "\u200b", "\u00a0", "4111", "1111", "5018", "6011", "12/27"),
    *(
        "411111111111111",
        "ten",
        "\\ud835\\udfd2",
        "\\\\u2003",
        "²",
        "⑤",
        VISA,
        "378282246310005",
        "3056 930902 5904",
        "****",
    ),
)
texts = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def digits_of(text: str) -> str:
    return "".join(str(unicodedata.digit(one)) for one in text if unicodedata.digit(one, None) is not None)


def missed(planted: list[Planted]) -> list[str]:
    """Notations of numbers of which the texts still have more than the last four digits, or not those."""
    found, _ = truncate_card_numbers(pl.Series([one.text for one in planted]))
    return [
        f"{one.network}: {one.text!r} became {text!r}"
        for one, text in zip(planted, found.to_list(), strict=True)
        if one.text.replace(one.number, shown(one.number)) != text and "\\" not in one.text
    ]


def shown(number: str) -> str:
    """A number with asterisks, except for its last four digits."""
    places = [place for place, one in enumerate(number) if unicodedata.digit(one, None) is not None]
    hidden = set(places[:-4])
    return "".join("*" if place in hidden else one for place, one in enumerate(number))


def test_no_card_number_of_any_network_length_and_notation_is_missed() -> None:
    assert missed(corpus(1, 12, APART)) == []


def test_no_card_number_in_escaped_json_is_missed() -> None:
    for one in corpus(2, 6, APART[4:7]):
        assert truncate_in_text(one.text).count("*") >= len(one.digits) - 4, one.text


def test_no_card_number_beside_other_numbers_is_missed() -> None:
    for one in corpus(3, 6, BESIDE):
        found = truncate_in_text(one.text)
        before = one.text.index(one.number)
        number = found[before : before + len(one.number)]
        assert len(digits_of(number)) <= 4, f"{one.text!r} became {found!r}"


def test_a_column_is_searched_for_the_first_digits_of_every_issuer() -> None:
    starts = [
        f"{prefix:04d}".ljust(length - 1, "7")
        for prefix, lengths in enumerate(card_lengths())
        for length in lengths[:: max(1, len(lengths) - 1)]
    ]
    numbers = pl.Series([start + check_digit(start) for start in starts])
    assert truncate_card_numbers(numbers)[1] == len(numbers) > 5_000
    assert truncate_card_numbers("#1" + numbers.str.replace(r"(.)(.)", "$1\\u2003$2"))[1] == 0
    assert truncate_card_numbers("№ " + numbers.str.replace(r"(.)(.)", "$1\\u2003$2"))[1] == len(numbers)


@pytest.mark.soak
def test_no_card_number_of_a_large_corpus_is_missed() -> None:
    assert missed(corpus(4, 2_000, APART)) == []


@pytest.mark.parametrize("separator", SEPARATORS)
def test_any_separator_may_be_between_all_digits(separator: str) -> None:
    number = separator.join("4111111111111111")
    assert truncate_in_text(number) == separator.join("************1111")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("card4111111111111111", "card************1111"),
        (f"2026-01-02 {VISA} 12/27", "2026-01-02 **** **** **** 1111 12/27"),
        (f"{VISA}, 5555-5555-5555-4444", "**** **** **** 1111, ****-****-****-4444"),
        ("3782 822463 10005", "**** ****** *0005"),
        ("4111&nbsp;1111&#8203;1111%E2%80%8B1111", "****&nbsp;****&#8203;****%E2%80%8B1111"),
        (r"\uff14111\u00a01111 1111\u200b1111", r"****\u00a0**** ****\u200b1111"),
        (r"\ud835\udfd2111\n1111\t1111 1111", r"****\n****\t**** 1111"),
        ("5%4111111111111111", "5%************1111"),
        ("%094111111111111111%0A", "%09************1111%0A"),
        ("4️⃣111 1111 1111 1111", "*️⃣*** **** **** 1111"),
        ("**4111111111111111**", "**************1111**"),
        # Of two that share digits the one in usual groups keeps its last four; all 16 are one of Diners Club too.
        ("7 3056 930902 5904 18", "7 **** ****** 5904 **"),
        # The last four digits and those that follow would be one more.
        ("4000000000000010 1911111111 5", None),
    ],
)
def test_a_notation_keeps_all_but_the_hidden_digits(text: str, found: str | None) -> None:
    if found is not None:
        assert truncate_in_text(text) == found
    assert truncate_in_text(truncate_in_text(text)) == truncate_in_text(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "4111 1111 1111 1112", "4111 1111 1111", "7111111111111111", "41111111111111111111"),
        *("0004111111111111111", "4111 1111 x 1111 1111", "4111 1111 * 1111 1111", "2026-01-02T03:04:05.123456Z"),
    ],
)
def test_what_is_no_card_number_stays(text: str) -> None:
    assert truncate_in_text(text) == text


@given(texts)
def test_a_truncated_text_stays_as_it_is(text: str) -> None:
    found = truncate_in_text(text)
    assert truncate_in_text(found) == found


@given(st.lists(texts | st.none(), max_size=4))
@example(["0\\u00a04111 1111 1111 1111"])
@example(["0%094111 1111 1111 1111"])
def test_a_column_is_truncated_like_each_of_its_texts(some: list[str | None]) -> None:
    column = pl.Series("note", some, pl.String)
    before = column.to_list()
    found, count = truncate_card_numbers(column)
    assert found.to_list() == [text if text is None else truncate_in_text(text) for text in before]
    assert column.to_list() == before and found.name == "note" and (count > 0) == (found.to_list() != before)


def _planted(rng: random.Random) -> tuple[str, list[str], str]:
    """What is before, in and after a number: other numbers beside it, with any separators."""
    around = ["".join(rng.choice([*"0123456789", *SEPARATORS[:3], *SEPARATORS[:3]]) for _ in range(20)) for _ in "ab"]
    number = written(rng, card_number(rng, rng.choice(list(NETWORKS))))
    return f"{around[0]}{rng.choice(SEPARATORS[:6])}", number, f"{rng.choice(SEPARATORS[:6])}{around[1]}"


@given(st.integers(0, 2**32))
@settings(max_examples=400)
def test_at_most_four_digits_of_a_number_survive_beside_any_others(seed: int) -> None:
    before, number, after = _planted(random.Random(seed))
    text = before + "".join(number) + after
    found = truncate_in_text(text)
    assert len(digits_of(found)) >= 4
    places = [len(before) + len("".join(number[: place + 1])) - 1 for place in range(len(number))]
    # Where asterisks keep numbers apart, places are shifted by them.
    kept = found if len(found) == len(text) else _without_apart(text, found)
    assert sum(kept[place] != "*" for place in places) <= 4
    assert not [card for card in _cards(found) if is_card(card)], found
    assert truncate_in_text(found) == found


def _without_apart(text: str, found: str) -> str:
    """A truncated text without the asterisks after its last digits."""
    kept, place = "", 0
    for one in text:
        if found[place] == "*" and unicodedata.digit(one, None) is None and one != "*":
            place += 1
        kept += found[place]
        place += 1
    return kept


def _cards(text: str) -> list[str]:
    """All numbers of 12 to 19 digits that begin and end where digits of a text do."""
    separators = set("".join(SEPARATORS))
    found, run = [], ""
    for one in [*text, "x"]:
        if unicodedata.digit(one, None) is not None:
            run += str(unicodedata.digit(one))
        elif one in separators:
            run += " "
        else:
            groups = run.split()
            for first in range(len(groups)):
                for last in range(first + 1, len(groups) + 1):
                    number = "".join(groups[first:last])
                    if 12 <= len(number) <= 19:
                        found.append(number)
            run = ""
    return found


@given(st.lists(st.sampled_from([*"0123456789 -.ab,\n"]), max_size=60).map("".join))
@example(f"{VISA} 12")
def test_only_digits_change_and_only_into_asterisks(text: str) -> None:
    found = truncate_in_text(text)
    if len(found) == len(text):
        assert all(new in (old, "*") and (new == old or old.isdigit()) for old, new in zip(text, found, strict=True))
    else:
        assert len(found) > len(text) and found.count("*") > len(found) - len(text)


def test_digits_outside_of_card_numbers_stay() -> None:
    for one in corpus(5, 2, APART[2:4]):
        found = truncate_in_text(one.text)
        assert found.replace(shown(one.number), "") == one.text.replace(one.number, "")


@pytest.mark.parametrize(
    "piece",
    [
        "4",
        "4 ",
        "4111 1111 1111 1111 ",
        "411111111111111",
        "1" + " " * 99,
        "\\u00a0",
        "&#",
        "%20",
        "4\\u200b",
        "* 1",
        "\\\\",
    ],
)
def test_the_work_grows_with_the_length_of_a_text_alone(piece: str) -> None:
    small, large = (
        _calls(lambda size=size: truncate_in_text(piece * (size // len(piece)))) for size in (5_000, 20_000)
    )
    assert large <= 5 * small + 1_000


@pytest.mark.parametrize("piece", ["4", "\\", "&#1", "%2", "1" + " " * 9_999, "\\u00a", "\\\\n", "411111111111111 x"])
def test_a_long_text_is_read_once(piece: str) -> None:
    # Hours, if its length counted squared.
    assert truncate_in_text(piece * (400_000 // len(piece))).count("*") == 0


def _calls(work: Callable[[], object]) -> int:
    """How many calls a piece of work makes, of functions in Python and in C."""
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_empty_columns_and_nulls_stay() -> None:
    empty = pl.Series("note", [], pl.String)
    nulls = pl.Series("note", [None, VISA, None], pl.String)
    assert truncate_card_numbers(empty)[0].to_list() == [] and truncate_card_numbers(empty)[1] == 0
    assert truncate_card_numbers(nulls)[0].to_list() == [None, "**** **** **** 1111", None]


def test_of_a_column_of_card_numbers_valid_or_not_the_last_four_digits_stay() -> None:
    numbers = pl.Series(
        "card", [VISA, "4111-1111-1111-1112", None, "", "1234", "n/a", "４１１１１１１１１１１１１１１１"]
    )
    found = last_four(numbers)
    four = "*" * 12
    assert found.to_list() == [f"{four}1111", f"{four}1112", None, "***", "***", "***", f"{four}１１１１"]
    assert last_four(found).to_list() == found.to_list() and found.name == "card"
