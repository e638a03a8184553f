"""Text of any kind as lower-case `[a-z0-9?.! ]`: without markup and quoted replies, words apart by one space.

`normalize_texts` is what the ticket pipeline uses for TEXT_NORMALIZATION=normalize; the rules are listed in
docs/text-normalization.md. A text's result depends on nothing but the text. Every pattern is linear in its length: a
construct that ends with a later mark (a comment, a style) has a pass of its own, since alternatives of such would scan
the rest of a hostile text again for each of them.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from functools import cache, reduce
from html.entities import html5
from operator import or_
from typing import NamedTuple
from unicodedata import category, decimal, normalize

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

_KEPT = "abcdefghijklmnopqrstuvwxyz0123456789?.!"
# Letters that have no decomposition in Unicode; the modifier apostrophe counts as a letter there.
_LETTERS = {
    "ß": "ss",
    "æ": "ae",
    "œ": "oe",
    "ø": "o",
    "đ": "d",
    "ð": "d",
    "ħ": "h",
    "ı": "i",
    "ȷ": "j",
    "ł": "l",
    "ŋ": "n",
    "þ": "th",
    "ŧ": "t",
    "ƒ": "f",
    "ə": "e",
    "ʼ": " ",
}
# Stands for a lost letter or digit until the end. When it is set no other character outside of ASCII is left, and its
# second byte is what a text has more bytes than characters.
_LOST = "¤"

# The elements of HTML, past and present: `<your name>` and `<jane@example.com>` are no tags.
_ELEMENTS = (
    "a abbr acronym address applet area article aside audio b base basefont bdi bdo big blockquote body br button "
    "canvas caption center cite code col colgroup data datalist dd del details dfn dialog dir div dl dt em embed "
    "fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe "
    "img input ins kbd label legend li link main map mark menu meta meter nav noframes noscript object ol optgroup "
    "option output p param picture pre progress q rp rt ruby s samp script section select slot small source span "
    "strike strong style sub summary sup svg table tbody td template textarea tfoot th thead time title tr track tt u "
    "ul var video wbr"
)
ELEMENT_NAME = f"(?:{'|'.join(_ELEMENTS.split())}|(?:[movwx]|st1):[a-z0-9]+)"
# What may stand in a tag by its name alone: other words are those of a sentence, `a <b and c> d`.
_FLAGS = "async|checked|controls|defer|disabled|hidden|loop|multiple|muted|noshade|nowrap|open|readonly|selected"
ATTRIBUTE = rf"(?:[a-z_:@][\w:.-]*\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'|[^\s\"'<>]+)|(?:{_FLAGS}))"
TAG = (
    rf"</?{ELEMENT_NAME}(?:\s+{ATTRIBUTE})*\s*/?>"
    r"|<!(?:doctype|\[)[^<>]*>|<\?xml[^<>]*>"
)
_NUMERIC_ENTITY = r"&#(?:[0-9]{1,7}|x[0-9a-f]{1,6});"


class _Removal(NamedTuple):
    """What a pass removes: a pattern, tried on texts that have its mark."""

    mark: str
    pattern: str


# The head first: it has most styles.
_CONTENTS = (
    _Removal("<head", r"(?s)<head[\s>].*?</head\s*>"),
    _Removal("<!--", r"(?s)<!--.*?-->"),
    _Removal("<style", r"(?s)<style[\s>].*?</style\s*>"),
    _Removal("<script", r"(?s)<script[\s>].*?</script\s*>"),
    _Removal("<title", r"(?s)<title[\s>].*?</title\s*>"),
    # As mail programs mark quoted replies; others set off text of the author.
    _Removal("<blockquote", r"(?s)<blockquote\s[^<>]*(?:cite|gmail_quote)[^<>]*>.*?</blockquote\s*>"),
)
_QUOTES = (
    _Removal(">", r"(?m)^[ \t]*>[^\n]*"),
    # The line, and the one after it where a mail program wrapped it.
    _Removal("wrote:", r"(?m)^[ \t]*on [^\n]*[0-9][^\n]*(?:\n[^\n]*)?wrote:[ \t\r]*$"),
    _Removal("schrieb", r"(?m)^[ \t]*am [^\n]*[0-9][^\n]*(?:\n[^\n]*)?schrieb[^\n]*(?:\n[^\n:]*)?:[ \t\r]*$"),
    # All that follows is the other message.
    _Removal("original message", r"(?ms)^[ \t]*-{2,}[ \t]*original message[ \t]*-{2,}.*"),
    _Removal("ursprungliche nachricht", r"(?ms)^[ \t]*-{2,}[ \t]*ursprungliche nachricht[ \t]*-{2,}.*"),
)
_ADDRESSES = (
    _Removal("://", r"(?:https?|ftp)://\S*"),
    _Removal("www.", r"(?:\b|_)www\.\S*"),
    _Removal("@", r"(?:mailto:)?[a-z0-9._%+-]+@(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]+"),
)

_ASCII = bytes(range(0x80))
_TO_KEPT = bytes(byte if chr(byte) in _KEPT else 0x20 for byte in range(0x100))
_SPACE = 0x20
_LINE_ENDS = "\x85\u2028\u2029"
# Slices bound the memory: a pass copies its texts.
_ROWS_AT_ONCE = 12_500


class NormalizedTexts(NamedTuple):
    """Texts, and by text the number of letters and digits that have no form in `[a-z0-9]`; nulls stay, and lost 0."""

    texts: pl.Series
    characters_lost: pl.Series


def normalize_texts(texts: pl.Series) -> NormalizedTexts:
    """Reduce each text to `[a-z0-9?.! ]`.

    Args:
        texts: Strings and nulls.

    Returns:
        The normalized texts, which may be empty, and how many of their letters and digits were lost.
    """
    slices = [_normalize(texts[start : start + _ROWS_AT_ONCE]) for start in range(0, len(texts), _ROWS_AT_ONCE)]
    slices = slices or [_normalize(texts)]
    return NormalizedTexts(*(pl.concat(parts).alias(texts.name) for parts in zip(*slices, strict=True)))


def _normalize(texts: pl.Series) -> NormalizedTexts:
    found = _fold(pl.Series(pc.ascii_lower(_as_arrow(texts)), dtype=pl.String))
    found = _where("<", found, _without_markup)
    found = _where("&", found, _decode)
    for removals in (_QUOTES, _ADDRESSES):
        found = _remove(found, removals)
    lost = (found.str.len_bytes() - found.str.len_chars()).fill_null(0)
    return NormalizedTexts(_single_spaced(found), lost)


def _fold(texts: pl.Series) -> pl.Series:
    """Replace all characters outside of ASCII by what they are in `[a-z0-9?.! ]`, or by `_LOST`."""

    def fold(marked: pl.Series) -> pl.Series:
        content = _content(_as_arrow(marked))
        foreign = sorted(set(content.translate(None, delete=_ASCII).decode()))
        return marked.str.replace_many(foreign, [_folded(character) for character in foreign])

    return _apply(texts.str.len_bytes() != texts.str.len_chars(), texts, fold)


def _folded(character: str) -> str:
    """A character without marks and in lower case: characters of ASCII, and `_LOST` where a letter or digit is lost."""
    folded, lost = "", ""
    for part in normalize("NFKD", character).lower():
        kind = category(part)
        if part in _LETTERS:
            folded += _LETTERS[part]
        elif part.isdecimal():
            folded += str(decimal(part))
        elif kind[0] == "M" or kind == "Cf":
            continue
        elif part in _KEPT:
            folded += part
        elif kind[0] in "LN":
            lost = _LOST
        else:
            folded += "\n" if part in _LINE_ENDS else " "
    return folded + lost


def _without_markup(texts: pl.Series) -> pl.Series:
    return _remove(texts, _CONTENTS).str.replace_all(TAG, "\n")


def _decode(texts: pl.Series) -> pl.Series:
    """Replace entities by their characters, folded; those that HTML does not know stay.

    An ampersand becomes a space, so that none is decoded twice.
    """
    named = _named_entities()
    return _where("&#", texts.str.replace_many(list(named), list(named.values())), _decode_numeric)


def _decode_numeric(texts: pl.Series) -> pl.Series:
    # They are too many for a table: those that occur.
    found = texts.str.extract_all(_NUMERIC_ENTITY).explode().drop_nulls().unique().sort().to_list()
    folded = [_folded_entity(html.unescape(entity)) for entity in found]
    return texts.str.replace_many(found, folded) if found else texts


@cache
def _named_entities() -> dict[str, str]:
    """The folded characters of HTML's entities by their names, in lower case as texts are."""
    names = {name.lower(): name for name in html5 if name.endswith(";")}
    # Of names that differ in case alone, the one in lower case.
    names |= {name: name for name in names if name in html5}
    return {f"&{lowered}": _folded_entity(html5[name]) for lowered, name in names.items()}


