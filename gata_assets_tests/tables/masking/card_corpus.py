"""Card numbers and look-alikes for tests: own networks, own check digits, own notations, drawn from a seed.

Nothing here is of the package: what finds card numbers must not say what they are.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

# By network the first digits, as `first-last` or one number, and the lengths.
NETWORKS = {
    "Visa": ("4", (13, 16, 19)),
    "Visa Electron": ("4026 417500 4508 4844 4913 4917", (16,)),
    "Mastercard": ("51-55 2221-2720", (16,)),
    "American Express": ("34 37", (15,)),
    "Diners Club": ("300-305 3095 36 38-39", (14, 16, 19)),
    "Discover": ("6011 644-649 65 622126-622925", (16, 17, 18, 19)),
    "UnionPay": ("62 810-817", (16, 17, 18, 19)),
    "JCB": ("3528-3589", (16, 17, 18, 19)),
    "JCB of 15 digits": ("1800 2131", (15,)),
    "Maestro": ("5018 5020 5038 5893 6304 6759 6761-6763", (12, 13, 14, 15, 16, 17, 18, 19)),
    "Maestro of any bank": ("500000-509999 560000-589999 600000-699999", (13, 14, 15, 16, 17, 18, 19)),
    "Mir": ("2200-2204", (16, 17, 18, 19)),
    "RuPay": ("60 65 81 82 508 353 356", (16,)),
    "Elo": ("401178 438935 451416 504175 506699-506778 509000-509999 627780 636297 636368 650031-650051", (16,)),
    "Hipercard": ("606282 637095 637568", (16,)),
    "Verve": ("506099-506198 507865-507964 650002-650027", (16, 18, 19)),
    "Troy": ("9792 65", (16,)),
    "UATP": ("1", (15,)),
    "Dankort": ("5019 4571", (16,)),
    "InterPayment": ("636", (16, 17, 18, 19)),
    "InstaPayment": ("637-639", (16,)),
    "UzCard": ("8600 5614", (16,)),
    "Humo": ("9860", (16,)),
    "mada": ("968201-968211", (16,)),
    "Napas": ("9704", (16, 19)),
    "GPN": ("1946", (16,)),
    "LankaPay": ("357111", (16,)),
    "Borica": ("2205", (16,)),
    "China T-Union": ("31", (19,)),
}
# The zero of each script, whose other digits follow it.
ZEROS = "0" * 6 + "０٠۰߀०০੦૦୦௦౦೦൦๐໐༠၀០᠐᪐𝟎𝟘𝟢𝟬𝟶🯰"
SEPARATORS = (
    *(" ", "-", ".", "_", "/", "\t", "\r\n", "\n", "  ", " - ", " / ", "--", "\u00ad", "\ufeff", "\u200b", "\u200d"),
    *("\u00a0", "\u202f", "\u2009", "\u200a", "\u2007", "\u3000", "\u2010", "\u2011", "\u2012", "\u2013", "\u2014"),
    *("\u2212", "\uff0d", "\u2060", "\u200e", "\u2028", "\x0b", "\x00", " \u200b ", ",", "'", "\u00b7", "\u0301"),
)


def check_digit(start: str) -> str:
    """The digit that makes a number valid by Luhn's formula."""
    total = 0
    for place, digit in enumerate(reversed(start)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value // 10 + value % 10
    return str(-total % 10)


def is_card(digits: str) -> bool:
    """Whether a network here has such numbers."""
    return digits[-1] == check_digit(digits[:-1]) and any(
        len(digits) in lengths and any(first <= digits[: len(first)] <= last for first, last in _prefixes(prefixes))
        for prefixes, lengths in NETWORKS.values()
    )


def _prefixes(prefixes: str) -> list[tuple[str, str]]:
    return [(first, last or first) for first, _, last in (one.partition("-") for one in prefixes.split())]


def card_number(rng: random.Random, network: str, length: int | None = None) -> str:
    """A number of a network, of one of its lengths."""
    prefixes, lengths = NETWORKS[network]
    first, last = rng.choice(_prefixes(prefixes))
    start = str(rng.randint(int(first), int(last)))
    rest = (length or rng.choice(lengths)) - 1 - len(start)
    start += "".join(rng.choice("0123456789") for _ in range(rest))
    return start + check_digit(start)


def written(rng: random.Random, digits: str) -> list[str]:
    """Digits in a notation: a text for each, all but the first with what separates it from the one before."""
    scripts = rng.choice((("0",), (rng.choice(ZEROS),), tuple(rng.choices(ZEROS, k=3))))
    shown = [chr(ord(rng.choice(scripts)) + int(digit)) for digit in digits]
    sizes, separators = _groups(rng, len(digits)), rng.choice((SEPARATORS[:2], (rng.choice(SEPARATORS),), SEPARATORS))
    starts = {sum(sizes[:number]) for number in range(1, len(sizes))}
    return [(rng.choice(separators) if place in starts else "") + digit for place, digit in enumerate(shown)]


def _groups(rng: random.Random, size: int) -> list[int]:
    kind = rng.randrange(5)
    if kind == 0:
        return [size]
    if kind == 1:
        return [4] * (size // 4) + [size % 4] * (size % 4 > 0)
    if kind == 2:
        return [4, 6, size - 10]
    if kind == 3:
        return [1] * size
    sizes: list[int] = []
    while sum(sizes) < size:
        sizes.append(rng.randint(1, min(5, size - sum(sizes))))
    return sizes


class Planted(NamedTuple):
    """A text with a card number, and the number as it is written there."""

    text: str
    number: str
    network: str
    digits: str


# What is around a card number in a text; `is_apart` places have no other digits beside it.
APART: tuple[Callable[[str], str], ...] = (
    lambda number: number,
    lambda number: f"card{number}please",
    lambda number: f"Order A-17: please charge {number}, thanks!\nBest, J. (tel. +49 30 123456)",
    lambda number: f"({number})[{number}]",
    lambda number: json.dumps({"order": 17, "card": number, "cvc": "123"}),
    lambda number: json.dumps({"order": 17, "card": number}, ensure_ascii=False),
    lambda number: json.dumps({"payload": json.dumps({"card": number, "at": "2026-01-02T03:04:05Z"})}),
    lambda number: f'17;"{number}";x\r\n18;"none";y',
    lambda number: f"INSERT INTO payments VALUES (17, '{number}', 'x');",
    lambda number: f"<td>{number}</td><td>12.50</td>",
    lambda number: f"**{number}**",
    lambda number: f"日本{number}語",
)
BESIDE: tuple[Callable[[str], str], ...] = (
    lambda number: f"2026-01-02 {number} 12/27",
    lambda number: f"1. {number} 12/27 123",
    lambda number: f"order 100234 - {number} - 49,90 EUR",
    lambda number: f"17,{number},123,2026-01-02",
    lambda number: f"7 {number} 0 {number} 7",
)


def corpus(seed: int, each: int, around: tuple[Callable[[str], str], ...]) -> list[Planted]:
    """Texts with card numbers: of every network and length, so many each."""
    rng = random.Random(seed)
    found = []
    for network, (_, lengths) in NETWORKS.items():
        for length in lengths:
            for _ in range(each):
                digits = card_number(rng, network, length)
                number = "".join(written(rng, digits))
                found.append(Planted(rng.choice(around)(number), number, network, digits))
    return found


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _instant(rng: random.Random) -> datetime:
    return datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=rng.randrange(10**14 * 2))


def _ean(rng: random.Random, start: str, size: int) -> str:
    digits = start + _digits(rng, size - len(start) - 1)
    odd = sum(map(int, digits[-1::-2])) * 3 + sum(map(int, digits[-2::-2]))
    return digits + str(-odd % 10)


def _ups(rng: random.Random) -> str:
    return "1Z" + "".join(rng.choice("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(16))


# Look-alikes by kind: what texts have that is no card number.
DECOYS: dict[str, Callable[[random.Random], str]] = {
    "order number": lambda rng: f"order o-{rng.randrange(10**7):07d} of 2026",
    "order number of 10 digits": lambda rng: f"order {_digits(rng, 10)}",
    "day and order number": lambda rng: f"{_instant(rng):%Y%m%d}-{_digits(rng, 6)}",
    "random id of 16 digits": lambda rng: _digits(rng, 16),
    "random id of 16 digits in fours": lambda rng: " ".join(_digits(rng, 4) for _ in range(4)),
    "random id of 20 digits": lambda rng: _digits(rng, 20),
    "epoch in milliseconds": lambda rng: str(int(_instant(rng).timestamp() * 1000)),
    "epoch in microseconds": lambda rng: str(int(_instant(rng).timestamp() * 1_000_000)),
    "ISO 8601": lambda rng: _instant(rng).isoformat(),
    "instant with a space": lambda rng: f"{_instant(rng):%Y-%m-%d %H:%M:%S.%f}",
    "compact instant": lambda rng: f"{_instant(rng):%Y%m%d%H%M%S}",
    "phone number": lambda rng: f"+49 {rng.randint(151, 179)} {_digits(rng, 8)}",
    "two phone numbers": lambda rng: f"+1 212-555-{_digits(rng, 4)}, +1 646-555-{_digits(rng, 4)}",
    "IBAN": lambda rng: f"DE{rng.randint(10, 99)}{_digits(rng, 18)}",
    "IBAN in fours": lambda rng: f"DE{rng.randint(10, 99)} " + " ".join([_digits(rng, 4) for _ in range(4)] + ["00"]),
    "UUID": lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    "SHA-256": lambda rng: f"{rng.getrandbits(256):064x}",
    "EAN-13": lambda rng: _ean(rng, str(rng.randint(400, 440)), 13),
    "ISBN-13": lambda rng: _ean(rng, "978", 13),
    "ISBN-13 with hyphens": lambda rng: f"978-3-{_digits(rng, 4)}-{_digits(rng, 4)}-{_digits(rng, 1)}",
    "prices": lambda rng: f"{rng.randint(1, 999)}.{_digits(rng, 2)} + {rng.randint(1, 99)}.{_digits(rng, 2)} EUR",
    "UPS tracking number": _ups,
    "DHL tracking number": lambda rng: f"0034{_digits(rng, 16)}",
    "USPS tracking number": lambda rng: f"94{_digits(rng, 20)}",
    "IP addresses": lambda rng: ".".join(str(rng.randrange(256)) for _ in range(4)),
    "coordinates": lambda rng: f"{rng.uniform(-90, 90):.6f}, {rng.uniform(-180, 180):.6f}",
}
