"""Phone numbers in national notation in texts: hidden for declared regions as their countries write them, no ids.

All real, the library included; nothing is faked. Numbers are the library's examples of each country.
"""

from __future__ import annotations

import random

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import SUPPORTED_REGIONS, PhoneNumberFormat, PhoneNumberType, example_number_for_type, format_number

from gata_assets.tables.masking.card_numbers import truncate_card_numbers
from gata_assets.tables.masking.contacts import hide_emails_in_text
from gata_assets.tables.masking.national_phones import hide_national_phones_in_text
from gata_assets.tables.masking.phones_in_text import hide_phones_in_text
from gata_assets_tests.tables.masking.test_phones_in_text import LOOK_ALIKES, PIECES

# With a prefix, without one, with one that may be left out, and with numbers of 8 digits in pairs.
REGIONS = ("DE", "ES", "US", "FR", "GB", "NO")
NATIONAL_PIECES = (
    *(
        "0171 1234567",
        "(415) 555-2671",
        "1-415-555-2671",
        "612 34 56 78",
        "06.12.34.56.78",
        "07911123456",
        "030",
        "415",
    ),
    *("555", "2671", "1234", "2026-01-02", "10:30", "12.50", "/", "_", "\\", "1", "&nbsp;", "#", "192.168.1.1"),
)


def hide(texts: list[str], *regions: str) -> list[str]:
    return hide_national_phones_in_text(pl.Series(texts, dtype=pl.String), regions)[0].to_list()


def mask(text: str, regions: tuple[str, ...]) -> tuple[str, int]:
    """A text masked as those of rows are, and how many values were."""
    found, cards = truncate_card_numbers(pl.Series([text]))
    found, phones = hide_phones_in_text(found)
    found, national = hide_national_phones_in_text(found, regions)
    found, emails = hide_emails_in_text(found)
    return found[0], cards + phones + national + emails


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("call me at 030 1234567", "call me at ***"),
        ("(415) 555-2671, 415-555-2671 or 415.555.2671", "(***, *** or ***"),
        ("1-415-555-2671 1 (415) 5552671", "*** ***"),
        ("0171/1234567,030-123 45 67;(0171) 1234567", "***,***;(***"),
        ("tel:01711234567 Tel.0171 123 4567/0171 7654321", "tel:*** Tel.***/***"),
        ("2026-01-02 10:00 0171 1234567 10:30 12.50 EUR", "2026-01-02 10:00 *** 10:30 12.50 EUR"),
        ("01.02.2026 415 555 2671 17 items", "01.02.2026 *** 17 items"),
        ("٠١٧١ ١٢٣٤٥٦٧ ０１７１－１２３４５６７", "*** ***"),
        ("0171%201234567 415&nbsp;555&nbsp;2671", "*** ***"),
        (r"x\n0171 1234567\u00a0(415)\u00a0555-2671", r"x\n***\u00a0(***"),
        ("0171 1234567x5 _0171 1234567_", "***x5 _***_"),
        ("030 1234567 (415) 555-2671", "*** (***"),
        # Ids, dates, times, fractions, addresses of computers.
        *((text, text) for text in ("", "***", "4155552671", "0301234567", "4155 552 671", "o-0000123", "10 4711")),
        *((text, text) for text in ("2026-01-02 10", "2026-01-02 10:00:00", "01.02.2026 1234567", "20260102-103000")),
        *(
            (text, text)
            for text in ("0155 1234 1234 1234", "DE12 0171 1234 5678 9012 00", "0.1711234567", "512.345678")
        ),
        *((text, text) for text in ("212.55.167.234", "a0171 1234567", "17-0171 1234567", "10:0171 1234567")),
        *((text, text) for text in ("0171 1234567890123", "(212) 155-2671", "0800 1", "555-2671", "30 1234567")),
        *((text, text) for text in ("415  555\n2671", "41234567-2670-4098-8070-067329911000", "0049 30 1234567")),
    ],
)
def test_national_numbers_in_a_text_are_hidden(text: str, found: str) -> None:
    hidden, count = hide_national_phones_in_text(pl.Series("note", [None, text]), ("US", "DE"))
    assert hidden.to_list() == [None, found] and hidden.name == "note"
    assert count == found.count("***") - text.count("***")


def test_numbers_are_those_of_the_declared_regions() -> None:
    texts = ["030 1234567", "(415) 555-2671", "612 34 56 78"]
    assert hide(texts) == texts
    assert hide(texts, "DE") == ["***", *texts[1:]]
    assert hide(texts, "ES", "US") == [texts[0], "(***", "***"]


