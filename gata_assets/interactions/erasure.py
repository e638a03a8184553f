"""The batches of a tenant's interactions as places of people's data: features and training rows.

Rows of theirs are removed from batches whose window ends before the erasure; those of later batches were built without
what precedes it. All other rows stay in their order, and so do aggregates that count the people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.batches import is_batch_id, parse_batch_id
from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.validated_files import DAMAGED
from gata_assets.errors import ObjectNotFoundError
from gata_assets.governance.privacy.locators import Cleared, Erasure, Exported, People
from gata_assets.interactions.datasets import DatasetKind
from gata_assets.storage.datasets import DatasetWrite, find_manifest, read_files
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.columns.arrow_buffers import micros
from gata_assets.tables.manifests import FileEntry, Manifest, plain_name
from gata_assets.tables.people.erased_people import ErasedPeople

_SUBJECT, _PARQUET = "user_id", ".parquet"
_ROWS_AT_ONCE = 10_000
# In the manifest of a dataset that people were erased from: its digests before.
_BEFORE = "digests_before"


class BatchLocator:
    """The features and training rows of a tenant's batches."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def erase(self, erasure: Erasure) -> Iterator[Cleared]:
        """See Locator."""
        places = TenantLayout(erasure.tenant)
        removed = dict.fromkeys(DatasetKind, 0)
        objects = dict.fromkeys(DatasetKind, 0)
        for batch_id in self._batches(places):
            features: Manifest | None = None
            for kind in DatasetKind:
                features, rows = self._erase(kind.prefix(places, batch_id), batch_id, erasure, features)
                removed[kind] += rows
                objects[kind] += rows > 0
        for kind in DatasetKind:
            yield Cleared(f"interactions: {kind.value} of batches", objects[kind], {"rows": removed[kind]})

    def export(self, people: People) -> Iterator[Exported]:
        """See Locator."""
        ids = pl.Series(people.ids, dtype=pl.String).implode()
        for kind in DatasetKind:
            for key in self._store.list_keys(kind.batches_folder(TenantLayout(people.tenant))):
                if key.endswith(_PARQUET):
                    yield Exported(f"interactions: {kind.value} of batches", key, self._rows_of(key, ids))

    def _rows_of(self, key: str, ids: pl.Series) -> Iterator[Mapping[str, Any]]:
        """The rows of people in a part, if it can be read."""
        with suppress(ObjectNotFoundError, *DAMAGED), self._store.local_copy(key) as path:
            file = pq.ParquetFile(path)
            for batch in file.iter_batches(_ROWS_AT_ONCE) if _SUBJECT in file.schema_arrow.names else ():
                yield from pl.DataFrame(batch).filter(pl.col(_SUBJECT).is_in(ids)).iter_rows(named=True)

    def _batches(self, places: TenantLayout) -> list[str]:
        found = {name for kind in DatasetKind for name in self._store.list_folders(kind.batches_folder(places))}
        return sorted(filter(is_batch_id, found))

    def _erase(
        self, folder: str, batch_id: str, erasure: Erasure, features: Manifest | None
    ) -> tuple[Manifest | None, int]:
        """Rewrite the parts of a dataset that have rows of theirs, and name the rewritten `features` that it was built
        from; returns its manifest, and how many rows were removed.
        """
        there = dict(self._store.list_versions(folder))
        with DatasetWrite(self._store, folder, before=there) as write:
            manifest = find_manifest(self._store, folder).manifest
            if manifest is None:
                return None, 0
            limit = micros(parse_batch_id(batch_id).starts_at)
            self._sweep([key for key in there if key.removeprefix(folder) not in manifest.files], erasure.erased, limit)
            files, gone = dict[str, FileEntry](), 0
            for name, entry in manifest.files.items():
                kept, removed = self._without(folder, name, manifest, erasure.erased, limit)
                gone += removed
                own, written = write.write(plain_name(name), kept, entry.rows - removed) if removed else (name, entry)
                files[own] = written
            made_from: dict[str, Any] = dict(manifest.made_from)
            source = DatasetKind.FEATURES.value
            if features and made_from.get(source) in features.details.get(_BEFORE, ()):
                made_from[source] = features.digest
            if not gone and made_from == manifest.made_from:
                return manifest, 0
            notes = {
                "erased_by": [*manifest.details.get("erased_by", []), erasure.request],
                _BEFORE: [*manifest.details.get(_BEFORE, []), manifest.digest],
            }
            new = replace(manifest, files=files, made_from=made_from, details={**manifest.details, **notes})
            write.publish(new)
            return new, gone

    def _without(
        self, folder: str, name: str, manifest: Manifest, people: ErasedPeople, limit: int
    ) -> tuple[bytes, int]:
        """A part without the rows of people who were erased after the batch's window, and how many these were."""
        [(_, content)] = read_files(self._store, folder, [plain_name(name)], manifest)
        ids, hits = _look(content, people, limit)
        if not len(hits):
            return b"", 0
        file = pq.ParquetFile(BytesIO(content))
        is_kept = (~ids.is_in(hits.implode())).to_arrow()
        sink = BytesIO()
        with pq.ParquetWriter(sink, file.schema_arrow, compression="zstd") as writer:
            # As few rows at once, and so groups, as the part was written with.
            at = 0
            for number in range(file.num_row_groups):
                group = file.read_row_group(number)
                writer.write_table(group.filter(is_kept.slice(at, len(group)).cast(pa.bool_())))
                at += len(group)
        return sink.getvalue(), len(ids) - int(pl.Series(pl.from_arrow(is_kept)).sum())

    def _sweep(self, keys: Sequence[str], people: ErasedPeople, limit: int) -> None:
        """Delete what writers that were killed have left, if it has rows of theirs."""
        for key in keys:
            if key.endswith(_PARQUET) and _may_be_theirs(self._store.read(key), people, limit):
                self._store.delete(key)


def _may_be_theirs(content: bytes, people: ErasedPeople, limit: int) -> bool:
    """Whether a file has rows of theirs, or cannot be read: nothing needs it."""
    try:
        return len(_look(content, people, limit)[1]) > 0
    except DAMAGED:
        return True


def _look(content: bytes, people: ErasedPeople, limit: int) -> tuple[pl.Series, pl.Series]:
    """The people of a part, row by row, and those who were erased after an instant."""
    file = pq.ParquetFile(BytesIO(content))
    if _SUBJECT not in file.schema_arrow.names:
        return pl.Series(dtype=pl.String), pl.Series(dtype=pl.String)
    ids = pl.Series(pl.from_arrow(file.read([_SUBJECT])[_SUBJECT])).cast(pl.String)
    distinct = ids.unique()
    return ids, distinct.filter(pl.Series(people.limits(distinct) >= limit))
