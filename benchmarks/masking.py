"""Masking of personal data: rows per second of processor time, what is missed and what is taken for a card number.

Card numbers in texts: ours, against two ways to write it oneself: a pattern in Polars, which masks all that looks like
four groups, and a loop in Python with a pattern and the check digit. Their misses and false alarms are measured on the
corpus of the tests. E-mail addresses and phone numbers: ours, against a loop over the same libraries; all values are
distinct. Phone numbers in texts: ours, against a loop over the library's matcher, which misses some; in international
notation, and in the national one of two countries.
Time is processor time of all threads, the median of rounds that alternate.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import process_time
from typing import TypeVar

import polars as pl
from email_validator import EmailNotValidError, validate_email
from phonenumbers import (
    NumberParseException,
    PhoneNumberFormat,
    PhoneNumberMatcher,
    format_number,
    is_valid_number,
    parse,
)

from benchmarks.harness import Cell, Goal, Result, Table
from gata_assets.tables.masking.card_numbers import truncate_card_numbers, truncate_in_text
from gata_assets.tables.masking.contacts import email_forms, hide_emails_in_text, phone_forms
from gata_assets.tables.masking.national_phones import hide_national_phones_in_text
from gata_assets.tables.masking.phones_in_text import hide_phones_in_text
from gata_assets.tables.masking.tokens import Tokens
from gata_assets_tests.tables.masking.card_corpus import APART, DECOYS, NETWORKS, card_number, corpus

Name = TypeVar("Name")
_CHARACTERS = 200
_SENTENCE = (
    "the order was late and I paid 12.50 EUR for item 4471 on Monday, please refund o-0000123 soon, thanks! since "
    "2026-01-02 nobody answers at extension 17 and my parcel 00340434 is still lost in Berlin"
)
_WORDS = _SENTENCE.split()
_OURS, _PATTERN, _LOOP = "ours", "a pattern in Polars", "a loop in Python"
_IDS, _INSTANTS, _TEXTS, _SOME, _ALL = (
    "ids, o-0000123",
    "instants, ISO 8601",
    f"{_CHARACTERS} characters, no card number",
    f"{_CHARACTERS} characters, 1 % with one",
    "card numbers alone",
)
_NO_NUMBER, _NO_PHONE, _LIKE_PHONES, _PHONES = (
    f"{_CHARACTERS} characters, no + and no 00",
    f"{_CHARACTERS} characters, no phone number, with amounts and times",
    f"{_CHARACTERS} characters, no phone number, digits after 00",
    f"{_CHARACTERS} characters, each with one before a time",
)
_REGIONS = ("US", "DE")
_GERMAN, _AMERICAN, _NUMBERS = (
    f"{_CHARACTERS} characters, each with a German one before a time",
    f"{_CHARACTERS} characters, each with an American one before a time",
    f"{_CHARACTERS} characters, each with an order number of 10 digits",
)
_RANDOM = "random id of 16 digits"
_GOAL_CONTACTS, _GOAL_IDS, _GOAL_TEXTS, _GOAL_FALSE = 15_000, 10_000_000, 1_000_000, 0.05


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few texts."""
    size, times = (5_000, 1) if quick else (1_000_000, 3)
    card_rows, per_second = _card_rows(size, times)
    found_rows, missed, false = _found_rows(50 if quick else 1_000)
    long_rows, ratio = _long_rows(20_000 if quick else 1_000_000, times)
    contact_rows, contacts = _contact_rows(size // 10, times)
    phone_rows, phones = _phone_rows(_texts_with_phones(size), _international, times)
    national_rows, national = _phone_rows(_texts_with_national_phones(size), _national, times)
    return Result(
        what=(
            f"{size:,} texts of each kind, a tenth of it for card numbers alone, loops over a fiftieth; "
            f"{size // 10:,} distinct e-mail addresses and phone numbers. The corpus has numbers of {len(NETWORKS)} "
            "networks and all their lengths, with digits of any script, any separators, in sentences, JSON, CSV, SQL."
        ),
        says=(
            f"A second of processor time is enough for {per_second[_IDS]:,.0f} ids, {per_second[_TEXTS]:,.0f} texts of "
            f"{_CHARACTERS} characters without a card number, {per_second[_SOME]:,.0f} with one in a hundred, and "
            f"{contacts:,.0f} customers with e-mail and phone. {missed[_OURS]:,} card numbers were missed, "
            f"and {missed[_LOOP]:,} by a loop in Python; {false[_RANDOM]:.1%} of random 16-digit ids are truncated. "
            f"It searches {phones[_NO_PHONE]:,.0f} such texts without a phone number for one, and "
            f"{phones[_PHONES]:,.0f} with one; for national ones of {' and '.join(_REGIONS)} "
            f"{national[_NO_NUMBER]:,.0f} and {national[_GERMAN]:,.0f}."
        ),
        tables=[
            Table("Card numbers in texts:", ["texts", "contender", "texts per second"], card_rows),
            Table("Texts taken for one with a card number, in %:", ["texts", _OURS, _PATTERN, _LOOP], found_rows),
            Table("A single text:", ["of", "characters", "seconds", "times as long as half of it"], long_rows),
            Table("Contacts:", ["values", "contender", "values per second"], contact_rows),
            Table("Phone numbers in texts:", ["texts", "contender", "texts per second", "missed, in %"], phone_rows),
            Table(
                f"Phone numbers of {' and '.join(_REGIONS)} in national notation:",
                ["texts", "contender", "texts per second", "missed, in %"],
                national_rows,
            ),
        ],
        goals=[
            Goal("no card number missed", f"{missed[_OURS]:,}", missed[_OURS] == 0),
            Goal("5 % of random 16-digit ids", f"{false[_RANDOM]:.2%}", false[_RANDOM] <= _GOAL_FALSE),
            _at_least(_GOAL_IDS, "ids", per_second[_IDS]),
            _at_least(_GOAL_TEXTS, "texts without a card number", per_second[_TEXTS]),
            _at_least(_GOAL_TEXTS, "texts without a phone number", phones[_NO_PHONE]),
            _at_least(_GOAL_TEXTS, "texts without a national phone number", national[_NO_NUMBER]),
            _at_least(_GOAL_CONTACTS, "customers with e-mail address and phone number", contacts),
            Goal("time grows with a text's length: twice takes at most 3 times", f"{ratio:.1f}", ratio <= 3),
        ],
    )


def _at_least(count: int, what: str, measured: float) -> Goal:
    return Goal(f"{count:,} {what} per second of processor time", f"{measured:,.0f}", measured >= count)


def _card_rows(size: int, times: int) -> tuple[list[list[Cell]], dict[str, float]]:
    rows: list[list[Cell]] = []
    per_second = {}
    for kind, texts in _texts(size).items():
        sample = texts[: len(texts) // 50].to_list()
        counts = {_OURS: len(texts), _PATTERN: len(texts), _LOOP: len(sample)}
        seconds = _in_turns(
            {
                _OURS: lambda texts=texts: truncate_card_numbers(texts),  # type: ignore[misc]
                _PATTERN: lambda texts=texts: _by_pattern(texts),  # type: ignore[misc]
                _LOOP: lambda sample=sample: list(map(_by_loop, sample)),  # type: ignore[misc]
            },
            times,
        )
        rows += [[kind, name, counts[name] / taken] for name, taken in seconds.items()]
        per_second[kind] = len(texts) / seconds[_OURS]
    return rows, per_second


def _texts(size: int) -> dict[str, pl.Series]:
    rng = _seeded(1)
    visa = "4111 1111 1111 1111"
    some = [" ".join(rng.choices(_WORDS, k=_CHARACTERS // 4))[:_CHARACTERS] for _ in range(size // 10)] * 10
    with_cards = [f"{text[: -len(visa)]}{visa}" if row % 100 == 0 else text for row, text in enumerate(some)]
    numbers = [card_number(rng, rng.choice(("Visa", "Mastercard", "American Express"))) for _ in range(size // 10)]
    instants = pl.datetime_range(
        pl.datetime(2026, 1, 1), pl.datetime(2026, 1, 1) + pl.duration(seconds=size - 1), "1s", eager=True
    )
    return {
        _IDS: pl.Series([f"o-{row:07d}" for row in range(size)]),
        _INSTANTS: instants.dt.to_string("%Y-%m-%dT%H:%M:%SZ"),
        _TEXTS: pl.Series(some),
        _SOME: pl.Series(with_cards),
        _ALL: pl.Series(numbers),
    }


def _found_rows(each: int) -> tuple[list[list[Cell]], dict[str, int], dict[str, float]]:
    """What each contender finds in the corpus and in look-alikes; how many it misses, and our false alarms by kind."""
    rng = _seeded(2)
    planted = [one.text for one in corpus(3, each // 10, APART)]
    kinds = {"the corpus": planted} | {kind: [make(rng) for _ in range(each * 20)] for kind, make in DECOYS.items()}
    rows: list[list[Cell]] = []
    missed, false = {}, {}
    for kind, texts in kinds.items():
        column = pl.Series(texts)
        found = {
            _OURS: int((truncate_card_numbers(column)[0] != column).sum()),
            _PATTERN: int((_by_pattern(column) != column).sum()),
            _LOOP: sum(_by_loop(text) != text for text in texts),
        }
        rows.append([kind, *[100 * count / len(texts) for count in found.values()]])
        if texts is planted:
            missed = {name: len(texts) - count for name, count in found.items()}
        else:
            false[kind] = found[_OURS] / len(texts)
    return rows, missed, false


def _long_rows(size: int, times: int) -> tuple[list[list[Cell]], float]:
    """Single long texts, and how many times as long the worst one takes as its half."""
    rng = _seeded(4)
    pieces = {
        "one digit": "4",
        "digits with spaces": "4 ",
        "card numbers": "4111 1111 1111 1111 ",
        "random digits and spaces": "".join(rng.choice("0123456789  ") for _ in range(size)),
        "a digit and 10,000 spaces": "1" + " " * 10_000,
        "backslashes": "\\",
    }
    rows: list[list[Cell]] = []
    for kind, piece in pieces.items():
        text = (piece * (size // len(piece) + 1))[:size]
        half = text[: size // 2]
        functions: dict[str, Callable[[], object]] = {
            "half": lambda half=half: truncate_in_text(half),  # type: ignore[misc]
            "all": lambda text=text: truncate_in_text(text),  # type: ignore[misc]
        }
        seconds = _in_turns(functions, times)
        rows.append([kind, size, seconds["all"], seconds["all"] / seconds["half"]])
    return rows, max(float(row[-1]) for row in rows)


def _contact_rows(size: int, times: int) -> tuple[list[list[Cell]], float]:
    rng = _seeded(5)
    emails = pl.Series([f"{rng.choice(_WORDS[:4])}.doe{row}@example{row % 1_000}.com" for row in range(size)])
    phones = pl.Series([f"+49 {rng.randint(151, 179)} {row + 1_000_000:07d}" for row in range(size)])
    tokens = Tokens(bytes(32))
    normalized = email_forms(emails).normalized
    functions: dict[tuple[str, str], Callable[[], object]] = {
        ("e-mail addresses", _OURS): lambda: email_forms(emails),
        ("e-mail addresses", _LOOP): lambda: list(map(_email_by_loop, emails.to_list())),
        ("phone numbers", _OURS): lambda: phone_forms(phones),
        ("phone numbers", _LOOP): lambda: list(map(_phone_by_loop, phones.to_list())),
        ("customers, both", _OURS): lambda: (email_forms(emails), phone_forms(phones)),
        ("tokens of e-mail addresses", _OURS): lambda: tokens.tokens("email", normalized),
        ("texts without an e-mail address", _OURS): lambda: hide_emails_in_text(phones),
        ("texts with an e-mail address", _OURS): lambda: hide_emails_in_text(emails),
    }
    seconds = _in_turns(functions, times)
    rows: list[list[Cell]] = [[kind, name, size / taken] for (kind, name), taken in seconds.items()]
    return rows, size / seconds["customers, both", _OURS]


def _international(texts: pl.Series) -> int:
    return hide_phones_in_text(texts)[1]


def _national(texts: pl.Series) -> int:
    return hide_national_phones_in_text(texts, _REGIONS)[1]


def _phone_rows(
    kinds: Mapping[str, pl.Series], ours: Callable[[pl.Series], int], times: int
) -> tuple[list[list[Cell]], dict[str, float]]:
    """Texts per second, and how many phone numbers are missed; the matcher's of a fiftieth of the texts."""
    rows: list[list[Cell]] = []
    per_second = {}
    regions = (None,) if ours is _international else _REGIONS
    for kind, texts in kinds.items():
        sample = texts[: len(texts) // 50]
        seconds = _in_turns(
            {
                _OURS: lambda texts=texts: ours(texts),  # type: ignore[misc]
                _LOOP: lambda sample=sample: _by_matcher(sample, regions),  # type: ignore[misc]
            },
            times,
        )
        found = {_OURS: ours(sample), _LOOP: _by_matcher(sample, regions)}
        for name, count in ((_OURS, len(texts)), (_LOOP, len(sample))):
            missed = 100 - 100 * found[name] / len(sample) if kind in (_PHONES, _GERMAN, _AMERICAN) else 0.0
            rows.append([kind, name, count / seconds[name], missed])
        per_second[kind] = len(texts) / seconds[_OURS]
    return rows, per_second


def _texts_with_phones(size: int) -> dict[str, pl.Series]:
    ending = _ending(size)
    return {
        _NO_NUMBER: pl.concat([ending(lambda _: "thanks to all of you so far")] * 10),
        _NO_PHONE: pl.concat([ending(lambda row: f"{row % 100}.00 2026-01-02T10:00:00")] * 10),
        _LIKE_PHONES: ending(lambda row: f"parcel 00{row + 34_043_400}"),
        _PHONES: ending(lambda row: f"+49 {151 + row % 2} {row + 10_000_000:08d} 10:30"),
    }


def _texts_with_national_phones(size: int) -> dict[str, pl.Series]:
    ending = _ending(size)
    return {
        _NO_NUMBER: pl.concat([ending(lambda _: "thanks to all of you so far")] * 10),
        _NO_PHONE: pl.concat([ending(lambda row: f"{row % 100}.00 2026-01-02T10:00:00")] * 10),
        _NUMBERS: pl.concat([ending(lambda row: f"order {row + 4_155_552_671}")] * 10),
        _GERMAN: ending(lambda row: f"0{151 + row % 2} {row + 10_000_000:08d} 10:30"),
        _AMERICAN: ending(lambda row: f"(415) {200 + row % 800}-{row % 10_000:04d} 10:30"),
    }


def _ending(size: int) -> Callable[[Callable[[int], str]], pl.Series]:
    """Makes a tenth of the texts, each with an end by its number."""
    rng = _seeded(6)
    words = [word for word in _WORDS if "00" not in word]
    texts = [" ".join(rng.choices(words, k=_CHARACTERS // 4))[: _CHARACTERS - 30] for _ in range(size // 10)]

    def ending(end: Callable[[int], str]) -> pl.Series:
        return pl.Series([f"{text} {end(row)}" for row, text in enumerate(texts)])

    return ending


def _seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - the same texts in every run


def _in_turns(functions: Mapping[Name, Callable[[], object]], times: int) -> dict[Name, float]:
    """The median processor seconds of each function over rounds, each of which calls every function."""
    seconds: dict[Name, list[float]] = {name: [] for name in functions}
    for function in functions.values() if times > 1 else ():
        # Patterns are compiled and libraries imported by the first call.
        function()
    for _ in range(times):
        for name, function in functions.items():
            started = process_time()
            function()
            seconds[name].append(process_time() - started)
    return {name: median(measured) for name, measured in seconds.items()}


def _by_pattern(texts: pl.Series) -> pl.Series:
    return texts.str.replace_all(r"\b(?:\d{4}[ -]?){3}(\d{4})\b|\b3[47]\d{2}[ -]?\d{6}[ -]?(\d{5})\b", "****${1}${2}")


_NUMBER = re.compile(r"\b(?:\d[ -]?){12,18}\d\b")


def _by_loop(text: str) -> str:
    return _NUMBER.sub(lambda match: f"****{match[0][-4:]}" if _has_check_digit(match[0]) else match[0], text)


def _has_check_digit(number: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(re.sub(r"\D", "", number))):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def _email_by_loop(text: str) -> str | None:
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        return None


def _by_matcher(texts: pl.Series, regions: Sequence[str | None]) -> int:
    """How many texts have a number, as the matcher says for one region after another."""
    found = (any(PhoneNumberMatcher(text, region).has_next() for region in regions) for text in texts.to_list())
    return sum(found)


def _phone_by_loop(text: str) -> str | None:
    try:
        number = parse(text, None)
    except NumberParseException:
        return None
    return format_number(number, PhoneNumberFormat.E164) if is_valid_number(number) else None
