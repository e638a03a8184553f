"""What identifies the rows that are asked for: values of columns, and the expressions that find them in stored rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce
from operator import and_
from pathlib import Path

import polars as pl

from gata_assets.errors import DataRuleError
from gata_assets.tables.columns.column_spec import ISO_8601
from gata_assets.tables.columns.conversion import convert
from gata_assets.tables.spec import Repetitions, TableSpec


@dataclass(frozen=True)
class KeyValues:
    """Values of columns of a table as it is stored, by column (None: none is given); `texts` as they were asked for."""

    spec: TableSpec
    values: Mapping[str, object]
    texts: Mapping[str, str]

    @property
    def day_value(self) -> object:
        """The value of the column of instants; None if it is not asked for."""
        return self.values.get(self.spec.event_time or "")

    def filter(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with these values, of curated or of staged ones, which may lack columns."""
        return rows.filter(self._condition(set(rows.columns)))

    def scan(self, path: Path, *, limit: int | None = None) -> pl.DataFrame:
        """The rows of a Parquet file with these values; only columns of the key are read of the other rows."""
        rows = pl.scan_parquet(path)
        found = rows.filter(self._condition(set(rows.collect_schema().names())))
        return (found if limit is None else found.head(limit)).collect(engine="streaming")

    def count(self, path: Path, day: date | None = None) -> int:
        """How many rows of a Parquet file have these values, of all days or of one."""
        rows = pl.scan_parquet(path)
        condition = self._condition(set(rows.collect_schema().names()))
        if day and self.spec.event_time:
            condition &= pl.col(self.spec.event_time).dt.date() == day
        return int(rows.filter(condition).select(pl.len()).collect(engine="streaming").item())

    def count_texts(self, path: Path) -> int:
        """How many rows of a Parquet file of rejected rows have these texts."""
        found = [pl.col(name).is_null() if not text else pl.col(name) == text for name, text in self.texts.items()]
        return int(
            pl.scan_parquet(path).filter(reduce(and_, found)).select(pl.len()).collect(engine="streaming").item()
        )

    def _condition(self, columns: set[str]) -> pl.Expr:
        return reduce(and_, (self._is(name, value, columns) for name, value in self.values.items()))

    def _is(self, name: str, value: object, columns: set[str]) -> pl.Expr:
        code = next((column for column in self.spec.columns if column.code_of == name), None)
        if name not in columns and code is not None and code.name in columns:
            # Staged rows have codes in place of words.
            words = self.spec.column(name).allowed_values or ()
            name, value = code.name, None if value is None else words.index(str(value))
        if name not in columns:
            # No row has a value of it.
            return pl.lit(value is None)
        if value is None:
            return pl.col(name).is_null()
        return pl.col(name) == pl.lit(value, self.spec.column(name).dtype)


def key_values(spec: TableSpec, texts: Mapping[str, str], unchanged: Sequence[str] | None = None) -> KeyValues:
    """The values that are meant by texts, by column; an empty text means that a row has none.

    `unchanged` are the columns of staged rows that curated rows have with the same values, if those are not all.
    Texts of masked columns are tokens, as they are stored. Raises DataRuleError, which has no value.
    """
    own = {column.name: column for column in spec.columns if not column.is_derived}
    if unchanged is not None:
        own = {name: own[name] for name in unchanged}
        if others := sorted({*texts} - {*own}):
            raise DataRuleError(
                f"Curated rows of {spec.table} are not found by {', '.join(others)}: give {', '.join(own)}."
            )
    if unknown := sorted({*texts} - {*own}):
        raise DataRuleError(f"{spec.table} has no column {', '.join(unknown)}. Its columns are {', '.join(own)}.")
    if spec.repetitions is Repetitions.LATEST and set(texts) != set(spec.key):
        raise DataRuleError(
            f"A row of {spec.table} has the key {', '.join(spec.key)}: give a value of each, and of no other."
        )
    values: dict[str, object] = {}
    for name, text in texts.items():
        # As it is stored: a token instead of an address, and an instant as readers write it.
        column = replace(own[name], format=None, instants=own[name].instants and (ISO_8601, *own[name].instants))
        value = convert(pl.Series([text], dtype=pl.String), column).item() if text else None
        allowed = column.allowed_values
        if text and (value is None or (allowed and value not in allowed)):
            kind = f"one of {', '.join(allowed)}" if allowed else f"written as {column.dtype}"
            raise DataRuleError(f"The value of {name} is not {kind}.")
        values[name] = value
    return KeyValues(spec, values, texts)
