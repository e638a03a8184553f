"""Curated rows that have a key, where they are stored, and the files that their partition was built from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import polars as pl

from gata_assets.curation.changes.curator import ChangesCurator
from gata_assets.curation.changes.partitions import PartitionStore, partition_name, waiting_file
from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.curated.merge import table_file
from gata_assets.curation.reports import Report, file_of_part
from gata_assets.curation.superseding import valid_reports
from gata_assets.curation.tracing.key_values import KeyValues
from gata_assets.curation.validated_files import DAMAGED
from gata_assets.errors import ConflictError, DamagedTableError, DataRuleError, ObjectNotFoundError
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.files import digest_file
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import FileEntry, Manifest
from gata_assets.tables.spec import Repetitions

# More rows than anybody wants to trace one by one.
MOST_ROWS = 100


@dataclass(frozen=True)
class BuiltFrom:
    """A file that a partition was built from: its report, and the staged parts that may have a row of the partition."""

    report: Report
    keys: frozenset[str]
    day: date | None


@dataclass(frozen=True)
class FoundRows:
    """Curated rows of a partition (None: the table has none) that have the key, and the files that it was built from,
    in the order in which their rows count; `is_current` says whether the same files count now, and `waiting` how many
    changes of these rows wait there for rows of other tables.
    """

    partition: str | None
    rows: pl.DataFrame
    files: Sequence[BuiltFrom]
    is_current: bool
    waiting: int = 0


def find_rows(curator: TableCurator | ChangesCurator, key: KeyValues) -> Iterator[FoundRows]:
    """The curated rows that have a key, partition by partition.

    Raises DataRuleError if there are more than MOST_ROWS, ConflictError if another command writes them meanwhile,
    DamagedTableError or StoreError.
    """
    found = 0
    for one in _of_changes(curator, key) if isinstance(curator, ChangesCurator) else _of_table(curator, key):
        found += len(one.rows)
        if found > MOST_ROWS:
            raise DataRuleError(f"More than {MOST_ROWS} rows of {key.spec.table} have this: give more columns.")
        yield one


def _of_table(curator: TableCurator, key: KeyValues) -> Iterator[FoundRows]:
    spec, instant = key.spec, key.day_value
    if spec.partition_by and isinstance(instant, datetime):
        partitions: Sequence[date | None] = [instant.date()]
    else:
        partitions = curator.curated_partitions(spec.table)
    for day in partitions:
        folder = curator.places.curated(spec.table, day)
        found = _read(curator.store, folder, key)
        if found is None:
            continue
        rows, manifest = found
        built = [part["key"] for part in manifest.made_from["parts"]]
        counting = {part.key for part in curator.parts(spec.table).get(day, [])}
        yield FoundRows(str(day) if day else None, rows, _files_of(curator, key, built, day), set(built) == counting)


def _files_of(curator: TableCurator, key: KeyValues, built: Sequence[str], day: date | None) -> list[BuiltFrom]:
    reports = {report.file_id: report for report in curator.reports(key.spec.table)}
    names = [(file_of_part(part), part) for part in built]
    files = [BuiltFrom(reports[name], frozenset({part}), day) for name, part in names if name in reports]
    if key.spec.repetitions is Repetitions.EXACT:
        files.sort(key=lambda file: (file.report.landed_at, file.report.file_id))
    return files


def _of_changes(curator: ChangesCurator, key: KeyValues) -> Iterator[FoundRows]:
    table = key.spec.table
    unit, folder = curator.graph.unit_of(table), curator.places.raw(table)
    is_current = curator.is_folded(table)
    places = [(None, curator.places.curated(table))]
    if unit is not None:
        stored = PartitionStore(curator.store, curator.places, unit)
        places = [(partition_name(number), stored.folder(number)) for number in sorted(stored.list_keys())]  # type: ignore[misc]
    for name, place in places:
        found = _read(curator.store, place, key)
        if found is None:
            continue
        rows, manifest = found
        # A unit names files, each below the folder of its table; a whole table names them with their parts.
        built = set(manifest.made_from["files"] if unit else manifest.made_from["parts"])
        reports = [one for one in valid_reports(curator.reports(table)) if one.raw_key.removeprefix(folder) in built]
        reports.sort(key=lambda report: (report.landed_at, report.file_id))
        files = [BuiltFrom(report, frozenset(part.key for part in report.parts), None) for report in reports]
        yield FoundRows(name, rows, files, is_current, _count_waiting(curator.store, place, manifest, key))


def _read(store: ObjectStore, folder: str, key: KeyValues) -> tuple[pl.DataFrame, Manifest] | None:
    """The rows of a folder that have the key, and its manifest; None without such a row."""
    manifest = find_manifest(store, folder).manifest
    entry = manifest.find(table_file(key.spec.table)) if manifest else None
    if manifest is None or entry is None or not entry[1].rows:
        return None
    with _verified(store, folder, entry) as path:
        rows = key.scan(path, limit=MOST_ROWS + 1)
    return (rows, manifest) if len(rows) else None


def _count_waiting(store: ObjectStore, folder: str, manifest: Manifest, key: KeyValues) -> int:
    entry = manifest.find(waiting_file(key.spec.table))
    if entry is None:
        return 0
    with _verified(store, folder, entry) as path:
        return key.count(path)


@contextmanager
def _verified(store: ObjectStore, folder: str, file: tuple[str, FileEntry]) -> Iterator[Path]:
    name, entry = file
    key = folder + name
    try:
        with store.local_copy(key) as path:
            if digest_file(path) != entry.sha256:
                raise DamagedTableError(f"{store.uri(key)} is not what was written: its SHA-256 is another.", key=key)
            yield path
    except ObjectNotFoundError:
        raise ConflictError(
            f"{store.uri(key)} is not there any more: it is being written again. Run it again later."
        ) from None
    except DAMAGED as error:
        raise DamagedTableError(f"{store.uri(key)} is damaged: restore it or curate it again.", key=key) from error