@pytest.mark.parametrize("region", ["", "de", "XX", "Germany"])
def test_an_unknown_region_is_refused(region: str) -> None:
    with pytest.raises(ValueError, match="is no region of phone numbers"):
        hide(["0171 1234567"], "DE", region)


# They have fewer than seven digits, or are written without a separator or as a date is.
NOT_FOUND = {"AC", "AD", "BO", "CK", "FK", "FO", "GI", "GL", "KI", "NC", "NF", "NU", "SB", "SH", "SR", "TA", "TK", "TO"}
NOT_FOUND |= {"TV", "VU", "WF", "WS"}


def test_numbers_of_each_country_are_found_as_it_writes_them() -> None:
    missed = set()
    for region in SUPPORTED_REGIONS:
        for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE):
            number = example_number_for_type(region, kind)
            text = format_number(number, PhoneNumberFormat.NATIONAL) if number else "none"
            [found] = hide([f"tel {text}, thanks"], region)
            if number and found not in ("tel ***, thanks", "tel (***, thanks"):
                missed.add(region)
    assert missed == NOT_FOUND


# Of 10-digit numbers that begin with a zero one in six is a French mobile number.
TAKEN_FOR_PHONE_NUMBERS = {"order number of 10 digits": 0.03, "instant and order number": 0.03}
IDS = {
    "digits of any length": lambda rng: str(rng.randrange(10 ** rng.randint(6, 16))).zfill(6),
    "two amounts": lambda rng: f"{rng.randrange(1000)}.{rng.randrange(100):02d} {rng.randrange(10**6)}.00 EUR",
    "short date and time": lambda rng: f"{rng.randint(1, 28):02d}.{rng.randint(1, 12):02d}.26 {rng.randint(10, 23)}:30",
    "date and sizes": lambda rng: f"2026-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d} {rng.randrange(10**4)} x 17",
}


@pytest.mark.parametrize("kind", [*LOOK_ALIKES, *IDS])
def test_few_look_alikes_are_hidden(kind: str) -> None:
    rng = random.Random(8)
    texts = pl.Series([(LOOK_ALIKES | IDS)[kind](rng) for _ in range(1_000)])
    # International numbers are hidden before.
    texts, _ = hide_phones_in_text(texts)
    taken = (hide_national_phones_in_text(texts, ("US", "DE", "FR"))[0] != texts).sum()
    assert taken / len(texts) <= TAKEN_FOR_PHONE_NUMBERS.get(kind, 0.01)


@given(st.lists(st.sampled_from(PIECES + NATIONAL_PIECES), max_size=20).map("".join))
@example("0171 1234567-030 7654321")
@example("0171 1234567 12-01-2026 0171 1234567:30")
@example("4111 1111 1111 1111 0171 1234567")
def test_masked_texts_stay_as_they_are(text: str) -> None:
    found, _ = mask(text, REGIONS)
    assert mask(found, REGIONS) == (found, 0)


@given(st.lists(st.sampled_from(PIECES + NATIONAL_PIECES), max_size=20).map("".join))
def test_no_truncated_card_number_loses_its_last_digits(text: str) -> None:
    [found] = hide([f"{text}a **** **** **** 0171 1234567"], *REGIONS)
    assert found.endswith("a **** **** **** 0171 1234567")


@given(
    st.sampled_from(["0171 {}", "0171/{}", "(0171) {}", "0171{}", "0171-{}"]),
    st.integers(1_000_000, 9_999_999).map(str),
    st.text(st.sampled_from(" aé,;\n("), max_size=5),
    st.sampled_from(["", " ", ", 10:30", " 2026-01-02", "\n17 items", "und", " 12.50 EUR", " 0171 1234567"]),
)
def test_no_mobile_number_is_left_in_a_text(form: str, digits: str, before: str, after: str) -> None:
    [found] = hide([f"{before} {form.format(digits)}{after}"], "US", "DE")
    assert digits not in found and found.count("***") == 1 + after.count("0171")


@pytest.mark.parametrize(
    "piece",
    [
        "0",
        "0 ",
        "0171 ",
        "415 555 ",
        "4 1 5 ",
        "01711",
        "&nbsp;",
        "%20",
        "\\u00a0",
        "\0",
        "1 " * 9 + "\n",
        "-",
        "0171..",
    ],
)
def test_a_long_text_takes_no_long_time(piece: str) -> None:
    text = ("415 555 267 030 123 " + piece * (100_000 // len(piece)))[:100_000]
    assert len(hide([text], "DE", "US")[0]) <= len(text)
