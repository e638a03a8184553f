"""The columns of a unit's state, and whether a state is valid.

A state has: whether the unit's root is live; by part table the number of live parts; by rule what the parts sum up to,
and the total that must equal it; by reference how many rows have a parent that never existed.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from gata_assets.tables.changes.graph import Member, Unit
from gata_assets.tables.changes.parents import DELETED_AT, HAS_EXISTED, IS_PRESENT, look_up
from gata_assets.tables.spec import TableSpec

IS_LIVE, IS_VALID = "is_live", "is_valid"
AMOUNT = pl.Decimal(38, 2)


def parts_of(part: Member) -> str:
    """The number of live parts of a table."""
    return f"parts in {part.spec.table}"


def sum_of(rule: str) -> str:
    """What the parts sum up to by a rule."""
    return f"sum of {rule}"


def total_of(rule: str) -> str:
    """What they must sum up to by a rule."""
    return f"total of {rule}"


def never_of(member: Member) -> str:
    """The number of rows whose parent never existed."""
    return f"never {member.spec.table}.{member.column}"


def absent_of(member: Member) -> str:
    """Whether a row has a parent that is not there now."""
    return f"absent {member.spec.table}.{member.column}"


def since_of(member: Member) -> str:
    """Since when a parent that existed is absent."""
    return f"since {member.spec.table}.{member.column}"


def is_valid(unit: Unit) -> pl.Expr:
    """Whether a state is valid: balanced and without a parent that never existed, or empty."""
    zero = pl.lit(0).cast(AMOUNT)
    balanced = [pl.col(total_of(rule.name)) == pl.col(sum_of(rule.name)).fill_null(zero) for rule in unit.root.totals]
    known = [pl.col(never_of(member)).fill_null(0) == 0 for member in unit.parents]
    empty = [pl.col(parts_of(part)).fill_null(0) == 0 for part in unit.parts]
    is_complete = pl.all_horizontal(pl.lit(value=True), *balanced, *known)
    return pl.when(pl.col(IS_LIVE)).then(is_complete).otherwise(pl.all_horizontal(*empty)).alias(IS_VALID)


def amounts_of(unit: Unit, part: Member) -> list[pl.Expr]:
    """What a part contributes to the sums of its unit's rules, by the names of the sums."""
    rules = [rule for rule in unit.root.totals if rule.parts == part.spec.table]
    return [rule.amount.cast(AMOUNT).alias(sum_of(rule.name)) for rule in rules]


def parents_in(unit: Unit, spec: TableSpec) -> list[Member]:
    """The references of one of the unit's tables to others."""
    return [member for member in unit.parents if member.spec is spec]


def with_parents(rows: pl.DataFrame, unit: Unit, spec: TableSpec, parents: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Rows of one of the unit's tables, with `never_of`, `absent_of` and `since_of` each of their references."""
    for member in parents_in(unit, spec):
        rows = (
            look_up(rows, member, parents)
            .with_columns(
                (~pl.col(HAS_EXISTED)).cast(pl.Int64).alias(never_of(member)),
                (~pl.col(IS_PRESENT)).alias(absent_of(member)),
                pl.col(DELETED_AT).alias(since_of(member)),
            )
            .drop(IS_PRESENT, HAS_EXISTED, DELETED_AT)
        )
    return rows
