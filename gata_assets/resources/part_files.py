"""Writes tables of the interaction line as Parquet parts: `{prefix}{table}/part-00000.parquet` and so on.

Rows are cut into parts and row groups by their number alone, and a part is written by one thread: the bytes depend on
the rows and nothing else. zstd; a row group is what a reader takes at once or, by its least and greatest id, skips.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.errors import DeleteDeniedError
from gata_assets.resources.interaction_engine import WrittenFile
from gata_assets.resources.object_store import ObjectStore

# 20 to 60 bytes a row: row groups of some MB, parts of some ten, so that several readers have something to share.
ROWS_OF_A_GROUP = 1 << 18
ROWS_OF_A_PART = 1 << 21


@dataclass(frozen=True)
class TableSource:
    """A table to be written: its number of rows, and a function that gives those of `[start, stop)`.

    `plain` are columns whose values seldom repeat, which a dictionary would only make larger.
    """

    rows: int
    slice: Callable[[int, int], pa.Table]
    plain: frozenset[str] = frozenset()


def write_tables(
    store: ObjectStore, prefix: str, tables: Mapping[str, TableSource], *, threads: int
) -> dict[str, tuple[WrittenFile, ...]]:
    """Write tables, and delete what is left of an earlier run's parts.

    Raises DeleteDeniedError when parts of an earlier run must go and may not be deleted, or StoreError.
    """
    with TemporaryDirectory() as folder, ThreadPoolExecutor(threads) as pool:
        coming = {
            name: [
                pool.submit(_write_part, store, f"{prefix}{name}/part-{part:05d}.parquet", source, part, Path(folder))
                for part in range(max(1, -(-source.rows // ROWS_OF_A_PART)))
            ]
            for name, source in tables.items()
        }
        written = {name: tuple(part.result() for part in parts) for name, parts in coming.items()}
    for name, files in written.items():
        _delete_others(store, f"{prefix}{name}/", [file.key for file in files])
    return written


def _write_part(store: ObjectStore, key: str, source: TableSource, part: int, folder: Path) -> WrittenFile:
    path = folder / key.replace("/", "-")
    start, stop = part * ROWS_OF_A_PART, min((part + 1) * ROWS_OF_A_PART, source.rows)
    # A table without rows has a row group without rows, which has its columns.
    first = compacted(source.slice(start, min(start + ROWS_OF_A_GROUP, stop)))
    with pq.ParquetWriter(
        path,
        first.schema,
        compression="zstd",
        use_dictionary=[name for name in first.column_names if name not in source.plain],
        # Arrow's own notes of types: those of Parquet say all, and of dictionaries no reader should know.
        store_schema=False,
    ) as writer:
        writer.write_table(first, row_group_size=ROWS_OF_A_GROUP)
        for at in range(start + ROWS_OF_A_GROUP, stop, ROWS_OF_A_GROUP):
            group = compacted(source.slice(at, min(at + ROWS_OF_A_GROUP, stop)))
            writer.write_table(group, row_group_size=ROWS_OF_A_GROUP)
    try:
        with path.open("rb") as file:
            sha256 = file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
        store.write_file(key, path)
    finally:
        path.unlink()
    return WrittenFile(key, stop - start, size, sha256)


def compacted(table: pa.Table) -> pa.Table:
    """The table with dictionaries of just the values that occur in it, as Parquet writes them with each row group."""
    columns = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
        columns[name] = _compacted(column)
    return pa.table(columns)


def _compacted(column: pa.Array) -> pa.Array:
    if isinstance(column, pa.ListArray):
        offsets = column.offsets.to_numpy()
        return pa.ListArray.from_arrays(pa.array(offsets - offsets[0]), _compacted(column.flatten()))
    if not isinstance(column, pa.DictionaryArray):
        return column
    codes = column.indices.to_numpy()
    is_used = np.zeros(len(column.dictionary), dtype=np.bool_)
    is_used[codes] = True
    new_codes = np.cumsum(is_used, dtype=np.int32) - np.int32(1)
    return pa.DictionaryArray.from_arrays(new_codes[codes], column.dictionary.take(np.flatnonzero(is_used)))


def _delete_others(store: ObjectStore, folder: str, written: Sequence[str]) -> None:
    denied = []
    for key in sorted(set(store.list_keys(folder)) - set(written)):
        try:
            store.delete(key)
        except DeleteDeniedError as error:
            denied.append(str(error))
    if denied:
        raise DeleteDeniedError(
            f"{' '.join(denied)} An earlier run wrote more parts than this one, and what is left of them must go: a "
            "reader of the folder would take them for rows of this run. Delete them by hand or give the role the "
            "right, and run the batch again."
        )
