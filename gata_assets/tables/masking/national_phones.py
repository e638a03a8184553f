"""Phone numbers in texts, hidden if they are in national notation of given regions: `030 1234567`, `(415) 555-2671`.

A region is a country (ISO 3166, two letters). `phonenumbers` says whether digits are a valid number there; that is true
of many ids too, so that they must also be written as phone numbers of the country are: with the prefix that it dials
first (the 0 of `030 1234567`), or in its groups of digits. Digits without a separator are an id, unless they are a
mobile number with that prefix: `01711234567` is hidden, `0301234567` and `4155552671` are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from gata_assets.tables.masking.phones_in_text import ESCAPED_SEPARATORS, SEPARATOR, SEPARATORS, hide_places, is_of_card
from gata_assets.tables.masking.replacing import replace_at

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

# Local numbers without an area code are shorter.
_FEWEST, _MOST_GROUPS = 7, 6
# The most digits of a number with its country's code.
_E164 = 15
# What are no phone numbers: dates, four or more groups of four digits, and UUIDs; and IP addresses, which are found by
# looking around them, as Rust's regex cannot.
_OTHERS = (
    r"\b\d{4}-[01]\d-[0-3]\d|\b\d{1,2}(?:/\d{1,2}/|\.\d{1,2}\.|-\d{1,2}-)(?:19|20)\d\d\b|\b\d{4}(?:[ -]\d{4}){3,}\b"
    r"|\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"
)
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_OTHER = re.compile(rf"{_OTHERS}|(?<![\d.])(?:{_BYTE}\.){{3}}{_BYTE}(?!\.?\d)")
# An escape becomes its character, with zero bytes before it that keep the places.
_ESCAPE = re.compile(rf"{ESCAPED_SEPARATORS}|\\[nrt]")
_MARKS_OF_ESCAPES = re.compile(r"[\\&%]")
_BETWEEN = rf"(?:\0*+{SEPARATORS}){{0,4}}+"
_RUN = re.compile(rf"\d(?:{_BETWEEN}\d)*+")
_GROUP = re.compile(rf"({_BETWEEN})(\d+)")
# No number begins within a word or a time.
_NO_START = re.compile(r"(?:[^\W\d_]|[\d*]:)$")
_TIME_AFTER = re.compile(r":\d")


class _Group(NamedTuple):
    """Digits at `[start, end)` of a text, and what separates them from the group before."""

    start: int
    end: int
    digits: str
    separator: str


@dataclass(frozen=True)
class _Region:
    """A country's numbers: a pattern of their digits, and how they are written.

    That is a prefix and any groups, or else no prefix, or one that may be left out, and one of some groups of digits:
    patterns with a space wherever a separator may be.
    """

    name: str
    country_code: int
    prefix: str
    is_prefixed: bool
    fewest: int
    pattern: re.Pattern[str]
    groups: tuple[str, ...]


def hide_national_phones_in_text(texts: pl.Series, regions: Sequence[str]) -> tuple[pl.Series, int]:
    """Replace phone numbers in national notation by `***`; card numbers and international ones are hidden already.

    Args:
        texts: Strings and nulls.
        regions: Countries by two letters; numbers of any of them are hidden.

    Returns:
        The texts, and how many phone numbers were replaced.

    Raises:
        ValueError: a region is unknown.
    """
    if not regions:
        return texts, 0
    maybe = _maybe(tuple(regions))
    rows = texts.str.contains(maybe).fill_null(value=False).arg_true()
    rows = rows.filter(texts.gather(rows).str.replace_all(_OTHERS, "#").str.contains(maybe))
    return replace_at(texts, rows, partial(_hide, tuple(map(_region, regions))))


def unknown_regions(regions: Iterable[str]) -> list[str]:
    """Those that are no regions of phone numbers."""
    from phonenumbers import SUPPORTED_REGIONS

    return [region for region in regions if region not in SUPPORTED_REGIONS]


@cache
def _region(name: str) -> _Region:
    from phonenumbers import PhoneMetadata, PhoneNumberType, example_number_for_type

    found = None if unknown_regions([name]) else PhoneMetadata.metadata_for_region(name)
    if found is None or found.general_desc is None or found.country_code is None:
        raise ValueError(f"'{name}' is no region of phone numbers: two capital letters, such as DE")
    of_all, prefix = found.general_desc, found.national_prefix or ""
    kinds = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE)
    examples = [number for kind in kinds if (number := example_number_for_type(name, kind))]
    is_prefixed = bool(prefix) and all(map(_has_prefix, examples))
    fewest = max(_FEWEST, min(of_all.possible_length) + (len(prefix) if is_prefixed else 0))
    parsed = found.national_prefix_for_parsing
    begin = f"(?:{parsed}){'' if is_prefixed else '?'}" if parsed else ""
    # Where digits are moved when a prefix is dialed, no pattern has both.
    pattern = r"\d+" if found.national_prefix_transform_rule else f"{begin}(?:{of_all.national_number_pattern})"
    groups = () if is_prefixed else tuple(_groups_of(found.country_code, fewest))
    return _Region(name, found.country_code, prefix, is_prefixed, fewest, re.compile(pattern), groups)


def _groups_of(country_code: int, fewest: int) -> Iterator[str]:
    """How digits of a country's numbers are grouped, without a prefix; the library keeps some of that to itself."""
    from phonenumbers import PhoneMetadata, region_code_for_country_code
    from phonenumbers.data import _ALT_NUMBER_FORMATS

    main = PhoneMetadata.metadata_for_region(region_code_for_country_code(country_code))
    formats = [*(main.number_format if main else ()), *_ALT_NUMBER_FORMATS.get(country_code, ())]
    for pattern in dict.fromkeys(str(form.pattern) for form in formats):
        sizes = re.findall(r"\\d(?:\{(?:\d+,)?(\d+)\})?", pattern)
        if len(sizes) > 1 and sum(int(size or 1) for size in sizes) >= fewest:
            yield pattern.replace(")(", " ").replace("(", "").replace(")", "")


