"""Judges partitions of units, from their stored changes and those that were routed to them, and writes them.

Every step may be repeated: a change that is folded in twice counts once, and a partition is what follows from its
changes, the tables that they refer to, and the present instant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from gata_assets.curation.changes.folding import Keep, RoutedChanges
from gata_assets.curation.changes.partitions import PartitionRows, PartitionStore
from gata_assets.curation.curated.check_names import NO_ROW_IS_LOST
from gata_assets.errors import ChecksFailedError
from gata_assets.storage.objects import Version
from gata_assets.storage.parallel import CALLS_AT_ONCE, map_in_order
from gata_assets.tables.arrow_checks import check_arrow_tables
from gata_assets.tables.changes.graph import Unit
from gata_assets.tables.changes.judging import Judgment, judge_units
from gata_assets.tables.changes.verdicts import Clock
from gata_assets.tables.changes.versions import PARTITION, exactly_once, in_order, schema_of
from gata_assets.tables.manifests import Manifest
from gata_assets.tables.outcomes import Outcome, broken

# Partitions are judged together while they have no more changes than this.
_ROWS_AT_ONCE = 400_000
_ROW = "row"
_ADVICE = "This is a defect of the curation; please report it."
_OLDEST = pl.CompatLevel.oldest()


@dataclass(frozen=True)
class Curated:
    """A curated table, or a partition of a unit, that was written: how many more of its changes are superseded now, how
    many more rows of each table are quarantined, and the outcomes of its tables' checks.
    """

    table: str
    partition: int | None
    manifest: Manifest
    superseded: int
    quarantined: Mapping[str, int]
    outcomes: Mapping[str, Sequence[Outcome]]


@dataclass(frozen=True)
class Judging:
    """How partitions of a unit are judged: by which parents and clock, and without which of their changes."""

    unit: Unit
    stored: PartitionStore
    parents: Mapping[str, pl.DataFrame]
    clock: Clock
    settings: Mapping[str, str]
    # Keeps of a table's stored changes those that count still.
    keep: Keep
    # By partition that people were erased from, the requests that its manifest is to name.
    erased_by: Mapping[int, Sequence[str]] = field(default_factory=dict)
    # Keeps of an unplaced partition what is unplaced still.
    prune: Callable[[str, pl.DataFrame], pl.DataFrame] = lambda _, rows: rows
    # By partition, what the checks of each table said.
    outcomes: dict[int, Mapping[str, Sequence[Outcome]]] = field(default_factory=dict)

    def judge(
        self, partitions: Sequence[int], new: RoutedChanges, before: Mapping[int, Mapping[str, Version]]
    ) -> Iterator[Curated]:
        """Judge and write partitions, those with days first, since rows may move there from the others."""
        ordered = [*sorted(one for one in partitions if one >= 0), *sorted(one for one in partitions if one < 0)]
        manifests = dict(zip(ordered, map_in_order(self.stored.manifest, ordered, CALLS_AT_ONCE), strict=True))
        sizes = {
            one: new.rows.get(one, 0) + (_changes_in(found) if (found := manifests[one]) else 0) for one in ordered
        }

        def write(ready: tuple[int, PartitionRows]) -> Curated:
            partition, rows = ready
            keys, requests = before.get(partition, {}), self.erased_by.get(partition, ())
            manifest = self.stored.write(partition, rows, keys, self.settings, self.clock.parked, requests)
            superseded = _superseded_in(manifest) - _superseded_in(manifests[partition])
            quarantined = more_quarantined(_quarantined_in(manifest), _quarantined_in(manifests[partition]))
            outcomes = self.outcomes[partition]
            return Curated(self.unit.root.table, partition, manifest, superseded, quarantined, outcomes)

        placed, unplaced = ([one for one in ordered if (one >= 0) is is_placed] for is_placed in (True, False))
        for chunk in (*_chunks(placed, sizes), *_chunks(unplaced, sizes)):
            yield from map_in_order(write, self._prepare(chunk, new, manifests), CALLS_AT_ONCE)

    def _prepare(
        self, chunk: Sequence[int], new: RoutedChanges, manifests: Mapping[int, Manifest | None]
    ) -> Iterator[tuple[int, PartitionRows]]:
        stored = [self.stored.changes(one, found) for one in chunk if (found := manifests[one])]
        changes = {}
        for spec in self.unit.tables:
            schema = schema_of(spec)
            kept = [self.keep(spec.table, frame[spec.table]) for frame in stored]
            arrived = [frame.select(*schema) for frame in new.read(spec.table, chunk)]
            rows = pl.concat([pl.DataFrame(schema=schema), *kept, *arrived])
            # A file is read once in a run, but may have been folded in before.
            once = exactly_once(rows, spec.key) if stored else rows
            own = self.prune(spec.table, once) if chunk[0] < 0 else once
            changes[spec.table] = in_order(own).with_row_index(_ROW)
        judgment = judge_units(self.unit, changes, self.parents, self.clock)
        self.outcomes.update(dict.fromkeys(chunk, _check(self.unit, changes, judgment)))
        yield from _split(chunk, changes, judgment)


def _check(unit: Unit, changes: Mapping[str, pl.DataFrame], judgment: Judgment) -> dict[str, list[Outcome]]:
    """The outcomes of each table's checks; raises ChecksFailedError if one has failed, before anything is written."""
    found = {}
    for spec in unit.tables:
        visible = judgment.visible[spec.table]
        repeated = len(visible) - visible[_ROW].n_unique()
        rules = check_arrow_tables(spec, [visible.select(*spec.curated_schema).to_arrow(compat_level=_OLDEST)])
        found[spec.table] = [Outcome("no change is visible twice", repeated, len(changes[spec.table]), _ADVICE), *rules]
        if failed := broken(found[spec.table]):
            raise ChecksFailedError(
                f"curated {spec.table} breaks rules, and nothing was written. {' | '.join(map(str, failed))}",
                (NO_ROW_IS_LOST,),
            )
    return found


