"""The stored partitions of units: their visible rows, those that wait, and all other changes, under one manifest.

Visible rows have what their change has (commit time, file, line), so no change is stored twice. `units` decides which
partitions are rewritten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from gata_assets import __version__
from gata_assets.curation.changes.encoding import decode, encode
from gata_assets.curation.curated.erasures import ERASED_BY
from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import ConflictError, DamagedTableError, ObjectNotFoundError
from gata_assets.storage.datasets import DatasetWrite, find_manifest, read_files
from gata_assets.storage.objects import ObjectStore, Version
from gata_assets.tables.changes.declared import IS_DELETE, SOURCE_FILE
from gata_assets.tables.changes.graph import Unit
from gata_assets.tables.changes.verdicts import PARKED, RULES, SINCE, VERDICT
from gata_assets.tables.changes.versions import PARTITION, schema_of
from gata_assets.tables.manifests import MANIFEST_FILE, Manifest
from gata_assets.tables.spec import TableSpec

EPOCH = date(1970, 1, 1)


def partition_name(partition: int) -> str:
    """The folder of a partition: its day, or `unplaced-01` for units without a day."""
    return str(EPOCH + timedelta(days=partition)) if partition >= 0 else f"unplaced-{-partition:02}"


def partition_of(name: str) -> int:
    """The partition of a folder; raises ValueError for another name."""
    if name.startswith("unplaced-"):
        return -int(name.removeprefix("unplaced-"))
    return (date.fromisoformat(name) - EPOCH).days


def visible_file(table: str) -> str:
    """The file of a table's visible rows."""
    return f"{table}.parquet"


def waiting_file(table: str) -> str:
    """The file of its parked and quarantined rows."""
    return f"{table}_waiting.parquet"


def other_file(table: str) -> str:
    """The file of its changes that are not visible."""
    return f"{table}_other_changes.parquet"


MISSING_FILE = "missing.parquet"


@dataclass(frozen=True)
class PartitionRows:
    """What a partition consists of, by table; `others` are its changes that are not visible."""

    visible: Mapping[str, pl.DataFrame]
    others: Mapping[str, pl.DataFrame]
    waiting: Mapping[str, pl.DataFrame]
    missing: Mapping[str, pl.DataFrame]


