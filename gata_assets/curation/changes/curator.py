"""Curates a tenant's tables of changes: validates new files, folds their changes in, and judges what they touch.

Every step may be repeated after a crash. Of two curators of the same tenant at once, one ends with a conflict: `lease`
keeps them apart.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping
from datetime import timedelta
from functools import cached_property, partial
from hashlib import sha256

import polars as pl

from gata_assets.curation.changes.due import due_partitions, is_expired, partitions_of_people
from gata_assets.curation.changes.folding import RoutedChanges, route_changes
from gata_assets.curation.changes.partitions import PartitionStore
from gata_assets.curation.changes.progress import ProgressStore
from gata_assets.curation.changes.pruning import prune
from gata_assets.curation.changes.units import Curated, Judging, more_quarantined
from gata_assets.curation.changes.waiting import (
    Counts,
    count_waiting,
    manifests_of_waiting,
    oldest_parked_at,
    waiting_rows,
)
from gata_assets.curation.changes.whole import (
    WholeStore,
    WholeTable,
    find_flips,
    fold,
    folded_parts,
    judge_children,
    without_people,
)
from gata_assets.curation.curated.check_names import NO_ROW_IS_LOST
from gata_assets.curation.curated.erasures import ERASED_BY
from gata_assets.curation.staged.changes import StagedChanges
from gata_assets.errors import ChecksFailedError
from gata_assets.storage.scratch import scratch_directory
from gata_assets.tables.arrow_checks import check_arrow_tables
from gata_assets.tables.changes.graph import TableGraph, Unit, build_graph
from gata_assets.tables.changes.key_index import Segment
from gata_assets.tables.changes.parents import KEY, parents_of
from gata_assets.tables.changes.verdicts import Clock
from gata_assets.tables.changes.versions import live
from gata_assets.tables.manifests import Manifest
from gata_assets.tables.outcomes import broken
from gata_assets.tables.spec import TableSpec

# Goes up when the same changes are judged differently than before.
_VERSION = 1
_OLDEST = pl.CompatLevel.oldest()


class ChangesCurator(StagedChanges):
    """Validates the raw files of one tenant and curates its tables of changes."""

    # How long rows wait for others.
    parked = timedelta(days=7)

    @cached_property
    def graph(self) -> TableGraph:
        """How the tables depend on one another."""
        return build_graph(self.tables)

    @property
    def clock(self) -> Clock:
        """The present, by which rows are parked."""
        return Clock(self.now, self.parked)

    @cached_property
    def wholes(self) -> WholeStore:
        """The whole tables."""
        return WholeStore(self.store, self.places)

    def curate(self, *, erased_by: str | None = None) -> Iterator[Curated]:
        """Bring all curated tables up to date with the validated files and the present instant, and remove people who
        were erased, with `erased_by`, the name of a request, wherever they are; raises as below.
        """
        yield from self.curate_whole(erased_by=erased_by)
        yield from self.curate_units(erased_by=erased_by)

    def curate_whole(self, *, erased_by: str | None = None) -> Iterator[Curated]:
        """Bring the tables that are written as a whole up to date.

        Raises ConflictError if another command writes them too, DamagedTableError or StoreError.
        """
        stored: dict[str, WholeTable] = {}
        for spec in self.graph.whole:
            stored[spec.table] = yield from self._curate_whole(spec, stored, erased_by)

    def curate_units(self, again: Collection[int] = (), *, erased_by: str | None = None) -> Iterator[Curated]:
        """Bring the partitions of units up to date, by the whole tables as they are stored; write those of `again` too.

        Raises as `curate_whole`.
        """
        parents = [spec for spec in self.graph.whole if self._is_parent(spec.table)]
        stored = {spec.table: self.wholes.read(spec, as_parent=True) for spec in parents}
        for unit in self.graph.units:
            yield from self._curate_unit(unit, stored, again, erased_by)
        for spec in self.graph.whole:
            found = stored.get(spec.table)
            if found is not None and len(found.flips):
                self.wholes.clear_flips(spec, found.manifest)

    def is_due(self) -> bool:
        """Whether files wait, changes are not folded in, or rows have waited long enough; raises StoreError."""
        if self.unvalidated(is_compared=True) or not all(map(self.is_folded, self.tables)):
            return True
        return self.is_expired()

    def is_expired(self) -> bool:
        """Whether rows have waited long enough since they were judged, as manifests say; raises StoreError."""
        manifests = manifests_of_waiting(self.wholes, self._stored_units(), self.graph)
        return any(is_expired(manifest, self.now) for manifest in manifests)

    def waiting_rows(
        self, table: str | None = None, columns: list[str] | None = None
    ) -> Iterator[tuple[str, pl.DataFrame]]:
        """See `waiting.waiting_rows`."""
        return waiting_rows(self.wholes, self._stored_units(), self.graph, table, columns)

    def count_waiting(self, table: str | None = None) -> Iterator[tuple[str, Counts]]:
        """See `waiting.count_waiting`."""
        return count_waiting(self.wholes, self._stored_units(), self.graph, table)

    def oldest_parked_at(self) -> str | None:
        """See `waiting.oldest_parked_at`."""
        return oldest_parked_at(self.wholes, self._stored_units(), self.graph)

    def _stored_units(self) -> list[PartitionStore]:
        return [PartitionStore(self.store, self.places, unit) for unit in self.graph.units]

    def folder_of(self, curated: Curated) -> str:
        """Where a curated table or partition is."""
        unit = self.graph.unit_of(curated.table)
        if unit is None or curated.partition is None:
            return self.places.curated(curated.table)
        return PartitionStore(self.store, self.places, unit).folder(curated.partition)

    def is_folded(self, table: str) -> bool:
        """Whether the curated tables have all validated files of a table; raises StoreError."""
        parts = {name: part.key for name, part in self._parts(table).items()}
        unit = self.graph.unit_of(table)
        if unit is None:
            return folded_parts(self.wholes.manifest(self.tables[table])) == parts
        folded = ProgressStore(self.store, self.places, unit).read().parts
        return {name: key for name, key in folded.items() if name.startswith(f"{table}/")} == {
            f"{table}/{name}": key for name, key in parts.items()
        }

    def _settings(self, *specs: TableSpec) -> dict[str, str]:
        """What decides about changes besides themselves, as digits that differ if they could be judged differently."""
        rules: list[object] = [_VERSION, self.parked, *(spec.digest for spec in specs)]
        for spec in specs:
            rules += [f"{rule.name} {rule.column} {rule.parts} {rule.amount}" for rule in spec.totals]
            rules += [f"{rule.name} {rule.expression}" for rule in spec.parent_rules]
        return {"rules": sha256("\n".join(map(str, rules)).encode()).hexdigest()[:32]}

    def _curate_whole(
        self, spec: TableSpec, stored: Mapping[str, WholeTable], erased_by: str | None
    ) -> Generator[Curated, None, WholeTable]:
        """Write a whole table if it is out of date; returns it."""
        erased = self.erased()
        parts, found = self._parts(spec.table), self.wholes.read(spec)
        keys = {name: part.key for name, part in parts.items()}
        settings = self._settings(spec)
        member = next((member for member in self.graph.children if member.spec.table == spec.table), None)
        is_same = found.manifest is not None and dict(found.manifest.settings) == settings
        flipped = member is not None and len(stored[member.parent].flips) > 0
        if is_same and found.parts == keys and not flipped and not is_expired(found.manifest, self.now):
            return found
        is_extended = is_same and all(keys.get(name) == key for name, key in found.parts.items())
        known = erased.without(spec, found.latest) if is_extended else found.latest.clear()
        new = [name for name in parts if not is_extended or name not in found.parts]
        changes = [self._read(spec, erased, parts[name], name) for name in new]
        latest = fold(spec, known, changes)
        parents = {member.parent: self._parents(member.parent, stored)} if member else {}
        visible, waiting = judge_children(latest, member, parents, self.clock) if member else (live(latest), None)
        flips = (
            pl.concat([find_flips(found.latest, latest, spec.key[0]), found.flips]).unique(KEY, keep="first").sort(KEY)
        )
        flips = without_people(flips, latest, spec, erased) if self._is_parent(spec.table) else flips.clear()
        outcomes = check_arrow_tables(spec, [visible.select(*spec.curated_schema).to_arrow(compat_level=_OLDEST)])
        if failed := broken(outcomes):
            raise ChecksFailedError(
                f"curated {spec.table} breaks rules, and nothing was written. {' | '.join(map(str, failed))}",
                (NO_ROW_IS_LOST,),
            )
        requests = list(found.manifest.details.get(ERASED_BY, [])) if found.manifest else []
        is_erased = erased_by is not None and erased.rows_of(spec, found.latest) is not None
        named = [*requests, erased_by] if erased_by and is_erased else []
        manifest = self.wholes.write(
            spec, latest, visible, waiting, flips, keys, settings, self.clock, found.before, named
        )
        superseded = sum(map(len, changes)) - (len(latest) - len(known))
        quarantined = more_quarantined(*({spec.table: _quarantined_in(one)} for one in (manifest, found.manifest)))
        yield Curated(spec.table, None, manifest, superseded, quarantined, {spec.table: outcomes})
        return WholeTable(manifest, latest, flips)

    def _is_parent(self, table: str) -> bool:
        members = [*self.graph.children, *(parent for unit in self.graph.units for parent in unit.parents)]
        return table in {member.parent for member in members}

    def _parents(self, table: str, stored: Mapping[str, WholeTable]) -> pl.DataFrame:
        return parents_of(stored[table].latest, self.tables[table].key[0])

    def _curate_unit(
        self, unit: Unit, stored: Mapping[str, WholeTable], again: Collection[int], erased_by: str | None
    ) -> Iterator[Curated]:
        partitions, progress = (
            PartitionStore(self.store, self.places, unit),
            ProgressStore(self.store, self.places, unit),
        )
        # Once: a file is read twice, and must have the same rows.
        before, state, erased = partitions.list_keys(), progress.read(), self.erased()
        parts = {spec.table: self._parts(spec.table) for spec in unit.tables}
        present = {f"{table}/{name}": part.key for table, found in parts.items() for name, part in found.items()}
        known = state.without_people(self._parts_before(unit.tables), present)
        has_fewer = known != state
        dropped = known.stale(present)
        if dropped:
            # Units may have lost their days, or parts their units: rows would have to move back to where these wait.
            state, dropped = state.forgotten(), {*state.parts, *state.begun}
        new = {name: key for name, key in present.items() if name in dropped or known.parts.get(name) != key}
        readers = {
            spec.table: [
                partial(self._read, spec, erased, part, name)
                for name, part in parts[spec.table].items()
                if f"{spec.table}/{name}" in new
            ]
            for spec in unit.tables
        }
        # Until all are written, what is folded in is not recorded as it is without them.
        theirs = partitions_of_people(partitions, before, erased) if has_fewer or erased_by else {}
        keep = partial(self._keep, erased, _by_table(dropped))
        index, settings = progress.index(state), self._settings(*unit.tables)
        parents = {table: self._parents(table, stored) for table in {member.parent for member in unit.parents}}
        is_interrupted = bool(state.begun)
        if new:
            state = progress.begin(state, new)
        with scratch_directory() as scratch, RoutedChanges(scratch) as routed:
            router, sources = route_changes(partitions, index, readers, routed, keep)
            due = due_partitions(
                partitions, before, {table: found.flips for table, found in stored.items()}, settings, dropped, self.now
            )
            due |= (
                {*again}
                | {*theirs}
                | {*routed.rows}
                | {source for source in sources if source < 0 and source in before}
            )
            # What moved to a day in a run that was interrupted may wait here still.
            due |= {partition for partition in before if partition < 0 and is_interrupted}
            pruned: dict[str, list[Segment]] = {}
            judging = Judging(
                unit,
                partitions,
                parents,
                self.clock,
                settings,
                keep,
                {partition: [*requests, erased_by] for partition, requests in theirs.items() if erased_by},
                partial(prune, unit, {spec.table: router.final(spec.table) for spec in unit.tables}, pruned),
            )
            days, others = ([one for one in sorted(due) if (one >= 0) is is_day] for is_day in (True, False))
            yield from judging.judge(days, routed, before)
            # From here on changes are copied from these days, and may be removed from where they waited.
            if any(router.entries(spec.table).rows for spec in unit.tables):
                state = progress.add(state, ((spec.table, router.placed(spec.table)) for spec in unit.tables))
            yield from judging.judge(others, routed, before)
            waiting = {spec.table: router.waiting(spec.table, pruned.get(spec.table, ())) for spec in unit.tables}
        if any(segment.rows for segment in waiting.values()):
            state = progress.add(state, waiting.items())
        if dict(state.parts) != present or state.begun:
            progress.fold(state, present)


def _quarantined_in(manifest: Manifest | None) -> int:
    return int(manifest.details["rows"]["quarantined"]) if manifest else 0


def _by_table(files: set[str]) -> dict[str, frozenset[str]]:
    tables = {file.partition("/")[0] for file in files}
    return {
        table: frozenset(file.removeprefix(f"{table}/") for file in files if file.startswith(f"{table}/"))
        for table in tables
    }