def _superseded_in(manifest: Manifest | None) -> int:
    """Changes that are neither visible nor wait."""
    counts = manifest.details["rows"].values() if manifest else ()
    return sum(of["changes"] - of["visible"] - of["parked"] - of["quarantined"] for of in counts)


def _quarantined_in(manifest: Manifest | None) -> dict[str, int]:
    return {table: counts["quarantined"] for table, counts in manifest.details["rows"].items()} if manifest else {}


def more_quarantined(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """How many more rows of each table are quarantined than before; tables with no more of them are left out."""
    more = {table: rows - before.get(table, 0) for table, rows in now.items()}
    return {table: rows for table, rows in more.items() if rows > 0}


def _changes_in(manifest: Manifest) -> int:
    return sum(counts["changes"] for counts in manifest.details["rows"].values())


def _chunks(partitions: Sequence[int], sizes: Mapping[int, int]) -> Iterator[list[int]]:
    chunk: list[int] = []
    rows = 0
    for partition in partitions:
        if chunk and rows + sizes[partition] > _ROWS_AT_ONCE:
            yield chunk
            chunk, rows = [], 0
        chunk.append(partition)
        rows += sizes[partition]
    if chunk:
        yield chunk


def _split(
    chunk: Sequence[int], changes: Mapping[str, pl.DataFrame], judgment: Judgment
) -> Iterator[tuple[int, PartitionRows]]:
    """The rows of each partition, in the order of commit time, file and line."""
    others = {}
    for table, rows in changes.items():
        is_other = np.ones(len(rows), np.bool_)
        is_other[judgment.visible[table][_ROW].to_numpy()] = False
        others[table] = rows.filter(pl.Series(is_other))
    frames = (judgment.visible, others, judgment.waiting)
    visible, rest, waiting = ({table: _by_partition(rows) for table, rows in found.items()} for found in frames)
    missing = {table: _by_partition(rows, "key") for table, rows in judgment.missing.items()}
    for partition in chunk:
        yield (
            partition,
            PartitionRows(
                *(
                    {table: parts(partition) for table, parts in found.items()}
                    for found in (visible, rest, waiting, missing)
                )
            ),
        )


def _by_partition(rows: pl.DataFrame, order: str = _ROW) -> Callable[[int], pl.DataFrame]:
    ordered = rows if order == _ROW and rows[_ROW].is_sorted() else rows.sort(PARTITION, order)
    numbers = ordered[PARTITION].to_numpy()

    def find(partition: int) -> pl.DataFrame:
        first, last = np.searchsorted(numbers, [partition, partition + 1])
        return ordered[int(first) : int(last)]

    return find
