"""Subject and body as a person reads them: without markup, invisible characters and idle white space.

Line breaks of a body stay. Joiners stay within words and emoji, where they are part of the writing.
"""

from __future__ import annotations

import polars as pl

from gata_assets.lake.offline.markup import change_where, without_markup

# Characters outside of ASCII: white space, line ends, and what nobody sees, which are the soft hyphen, zero-width
# spaces, marks of direction, the byte order mark and the second set of control characters.
_SPACES = r"\x{a0}\x{1680}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}"
_ENDS = r"\x{85}\x{2028}\x{2029}"
_UNSEEN = (
    r"\x{80}-\x{84}\x{86}-\x{9f}\x{ad}\x{61c}\x{180e}\x{200b}\x{200e}\x{200f}\x{202a}-\x{202e}\x{2060}-\x{2064}"
    r"\x{2066}-\x{206f}\x{feff}\x{fff9}-\x{fffb}"
)
_FOREIGN = f"[{_SPACES}{_ENDS}{_UNSEEN}]"
_LINE_ENDS = rf"\r\n|[\r\x0b\x0c{_ENDS}]"
_INVISIBLE = rf"[\x00-\x08\x0e-\x1f\x7f{_UNSEEN}]+"
# White space besides the line feed, but for single spaces: replacing those takes ten times as long. Joiners after white
# space are what mails hide their preheader with.
_BLANKS = rf"[ \t{_SPACES}\x{{200c}}\x{{200d}}\x{{34f}}]"
_BLANK = rf"[\t{_SPACES}]{_BLANKS}*| {_BLANKS}+"
# What most texts lack, so that they are looked at once.
_IS_UNTIDY = rf"{_FOREIGN}|[\x00-\x09\x0b-\x1f\x7f]|  | \n|\n |\n\n\n|^[ \n]|[ \n]$"


def clean_bodies(texts: pl.Series) -> pl.Series:
    """The texts with at most one empty line at once; null where nothing is left."""
    return _tidy(without_markup(texts))


def clean_subjects(texts: pl.Series) -> pl.Series:
    """The texts, each in one line; null where nothing is left."""
    found = _tidy(without_markup(texts))
    return change_where(found.str.contains("\n", literal=True), found, lambda some: some.str.replace_all(r"\n+", " "))


def _tidy(texts: pl.Series) -> pl.Series:
    is_untidy = texts.str.contains(_IS_UNTIDY) | (texts.str.len_bytes() == 0)
    return change_where(is_untidy, texts, _tidy_all)


def _tidy_all(texts: pl.Series) -> pl.Series:
    found = texts.str.replace_all(_LINE_ENDS, "\n").str.replace_all(_INVISIBLE, "")
    found = found.str.replace_all(_BLANK, " ")
    found = found.str.replace_all(r" ?\n ?", "\n").str.replace_all(r"\n{3,}", "\n\n").str.strip_chars(" \n")
    return found.replace("", None)
