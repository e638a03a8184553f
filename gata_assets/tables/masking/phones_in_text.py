"""Phone numbers in texts, found in international notation, and hidden: `+49 171 1234567`, `0049 171 1234567`.

What begins with a plus sign or 00 and has the digits of a valid number, as `phonenumbers` says, is one. Numbers in
national notation are in `national_phones`. The library's `PhoneNumberMatcher` is not used: it misses
nearly all numbers in groups before other digits, such as a time or a price, and all before a letter without a space.

Valid, not just possible: of amounts with a plus sign half are possible numbers, and one in 25 is a valid one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import polars as pl

from gata_assets.tables.masking.replacing import replace_at

_HIDDEN = "***"
# Shorter ones exist in few countries; E.164 allows 15 digits, and a national prefix may be among them: +49 (0)171.
_FEWEST, _MOST = 7, 17
# What stands between two digits; no line end, no comma and no colon, which separate numbers.
_DASHES, _BLANKS = "\u2010-\u2015\u2212\u30fc\uff0d", " \t\u00a0\u00ad\u2000-\u200f\u202f\u2060\u3000\ufeff"
SEPARATORS = rf"[{_BLANKS}{_DASHES}\-().\[\]/~（）．／∼⁓～]"
ESCAPED_SEPARATORS = r"%20|&nbsp;|\\u00a0"
SEPARATOR = f"(?:{SEPARATORS}|{ESCAPED_SEPARATORS})"
_PLUS = r"(?:[+＋]|%2[bB]|&#43;|\\u002[bB])"
_PLUSES = ["+", "＋", "%2B", "%2b", "&#43;", "\\u002b", "\\u002B"]
# No 00 within a number or a word, of an amount or of a time; once more for Rust's regex, which looks at nothing before.
_ZEROS = r"(?:(?<!\w)(?<!\d[.,:])|(?<=\\[nrt]))00"
_MAYBE_ZEROS = r"(?:^|[^\p{L}\p{N}_.,:]|(?:^|\D)[.,:]|\\[nrt])00"
# Texts without a match have no phone number. No country's code begins with zero.
_MAYBE = rf"(?:{_PLUS}|{_MAYBE_ZEROS}){SEPARATOR}{{0,4}}[1-9*[\d--0-9]](?:{SEPARATOR}{{0,4}}[\d*]){{{_FEWEST - 1}}}"
_DIGITS = (
    rf"(?P<rest>{SEPARATOR}{{0,4}}+(?!0)\d(?:{SEPARATOR}{{0,4}}+\d){{{_FEWEST - 1},{_MOST - 1}}})"
    r"(?P<more>\d?)"
)
_NUMBER, _NUMBER_WITH_PLUS = re.compile(f"(?:{_PLUS}|{_ZEROS}){_DIGITS}"), re.compile(f"{_PLUS}{_DIGITS}")
_GROUP = re.compile(rf"{SEPARATOR}{{0,4}}+(\d+)")
# A phone number that was taken for a card number; those with as many digits are rare, and have no plus sign.
_TRUNCATED = re.compile(rf"{_PLUS}(?:{SEPARATOR}{{0,4}}\*){{8,11}}(?:{SEPARATOR}{{0,4}}\d){{4}}(?!\d)")
# The end of a truncated card number's asterisks: 00 may be of its last digits, which stay.
_ASTERISKS = re.compile(rf"(?:\*{SEPARATOR}{{0,4}}){{8}}$")
_WIDEST_ASTERISKS = 8 * (1 + 4 * len("&nbsp;"))


def hide_phones_in_text(texts: pl.Series) -> tuple[pl.Series, int]:
    """Replace phone numbers in texts by `***`; card numbers are truncated already.

    Args:
        texts: Strings and nulls.

    Returns:
        The texts, and how many phone numbers were replaced.
    """
    return replace_at(texts, _likely(texts, [*_PLUSES, "00"]).arg_true(), _hide)


def contain_phones(texts: pl.Series) -> pl.Series:
    """Whether each text contains a phone number with a plus sign; false for null. With two zeros it may be an id."""
    found = _likely(texts, _PLUSES)
    rows = found.arg_true()
    some = [any(_find(text, _NUMBER_WITH_PLUS)) for text in texts.gather(rows).to_list()]
    return found.scatter(rows, pl.Series(some, dtype=pl.Boolean)) if some else found


def _likely(texts: pl.Series, starts: list[str]) -> pl.Series:
    """Whether each text may contain a number that begins so; most have not even a start."""
    found = texts.str.contains_any(starts).fill_null(value=False)
    rows = found.arg_true()
    return found.scatter(rows, texts.gather(rows).str.contains(_MAYBE)) if len(rows) else found


def _hide(text: str) -> tuple[str, int]:
    """The text without phone numbers, and how many it had."""
    text, truncated = _TRUNCATED.subn(_HIDDEN, text)
    text, count = hide_places(text, _find(text))
    return text, truncated + count


def hide_places(text: str, places: Iterable[tuple[int, int]]) -> tuple[str, int]:
    """The text with `***` at places `[start, end)`, which are in order, and how many those are."""
    parts, kept_from, count = [], 0, 0
    for start, end in places:
        parts += [text[kept_from:start], _HIDDEN]
        kept_from = end
        count += 1
    return "".join([*parts, text[kept_from:]]), count


def _find(text: str, numbers: re.Pattern[str] = _NUMBER) -> Iterator[tuple[int, int]]:
    """The phone numbers of a text, as `[start, end)`; they share no character."""
    place = 0
    while found := numbers.search(text, place):
        end = _end(text, found)
        if end is None or (found[0].startswith("00") and is_of_card(text, found.start())):
            # Another may begin within it.
            place = found.start() + 1
        else:
            yield found.start(), end
            place = end


def _end(text: str, found: re.Match[str]) -> int | None:
    """Where the longest valid number ends that begins here: digits that follow it may be of something else."""
    digits, candidates = "", []
    for group in _GROUP.finditer(text, found.start("rest"), found.end("rest")):
        digits += group[1]
        candidates.append((digits, group.end()))
    if found["more"]:
        # No number ends within a group of digits.
        candidates.pop()
    return next((end for digits, end in reversed(candidates) if len(digits) >= _FEWEST and _is_valid(digits)), None)


def _is_valid(digits: str) -> bool:
    from phonenumbers import NumberParseException, is_valid_number, parse

    try:
        return is_valid_number(parse(f"+{digits}"))
    except NumberParseException:
        return False


def is_of_card(text: str, place: int) -> bool:
    """Whether the digits at a place may be the last four of a truncated card number."""
    return _ASTERISKS.search(text[max(0, place - _WIDEST_ASTERISKS) : place]) is not None
