"""Deletes objects with rows of erased people that nothing names: of earlier settings, and of killed writers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from io import BytesIO

import polars as pl
import pyarrow.parquet as pq

from gata_assets.curation.staged_partitions import StagedPartitionWriter, read_streams
from gata_assets.curation.validated_files import DAMAGED
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.changes.parents import KEY
from gata_assets.tables.manifests import MANIFEST_FILE
from gata_assets.tables.people.erased_people import NEVER, ErasedPeople
from gata_assets.tables.people.owners import columns_looked_at
from gata_assets.tables.spec import TableSpec


def delete_leftovers(
    store: ObjectStore,
    keys: Iterable[str],
    tables: Sequence[TableSpec],
    people: ErasedPeople,
    is_mention: Callable[[str], bool],
) -> int:
    """Delete the objects that have rows of erased people; returns how many.

    Args:
        store: The target.
        keys: Objects that nothing names.
        tables: Tables that they may have rows of.
        people: Who was erased; it makes no difference when.
        is_mention: Whether a record that could not be read is about one of them.

    Raises StoreError.
    """
    deleted = 0
    for key in sorted(keys):
        if _has_theirs(store, key, tables, people, is_mention):
            store.delete(key)
            deleted += 1
    return deleted


def named_by_manifests(store: ObjectStore, keys: Iterable[str]) -> set[str]:
    """The manifests among keys, and all files that they name; raises StoreError."""
    named = set()
    for key in keys:
        if key.endswith(f"/{MANIFEST_FILE}"):
            folder = key.removesuffix(MANIFEST_FILE)
            manifest = find_manifest(store, folder).manifest
            named |= {key, *(folder + name for name in (manifest.files if manifest else ()))}
    return named


def _has_theirs(
    store: ObjectStore,
    key: str,
    tables: Sequence[TableSpec],
    people: ErasedPeople,
    is_mention: Callable[[str], bool],
) -> bool:
    content = store.read(key)
    is_by_day = key.endswith(f".{StagedPartitionWriter.ending}")
    try:
        frame = read_streams(content) if is_by_day else pq.read_table(BytesIO(content))
    except DAMAGED:
        # Nobody can tell, and nothing needs it.
        return True
    asked = {name for spec in tables for name in columns_looked_at(spec) if name != spec.event_time}
    names = [name for name in (*sorted(asked), KEY) if name in frame.column_names]
    if not names:
        return True
    rows = pl.DataFrame(frame.select(names))
    if any(people.rows_of(spec, rows) is not None for spec in tables):
        return True
    # What is known of rows of other tables.
    keys = rows[KEY].cast(pl.String).drop_nulls().unique() if KEY in names else pl.Series(dtype=pl.String)
    texts = frame["row"].to_pylist() if "row" in frame.column_names else []
    return bool((people.limits(keys) != NEVER).any()) or any(text is not None and is_mention(text) for text in texts)
