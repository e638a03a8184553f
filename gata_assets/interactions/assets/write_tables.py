"""Writes a batch's dataset: the engine's files, then, once they are checked, the manifest that lists them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gata_assets.curation.layout import TenantLayout
from gata_assets.interactions.datasets import BatchDataset, StoredTables
from gata_assets.interactions.engines.base import BuiltTables
from gata_assets.interactions.tables import SPECS
from gata_assets.storage.datasets import DatasetWrite
from gata_assets.storage.files import WrittenFile
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import MANIFEST_FILE

WrittenFiles = Mapping[str, Sequence[WrittenFile]]


@dataclass(frozen=True)
class WrittenTables:
    """A written dataset: the content of its manifest, the files of each table, and the number of earlier files left.

    Files of an earlier write are left where the role may not delete them; no manifest lists them.
    """

    stored: StoredTables
    prefix: str
    files: WrittenFiles
    files_left: int

    @property
    def manifest_key(self) -> str:
        """The key of the dataset's manifest."""
        return self.prefix + MANIFEST_FILE

    def version(self, table: str) -> str:
        """The version of a table."""
        return self.stored.version(table)


def write_tables(
    store: ObjectStore, tables: BatchDataset, built: BuiltTables | None, *, approve: Callable[[WrittenFiles], None]
) -> WrittenTables:
    """Write a dataset, which supersedes an earlier one.

    Args:
        store: The target.
        tables: What the manifest says of the dataset.
        built: The engine's tables; None for an empty dataset.
        approve: Called with the written files before they become visible; raises if they must not.

    Raises:
        ConflictError: Another command wrote the dataset meanwhile.
        StoreError: The store failed.
    """
    prefix = tables.name.prefix(TenantLayout(tables.tenant), tables.batch_id)
    with DatasetWrite(store, prefix) as write:
        files = built.write(prefix, write.token) if built else {}
        approve(files)
        entries = {file.key.removeprefix(prefix): file.entry for table_files in files.values() for file in table_files}
        columns = {table: {name: str(kind) for name, kind in SPECS[table].curated_schema.items()} for table in files}
        published = write.publish(tables.manifest(entries, columns))
    return WrittenTables(StoredTables.of(published.manifest), prefix, files, published.files_left)
