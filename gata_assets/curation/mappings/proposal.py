"""What mapping an unknown file may need: its columns' names and the texts of its first rows, compared with a table.

A proposal says what of it is a guess, and what else it could be. Whether it reads the file, `preview` shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from gata_assets.curation.mappings.column_search import ColumnSearch
from gata_assets.curation.mappings.hints import Hints, word_of
from gata_assets.curation.mappings.raw_columns import RawColumns
from gata_assets.curation.mappings.value_shapes import (
    are_decimal_ids,
    instant_formats,
    is_naive,
    is_too_fine,
    numeric_share,
    scale_of,
)
from gata_assets.tables.mapped_table import bounds_of
from gata_assets.tables.raw_mapping import RawMapping
from gata_assets.tables.spec import TableSpec, UnknownColumns


@dataclass(frozen=True)
class Proposal:
    """A mapping, what of it is a guess or could be otherwise, what is odd in the values by whatever mapping, and the
    required columns that nothing was found for.
    """

    mapping: RawMapping
    notes: tuple[str, ...] = ()
    oddities: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def propose(spec: TableSpec, raw: RawColumns, hints: Hints) -> Proposal:
    """The mapping that a file of these columns may need to be one of the table."""
    search = ColumnSearch(spec, raw, hints)
    search.run()
    builder = _MappingBuilder(spec, raw, hints, search)
    mapping = builder.build()
    given = {*search.found, *search.constants, *search.substitutes}
    missing = tuple(name for name in spec.required if name not in given)
    return Proposal(mapping, tuple(search.notes), tuple(builder.oddities), missing)


def unknown_names(spec: TableSpec, raw: RawColumns) -> list[str]:
    """The file's columns that a table (with its mapping) does not have, by the names that a header gives them."""
    names = spec.mapping.header or raw.names
    nests = {column.within for column in spec.raw_columns}
    return [name for name in dict.fromkeys(names) if name not in spec.sources and name not in nests]


class _MappingBuilder:
    """The mapping of the columns that were found; notes what of it is a guess."""

    def __init__(self, spec: TableSpec, raw: RawColumns, hints: Hints, search: ColumnSearch) -> None:
        self._spec, self._raw, self._hints, self._search = spec, raw, hints, search
        self._found, self._notes = search.found, search.notes
        self.oddities: list[str] = []

    def build(self) -> RawMapping:
        """The mapping."""
        columns = {} if not self._raw.has_header else self._renamed()
        columns |= dict.fromkeys(self._search.left_out, ())
        header: tuple[str, ...] = ()
        if not self._raw.has_header:
            of_file = {name: column for column, name in self._found.items()}
            header = tuple(of_file.get(name, "") for name in self._raw.names)
        nests = {column.within for column in self._spec.raw_columns}
        of_table = {*self._found.values(), *nests}
        has_unknown = any(name not in of_table for name in self._raw.names)
        is_refused = self._spec.unknown_columns is not UnknownColumns.IGNORE
        separator = self._raw.separator if self._raw.separator != self._spec.separator else None
        return RawMapping(
            columns=columns,
            constants=self._search.constants,
            substitutes=self._search.substitutes,
            words=self._words(),
            instants=self._instants(),
            whole_numbers=self._whole_numbers(),
            scales=self._scales(),
            separator=separator,
            header=header,
            has_typed_names=self._raw.has_typed_names,
            ignores_unknown=has_unknown and is_refused,
            discards_invalid=self._discards(),
        )

    def _renamed(self) -> dict[str, tuple[str, ...]]:
        own = {column.name: (column.name, *column.aliases) for column in self._spec.raw_columns}
        return {column: (name,) for column, name in self._found.items() if name not in own[column]}

    def _texts(self, column: str) -> pl.Series:
        return self._raw.texts[self._found[column]]

    def _words(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        if sum(column.allowed_values is not None for column in self._spec.raw_columns) > 1:
            # --types is for a table with one column of words.
            return found
        for column in self._spec.raw_columns:
            if column.allowed_values and column.name in self._found:
                words = sorted(self._texts(column.name).drop_nulls().unique())
                meant = {word: word_of(word, column, self._hints) for word in words if _can_be_said(word)}
                known = {*column.allowed_values, *column.words}
                found[column.name] = {word: value for word, value in meant.items() if value and word not in known}
        return {name: words for name, words in found.items() if words}

    def _instants(self) -> dict[str, tuple[str, ...]]:
        """The formats of all columns of times together, where their own are not enough."""
        columns = [column for column in self._spec.raw_columns if column.instants]
        needed: dict[str, None] = {}
        is_enough = True
        for column in columns:
            if column.name not in self._found:
                continue
            texts = self._texts(column.name)
            forms, others, _ = instant_formats(texts, self._hints.formats)
            needed |= dict.fromkeys(forms)
            is_enough &= {*forms} <= {*column.instants}
            if others:
                self._notes.append(
                    f"{column.name} is read as {forms[0]}, and could also be {', '.join(others)}: --timestamps says it."
                )
            if is_too_fine(texts):
                self._notes.append(
                    f"{column.name} has microseconds or nanoseconds since 1970, which are not read: divide them first."
                )
            if forms and is_naive(texts, forms[0]):
                self.oddities.append(f"{column.name} names no time zone: it is read as UTC.")
        return {} if is_enough else {column.name: tuple(needed) for column in columns}

    def _whole_numbers(self) -> tuple[str, ...]:
        ids = [column.name for column in self._spec.raw_columns if column.dtype == pl.String()]
        ids = [name for name in ids if name.endswith("_id")]
        decimal = [name for name in ids if name in self._found and are_decimal_ids(self._texts(name))]
        if decimal:
            self.oddities.append(
                f"{', '.join(decimal)} has whole numbers written as decimals: --ids integer reads 17.0 as 17."
            )
        return tuple(ids) if decimal else ()

    def _scales(self) -> dict[str, tuple[float, float]]:
        column = next((column for column in self._spec.raw_columns if column.name == "rating"), None)
        if column is None or column.name not in self._found:
            return {}
        low, high = bounds_of(column)
        if low is None or high is None:
            return {}
        scale = scale_of(self._texts(column.name), (low, high), self._hints.scales)
        if scale is None:
            return {}
        self._notes.append(
            f"rating is a guess: its scale seems to be {scale[0]:g} to {scale[1]:g}, and becomes {low:g} to {high:g}."
        )
        return {column.name: scale}

    def _discards(self) -> bool:
        """Whether an optional number is none in some rows."""
        partly = [
            column.name
            for column in self._spec.raw_columns
            if column.nullable and column.dtype.is_numeric() and column.name in self._found
            if 0 < numeric_share(self._texts(column.name)) < 1
        ]
        if partly:
            self._notes.append(f"{', '.join(partly)} is no number in some rows: they are read without it.")
        return bool(partly)


def _can_be_said(word: str) -> bool:
    """Whether --types can name a word."""
    return bool(word.strip()) and word == word.strip() and not {*word} & {",", "="}