def _folded_entity(characters: str) -> str:
    folded = "".join(part if part.isascii() else _folded(part) for part in characters.lower())
    return folded.replace("&", " ")


def _remove(texts: pl.Series, removals: Sequence[_Removal]) -> pl.Series:
    """Remove what has one of the marks: first the texts that have any are taken out, so that the rest is free."""
    marked = [texts.str.contains(removal.mark, literal=True) for removal in removals]
    return _apply(reduce(or_, marked), texts, lambda some: _remove_in_turn(some, removals))


def _remove_in_turn(texts: pl.Series, removals: Sequence[_Removal]) -> pl.Series:
    for mark, pattern in removals:
        texts = _where(mark, texts, lambda some, pattern=pattern: some.str.replace_all(pattern, " "))  # type: ignore[misc]
    return texts


def _where(mark: str, texts: pl.Series, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """The texts, changed where they have the mark."""
    return _apply(texts.str.contains(mark, literal=True), texts, change)


def _apply(is_marked: pl.Series, texts: pl.Series, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """The texts, changed where they are marked."""
    rows = is_marked.arg_true()
    if not len(rows):
        return texts
    if len(rows) == len(texts):
        return change(texts)
    changed = change(texts.gather(rows))
    # The changed texts stand after all others: a row is where it was, or there.
    places = np.arange(len(texts))
    places[rows] = np.arange(len(texts), len(texts) + len(rows))
    return pl.concat([texts, changed], rechunk=False).gather(places)


def _single_spaced(texts: pl.Series) -> pl.Series:
    """Replace all that is not kept by single spaces, and by none at both ends.

    By bytes, since a pattern takes almost twice as long.
    """
    array = _as_arrow(texts)
    content = _content(array)
    ends = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    ends = ends - ends[0]
    data = np.frombuffer(content.translate(_TO_KEPT), np.uint8)
    is_space = data == _SPACE
    is_dropped = is_space.copy()
    is_dropped[1:] &= is_space[:-1]
    starts = ends[:-1][ends[:-1] < ends[1:]]
    is_dropped[starts] = is_space[starts]
    ends = ends - np.searchsorted(np.flatnonzero(is_dropped), ends)
    kept = pa.py_buffer(data[~is_dropped])
    is_given = pc.is_valid(array).buffers()[1] if array.null_count else None
    spaced = pa.Array.from_buffers(pa.large_string(), len(array), [is_given, pa.py_buffer(ends), kept])
    return pl.Series(spaced, dtype=pl.String).str.strip_suffix(" ")


def _content(array: pa.Array) -> bytes:
    """The bytes of all texts of an array, one after the other."""
    ends = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    return bytes(memoryview(array.buffers()[2] or b"")[ends[0] : ends[-1]])


def _as_arrow(texts: pl.Series) -> pa.Array:
    return texts.rechunk().to_arrow().cast(pa.large_string())
