"""How a batch's set of tables comes into the store: files first, and last the manifest that makes them one set.

As with the datasets of the ticket line: while files are replaced, the manifest of an earlier run is gone; where the
role may not delete, one that says so stands in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import DeleteDeniedError
from gata_assets.interactions.datasets import BatchDataset, StoredTables, read_stored, withdrawn_manifest
from gata_assets.interactions.engines.base import BuiltTables
from gata_assets.storage.earlier_files import delete_others
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.written import WrittenFile

WrittenFiles = Mapping[str, Sequence[WrittenFile]]


@dataclass(frozen=True)
class WrittenTables:
    """A set as it stands in the store: what its manifest says, and the files of each table."""

    stored: StoredTables
    manifest_key: str
    prefix: str
    files: WrittenFiles

    def version(self, table: str) -> str:
        """What tells a table from another: a digest of its files."""
        return sha256("\n".join(file.sha256 for file in self.files.get(table, ())).encode()).hexdigest()


def write_tables(
    store: ObjectStore,
    tables: BatchDataset,
    made: BuiltTables | None,
    *,
    approve: Callable[[WrittenFiles], None],
) -> WrittenTables:
    """Withdraw an earlier manifest, write the files, remove those of an earlier run that are left, write the manifest.

    `approve` is shown what was written, and raises for what is not to have a manifest. Raises DeleteDeniedError when
    files of an earlier run must go and the role may not delete them, or StoreError.
    """
    places = TenantLayout(tables.tenant)
    prefix, manifest_key = (
        tables.name.prefix(places, tables.batch_id),
        tables.name.manifest_key(places, tables.batch_id),
    )
    if store.exists(manifest_key):
        try:
            store.delete(manifest_key)
        except DeleteDeniedError:
            store.write(manifest_key, withdrawn_manifest(tables.name, tables.tenant, tables.batch_id))
    files = made.write(prefix) if made else {}
    delete_others(store, prefix, {manifest_key, *(file.key for of_table in files.values() for file in of_table)})
    approve(files)
    described: dict[str, list[Mapping[str, str | int]]] = {
        table: [
            {"key": file.key, "rows": file.rows, "bytes": file.size, "sha256": file.sha256} for file in files[table]
        ]
        for table in sorted(files)
    }
    manifest = replace(tables, files=described).encode()
    store.write(manifest_key, manifest)
    stored = read_stored(manifest)
    assert stored is not None  # noqa: S101 - it was encoded above
    return WrittenTables(stored, manifest_key, prefix, files)
