"""Judges units and their children: which rows are visible, which wait for others, which are rejected.

A pure function of all changes of some units, of the tables that they refer to, and of the present instant. `states` has
what a valid state is, `timeline` the states of a unit's history; docs/shop.md has the rules in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from gata_assets.tables.changes.declared import COMMITTED_AT, IS_DELETE
from gata_assets.tables.changes.graph import Member, Unit
from gata_assets.tables.changes.key_index import hashes_of
from gata_assets.tables.changes.parents import IS_PRESENT, look_up
from gata_assets.tables.changes.routing import unplaced
from gata_assets.tables.changes.states import (
    AMOUNT,
    IS_LIVE,
    IS_VALID,
    absent_of,
    amounts_of,
    is_valid,
    never_of,
    parents_in,
    parts_of,
    since_of,
    sum_of,
    total_of,
    with_parents,
)
from gata_assets.tables.changes.timeline import INVALID_SINCE, LAST_AT, VALID_AT, as_of, changes_of, histories
from gata_assets.tables.changes.verdicts import QUARANTINED, RULES, SINCE, VERDICT, Clock
from gata_assets.tables.changes.versions import CUTOFF, PARTITION, UNIT, latest, live

# Of a unit: whether its root's latest change deletes it, and the days to which its visible rows and those of its latest
# version belong.
_IS_DELETED, _VISIBLE_DAY, _HOME_DAY, _IS_SETTLED = "is_deleted", "visible_day", "home_day", "is_settled"
_OF_UNIT = [PARTITION, UNIT]
_INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Judgment:
    """Rows by table, each with its partition and what its change has.

    Attributes:
        visible: the rows that readers see.
        waiting: the rows that are parked or quarantined: the rules that they break (a list), their verdict, and since
            when they wait.
        missing: the keys that changes of units with waiting rows refer to and that are not there, by table, with their
            partition.
    """

    visible: Mapping[str, pl.DataFrame]
    waiting: Mapping[str, pl.DataFrame]
    missing: Mapping[str, pl.DataFrame]


def judge_units(
    unit: Unit, changes: Mapping[str, pl.DataFrame], parents: Mapping[str, pl.DataFrame], clock: Clock
) -> Judgment:
    """Judge the units of some partitions.

    Args:
        unit: The tables.
        changes: All changes of the units' rows, by table (`versions.schema_of`). A unit that is in several partitions
            is judged in each, and its rows are returned where they belong: visible ones in the day of their root,
            waiting ones in that of its latest version. Partitions are days since 1970, or negative for units without a
            day.
        parents: What the tables outside of the unit contain (`parents.PARENT_SCHEMA`), by table.
        clock: The present.
    """
    root = latest(changes[unit.root.table], unit.root.key)
    parts = {part.spec.table: live(latest(changes[part.spec.table], part.spec.key)) for part in unit.parts}
    children = {child.spec.table: live(latest(changes[child.spec.table], child.spec.key)) for child in unit.children}
    units = _current_states(unit, root, parts, parents)
    settled, unsettled = units.filter(_IS_SETTLED), units.filter(~pl.col(_IS_SETTLED))
    shown = settled.filter(IS_LIVE).select(_OF_UNIT)
    waited_for = [
        children[child.spec.table]
        .select(PARTITION, pl.col(child.column).alias(UNIT))
        .join(shown, on=_OF_UNIT, how="anti")
        for child in unit.children
    ]
    others = pl.concat([unsettled.select(_OF_UNIT), *waited_for]).unique(maintain_order=True)
    # Most units are settled: only the history of the others is looked at.
    changes = changes_of(unit, changes, others)
    unsettled = _decide(unit, unsettled, ends := histories(unit, changes, parents, others), clock)
    visible = _visible_rows(unit, live(root), parts, changes, unsettled)
    units = units.join(others, on=_OF_UNIT, how="semi")
    places = _places(unit, changes, units, visible[unit.root.table], ends)
    waiting = _waiting_rows(unit, live(root), parts, unsettled, places)
    for child in unit.children:
        table = child.spec.table
        visible[table], waiting[table] = _judge_child(unit, child, children[table], visible, places, clock)
    missing = _missing(unit, changes, unsettled, parents)
    return Judgment(_in_own_day(unit, visible), waiting, missing)


def _current_states(
    unit: Unit, root: pl.DataFrame, parts: Mapping[str, pl.DataFrame], parents: Mapping[str, pl.DataFrame]
) -> pl.DataFrame:
    """The present state of each unit that has a row, and whether it is settled: valid, with all its parents."""
    own = parents_in(unit, unit.root)
    units = with_parents(root, unit, unit.root, parents).select(
        PARTITION,
        pl.col(unit.key).alias(UNIT),
        (~pl.col(IS_DELETE)).alias(IS_LIVE),
        pl.col(IS_DELETE).alias(_IS_DELETED),
        pl.col(unit.root.event_time or "").dt.date().cast(pl.Int32).alias(_HOME_DAY),
        *(pl.col(rule.column).alias(total_of(rule.name)) for rule in unit.root.totals),
        *(never_of(member) for member in own),
        *(absent_of(member) for member in own),
        *(since_of(member) for member in own),
    )
    for part in unit.parts:
        of_part, amounts = parents_in(unit, part.spec), amounts_of(unit, part)
        counts = (
            with_parents(parts[part.spec.table], unit, part.spec, parents)
            .with_columns(amounts)
            .group_by(PARTITION, pl.col(part.column).alias(UNIT))
            .agg(
                pl.len().cast(pl.Int64).alias(parts_of(part)),
                *(pl.col(amount.meta.output_name()).sum() for amount in amounts),
                *(pl.col(never_of(member)).sum() for member in of_part),
                *(pl.col(absent_of(member)).any() for member in of_part),
                *(pl.col(since_of(member)).min() for member in of_part),
            )
        )
        units = units.join(counts, on=_OF_UNIT, how="full", coalesce=True)
    # A deleted root refers to nothing.
    is_absent = {absent_of(member): pl.col(absent_of(member)).fill_null(value=False) for member in unit.parents}
    is_absent |= {absent_of(member): is_absent[absent_of(member)] & pl.col(IS_LIVE) for member in own}
    return (
        units.with_columns(pl.col(name).fill_null(value=False) for name in (IS_LIVE, _IS_DELETED))
        .with_columns(is_valid(unit), *(flag.alias(name) for name, flag in is_absent.items()))
        .with_columns((pl.col(IS_VALID) & ~pl.any_horizontal(pl.lit(value=False), *is_absent)).alias(_IS_SETTLED))
    )


def _decide(unit: Unit, unsettled: pl.DataFrame, ends: pl.DataFrame, clock: Clock) -> pl.DataFrame:
    """Units that are not settled, with since when they wait, their verdict, the rules that they break, and the instant
    of their last valid state, if that is shown.
    """
    zero = pl.lit(0).cast(AMOUNT)
    broken = {part.rule: (pl.col(parts_of(part)).fill_null(0) > 0) & ~pl.col(IS_LIVE) for part in unit.parts}
    for rule in unit.root.totals:
        total, found = pl.col(total_of(rule.name)), pl.col(sum_of(rule.name)).fill_null(zero)
        broken[rule.name] = pl.col(IS_LIVE) & (total != found)
    for member in unit.parents:
        is_absent = pl.col(absent_of(member))
        broken[member.rule] = broken[member.rule] | is_absent if member.rule in broken else is_absent
    rules = pl.concat_list(pl.when(rows).then(pl.lit(name)) for name, rows in broken.items()).list.drop_nulls()
    deleted = pl.min_horizontal(pl.lit(None, _INSTANT), *(since_of(member) for member in unit.parents))
    since = pl.when(IS_VALID).then(pl.max_horizontal(LAST_AT, deleted)).otherwise(INVALID_SINCE)
    decided = clock.judge(
        unsettled.join(ends, on=_OF_UNIT, how="left").with_columns(since.alias(SINCE), rules.alias(RULES))
    )
    is_withdrawn = pl.col(_IS_DELETED) & (pl.col(VERDICT) == QUARANTINED)
    return decided.with_columns(pl.when(~is_withdrawn).then(VALID_AT).alias(CUTOFF))


def _visible_rows(
    unit: Unit,
    root: pl.DataFrame,
    parts: Mapping[str, pl.DataFrame],
    changes: Mapping[str, pl.DataFrame],
    unsettled: pl.DataFrame,
) -> dict[str, pl.DataFrame]:
    """The rows of each unit's last valid state: the present one if it is settled."""
    present = {unit.root.table: root, **parts}
    if unsettled.is_empty():
        return present
    columns = {unit.root.table: unit.key, **{part.spec.table: part.column for part in unit.parts}}
    earlier = as_of(unit, changes, unsettled.select(*_OF_UNIT, CUTOFF).drop_nulls())
    visible = {}
    for table, rows in present.items():
        others = unsettled.select(PARTITION, pl.col(UNIT).alias(columns[table]))
        of_settled = rows.join(others, on=others.columns, how="anti")
        visible[table] = pl.concat([of_settled, earlier[table].select(of_settled.columns)])
    return visible


