r"""How digits are written in texts: Unicode's digits, what may stand between them, and escapes of both.

`fold` keeps the places: the folded text has an ASCII digit or a space where the text has a digit or a separator, and
something else elsewhere. Separators are white space, control and format characters (zero-width ones, soft hyphens),
combining marks, dashes, and the punctuation of `_PUNCTUATION`. Escapes are those of JSON, HTML and URLs (`\u00a0`,
`&nbsp;`, `%20`), of digits and separators alone. An asterisk is never a separator: it marks what is hidden.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

# Between digits of one number; `'` groups thousands, `+` is a space in a URL, `\` escapes an escape. No colon: it would
# join each instant's day and time.
_PUNCTUATION = "._/'+\\~|`·•∙⋅・−⁃’´"
# Blank characters that Unicode counts among letters and symbols.
_FILLERS = "\u115f\u1160\u2800\u3164\uffa0"
_SEPARATING = frozenset(("Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Mc", "Me", "Pd"))
_SEPARATOR, _OTHER, _COMMA = " ", "#", ","
# A comma groups thousands; before a space it separates what is listed.
_COMMA_IN_NUMBER = re.compile(f"{_COMMA}(?=[0-9])")

# Of a URL only what is digits and separators for sure: `5%4111` is not the letter A.
_URL_ESCAPES = r"%(?:20|0[9aAdD]|2[dD]|[cC]2%[aA]0|[eE]2%80%[89aAbB][0-9a-fA-F])"
_HTML_ESCAPES = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,24});"
_JSON_CHARACTER = r"u[0-9a-fA-F]{4}"
_JSON_PAIR = r"u[dD][89abAB][0-9a-fA-F]{2}\\++u[dD][c-fC-F][0-9a-fA-F]{2}"
# JSON in JSON has more backslashes. They are read from the first one on, so that many of them are read once.
_JSON_ESCAPES = rf"(?<!\\)\\++(?:{_JSON_PAIR}|{_JSON_CHARACTER}|[bfnrtv])"
_ESCAPE = re.compile(f"{_JSON_ESCAPES}|{_HTML_ESCAPES}|{_URL_ESCAPES}")
_UNITS = re.compile(r"u([0-9a-fA-F]{4})")
_MARKS_OF_ESCAPES = re.compile(r"[\\&%]")

# The same for Rust's regex, which has classes of Unicode: at least what `fold` finds.
_ESCAPED = rf"\\{_JSON_CHARACTER}|{_HTML_ESCAPES}"
_SEPARATORS = rf"[\s\p{{Z}}\p{{Cc}}\p{{Cf}}\p{{M}}\p{{Pd}}{re.escape(_PUNCTUATION + _COMMA + _FILLERS)}]"
_ANY_SEPARATOR = rf"(?:{_SEPARATORS}|{_ESCAPED}|\\[bfnrtv]|{_URL_ESCAPES})"
_OTHER_DIGIT = rf"(?:[\p{{N}}--0-9]|{_ESCAPED})"
_ANY_DIGIT = rf"(?:\p{{N}}|{_ESCAPED})"


class Folded(NamedTuple):
    """A text's digits and separators at their places, and the widths of those that are escapes, by place."""

    text: str
    widths: dict[int, int]


def fold(text: str) -> Folded:
    """Fold a text, character by character; an escape becomes its character, with separators up to its end."""
    widths: dict[int, int] = {}
    if _MARKS_OF_ESCAPES.search(text):
        text = _ESCAPE.sub(lambda match: _unescape(match, widths), text)
    return Folded(_COMMA_IN_NUMBER.sub(_SEPARATOR, text.translate(_KINDS)), widths)


def _unescape(match: re.Match[str], widths: dict[int, int]) -> str:
    escape = match[0]
    units = "".join(_UNITS.findall(escape)) if escape[0] == "\\" else ""
    if units:
        character = bytes.fromhex(units).decode("utf-16-be", "surrogatepass")
    else:
        character = html.unescape(escape) if escape[0] == "&" else _SEPARATOR
    # A named entity may be several characters, and may have a name that HTML does not know.
    kind = _KINDS[ord(character)] if len(character) == 1 else _OTHER
    if kind in (_OTHER, _COMMA):
        return escape
    if kind != _SEPARATOR:
        widths[match.start()] = len(escape)
    return kind + _SEPARATOR * (len(escape) - 1)


class _Kinds(dict[int, str]):
    """What each character folds to, by code point; `str.translate` asks for it."""

    def __missing__(self, point: int) -> str:
        kind = self[point] = _kind(chr(point))
        return kind


def _kind(character: str) -> str:
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    if character == _COMMA:
        return _COMMA
    separates = (
        unicodedata.category(character) in _SEPARATING
        or character.isspace()
        or character in _PUNCTUATION
        or character in _FILLERS
    )
    return _SEPARATOR if separates else _OTHER


_KINDS = _Kinds()


def number_pattern(starts: Mapping[int, Mapping[str, str]]) -> str:
    """A pattern of Rust's regex for numbers that begin in one of several ways.

    Args:
        starts: by the fewest digits that such a number has, by its first digits the second ones, as in a class, `0-9`.
            A digit of another script or an escape may be any digit, of the shortest numbers too.
    """
    shortest, digit = min(starts), f"(?:{_ANY_SEPARATOR}*{_ANY_DIGIT})"
    heads = [f"{_OTHER_DIGIT}{digit}"]
    for fewest, seconds in starts.items():
        pairs = [f"[{first}]{_ANY_SEPARATOR}*(?:[{second}]|{_OTHER_DIGIT})" for first, second in seconds.items()]
        heads.append(f"(?:{'|'.join(pairs)}){digit}{{{fewest - shortest}}}")
    # The heads share what follows. A tail for each makes the pattern too large for Rust's regex: 70 times as slow.
    return f"(?:^|[^0-9]|{_ESCAPED}|{_URL_ESCAPES})(?:{'|'.join(heads)}){digit}{{{shortest - 2}}}"
