"""Who issues payment cards: first digits and lengths of card numbers, and their check digit.

By ISO/IEC 7812-1 a number begins with its issuer's digits and ends with a check digit (annex B: Luhn's formula). Which
digits are whose is in the networks' own rules; the ranges here are the union of what they, the ranges that payment
forms accept (braintree/credit-card-type) and Wikipedia's "Payment card number" list. A range is rounded to four
digits, outward: a number too many is masked rather than one too few.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

SHORTEST, LONGEST = 12, 19
PREFIX_DIGITS = 4

# (first, last, lengths) of the first four digits.
_RANGES: tuple[tuple[int, int, Iterable[int]], ...] = (
    (1000, 1999, (15,)),  # UATP; JCB's 1800
    (1946, 1946, (16,)),  # GPN, Indonesia
    (2131, 2131, (15,)),  # JCB
    (2200, 2205, range(16, 20)),  # Mir; Borica, PayPak
    (2221, 2720, (16,)),  # Mastercard
    (3000, 3059, range(14, 20)),  # Diners Club
    (3088, 3099, range(14, 20)),  # Diners Club, JCB
    (3100, 3199, (19,)),  # China T-Union
    *((first, last, (16,)) for first, last in ((3112, 3120), (3158, 3159))),  # JCB
    (3337, 3349, (16,)),  # JCB
    (3400, 3499, (15,)),  # American Express
    (3528, 3589, range(16, 20)),  # JCB; RuPay, LankaPay
    (3600, 3699, range(14, 20)),  # Diners Club
    (3700, 3799, (15,)),  # American Express
    (3800, 3999, range(14, 20)),  # Diners Club
    (3841, 3841, (13,)),  # Hipercard
    (4000, 4999, (13, 16, 18, 19)),  # Visa; Switch, Dankort, Elo
    (5000, 5099, range(13, 20)),  # Maestro; Verve, Elo, RuPay, Dankort, Meeza
    (5100, 5599, (16,)),  # Mastercard; Diners Club of the USA
    (5600, 5999, range(13, 20)),  # Maestro; Bankcard, AfriGo, UzCard
    (6000, 6999, range(13, 20)),  # Maestro, Discover, UnionPay; RuPay, Elo, Hipercard, Troy, Verve, InterPayment
    (8100, 8299, range(16, 20)),  # UnionPay, RuPay
    (8600, 8600, (16,)),  # UzCard
    (9051, 9051, (16,)),  # ArCa
    (9112, 9112, (16,)),  # Belkart
    (9400, 9499, (16,)),  # cards of Korea alone
    (9558, 9558, range(16, 20)),  # cards of China alone
    (9682, 9683, (16,)),  # mada
    (9704, 9704, (16, 19)),  # Napas
    (9792, 9792, (16,)),  # Troy
    (9860, 9860, (16,)),  # Humo
    # Twelve digits are rare, and phone numbers often have them: only the ranges that are known for it, of Maestro.
    *((first, first, (12,)) for first in (5018, 5020, 5038, 5893, 6304, 6390, 6759, 6761, 6762, 6763)),
)
# What a digit counts at a doubled place: the sum of the digits of its double.
_DOUBLED = dict(zip("0123456789", (0, 2, 4, 6, 8, 1, 3, 5, 7, 9), strict=True))


@cache
def card_lengths() -> tuple[tuple[int, ...], ...]:
    """By the number's first four digits, the lengths of its card numbers, in ascending order."""
    lengths: list[set[int]] = [set() for _ in range(10**PREFIX_DIGITS)]
    for first, last, some in _RANGES:
        for prefix in range(first, last + 1):
            lengths[prefix].update(some)
    return tuple(tuple(sorted(some)) for some in lengths)


def has_check_digit(digits: str) -> bool:
    """Whether a number of ASCII digits ends with its check digit."""
    return (sum(map(int, digits[::-2])) + sum(map(_DOUBLED.__getitem__, digits[-2::-2]))) % 10 == 0
