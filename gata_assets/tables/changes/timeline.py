"""The states of units at the instants of their history, and their rows as of one of them.

Sums over parts are carried forward by differences, so that a unit of many parts and changes takes time in proportion to
its changes. A transaction's changes have the same commit time, and count together.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from gata_assets.tables.changes.declared import COMMITTED_AT, IS_DELETE
from gata_assets.tables.changes.graph import Member, Unit
from gata_assets.tables.changes.states import (
    IS_LIVE,
    IS_VALID,
    amounts_of,
    is_valid,
    never_of,
    parents_in,
    parts_of,
    total_of,
    with_parents,
)
from gata_assets.tables.changes.versions import AT, CUTOFF, ORDER, PARTITION, UNIT, last_of_commits, live

# Of a history: its last instant, the last one with a valid state, and the first one after that.
LAST_AT, VALID_AT, INVALID_SINCE = "last_at", "valid_at", "invalid_since"
_OF_UNIT = [PARTITION, UNIT]


def changes_of(unit: Unit, changes: Mapping[str, pl.DataFrame], keys: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """All changes of some units (partition and unit), and of the parts that any change names as theirs, by table."""
    root = changes[unit.root.table]
    found = {unit.root.table: root.join(keys, left_on=[PARTITION, unit.key], right_on=_OF_UNIT, how="semi")}
    for part in unit.parts:
        rows = changes[part.spec.table]
        named = rows.join(keys, left_on=[PARTITION, part.column], right_on=_OF_UNIT, how="semi")
        found[part.spec.table] = rows.join(named, on=[PARTITION, *part.spec.key], how="semi")
    return found


def histories(
    unit: Unit, changes: Mapping[str, pl.DataFrame], parents: Mapping[str, pl.DataFrame], keys: pl.DataFrame
) -> pl.DataFrame:
    """A row for each of some units (partition and unit) that has any change: when its history ends, when it was valid
    last, and since when it is not.
    """
    events = [_root_events(unit, changes[unit.root.table], parents, keys)]
    # Sums are carried forward as differences, values of the root as they are.
    carried, kept = [], [IS_LIVE, *(total_of(rule.name) for rule in unit.root.totals)]
    kept += [never_of(member) for member in parents_in(unit, unit.root)]
    for part in unit.parts:
        events += _part_events(unit, part, changes[part.spec.table], parents, keys)
        carried += [parts_of(part), *(amount.meta.output_name() for amount in amounts_of(unit, part))]
        carried += [never_of(member) for member in parents_in(unit, part.spec)]
    states = (
        pl.concat(events, how="diagonal")
        .group_by(*_OF_UNIT, AT)
        # At an instant a root has one event, parts may have many.
        .agg(*(pl.col(name).sum() for name in carried), *(pl.col(name).drop_nulls().last() for name in kept))
        .sort(*_OF_UNIT, AT)
        .with_columns(
            *(pl.col(name).cum_sum().over(_OF_UNIT) for name in carried),
            *(pl.col(name).forward_fill().over(_OF_UNIT) for name in kept),
        )
        .with_columns(pl.col(IS_LIVE).fill_null(value=False))
        .with_columns(is_valid(unit))
    )
    valid_at = pl.col(AT).filter(pl.col(IS_VALID)).max()
    is_after = (pl.col(AT) > valid_at).fill_null(value=True)
    return states.group_by(_OF_UNIT, maintain_order=True).agg(
        pl.col(AT).max().alias(LAST_AT),
        valid_at.alias(VALID_AT),
        pl.col(AT).filter(is_after).min().alias(INVALID_SINCE),
    )


def _root_events(
    unit: Unit, changes: pl.DataFrame, parents: Mapping[str, pl.DataFrame], keys: pl.DataFrame
) -> pl.DataFrame:
    own = changes.join(keys, left_on=[PARTITION, unit.key], right_on=_OF_UNIT, how="semi")
    last = with_parents(last_of_commits(own, unit.key), unit, unit.root, parents)
    return last.select(
        PARTITION,
        pl.col(unit.key).alias(UNIT),
        pl.col(COMMITTED_AT).alias(AT),
        (~pl.col(IS_DELETE)).alias(IS_LIVE),
        *(never_of(member) for member in parents_in(unit, unit.root)),
        *(pl.col(rule.column).alias(total_of(rule.name)) for rule in unit.root.totals),
    )


def _part_events(
    unit: Unit, part: Member, changes: pl.DataFrame, parents: Mapping[str, pl.DataFrame], keys: pl.DataFrame
) -> list[pl.DataFrame]:
    """What each change of a part adds to the unit that it names, and takes from the one that the part was of."""
    key, named = part.spec.key[0], _named(part, changes, keys)
    last = last_of_commits(changes.join(named, on=[PARTITION, key], how="semi"), key)
    amounts = amounts_of(unit, part)
    numbers = [parts_of(part), *(never_of(member) for member in parents_in(unit, part.spec))]
    numbers += [amount.meta.output_name() for amount in amounts]
    versions = (
        with_parents(last, unit, part.spec, parents)
        .with_columns(pl.lit(1, pl.Int64).alias(parts_of(part)), *amounts)
        .select(
            PARTITION,
            key,
            pl.when(~pl.col(IS_DELETE)).then(pl.col(part.column)).alias(UNIT),
            pl.col(COMMITTED_AT).alias(AT),
            *numbers,
        )
    )
    # Ordered by key and commit time: the version before is in the row before.
    of_part = [PARTITION, key]
    before = versions.with_columns(pl.col(name).shift(1).over(of_part) for name in (UNIT, *numbers))
    before = before.with_columns(-pl.col(name) for name in numbers)
    # Instants at which a part that a unit once had changes elsewhere belong to the unit's history too.
    instants = named.join(versions.select(*of_part, AT), on=of_part).select(*_OF_UNIT, AT)
    return [*(frame.drop(key).join(keys, on=_OF_UNIT, how="semi") for frame in (versions, before)), instants]


def _named(part: Member, changes: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    """The parts that any change names as one of these units, with the unit."""
    own = changes.select(PARTITION, *part.spec.key, pl.col(part.column).alias(UNIT))
    return own.join(keys, on=_OF_UNIT, how="semi").unique(maintain_order=True)


def as_of(unit: Unit, changes: Mapping[str, pl.DataFrame], cutoffs: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The live rows of units as of an instant each (partition, unit, CUTOFF), of the root and its parts by table."""
    of_root = cutoffs.rename({UNIT: unit.key})
    root = changes[unit.root.table].join(of_root, on=[PARTITION, unit.key])
    found = {unit.root.table: _rows_at(root, [PARTITION, unit.key])}
    for part in unit.parts:
        key, rows = part.spec.key[0], changes[part.spec.table]
        named = _named(part, rows, cutoffs).join(cutoffs, on=_OF_UNIT)
        of_units = rows.join(named, on=[PARTITION, key], how="inner")
        now = _rows_at(of_units, [PARTITION, key, UNIT])
        found[part.spec.table] = now.filter(pl.col(part.column) == pl.col(UNIT)).drop(UNIT)
    return found


def _rows_at(changes: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    until = changes.filter(pl.col(COMMITTED_AT) <= pl.col(CUTOFF)).drop(CUTOFF)
    return live(until.sort(*ORDER).unique(key, keep="last", maintain_order=True))
