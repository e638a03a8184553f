"""Phone numbers in texts: hidden in international notation, whatever is around them, and nothing else is.

All real, the library included; nothing is faked. Numbers are the library's examples of each country.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import (
    SUPPORTED_REGIONS,
    PhoneNumberFormat,
    PhoneNumberType,
    example_number_for_type,
    format_number,
    is_valid_number,
)

from gata_assets.tables.masking.card_numbers import truncate_card_numbers
from gata_assets.tables.masking.contacts import hide_emails_in_text
from gata_assets.tables.masking.phones_in_text import hide_phones_in_text
from gata_assets_tests.tables.masking.card_corpus import DECOYS

PIECES = (
    *("+49 171 1234567", "0049 171 1234567", "+1 212-555-2368", "+49", "00", "0049", "+", "＋", "%2B", "(0)", "171"),
    *("1234567", "4111 1111 1111 1111", "+49 160 12345678", "jane@example.com", "jane@", "@b.co", "***", "*", " "),
    *("-", ".", ",", ":", "\n", "\\n", "a", "0", "7", "٣", "%20", "\u00a0"),
)


def mobile_numbers() -> list[str]:
    """A number of each country, in groups."""
    found = (example_number_for_type(region, PhoneNumberType.MOBILE) for region in sorted(SUPPORTED_REGIONS))
    return [format_number(one, PhoneNumberFormat.INTERNATIONAL) for one in found if one and is_valid_number(one)]


def hide(texts: list[str]) -> list[str]:
    return hide_phones_in_text(pl.Series(texts))[0].to_list()


def mask(texts: pl.Series) -> tuple[pl.Series, int]:
    """Texts masked as those of rows are, and how many values were."""
    found, cards = truncate_card_numbers(texts)
    found, phones = hide_phones_in_text(found)
    found, emails = hide_emails_in_text(found)
    return found, cards + phones + emails


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Call +49 171 1234567, please.", "Call ***, please."),
        ("+491711234567", "***"),
        ("(+49) 171 / 123-45-67;+1 (212) 555-2368", "(***;***"),
        ("+49 (0)171 1234567", "***"),
        ("＋４９ １７１ １２３４５６７ or +٤٩ ١٧١ ١٢٣٤٥٦٧", "*** or ***"),
        ("0049 171 1234567/00491711234567", "***/***"),
        ("Tel.0049 171 1234567 tel:0049 171 1234567", "Tel.*** tel:***"),
        ("%2B49%20171%201234567 &#43;49&nbsp;171&nbsp;1234567", "*** ***"),
        ('{"phone": "\\u002b49\\u00a0171\\u00a01234567"}', '{"phone": "***"}'),
        (r"x\n0049 171 1234567\n", r"x\n***\n"),
        ("+49 171 1234567 2026-01-02 10:30", "*** 2026-01-02 10:30"),
        ("12.50 +1 212-555-2368 3", "12.50 *** 3"),
        ("tel+12125552368x5", "tel***x5"),
        ("+49 171 1234567\n17 items", "***\n17 items"),
        ("+999 0049 171 1234567", "+999 ***"),
        # Without its last group it is a valid number too.
        ("+49 30 123456 78", "***"),
        *((text, text) for text in ("+49 (0)30 123456789012345", "+999 1234567, 10:00 49 171 1234567")),
        *((text, text) for text in ("", "+", "***", "+49", "0171 1234567", "2026-01-02T00:00:00+00:00 12345678")),
        *((text, text) for text in ("o-0000123", "100.00 4917 1123 4567", "10:00 49 171 1234567", "a0049171123456")),
        *((text, text) for text in ("+999 1234567", "+4917112345678901234", "1,000,000.00", "12+34", "+1.5 %")),
    ],
)
def test_phone_numbers_in_a_text_are_hidden(text: str, found: str) -> None:
    hidden, count = hide_phones_in_text(pl.Series("note", [None, text]))
    assert hidden.to_list() == [None, found] and hidden.name == "note"
    assert count == found.count("***") - text.count("***")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # Phone numbers that were truncated as card numbers, and a card number.
        ("+** *** ****5678 +*********5678", "*** ***"),
        ("+**** **** **** 1111", "+**** **** **** 1111"),
        ("**** **** **** 0049 171 1234567", "**** **** **** 0049 171 1234567"),
        ("**0049 171 1234567** *** 0049 171 1234567", "******* *** ***"),
    ],
)
def test_asterisks_before_a_number_may_be_of_a_card_number(text: str, found: str) -> None:
    assert hide([text]) == [found]


@pytest.mark.parametrize("text", ["1. {}, now", "{} 12.50 EUR", "{} 2026-01-02", "a{}b"])
def test_numbers_of_each_country_are_found_in_each_notation(text: str) -> None:
    numbers = mobile_numbers()
    assert len(numbers) > 200
    for separator in (" ", "", "-"):
        texts = [text.format(number.replace(" ", separator)) for number in numbers]
        left = [found for number, found in zip(numbers, hide(texts), strict=True) if number[-4:] in found]
        assert left == []


def test_numbers_with_two_zeros_are_found() -> None:
    numbers = [f"tel: 00{number[1:]}, thanks" for number in mobile_numbers()]
    assert {*hide(numbers)} == {"tel: ***, thanks"}


# By kind, how many may be taken for phone numbers: two zeros and the digits of a valid number are one.
TAKEN_FOR_PHONE_NUMBERS = {"phone number": 1.0, "two phone numbers": 1.0, "IBAN in fours": 0.01}
TAKEN_FOR_PHONE_NUMBERS |= {
    "random id of 16 digits in fours": 0.01,
    "padded order number": 0.03,
    "amount": 0.06,
    "sum": 0.01,
}
LOOK_ALIKES: dict[str, Callable[[random.Random], str]] = {
    **DECOYS,
    "padded order number": lambda rng: f"order 00{rng.randrange(10**8):08d}",
    "amount": lambda rng: f"+{rng.randrange(10**7)}.{rng.randrange(100):02d} EUR",
    "amount without a sign": lambda rng: f"{rng.randrange(10**9):,}.00 EUR, {rng.randrange(10**7)}.00",
    "instant and order number": lambda rng: f"2026-01-02 10:{rng.randrange(60):02d}:00 {rng.randrange(10**10):010d}",
    "sum": lambda rng: f"{rng.randrange(10**7)}+{rng.randrange(10**7)}",
    "Base64": lambda rng: "".join(rng.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789+/", k=200)),
}


@pytest.mark.parametrize("kind", LOOK_ALIKES)
def test_few_look_alikes_are_hidden(kind: str) -> None:
    rng = random.Random(8)
    texts = [LOOK_ALIKES[kind](rng) for _ in range(1_000)]
    taken = sum(found != text for text, found in zip(texts, hide(texts), strict=True))
    assert taken / len(texts) <= TAKEN_FOR_PHONE_NUMBERS.get(kind, 0)


@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
@example("+49 160 12345678 4111 1111 1111 0049 171 1234567")
@example("+491711234567@b.co0049 171 1234567")
def test_masked_texts_stay_as_they_are(text: str) -> None:
    found, _ = mask(pl.Series([text]))
    again, count = mask(found)
    assert again.to_list() == found.to_list() and count == 0


@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_no_truncated_card_number_loses_its_last_digits(text: str) -> None:
    found, _ = hide_phones_in_text(pl.Series([f"{text}a **** **** **** 0049 171 1234567"]))
    assert found[0].endswith("a **** **** **** 0049 171 1234567")


@pytest.mark.parametrize("piece", ["+", "+4 ", "00", "00 ", "+1" + " " * 10_000, "+123456 ", "+* "])
def test_a_long_text_takes_no_long_time(piece: str) -> None:
    text = (piece * (400_000 // len(piece)))[:400_000]
    assert hide([text]) == [text]