def _has_prefix(number: PhoneNumber) -> bool:
    from phonenumbers import national_significant_number

    return _as_written(number) != national_significant_number(number)


def _as_written(number: PhoneNumber) -> str:
    """The digits of a number in its country's own notation."""
    from phonenumbers import PhoneNumberFormat, format_number, normalize_digits_only

    return str(normalize_digits_only(format_number(number, PhoneNumberFormat.NATIONAL)))


@cache
def _maybe(regions: tuple[str, ...]) -> str:
    """A pattern of Rust's regex: texts without a match have no number of these regions."""
    numbers = dict.fromkeys(pattern for region in map(_region, regions) for pattern in _patterns(region))
    return rf"(?:^|\W|_|\\[nrt]|{SEPARATOR})(?:{'|'.join(numbers)})(?:[^\d:]|:\D|:?$)"


def _patterns(region: _Region) -> Iterator[str]:
    """Patterns of a region's numbers, for Rust's regex; digits of other scripts may be any."""
    separators, separated = rf"{SEPARATOR}{{0,4}}", rf"{SEPARATOR}{{1,4}}"
    prefix = rf"(?:{region.prefix}|[\d--0-9])"
    if region.is_prefixed:
        first = r"[\d--0]" if region.prefix == "0" else r"\d"
        yield rf"{prefix}{separators}{first}(?:{separators}\d){{{region.fewest - len(region.prefix) - 1},}}"
    begin = f"(?:{prefix}{separators})?" if region.prefix else ""
    for pattern in region.groups:
        groups = pattern.split(" ")
        for place in range(1, len(groups)):
            # At least one separator, so that ids are passed over.
            yield begin + separators.join(groups[:place]) + separated + separators.join(groups[place:])


def _hide(regions: Sequence[_Region], text: str) -> tuple[str, int]:
    """The text without phone numbers, and how many it had."""
    return hide_places(text, _find(text, regions))


