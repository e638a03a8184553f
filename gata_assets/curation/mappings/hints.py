"""What files call columns and how they write values, as data that a domain brings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gata_assets.tables.columns.column_spec import ColumnSpec


@dataclass(frozen=True)
class Hints:
    """What files call columns and how they write values, as data: names and words in `plain` form.

    Attributes:
        names: by table and column, other names, the likeliest first.
        words: by column, the value by word.
        formats: how instants are written, the likeliest first.
        scales: scales of ratings, the narrowest first.
        constants: by column, the value to propose where files have no such column.
        substitutes: by column, the one to take its value from where files have no such column.
    """

    names: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    formats: tuple[str, ...] = ()
    scales: tuple[tuple[float, float], ...] = ()
    constants: Mapping[str, str] = field(default_factory=dict)
    substitutes: Mapping[str, str] = field(default_factory=dict)


def plain(name: str) -> str:
    """A name or word for comparisons: letters and digits in lower case."""
    return re.sub(r"[^a-z0-9]+", "", name.lower())


def word_of(word: str, column: ColumnSpec, hints: Hints) -> str | None:
    """The allowed value that a file's word may mean; None for a word that is not known."""
    allowed = {plain(str(value)): str(value) for value in column.allowed_values or ()}
    known = hints.words.get(column.name, {})
    found = allowed.get(plain(word)) or known.get(plain(word))
    return found if found in allowed.values() else None