def _places(
    unit: Unit, changes: Mapping[str, pl.DataFrame], units: pl.DataFrame, visible: pl.DataFrame, ends: pl.DataFrame
) -> pl.DataFrame:
    """Of each unit, the day of its visible root, the day of the latest version that has one, and when its history
    ended.
    """
    event_time = pl.col(unit.root.event_time or "").dt.date().cast(pl.Int32)
    without = units.filter(pl.col(_HOME_DAY).is_null()).select(_OF_UNIT)
    found = units.select(*_OF_UNIT, _HOME_DAY)
    if not without.is_empty():
        # Deleted roots, and parts without one.
        rows = live(changes[unit.root.table]).rename({unit.key: UNIT}).join(without, on=_OF_UNIT, how="semi")
        days = latest(rows, (UNIT,)).select(*_OF_UNIT, event_time.alias("other"))
        found = found.join(days, on=_OF_UNIT, how="left").select(
            *_OF_UNIT, pl.coalesce(_HOME_DAY, "other").alias(_HOME_DAY)
        )
    shown = visible.select(PARTITION, pl.col(unit.key).alias(UNIT), event_time.alias(_VISIBLE_DAY))
    found = found.join(shown, on=_OF_UNIT, how="left")
    return found.join(ends.select(*_OF_UNIT, LAST_AT), on=_OF_UNIT, how="full", coalesce=True)