def _find(text: str, regions: Sequence[_Region]) -> Iterator[tuple[int, int]]:
    """The phone numbers of a text, as `[start, end)`; they share no character."""
    if _MARKS_OF_ESCAPES.search(text):
        text = _ESCAPE.sub(_unescape, text)
    text = _OTHER.sub(lambda match: "#" * len(match[0]), text)
    for run in _RUN.finditer(text):
        groups = _groups(text, run)
        first, is_first = 0, True
        while first < len(groups):
            # No number begins in the middle of 17-4711 or 3.14, unless one ends there.
            if is_first or groups[first].separator not in ("-", "."):
                last = _last(groups[first : first + _MOST_GROUPS], regions)
                if last is not None:
                    yield groups[first].start, groups[first + last].end
                    first, is_first = first + last + 1, True
                    continue
            first, is_first = first + 1, False


def _unescape(match: re.Match[str]) -> str:
    return "\0" * (len(match[0]) - 1) + ("\n" if len(match[0]) == 2 else " ")


def _groups(text: str, run: re.Match[str]) -> list[_Group]:
    """The groups of digits in a run of which a number may consist."""
    start, end = run.span()
    groups = [_Group(found.start(2), found.end(2), found[2], found[1]) for found in _GROUP.finditer(text, start, end)]
    if _NO_START.search(text, max(0, start - 2), start) or is_of_card(text, start):
        groups = groups[1:]
    return groups[:-1] if _TIME_AFTER.match(text, end) else groups


def _last(groups: Sequence[_Group], regions: Sequence[_Region]) -> int | None:
    """The last group of the longest number that begins with the first of some groups."""
    # A bracket opens another number, unless it is after a prefix: 1 (415).
    opened = next((at for at, group in enumerate(groups) if at > 1 and "(" in group.separator), None)
    groups = groups[:opened]
    digits, ends = "".join(group.digits for group in groups), list(accumulate(len(group.digits) for group in groups))
    if not digits.isascii():
        from phonenumbers import normalize_digits_only

        digits = str(normalize_digits_only(digits))
    for last, end in reversed(list(enumerate(ends))):
        if end < _FEWEST:
            return None
        sizes = tuple(len(group.digits) for group in groups[: last + 1])
        # 0.1234567 and 512.345678 are fractions.
        is_fraction = last == 1 and groups[1].separator == "." and (sizes[0] == 1 or digits[0] != "0")
        if not is_fraction and any(_is_number_of(region, digits[:end], sizes) for region in regions):
            return last
    return None


def _is_number_of(region: _Region, digits: str, sizes: tuple[int, ...]) -> bool:
    """Whether digits, in groups of some sizes, are a number of a region."""
    most = _E164 - len(str(region.country_code)) + len(region.prefix)
    if not region.fewest <= len(digits) <= most or not region.pattern.fullmatch(digits):
        return False
    if not region.is_prefixed and not _is_grouped(region, sizes):
        return False
    from phonenumbers import (
        NumberParseException,
        PhoneNumberType,
        is_valid_number,
        national_significant_number,
        number_type,
        parse,
    )

    try:
        number = parse(digits, region.name)
    except NumberParseException:
        return False
    if number.country_code != region.country_code or not is_valid_number(number):
        return False
    written, significant = _as_written(number), national_significant_number(number)
    if written != significant:
        return digits == written and (len(sizes) > 1 or number_type(number) == PhoneNumberType.MOBILE)
    return not region.is_prefixed and digits in (significant, region.prefix + significant)


@cache
def _is_grouped(region: _Region, sizes: tuple[int, ...]) -> bool:
    """Whether a country writes digits in groups of some sizes."""
    of_prefix = len(region.prefix)
    without = sizes[1:] if sizes[0] == of_prefix else (sizes[0] - of_prefix, *sizes[1:])
    written = {" ".join("0" * size for size in found) for found in (sizes, without) if len(found) > 1}
    patterns = [pattern.replace(" ", " ?") for pattern in region.groups]
    return any(re.fullmatch(pattern, grouped) for pattern in patterns for grouped in written)
