"""Whether texts are JSON, without building what they mean. Pure."""

from __future__ import annotations

import re

import msgspec
import polars as pl

# Readers give up at some depth: DuckDB and Python at about a thousand levels.
MOST_LEVELS = 256
_SKIP = msgspec.json.Decoder(msgspec.Raw).decode
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(r"[\[{]|[\]}]")


def only_json(texts: pl.Series) -> pl.Series:
    """The texts that are a JSON value, not nested too deeply, and null for others; they stay as they are."""
    found = [text if text is None or _is_json(text) else None for text in texts]
    return only_shallow(pl.Series(texts.name, found, dtype=pl.String))


def only_shallow(texts: pl.Series) -> pl.Series:
    """The JSON texts with at most MOST_LEVELS nested levels, and null for others."""
    # Hardly any has so many brackets, which takes a tenth of the time to count.
    places = (texts.str.count_matches(r"[\[{]") > MOST_LEVELS).arg_true()
    found = zip(places.to_list(), texts.gather(places).to_list(), strict=True)
    deep = [place for place, text in found if _is_deep(text)]
    # It would change the texts themselves.
    return texts.clone().scatter(deep, None) if deep else texts


def _is_json(text: str) -> bool:
    try:
        _SKIP(text)
    except (msgspec.DecodeError, ValueError):
        return False
    return True


def _is_deep(text: str) -> bool:
    level = 0
    for bracket in _BRACKETS.findall(_TEXT.sub("", text)):
        level += 1 if bracket in "[{" else -1
        if level > MOST_LEVELS:
            return True
    return False
