"""Which of a file's columns may be which of a table's: by their names, else by their values, else by their place.

What is found in another way than by a name is a guess, and noted as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import polars as pl

from gata_assets.curation.mappings.hints import Hints, plain, word_of
from gata_assets.curation.mappings.raw_columns import RawColumns
from gata_assets.curation.mappings.value_shapes import instant_formats, is_too_fine, numbers, numeric_share
from gata_assets.tables.columns.column_spec import ColumnSpec
from gata_assets.tables.mapped_table import bounds_of
from gata_assets.tables.spec import TableSpec

_MOST_WORDS = 50
# Columns, and texts of a column, that are looked at for what no name tells.
_MOST_LOOKED_AT, _FIRST_TEXTS = 200, 20
_HALF, _NEARLY_ALL = 0.5, 0.9


class ColumnSearch:
    """The state of one search.

    Attributes:
        found: by column, the name in the file.
        left_out: columns whose name the file has for something else.
        constants: by required column that is not in the file, a value.
        substitutes: by required column that is not in the file, the column to take its value from.
        notes: what is a guess, and why.
    """

    def __init__(self, spec: TableSpec, raw: RawColumns, hints: Hints) -> None:
        self._spec, self._raw, self._hints = spec, raw, hints
        self.found: dict[str, str] = {}
        self.left_out: list[str] = []
        self.notes: list[str] = []
        self.constants: dict[str, str] = {}
        self.substitutes: dict[str, str] = {}

    def run(self) -> None:
        """Find what can be found."""
        if self._raw.has_header:
            self._find_by_names()
        self._find_by_values()
        self._find_ids()
        self._fill()

    def _find_by_names(self) -> None:
        """The columns with a known name, the table's own names first, then the likeliest."""
        columns = self._spec.raw_columns
        for column in columns:
            for name in (column.name, *column.aliases):
                if name in self._raw.names and column.name not in self.found:
                    self._take_own(column, name)
        for column in columns:
            self._take_first(column, [plain(name) for name in (column.name, *column.aliases)])
        for column in columns:
            known = self._hints.names.get(self._spec.table, {}).get(column.name, ())
            if not known and column.name == self._spec.event_time:
                # What times of other tables are called.
                known = next(
                    (names[key] for names in self._hints.names.values() for key in names if key == "timestamp"), ()
                )
            self._take_first(column, known)

    def _take_own(self, column: ColumnSpec, name: str) -> None:
        if not column.nullable or self._fits(column, name):
            self.found[column.name] = name
        else:
            self.left_out.append(column.name)
            what = "lists or fields" if name in self._raw.nested else "values of another kind"
            self.notes.append(f"{column.name} is left out: the file's column of that name has {what}.")

    def _take_first(self, column: ColumnSpec, known: Iterable[str]) -> None:
        if column.name in self.found or column.name in self.left_out:
            return
        free = {plain(name): name for name in reversed(self._free())}
        fitting = [free[name] for name in known if name in free and self._fits(column, free[name])]
        if fitting:
            self.found[column.name] = fitting[0]

    def _free(self) -> list[str]:
        """The file's columns that are none of the table's so far."""
        taken = {*self.found.values(), *self._spec.sources}
        return [name for name in self._raw.texts.columns if name not in taken]

    def _fits(self, column: ColumnSpec, name: str) -> bool:
        """Whether most values of a file's column can be a column's; one without any values fits."""
        if name in self._raw.nested or name not in self._raw.texts.columns:
            return False
        texts = self._raw.texts[name]
        if texts.null_count() == len(texts):
            return True
        if column.instants or isinstance(column.dtype, pl.Datetime | pl.Date):
            return instant_formats(texts, self._hints.formats)[2] >= _HALF or is_too_fine(texts)
        if column.dtype.is_numeric():
            return numeric_share(texts) >= _HALF
        return not column.allowed_values or texts.n_unique() <= _MOST_WORDS

    def _find_by_values(self) -> None:
        """Times and words of types by their looks, where no name told them."""
        for column in self._spec.raw_columns:
            if column.name in self.found or column.nullable:
                continue
            if column.name == self._spec.event_time:
                self._take_guessed(column, self._times(), "its values are times")
            elif column.allowed_values:
                self._take_guessed(column, self._types(column), "its words are known")

    def _times(self) -> Iterator[str]:
        for name in self._free()[:_MOST_LOOKED_AT]:
            texts = self._raw.texts[name]
            first = texts.drop_nulls().head(_FIRST_TEXTS)
            # Most columns have no times, as few texts show.
            if not first.str.contains("[0-9]{2}").any() or not instant_formats(first, self._hints.formats)[2]:
                continue
            if instant_formats(texts, self._hints.formats)[2] >= _NEARLY_ALL:
                yield name

    def _types(self, column: ColumnSpec) -> Iterator[str]:
        for name in self._free()[:_MOST_LOOKED_AT]:
            words = self._raw.texts[name].drop_nulls().unique()
            if 0 < len(words) <= _MOST_WORDS:
                known = sum(word_of(word, column, self._hints) is not None for word in words)
                if known >= len(words) * _HALF:
                    yield name

    def _take_guessed(self, column: ColumnSpec, names: Iterable[str], reason: str) -> None:
        found = list(names)
        if found:
            self.found[column.name] = found[0]
            others = f" It could also be {', '.join(found[1:])}." if found[1:] else ""
            self.notes.append(f"{column.name} is a guess: {found[0]}, since {reason}.{others}")

    def _find_ids(self) -> None:
        """Ids that are required, by names that end as ids do; without a header by their place. Then what follows."""
        texts = [column for column in self._spec.raw_columns if column.dtype == pl.String() and not column.nullable]
        for column in texts:
            if column.name in self.found or column.allowed_values:
                continue
            if self._raw.has_header:
                likely = [name for name in self._free() if re.search(r"(id|code|key|no|number|sku)$", plain(name))]
                likely = likely if column.name.endswith("_id") else []
                self._take_guessed(column, likely, "its name ends as ids do")
            else:
                self._take_guessed(column, self._free()[:1], "it is the first of those that are nothing else")
        if self._raw.has_header or any(column.allowed_values and column.name in self.found for column in texts):
            return
        for column in self._spec.raw_columns:
            low, high = bounds_of(column)
            if low is not None and high is not None and column.name not in self.found:
                self._take_guessed(column, self._ratings((low, high)), "its values are on a scale")

    def _ratings(self, bounds: tuple[float, float]) -> Iterator[str]:
        for name in self._free():
            texts = self._raw.texts[name]
            if numeric_share(texts) == 1 and texts.n_unique() <= _MOST_WORDS:
                found = numbers(texts)
                scales = [bounds, *self._hints.scales]
                if any(found.is_between(*scale).all() for scale in scales):
                    yield name

    def _fill(self) -> None:
        """Constants and substitutes for required columns that the file does not have."""
        for column in self._spec.raw_columns:
            name = column.name
            if column.nullable or name in self.found:
                continue
            if name in self._hints.constants:
                has_rating = "rating" in self.found and "like" in (column.allowed_values or ())
                value = "like" if has_rating else self._hints.constants[name]
                self.constants[name] = value
                self.notes.append(
                    f"{name} is a guess: no column of the file says it. {value} is meant for all rows: "
                    f"change --constant {name}={value} if they are something else."
                )
            elif taken := self._taken_by_others(column):
                other, of_file = taken
                self.found[name] = self.found.pop(other)
                if of_file in self._spec.sources:
                    self.left_out.append(other)
                self.notes.append(f"{name} is a guess: {of_file}, which could be the {other} instead.")
            elif (source := self._hints.substitutes.get(name, "")) in self.found:
                self.substitutes[name] = source
                self.notes.append(f"{name} is not in the file: it is the {source}.")

    def _taken_by_others(self, column: ColumnSpec) -> tuple[str, str] | None:
        """An optional column, and the file's column of it, whose name is also one of a column's."""
        known = self._hints.names.get(self._spec.table, {}).get(column.name, ())
        optional = {plain(self.found[name]): name for name in self._spec.optional if name in self.found}
        other = next((optional[name] for name in known if name in optional), None)
        return (other, self.found[other]) if other else None
