"""Takes out of unplaced partitions what has a day by now.

Changes of units without a day wait in partitions of their own; when a unit gets a day, they are copied there first.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from gata_assets.tables.changes.graph import Unit
from gata_assets.tables.changes.key_index import KeyIndex, Segment, hashes_of
from gata_assets.tables.changes.routing import unplaced
from gata_assets.tables.changes.versions import PARTITION


def prune(
    unit: Unit, index: Mapping[str, KeyIndex], pruned: dict[str, list[Segment]], table: str, rows: pl.DataFrame
) -> pl.DataFrame:
    """The changes of an unplaced partition without those of keys whose units all have a day; records what they were."""
    if rows.is_empty():
        return rows
    root, key = index[unit.root.table], unit.key_of(table)
    own = _has_day(index[table], rows[key])
    if table == unit.root.table:
        is_kept = ~own
    else:
        member = next(member for member in unit.members if member.spec.table == table)
        named = rows[member.column]
        # A unit waits in a partition of its own: in others its members are only beside those that they belonged to.
        is_here = pl.Series(unplaced(hashes_of(named))) == rows[PARTITION]
        is_unplaced = named.is_not_null() & is_here & ~_has_day(root, named)
        waits = rows.select(PARTITION, key, is_unplaced.alias("waits")).select(
            pl.col("waits").any().over(PARTITION, key)
        )
        # What only deletes name is kept while its key has no day.
        is_kept = waits["waits"] | ~own
    gone = rows.filter(~is_kept)
    pruned.setdefault(table, []).append(Segment.of(hashes_of(gone[key]), gone[PARTITION].to_numpy()))
    return rows.filter(is_kept)


def _has_day(index: KeyIndex, keys: pl.Series) -> pl.Series:
    places, partitions = index.find(hashes_of(keys))
    found = np.zeros(len(keys), np.bool_)
    found[places[partitions >= 0]] = True
    return pl.Series(found)
