"""Curated tables held against the rules of CuratedInteractions and CuratedItems.

All rules of a table are one Polars expression here, so that neither pandera's time (10 ms a table, however small) nor
its memory (60 MB) is spent on tables that keep to them; of one that does not, pandera tells by the models which rows
break what. A test holds the rules here to those of the models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
import pyarrow as pa

from gata_assets.curation.layout import DataType
from gata_assets.interactions.curated.merge import CuratedDay
from gata_assets.interactions.rules import InteractionType
from gata_assets.tables.columns.arrow_buffers import MICROS_OF_A_DAY, numbers_of_arrow
from gata_assets.tables.columns.dictionaries import plain_type
from gata_assets.tables.outcomes import Outcome


@dataclass(frozen=True)
class ColumnRules:
    """What the values of a column have to be; where nothing is said, anything goes."""

    kind: pl.DataType
    nullable: bool = False
    unique: bool = False
    length: int | None = None
    at_least: float | None = None
    at_most: float | None = None
    below: float | None = None
    among: frozenset[str] | None = None

    def truths(self, name: str) -> list[pl.Expr]:
        """What is true of a column of that name where all of this is kept, but for its type."""
        column, truths = pl.col(name), []
        if not self.nullable:
            truths.append(column.null_count() == 0)
        if self.unique:
            truths.append(column.n_unique() == pl.len())
        values = [
            None if self.length is None else column.str.len_chars() >= self.length,
            None if self.at_least is None else column >= self.at_least,
            None if self.at_most is None else column <= self.at_most,
            None if self.below is None else column < self.below,
            None if self.among is None else column.is_in(sorted(self.among)),
        ]
        return truths + [one.all(ignore_nulls=True) for one in values if one is not None]


_ID = ColumnRules(pl.String(), length=1)
_KEY = ColumnRules(pl.UInt64())
_TEXT = ColumnRules(pl.String(), nullable=True)
_INSTANT = pl.Datetime("us", "UTC")
RULES: Mapping[DataType, Mapping[str, ColumnRules]] = {
    DataType.INTERACTIONS: {
        "user_id": _ID,
        "item_id": _ID,
        "interaction_type": ColumnRules(pl.String(), among=frozenset(kind.value for kind in InteractionType)),
        "timestamp": ColumnRules(_INSTANT),
        "rating": ColumnRules(pl.Float32(), nullable=True, at_least=1, at_most=5),
        "device_type": _TEXT,
        "location": _TEXT,
        "session_id": _TEXT,
        "type_code": ColumnRules(pl.UInt8(), below=len(InteractionType)),
        "user_key": _KEY,
        "item_key": _KEY,
    },
    DataType.ITEMS: {
        "item_id": ColumnRules(pl.String(), unique=True, length=1),
        "title": ColumnRules(pl.String(), length=1),
        "category": _TEXT,
        "price": ColumnRules(pl.Float64(), nullable=True, at_least=0),
        "brand": _TEXT,
        "description": _TEXT,
        "available_at": ColumnRules(_INSTANT, nullable=True),
        "item_key": _KEY,
    },
}

_INTERACTIONS_SCHEMA = (
    pl.DataFrame(schema={name: column.kind for name, column in RULES[DataType.INTERACTIONS].items()}).to_arrow().schema
)
_EPOCH = date(1970, 1, 1)


def check_curated_interactions(days: Mapping[date, CuratedDay]) -> dict[date, list[Outcome]]:
    """For each day: every rule of CuratedInteractions holds, and every interaction is of the day."""
    advice = "This is a defect of the curation; please report it."
    # All at once first: a table costs a millisecond however small it is.
    is_kept = _keep_to([made.coded for made in days.values()])
    outcomes = {}
    for day, made in days.items():
        instants = numbers_of_arrow(made.coded["timestamp"], np.int64)
        outside = int((instants // MICROS_OF_A_DAY != (day - _EPOCH).days).sum())
        rules = (
            [_all_kept(DataType.INTERACTIONS, len(instants))]
            if is_kept
            else _check(DataType.INTERACTIONS, made.interactions)
        )
        outcomes[day] = [*rules, Outcome("timestamp is of the day", outside, len(instants), advice)]
    return outcomes


def check_curated_items(table: pl.DataFrame) -> list[Outcome]:
    """Every rule of CuratedItems holds."""
    return _check(DataType.ITEMS, table)


def _keeps_to(data: DataType, table: pl.DataFrame) -> bool:
    rules = RULES[data]
    if table.schema != pl.Schema({name: column.kind for name, column in rules.items()}):
        return False
    truths = [truth for name, column in rules.items() for truth in column.truths(name)]
    return bool(table.select(pl.all_horizontal(truths)).item())


def _keep_to(tables: Sequence[pa.Table]) -> bool:
    """Whether interactions keep to all rules; of dictionaries their values, which are fewer than the rows, are held
    against them.
    """
    rules = RULES[DataType.INTERACTIONS]
    kinds = [(field.name, field.type) for field in _INTERACTIONS_SCHEMA]
    if any([(field.name, plain_type(field.type)) for field in table.schema] != kinds for table in tables):
        return False
    for name, column in rules.items():
        truths = column.truths(name)
        chunks = [chunk for table in tables for chunk in table[name].chunks] if truths else []
        if any(isinstance(chunk, pa.DictionaryArray) and chunk.null_count for chunk in chunks):
            return False
        values = [chunk.dictionary if isinstance(chunk, pa.DictionaryArray) else chunk for chunk in chunks]
        frame = pl.DataFrame({name: pl.from_arrow(pa.chunked_array(values))}) if values else None
        if frame is not None and not frame.select(pl.all_horizontal(truths)).item():
            return False
    return True


def _check(data: DataType, table: pl.DataFrame) -> list[Outcome]:
    """Hold the rules against a table; one failed outcome a broken rule, with counts and never a value."""
    if _keeps_to(data, table):
        return [_all_kept(data, len(table))]
    import pandera.polars as pa

    from gata_assets.interactions.schema import CuratedInteractions, CuratedItems

    schema = (CuratedInteractions if data is DataType.INTERACTIONS else CuratedItems).to_schema()
    advice = "Staged rows were changed by hand, or it is a defect of the curation; please report it."
    try:
        # A DataFrame: of a LazyFrame pandera looks at the schema alone.
        schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        broken = error.failure_cases.group_by("column", "check").len().sort("column", "check")
        return [
            Outcome(f"{column} {str(check).partition('(')[0]}", count, len(table), advice)
            for column, check, count in broken.iter_rows()
        ]
    raise AssertionError(f"{schema.name}: a rule that pandera finds kept was found broken")


def _all_kept(data: DataType, rows: int) -> Outcome:
    return Outcome(f"every rule of curated_{data}", 0, rows, advice="")