def _waiting_rows(
    unit: Unit, root: pl.DataFrame, parts: Mapping[str, pl.DataFrame], unsettled: pl.DataFrame, places: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    """The present rows of units that are not settled, in the partition of their latest version."""
    homes = _with_homes(unsettled.select(_OF_UNIT).join(places, on=_OF_UNIT, how="left"), UNIT)
    own = homes.filter(pl.col(_HOME_DAY) == pl.col(PARTITION))
    at_home = unsettled.select(*_OF_UNIT, SINCE, VERDICT, RULES).join(own, on=_OF_UNIT, how="semi")
    waiting = {unit.root.table: root.join(at_home.rename({UNIT: unit.key}), on=[PARTITION, unit.key])}
    for part in unit.parts:
        of_units = at_home.rename({UNIT: part.column})
        waiting[part.spec.table] = parts[part.spec.table].join(of_units, on=[PARTITION, part.column])
    return waiting


def _with_homes(rows: pl.DataFrame, unit: str) -> pl.DataFrame:
    """Rows with the partition of units without a day instead of a missing day; `unit` is the column of their key."""
    found = pl.Series(unplaced(hashes_of(rows[unit])))
    return rows.with_columns(pl.col(_HOME_DAY).fill_null(found))


def _judge_child(
    unit: Unit,
    child: Member,
    rows: pl.DataFrame,
    visible: Mapping[str, pl.DataFrame],
    places: pl.DataFrame,
    clock: Clock,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The visible and the waiting rows of a table whose rows wait for units."""
    spec, table = child.spec, unit.root.table
    names = {
        name for rule in spec.parent_rules for name in rule.expression.meta.root_names() if name.startswith(f"{table}.")
    }
    shown = visible[table].select(
        PARTITION,
        pl.col(unit.key).alias(child.column),
        pl.col(unit.root.event_time or "").dt.date().cast(pl.Int32).alias(_VISIBLE_DAY),
        *(pl.col(name.removeprefix(f"{table}.")).alias(name) for name in sorted(names)),
    )
    joined = rows.join(shown, on=[PARTITION, child.column], how="left")
    found = joined.filter(pl.col(_VISIBLE_DAY) == pl.col(PARTITION))
    broken = [pl.when(~rule.expression).then(pl.lit(rule.name)) for rule in spec.parent_rules]
    rules = pl.concat_list(broken).list.drop_nulls() if broken else pl.lit([], pl.List(pl.String))
    found = found.with_columns(
        rules.alias(RULES), pl.col(COMMITTED_AT).alias(SINCE), pl.lit(QUARANTINED).alias(VERDICT)
    )
    is_valid_child = pl.col(RULES).list.len() == 0
    absent = joined.filter(pl.col(_VISIBLE_DAY).is_null()).join(
        places.drop(_VISIBLE_DAY).rename({UNIT: child.column}), on=[PARTITION, child.column], how="left"
    )
    own = _with_homes(absent, child.column).filter(pl.col(_HOME_DAY) == pl.col(PARTITION))
    held = own.with_columns(
        pl.max_horizontal(COMMITTED_AT, LAST_AT).alias(SINCE), pl.lit([child.rule], pl.List(pl.String)).alias(RULES)
    )
    kept = [*rows.columns, SINCE, VERDICT, RULES]
    waiting = pl.concat([found.filter(~is_valid_child).select(kept), clock.judge(held).select(kept)])
    return found.filter(is_valid_child).select(rows.columns), waiting


def _in_own_day(unit: Unit, visible: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The visible rows that belong to the partition that they were judged in; children are already."""
    day = pl.col(unit.root.event_time or "").dt.date().cast(pl.Int32)
    roots = visible[unit.root.table].filter(day != pl.col(PARTITION))
    elsewhere = roots.select(PARTITION, pl.col(unit.key).alias(UNIT))
    if elsewhere.is_empty():
        return dict(visible)
    columns = {unit.root.table: unit.key, **{part.spec.table: part.column for part in unit.parts}}
    own = dict(visible)
    for table, column in columns.items():
        others = elsewhere.rename({UNIT: column})
        own[table] = visible[table].join(others, on=[PARTITION, column], how="anti")
    return own


def _missing(
    unit: Unit, changes: Mapping[str, pl.DataFrame], unsettled: pl.DataFrame, parents: Mapping[str, pl.DataFrame]
) -> dict[str, pl.DataFrame]:
    """The keys of other tables that any change of an unsettled unit refers to and that are not there: which state of a
    unit was valid last depends on all of them.
    """
    columns = {unit.root.table: unit.key, **{part.spec.table: part.column for part in unit.parts}}
    found: dict[str, list[pl.DataFrame]] = {}
    for member in unit.parents:
        table = member.spec.table
        of_units = unsettled.select(PARTITION, pl.col(UNIT).alias(columns[table]))
        rows = live(changes[table]).join(of_units, on=of_units.columns, how="semi")
        rows = look_up(rows.select(PARTITION, member.column), member, parents)
        keys = rows.filter(~pl.col(IS_PRESENT)).select(PARTITION, pl.col(member.column).alias("key"))
        found.setdefault(member.parent, []).append(keys)
    return {table: pl.concat(frames).unique().sort(PARTITION, "key") for table, frames in found.items()}
