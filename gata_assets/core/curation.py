"""Curated tables: a day's interactions, and the catalogue, from the good rows of any number of files.

A curated table is a pure function of the set of rows: neither the order of files nor how rows are divided among them
changes a byte. What a good row is stands in `curation_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandera.polars as pa
import polars as pl

from gata_assets.core.id_keys import key_ids
from gata_assets.core.interaction_rules import InteractionType
from gata_assets.core.quality import Outcome
from gata_assets.schemas.interactions import CuratedInteractions, CuratedItems

_ORDER = ("timestamp", "user_id", "item_id", "type_code", "rating", "device_type", "location", "session_id")


@dataclass(frozen=True)
class CuratedTables:
    """A day's interactions (CuratedInteractions), the distinct `user_id, user_key` and `item_id, item_key` of it by
    id, and how many exact repetitions were dropped.
    """

    interactions: pl.DataFrame
    users: pl.DataFrame
    items: pl.DataFrame
    duplicates: int


def curate_interactions(parts: Sequence[pl.DataFrame]) -> CuratedTables:
    """Bring a day's staged rows (of at least one part, which may be empty) into order, without exact repetitions."""
    rows = pl.concat(parts)
    kept = _without_repetitions(rows)
    users, user_keys = _key_column(kept["user_id"])
    items, item_keys = _key_column(kept["item_id"])
    types = pl.Series([kind.value for kind in InteractionType])
    interactions = kept.select(
        "user_id",
        "item_id",
        interaction_type=types.gather(kept["type_code"]),
        timestamp="timestamp",
        rating="rating",
        device_type="device_type",
        location="location",
        session_id="session_id",
        type_code="type_code",
        user_key=user_keys,
        item_key=item_keys,
    )
    return CuratedTables(interactions, users, items, len(rows) - len(kept))


def _without_repetitions(rows: pl.DataFrame) -> pl.DataFrame:
    """Sorted by all columns, timestamp first, and each row once."""
    # Times hardly ever meet: an order by eight columns took four times as long as by the time and, where times are
    # the same, by the others.
    rows = rows.sort("timestamp")
    times = rows["timestamp"].to_physical()
    meets = (times == times.shift(1)).fill_null(value=False)
    meets |= meets.shift(-1, fill_value=False)
    if not meets.any():
        return rows
    tied = rows.filter(meets).unique().sort(_ORDER)
    return pl.concat([rows.filter(~meets), tied]).sort("timestamp", maintain_order=True)


def _key_column(ids: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
    keys = key_ids(ids)
    table = pl.DataFrame([ids, keys.rename(ids.name.replace("_id", "_key"))])
    return table.unique().sort(ids.name), keys


def curate_items(parts: Sequence[pl.DataFrame]) -> tuple[pl.DataFrame, int]:
    """The latest row of each item (CuratedItems), and how many earlier rows gave way to it.

    `parts` are staged rows in the order in which their files landed; of one file the last row of an item counts.
    """
    numbered = [part.with_columns(file=pl.lit(place, pl.UInt32)) for place, part in enumerate(parts)]
    rows = pl.concat(numbered).sort("item_id", "file", "source_line")
    latest = (
        rows.filter(rows["item_id"] != rows["item_id"].shift(-1, fill_value=None).fill_null("")) if len(rows) else rows
    )
    latest = latest.drop("file", "source_line")
    return latest.with_columns(key_ids(latest["item_id"]).alias("item_key")), len(rows) - len(latest)


def check_curated_interactions(table: pl.DataFrame, day: date) -> list[Outcome]:
    """Every rule of CuratedInteractions holds, and every interaction is of the day."""
    outside = int((table["timestamp"].dt.date() != day).sum())
    advice = "This is a defect of the curation; please report it."
    return [*_check(CuratedInteractions, table), Outcome("timestamp is of the day", outside, len(table), advice)]


def check_curated_items(table: pl.DataFrame) -> list[Outcome]:
    """Every rule of CuratedItems holds."""
    return _check(CuratedItems, table)


def _check(model: type[pa.DataFrameModel], table: pl.DataFrame) -> list[Outcome]:
    """Hold a model against a table; one failed outcome a broken rule, with counts and never a value."""
    schema = model.to_schema()
    if _keeps_to(schema, table):
        return [Outcome(f"every rule of {schema.name}", 0, len(table), advice="")]
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


# What pandera's rules say, as one expression each: it takes 10 ms a table however small, and there are 90 of them.
_EXPRESSIONS: Mapping[str, Callable[[pl.Expr, Mapping[str, Any]], pl.Expr]] = {
    "isin": lambda column, said: column.is_in(list(said["allowed_values"])),
    "greater_than_or_equal_to": lambda column, said: column >= said["min_value"],
    "less_than_or_equal_to": lambda column, said: column <= said["max_value"],
    "less_than": lambda column, said: column < said["max_value"],
    "str_length": lambda column, said: column.str.len_chars() >= said["min_value"],
}


def _keeps_to(schema: pa.DataFrameSchema, table: pl.DataFrame) -> bool:
    """Whether all rules are kept, from the same schema; what is not known as an expression counts as broken."""
    if table.schema != pl.Schema({name: column.dtype.type for name, column in schema.columns.items()}):
        return False
    truths = []
    for name, column in schema.columns.items():
        if not column.nullable:
            truths.append(pl.col(name).null_count() == 0)
        if column.unique:
            truths.append(pl.col(name).n_unique() == pl.len())
        for check in column.checks:
            if check.name not in _EXPRESSIONS:
                return False
            truths.append(_EXPRESSIONS[check.name](pl.col(name), check.statistics).all(ignore_nulls=True))
    return bool(table.select(pl.all_horizontal(truths)).item())
