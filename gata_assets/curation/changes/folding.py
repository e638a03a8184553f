"""New changes of a unit on their way to partitions: routed, with stored changes that they take along.

`routing` decides; this reads staged parts and stored partitions, and keeps what is routed in files of a scratch folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from gata_assets.curation.changes.partitions import PartitionStore
from gata_assets.curation.reports import Span
from gata_assets.curation.staged_partitions import SpanWriter, decode_spans
from gata_assets.tables.changes.declared import SOURCE_FILE
from gata_assets.tables.changes.key_index import KeyIndex, Segment, hashes_of
from gata_assets.tables.changes.routing import Moved, Router
from gata_assets.tables.changes.versions import PARTITION, schema_of
from gata_assets.tables.spec import TableSpec

# Rows of a table that are kept in memory until they are written.
_ROWS_HELD = 250_000
_HASH, _TARGET = "hash", "target"

# By table, the new changes of each file; the columns are all, or the named ones.
PartReaders = Mapping[str, Iterable[Callable[[list[str] | None], pl.DataFrame]]]
# Of a table's stored changes, those that count still.
Keep = Callable[[str, pl.DataFrame], pl.DataFrame]


@dataclass
class RoutedChanges:
    """Changes by table and partition, in files of `scratch`; a context manager."""

    scratch: Path
    rows: dict[int, int] = field(default_factory=dict)
    _writers: dict[str, SpanWriter] = field(default_factory=dict)
    # Files by their number: a name for each row would be half of the bytes.
    _numbers: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> RoutedChanges:
        return self

    def __exit__(self, *error: object) -> None:
        for writer in self._writers.values():
            writer.__exit__(None, None, None)

    def add(self, spec: TableSpec, changes: pl.DataFrame) -> None:
        """Add changes, with their partitions."""
        if changes.is_empty():
            return
        table, changes = spec.table, changes.select(*schema_of(spec))
        if table not in self._writers:
            self._writers[table] = SpanWriter(self._path(table), rows_held=_ROWS_HELD)
        names = changes[SOURCE_FILE].unique().to_list()
        file = [self._numbers.setdefault(name, len(self._numbers)) for name in names]
        changes = changes.with_columns(pl.col(SOURCE_FILE).replace_strict(names, file, return_dtype=pl.UInt32))
        ordered = changes if changes[PARTITION].is_sorted() else changes.sort(PARTITION, maintain_order=True)
        numbers = ordered[PARTITION].to_numpy()
        for partition, count in zip(*np.unique(numbers, return_counts=True), strict=True):
            self.rows[int(partition)] = self.rows.get(int(partition), 0) + int(count)
        table_of_rows = ordered.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
        for batch in table_of_rows.to_batches():
            self._writers[table].add_numbered(batch, numbers.astype(np.int64))

    def read(self, table: str, partitions: Iterable[int]) -> list[pl.DataFrame]:
        """The changes of some partitions."""
        if table not in self._writers:
            return []
        spans, found, files = self._writers[table].spans(), [], pl.Series(list(self._numbers), dtype=pl.String)
        with self._path(table).open("rb") as file:
            for partition in partitions:
                if of_partition := spans.get(partition):
                    rows = decode_spans(_read(file, span) for span in of_partition)
                    changes = pl.DataFrame(pl.from_arrow(rows))
                    names = files.gather(changes[SOURCE_FILE]).alias(SOURCE_FILE)
                    found.append(changes.with_columns(names))
        return found

    def _path(self, table: str) -> Path:
        return self.scratch / f"{table}.routed"


def _read(file: BinaryIO, span: Span) -> bytes:
    file.seek(span.start)
    return file.read(span.size)


def route_changes(
    stored: PartitionStore,
    index: Mapping[str, KeyIndex],
    parts: PartReaders,
    routed: RoutedChanges,
    keep: Keep,
) -> tuple[Router, set[int]]:
    """Route new changes, and copy stored ones that belong to further partitions, of those that count still.

    Returns the router, and the partitions that changes were copied from.
    """
    unit = stored.unit
    router, root = Router(unit, index), unit.root
    for read in parts.get(root.table, ()):
        router.add_roots(read([unit.key, root.event_time or ""]))
    sources: set[int] = set()
    for source, targets in _by_source(router.units_with_new_days()):
        changes = _stored_changes(stored, source, keep)
        for member in unit.members if changes else ():
            rows = changes[member.spec.table]
            found = _matched(rows, member.column, targets)
            sources |= {source} if len(found) else set()
            router.add(member.spec.table, Segment.of(hashes_of(found[member.spec.key[0]]), found[_TARGET].to_numpy()))
    for member in unit.members:
        for read in parts.get(member.spec.table, ()):
            router.add_members(member.spec.table, read([*member.spec.key, member.column]))
    for spec in unit.tables:
        for source, targets in _by_source(router.moved(spec.table)):
            changes = _stored_changes(stored, source, keep)
            if changes:
                found = _matched(changes[spec.table], spec.key[0], targets)
                sources |= {source} if len(found) else set()
                routed.add(spec, found.with_columns(pl.col(_TARGET).alias(PARTITION)))
        for read in parts.get(spec.table, ()):
            routed.add(spec, router.route(spec.table, read(None)))
    return router, sources


def _stored_changes(stored: PartitionStore, partition: int, keep: Keep) -> dict[str, pl.DataFrame]:
    manifest = stored.manifest(partition)
    changes = stored.changes(partition, manifest) if manifest else {}
    return {table: keep(table, rows) for table, rows in changes.items()}


def _by_source(moved: Moved) -> Iterator[tuple[int, pl.DataFrame]]:
    """The hashes and their targets, by source."""
    frame = pl.DataFrame({_HASH: moved.hashes, _TARGET: moved.targets, "source": moved.sources})
    for (source,), of_source in frame.partition_by("source", as_dict=True, include_key=False).items():
        yield int(source), of_source


def _matched(rows: pl.DataFrame, column: str, targets: pl.DataFrame) -> pl.DataFrame:
    """The rows whose key or unit has one of the hashes, once for each target."""
    given = rows.filter(pl.col(column).is_not_null())
    return given.with_columns(pl.Series(_HASH, hashes_of(given[column]))).join(targets, on=_HASH)
