"""Card numbers in texts, truncated to their last four digits.

A card number is 12 to 19 digits that begin with an issuer's digits, have a length of that issuer and end with the
check digit; separators may stand between any of its digits, and no digit directly before or after it. Of 16-digit ids
one in 25 looks like that, and is truncated too: a number too many rather than one too few.
Each hidden digit becomes one asterisk, and all else stays, separators included: `**** **** **** 1111`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

import polars as pl

from gata_assets.tables.masking.issuers import PREFIX_DIGITS, SHORTEST, card_lengths, has_check_digit
from gata_assets.tables.masking.notations import fold, number_pattern
from gata_assets.tables.masking.replacing import replace_at

MASK = "*"
LAST_DIGITS = 4

# Texts without a match have no card number. By the fewest digits the first ones and the second ones: an issuer of 20,
# say, would make each day a candidate, and UATP's 1 with fewer digits each epoch in milliseconds.
_MAYBE = number_pattern(
    {
        SHORTEST: {"5": "08", "6": "37"},
        13: {"3": "013-9", "456": "0-9"},
        15: {"1": "0-9", "2": "1-7", "8": "126", "9": "014-8"},
    }
)
# Digits with any number of separators between them; the repetitions are possessive, so that no text is read twice.
_RUN = re.compile(r"[0-9](?: *+[0-9])*+")
# How card numbers are usually written. Of two that share digits the likelier one keeps its last four: one that is
# all digits of its run, then one in such groups, then one of a usual length.
_USUAL_GROUPS = frozenset(
    (
        *((4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (6, 13), (4, 4, 5), (8, 11), (4, 4, 4, 4, 2)),
        *((4, 5, 6), (4, 4, 4, 1), (3, 4, 4, 4), (4, 4, 4), (4, 6, 2)),
    )
)
_USUAL_LENGTHS = {length: rank for rank, length in enumerate((16, 15, 19, 14, 13, 18, 17, 12))}


class _Card(NamedTuple):
    """A card number among the digits `[start, end)` of a run; the lowest rank is the likeliest."""

    start: int
    end: int
    rank: int


def truncate_card_numbers(texts: pl.Series) -> tuple[pl.Series, int]:
    """Hide all but the last four digits of each card number.

    Args:
        texts: Strings and nulls.

    Returns:
        The texts, and how many card numbers were truncated.
    """
    if not (texts.str.len_bytes() >= SHORTEST).any():
        # Short ids need not be searched: a digit is a byte at least.
        return texts, 0
    rows = texts.str.contains(_MAYBE).fill_null(value=False).arg_true()
    return replace_at(texts, rows, _truncate)


def truncate_in_text(text: str) -> str:
    """Hide all but the last four digits of each card number in a text."""
    return _truncate(text)[0]


def last_four(texts: pl.Series) -> pl.Series:
    """Twelve asterisks and the last four digits of texts that are card numbers, valid or not.

    A text with fewer digits becomes `***`: of a short number the last four would be too much.
    """
    digits = texts.str.replace_all(r"[^\p{N}]", "")
    shown = pl.Series([MASK * 12], dtype=pl.String) + digits.str.tail(LAST_DIGITS)
    is_number = (digits.str.len_chars() >= SHORTEST) | texts.str.contains(rf"^\*{{12}}\p{{N}}{{{LAST_DIGITS}}}$")
    hidden = pl.Series([MASK * 3], dtype=pl.String)
    return shown.zip_with(is_number, hidden).zip_with(texts.is_not_null(), pl.Series([None], dtype=pl.String))


def _truncate(text: str) -> tuple[str, int]:
    """The text with truncated card numbers, and how many."""
    hidden, ends = _find(text)
    if not ends:
        return text, 0
    truncated = _hide(text, hidden)
    if _find(truncated)[1]:
        # The last digits of a card number and what follows look like another: an asterisk keeps them apart.
        truncated = _hide(text, hidden, frozenset(ends))
    return truncated, len(ends)


def _hide(text: str, hidden: list[tuple[int, int]], ends: frozenset[int] = frozenset()) -> str:
    parts, kept_from = [], 0
    for place, end in sorted([*hidden, *((end, end) for end in ends)]):
        parts += [text[kept_from:place], MASK]
        kept_from = end
    return "".join([*parts, text[kept_from:]])


def _find(text: str) -> tuple[list[tuple[int, int]], list[int]]:
    """The digits to hide, as `[start, end)` of the text, and the ends of the card numbers in it."""
    folded, widths = fold(text)
    hidden: list[tuple[int, int]] = []
    ends: list[int] = []
    for run in _RUN.finditer(folded):
        if run.end() - run.start() < SHORTEST:
            continue
        groups = run[0].split()
        cards = list(_cards(groups))
        if not cards:
            continue
        places = [place for place, kind in enumerate(run[0], run.start()) if kind != " "]
        flags, chosen = _flag(cards, len(places))
        hidden += [(place, place + widths.get(place, 1)) for place, flag in zip(places, flags, strict=True) if flag]
        ends += [last + widths.get(last, 1) for last in (places[card.end - 1] for card in chosen)]
    return hidden, ends


def _cards(groups: list[str]) -> Iterator[_Card]:
    """The card numbers that begin and end where groups of digits do; they may share digits."""
    digits, lengths_of = "".join(groups), card_lengths()
    sizes = list(map(len, groups))
    number_of_end = {end: number for number, end in enumerate(accumulate(sizes), start=1)}
    start = 0
    for first, size in enumerate(sizes):
        if start + SHORTEST > len(digits):
            break
        for length in lengths_of[int(digits[start : start + PREFIX_DIGITS])]:
            last = number_of_end.get(start + length)
            if last is not None and has_check_digit(digits[start : start + length]):
                is_usual = last == first + 1 or tuple(sizes[first:last]) in _USUAL_GROUPS
                rank = _USUAL_LENGTHS[length] + (0 if is_usual else len(_USUAL_LENGTHS))
                yield _Card(start, start + length, -1 if length == len(digits) else rank)
        start += size


def _flag(cards: list[_Card], size: int) -> tuple[bytearray, list[_Card]]:
    """By digit whether it is hidden, and the likeliest of the card numbers, which share no digit.

    Those keep their last four digits. The others may be card numbers as well: no more than four of their digits stay.
    """
    taken, hidden = bytearray(size), bytearray(size)
    chosen = []
    for card in sorted(cards, key=lambda card: card.rank):
        if taken.find(1, card.start, card.end) < 0:
            taken[card.start : card.end] = b"\1" * (card.end - card.start)
            chosen.append(card)
    for card in cards:
        hidden[card.start : card.end] = b"\1" * (card.end - card.start)
    for card in chosen:
        hidden[card.end - LAST_DIGITS : card.end] = bytes(LAST_DIGITS)
    for card in cards:
        for _ in range(hidden.count(0, card.start, card.end) - LAST_DIGITS):
            hidden[hidden.find(0, card.start, card.end)] = 1
    return hidden, chosen
