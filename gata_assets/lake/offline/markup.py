"""HTML mail as plain text with its line breaks, as a browser would break them; other texts are left alone.

What is a tag is what the platform's normalization takes for one, so that `a < b`, `<john@x.org>` and code survive. By
linear patterns, since a parser builds a tree: lexbor took 4.8 s for 480 KB of nested `<div>`, growing with the square,
and mails come from anybody. Nothing is cut: neither quoted mail nor signatures.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from functools import reduce
from html.entities import html5

import polars as pl

from gata_assets.tables.text_normalization import ATTRIBUTE, ELEMENT_NAME, TAG

# Elements that begin and end a line. Of a text without any, the line breaks are its own.
_BLOCKS = (
    "address|article|aside|blockquote|body|caption|center|dd|details|dialog|dir|div|dl|dt|fieldset|figcaption|figure|"
    "footer|form|h[1-6]|header|hgroup|hr|html|legend|li|main|menu|nav|ol|p|pre|section|summary|table|tbody|tfoot|thead|"
    "tr|ul"
)
_REST = r"""(?:\s(?:"[^"]*"|'[^']*'|[^<>"'])*|\s[^<>]*)?/?"""
_IS_PAGE = rf"(?i)</?(?:{_BLOCKS}|br|head|style)(?:\s+{ATTRIBUTE})*\s*/?>|<!doctype html"
# What a page doesn't show. Each has a pass of its own, since alternatives would scan the rest again.
_HIDDEN = (
    ("<head", r"(?is)<head[\s>].*?</head\s*>"),
    ("<!--", r"(?s)<!--.*?-->"),
    ("<style", r"(?is)<style[\s>].*?</style\s*>"),
    ("<script", r"(?is)<script[\s>].*?</script\s*>"),
    ("<title", r"(?is)<title[\s>].*?</title\s*>"),
)
_HAS_HIDDEN = r"(?i)<(?:head|!--|style|script|title)"
_EDGE, _BREAK = "\x1f", "\x1e"
_PRE = re.compile(r"(</?pre\b)", re.IGNORECASE)
# In a text without tags only what is surely an entity: addresses have `&copy=2`.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_HAS_ENTITY = r"&#?[A-Za-z0-9]+;"


def without_markup(texts: pl.Series) -> pl.Series:
    """Texts without tags, with the characters of entities; nulls stay."""
    has_tag = texts.str.contains("<", literal=True) & texts.str.contains(f"(?i){TAG}")
    is_page = has_tag & texts.str.contains(_IS_PAGE)
    found = change_where(is_page, texts, _text_of_pages)
    found = change_where(has_tag & ~is_page, found, lambda some: some.str.replace_all(f"(?i){TAG}", ""))
    has_entity = ~is_page & found.str.contains(_HAS_ENTITY)
    return change_where(has_entity, found, _decode_entities)


def change_where(is_changed: pl.Series, texts: pl.Series, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """The texts, changed where that is true."""
    rows = is_changed.arg_true()
    if not len(rows):
        return texts
    # In place, so in a copy.
    return change(texts) if len(rows) == len(texts) else texts.clone().scatter(rows, change(texts.gather(rows)))


def _text_of_pages(texts: pl.Series) -> pl.Series:
    found = change_where(texts.str.contains(f"[{_EDGE}{_BREAK}]"), texts, _without_marks)
    found = change_where(found.str.contains(_HAS_HIDDEN), found, lambda some: reduce(_hide, _HIDDEN, some))
    has_pre = found.str.contains(r"(?i)<pre[\s>]")
    found = change_where(has_pre, found, lambda some: some.map_elements(_break_in_pre, return_dtype=pl.String))
    found = found.str.replace_all(r"[\t\r\n\f]+", " ")
    found = found.str.replace_all(rf"(?i)<br{_REST}>", _BREAK)
    found = found.str.replace_all(rf"(?i)</?(?:{_BLOCKS}){_REST}>", _EDGE)
    found = found.str.replace_all(rf"(?i)<t[dh]{_REST}>", " ")
    found = found.str.replace_all(rf"(?i)</?{ELEMENT_NAME}{_REST}>|<!(?:doctype|\[)[^<>]*>|<\?xml[^<>]*>", "")
    # The edge of a line adds no line, nor does a break before it.
    found = found.str.replace_all(rf" *{_BREAK} *", _BREAK).str.replace_all(rf"{_BREAK}? *{_EDGE}[ {_EDGE}]*", "\n")
    found = found.str.replace_all(_BREAK, "\n", literal=True)
    return change_where(
        found.str.contains("&", literal=True),
        found,
        lambda some: pl.Series(list(map(html.unescape, some.to_list())), dtype=pl.String),
    )


def _without_marks(texts: pl.Series) -> pl.Series:
    return texts.str.replace_all(f"[{_EDGE}{_BREAK}]", "")


def _hide(texts: pl.Series, hidden: tuple[str, str]) -> pl.Series:
    mark, pattern = hidden
    return change_where(texts.str.contains(f"(?i){mark}"), texts, lambda some: some.str.replace_all(pattern, " "))


def _break_in_pre(text: str) -> str:
    """The text with breaks where a preformatted part has line ends."""
    pieces, is_pre = [], False
    for piece in _PRE.split(text):
        if piece[:1] == "<" and piece[-3:].lower() == "pre":
            is_pre = piece[1] != "/"
        pieces.append(_with_breaks(piece) if is_pre else piece)
    return "".join(pieces)


def _with_breaks(piece: str) -> str:
    """What follows the name of a preformatted element: the rest of its tag, and its lines."""
    start = piece.find(">") + 1
    lines = piece[start:].replace("\r\n", "\n").replace("\r", "\n").removeprefix("\n")
    return piece[:start] + lines.replace("\n", _BREAK)


def _decode_entities(texts: pl.Series) -> pl.Series:
    return pl.Series([_ENTITY.sub(_decode, text) for text in texts.to_list()], dtype=pl.String)


def _decode(found: re.Match[str]) -> str:
    entity = found.group()
    return html.unescape(entity) if entity[1] == "#" or entity[1:] in html5 else entity
