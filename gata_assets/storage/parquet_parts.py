"""Writes (and reads) tables of the interaction line as Parquet parts: `{prefix}{table}/part-00000.parquet` and so on.

Row groups are cut where the rows say, and a part is written by one thread: the bytes depend on the rows and nothing
else. A row group is what a reader takes at once or, by its least and greatest id, skips. zstd at level 1: higher levels
save little of what are codes already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.storage.digests import digest_file
from gata_assets.storage.earlier_files import delete_others
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.written import WrittenFile
from gata_assets.tables.row_checksums import add_rows

# A million rows or some MB are a row group: enough for dictionaries of ids to pay, few enough to be held in memory.
# Two are a part, so that several readers, and the threads that write, have something to share.
GROUPS_OF_A_PART = 2

# Row groups are cut before.
_NO_LIMIT = 1 << 62


@dataclass(frozen=True)
class TableSource:
    """A table to be written: its row groups (one at least) as ranges, and a function that gives the rows of a range.
    Rows stand by their first column.

    `plain` are columns whose values seldom repeat, which a dictionary would only make larger; `summed` are those by
    which the rows are told from others while they are written (`core.row_sums`).
    """

    groups: Sequence[tuple[int, int]]
    take: Callable[[int, int], pa.Table]
    plain: frozenset[str] = frozenset()
    summed: tuple[str, ...] = ()


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
                for part in range(-(-len(source.groups) // GROUPS_OF_A_PART))
            ]
            for name, source in tables.items()
        }
        written = {name: tuple(part.result() for part in parts) for name, parts in coming.items()}
    for name, files in written.items():
        delete_others(store, f"{prefix}{name}/", [file.key for file in files])
    return written


def part_keys(store: ObjectStore, folder: str) -> list[str]:
    """The keys of a table's parts in order; raises ObjectNotFoundError when it has none."""
    keys = [key for key in store.list_keys(folder) if key.endswith(".parquet")]
    if not keys:
        raise ObjectNotFoundError(f"There is no {store.uri(folder + 'part-00000.parquet')}: make the features first.")
    return keys


def read_parts(store: ObjectStore, folder: str, *, without: str | None = None) -> pa.Table:
    """A table that was written before, all parts of it, without a column.

    Raises ObjectNotFoundError when it has no part, DamagedTableError for a part that is not one.
    """
    return pa.concat_tables([read_part(store, key, without=without) for key in part_keys(store, folder)])


def read_part(store: ObjectStore, key: str, *, without: str | None = None) -> pa.Table:
    """A part of a table, without a column; raises DamagedTableError for one that is no part."""
    try:
        with store.local_copy(key) as path, pq.ParquetFile(path) as file:
            return file.read(columns=[name for name in file.schema_arrow.names if name != without])
    except (pa.ArrowException, OSError):
        raise DamagedTableError(f"{store.uri(key)} is no Parquet file, or not whole: make it again.") from None


def read_schema(store: ObjectStore, key: str, *, without: str) -> pa.Schema:
    """The columns of a part, but for one; raises DamagedTableError for one that is no part."""
    try:
        with store.local_copy(key) as path, pq.ParquetFile(path) as file:
            return pa.schema([field for field in file.schema_arrow if field.name != without])
    except (pa.ArrowException, OSError):
        raise DamagedTableError(f"{store.uri(key)} is no Parquet file, or not whole: make it again.") from None


def write_groups(source: TableSource, groups: Sequence[tuple[int, int]], sink: BinaryIO) -> tuple[int, int]:
    """Write row groups (one at least) as a Parquet file; gives its rows, and what tells them from others."""
    table = source.take(*groups[0])
    rows: int = table.num_rows
    row_sum = add_rows(0, table, source.summed) if source.summed else 0
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=[name for name in table.column_names if name not in source.plain],
        dictionary_pagesize_limit=1 << 26,
        # Of the column that rows stand by. Of the others they let a reader skip nothing, and those of items, which are
        # anywhere in a group, took more than half of the time.
        write_statistics=table.column_names[:1],
        # Arrow's own notes of types: those of Parquet say all, and of dictionaries no reader should know.
        store_schema=False,
    ) as writer:
        # A table without rows has a row group without rows, which has its columns.
        writer.write_table(table, row_group_size=_NO_LIMIT)
        for group in groups[1:]:
            table = source.take(*group)
            writer.write_table(table, row_group_size=_NO_LIMIT)
            rows += table.num_rows
            row_sum = add_rows(row_sum, table, source.summed) if source.summed else 0
    return rows, row_sum


def _write_part(store: ObjectStore, key: str, source: TableSource, part: int, folder: Path) -> WrittenFile:
    path = folder / key.replace("/", "-")
    groups = source.groups[part * GROUPS_OF_A_PART : (part + 1) * GROUPS_OF_A_PART]
    with path.open("wb") as sink:
        rows, row_sum = write_groups(source, groups, sink)
    try:
        written = WrittenFile(key, rows, path.stat().st_size, digest_file(path), row_sum)
        store.write_file(key, path)
    finally:
        path.unlink()
    return written