class PartitionStore:
    """Reads and writes the partitions of a unit of one tenant."""

    def __init__(self, store: ObjectStore, places: TenantLayout, unit: Unit) -> None:
        self.store, self.unit = store, unit
        self.root = places.curated(unit.root.table)

    def folder(self, partition: int) -> str:
        """The folder of a partition."""
        return f"{self.root}{partition_name(partition)}/"

    def list_keys(self) -> dict[int, dict[str, Version]]:
        """The keys of each partition that has a manifest, with their versions; raises DamagedTableError, StoreError."""
        folders: dict[str, dict[str, Version]] = {}
        for key, version in self.store.list_versions(self.root):
            folders.setdefault(key.rpartition("/")[0] + "/", {})[key] = version
        found = {}
        for folder, keys in folders.items():
            if folder + MANIFEST_FILE in keys:
                try:
                    found[partition_of(folder.removeprefix(self.root).removesuffix("/"))] = keys
                except ValueError:
                    raise DamagedTableError(
                        f"{self.store.uri(folder)} is of no day, and nothing of ours: remove it."
                    ) from None
        return found

    def manifest(self, partition: int) -> Manifest | None:
        """The manifest of a partition; None if it has none, or it was withdrawn."""
        return find_manifest(self.store, self.folder(partition)).manifest

    def read(
        self, partition: int, manifest: Manifest, name: str, columns: list[str] | None = None
    ) -> pl.DataFrame | None:
        """A file of a partition; None if it has none of that name.

        Raises ConflictError if another command has replaced it meanwhile, DamagedTableError or StoreError.
        """
        if manifest.find(name) is None:
            return None
        folder = self.folder(partition)
        try:
            [(_, content)] = read_files(self.store, folder, [name], manifest)
        except ObjectNotFoundError:
            if self.manifest(partition) == manifest:
                raise
            raise ConflictError(f"Another command wrote {self.store.uri(folder)} meanwhile: run it again.") from None
        return decode(content, columns)

    def changes(self, partition: int, manifest: Manifest) -> dict[str, pl.DataFrame]:
        """All changes of a partition, by table."""
        found = {}
        for spec in self.unit.tables:
            schema = schema_of(spec)
            parts = [pl.DataFrame(schema=schema)]
            for name, columns in ((visible_file(spec.table), {IS_DELETE: False}), (other_file(spec.table), {})):
                rows = self.read(partition, manifest, name)
                if rows is not None:
                    of_file = rows.with_columns(pl.lit(value).alias(column) for column, value in columns.items())
                    parts.append(of_file.with_columns(pl.lit(partition, pl.Int32).alias(PARTITION)).select(*schema))
            found[spec.table] = pl.concat(parts)
        return found

    def write(
        self,
        partition: int,
        rows: PartitionRows,
        before: Mapping[str, Version],
        settings: Mapping[str, str],
        parked: timedelta,
        erased_by: Sequence[str] = (),
    ) -> Manifest:
        """Write a partition, replacing the keys that were there `before`; `erased_by` names the requests by which it
        lacks people. Raises ConflictError, StoreError.
        """
        contents: dict[str, tuple[bytes, int]] = {}
        counts: dict[str, dict[str, int]] = {}
        since: list[datetime] = []
        sources: set[str] = set()
        for spec in self.unit.tables:
            table = spec.table
            visible, others, waiting = rows.visible[table], rows.others[table], rows.waiting[table]
            own = list(visible_schema(spec))
            # Days without a row of a table are frequent, and a file costs time whatever is in it.
            if len(visible):
                contents[visible_file(table)] = encode(visible.select(own), spec), len(visible)
            if len(waiting):
                contents[waiting_file(table)] = encode(waiting.select(*own, VERDICT, RULES), spec), len(waiting)
            if len(others):
                contents[other_file(table)] = encode(others.select(*own, IS_DELETE), spec), len(others)
            sources |= {*visible[SOURCE_FILE].unique(), *others[SOURCE_FILE].unique()}
            parked_rows = waiting.filter(pl.col(VERDICT) == PARKED)
            since += parked_rows[SINCE].to_list()
            counts[table] = {
                "changes": len(visible) + len(others),
                "visible": len(visible),
                "parked": len(parked_rows),
                "quarantined": len(waiting) - len(parked_rows),
            }
        if any(len(keys) for keys in rows.missing.values()):
            missing = pl.concat(
                keys.select(pl.lit(table).alias("table"), "key") for table, keys in rows.missing.items()
            )
            contents[MISSING_FILE] = encode(missing, self.unit.root), len(missing)
        with DatasetWrite(self.store, self.folder(partition), before=before) as write:
            files = dict(write.write(name, content, count) for name, (content, count) in contents.items())
            manifest = Manifest(
                f"curated_{self.unit.root.table}",
                files,
                schema={
                    spec.table: {name: str(kind) for name, kind in spec.curated_schema.items()}
                    for spec in self.unit.tables
                },
                settings=dict(settings),
                made_from={"files": sorted(sources)},
                code_version=__version__,
                details={
                    "rows": counts,
                    "oldest_parked_at": min(since).isoformat() if since else None,
                    "next_expiry_at": (min(since) + parked).isoformat() if since else None,
                    **({ERASED_BY: list(erased_by)} if erased_by else {}),
                },
            )
            write.publish(manifest)
        return manifest


def visible_schema(spec: TableSpec) -> dict[str, pl.DataType]:
    """The columns of a table's visible rows: its own, and where each row comes from."""
    return {name: kind for name, kind in schema_of(spec).items() if name not in (PARTITION, IS_DELETE)}
