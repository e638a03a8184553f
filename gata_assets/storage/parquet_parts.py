"""Writes (and reads) tables as Parquet parts: `{prefix}{table}/part-00000-{token}.parquet` and so on.

The rows alone determine row groups, and a single thread writes a part: the bytes depend only on the rows. A reader
reads a row group at once or, by its least and greatest id, skips it. zstd at level 1: higher levels save little, since
the values are codes already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.storage.files import WrittenFile, digest_file
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.scratch import scratch_directory
from gata_assets.tables.row_checksums import add_rows

# A million rows or some MB are a row group: enough for dictionaries of ids to pay, few enough to keep in memory. Two
# are a part, so that the work can be divided among several readers and the writing threads.
GROUPS_OF_A_PART = 2

# Row groups end before this.
_NO_LIMIT = 1 << 62


@dataclass(frozen=True)
class TableSource:
    """A table to write: its row groups (at least one) as ranges, and a function that returns the rows of a range.

    Rows are in the order of their first column. `plain` are columns whose values seldom repeat, so that a
    dictionary would only enlarge them; `summed` are the columns of the rows' checksum (`row_checksums`).
    """

    groups: Sequence[tuple[int, int]]
    take: Callable[[int, int], pa.Table]
    plain: frozenset[str] = frozenset()
    summed: tuple[str, ...] = ()


def part_key(prefix: str, table: str, part: int, token: str) -> str:
    """The key of a part of a table in the write with that token."""
    return f"{prefix}{table}/part-{part:05d}-{token}.parquet"


def write_tables(
    store: ObjectStore, prefix: str, tables: Mapping[str, TableSource], *, token: str, threads: int
) -> dict[str, tuple[WrittenFile, ...]]:
    """Write the parts of tables; raises StoreError."""
    with scratch_directory() as folder, ThreadPoolExecutor(threads) as pool:
        coming = {
            name: [
                pool.submit(_write_part, store, part_key(prefix, name, part, token), source, part, folder)
                for part in range(-(-len(source.groups) // GROUPS_OF_A_PART))
            ]
            for name, source in tables.items()
        }
        return {name: tuple(part.result() for part in parts) for name, parts in coming.items()}


def read_parts(store: ObjectStore, keys: Sequence[str], *, without: str | None = None) -> pa.Table:
    """A table that was written before, by the keys of its parts, without a column; raises as `read_part`."""
    return pa.concat_tables([read_part(store, key, without=without) for key in keys])


def read_part(store: ObjectStore, key: str, *, without: str | None = None) -> pa.Table:
    """A part of a table, without a column.

    Raises ObjectNotFoundError when it is missing, DamagedTableError if it is not a part, or StoreError.
    """
    with _open_part(store, key) as file:
        return file.read(columns=[name for name in file.schema_arrow.names if name != without])


def read_schema(store: ObjectStore, key: str, *, without: str) -> pa.Schema:
    """The columns of a part, but for one; raises as `read_part`."""
    with _open_part(store, key) as file:
        return pa.schema([field for field in file.schema_arrow if field.name != without])


def read_first_rows(store: ObjectStore, key: str, rows: int) -> list[dict[str, Any]]:
    """The first rows of a part, at most as many; raises as `read_part`."""
    with _open_part(store, key) as file:
        return next(file.iter_batches(batch_size=rows)).to_pylist() if file.metadata.num_rows else []


@contextmanager
def _open_part(store: ObjectStore, key: str) -> Iterator[pq.ParquetFile]:
    try:
        with store.local_copy(key) as path, pq.ParquetFile(path) as file:
            yield file
    except ObjectNotFoundError:
        raise ObjectNotFoundError(
            f"There is no {store.uri(key)}, which its manifest lists: another command has written the table again "
            "meanwhile, or the part was deleted. Materialize the features again."
        ) from None
    except (pa.ArrowException, OSError):
        raise DamagedTableError(f"{store.uri(key)} is no complete Parquet file: write it again.") from None


def write_groups(source: TableSource, groups: Sequence[tuple[int, int]], sink: BinaryIO) -> tuple[int, int]:
    """Write row groups (at least one) as a Parquet file; returns the number of rows and their checksum."""
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
        # Only for the column that orders the rows. Statistics of others let a reader skip nothing, and those of items,
        # which are anywhere in a group, took more than 50 % of the time.
        write_statistics=table.column_names[:1],
        # Not Arrow's own schema: Parquet's types are sufficient, and readers should not see dictionaries.
        store_schema=False,
    ) as writer:
        # A table without rows has an empty row group with its columns.
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
