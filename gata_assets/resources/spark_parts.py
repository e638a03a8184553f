"""How a table's parts get from Spark's partitions into the store: each by the task that has it, under its own name.

No file has a name of Spark's, none is renamed or moved, and a task that is run twice writes the same object again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.errors import EngineError
from gata_assets.resources.interaction_engine import WrittenFile
from gata_assets.resources.object_store import ObjectStore

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ROWS_A_GROUP = 1 << 20

_WRITTEN = "part int, rows bigint, size bigint, sha256 string"
_WRITTEN_SCHEMA = pa.schema([("part", pa.int32()), ("rows", pa.int64()), ("size", pa.int64()), ("sha256", pa.string())])


def part_key(prefix: str, table: str, number: int) -> str:
    """The key of a table's part."""
    return f"{prefix}{table}/part-{number:05d}.parquet"


def as_parquet(table: pa.Table) -> bytes:
    """A table as a Parquet file, zstd, as every engine writes it."""
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, compression="zstd", compression_level=1, store_schema=False) as writer:
        writer.write_table(table, row_group_size=ROWS_A_GROUP)
    return sink.getvalue()


@dataclass(frozen=True)
class PartWriter:
    """Writes the rows of a partition, in their order, as the object of its part.

    `keys` are by the column `part`; `encode` makes the table of a part out of its rows.
    """

    store: ObjectStore
    keys: Mapping[int, str]
    encode: Callable[[pa.Table], pa.Table]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The function of mapInArrow; gives a row an object."""
        held: list[pa.RecordBatch] = []
        for batch in batches:
            if batch.num_rows == 0:
                continue
            if held and held[0]["part"][0] != batch["part"][0]:
                yield self._write(held)
                held = []
            held.append(batch)
        if held:
            yield self._write(held)

    def _write(self, batches: list[pa.RecordBatch]) -> pa.RecordBatch:
        rows = pa.Table.from_batches(batches)
        part = rows["part"][0].as_py()
        table = self.encode(rows.drop_columns(["part"]))
        content = as_parquet(table)
        self.store.write(self.keys[part], content)
        written = [[part], [table.num_rows], [len(content)], [hashlib.sha256(content).hexdigest()]]
        return pa.RecordBatch.from_arrays(
            [pa.array(values, field.type) for values, field in zip(written, _WRITTEN_SCHEMA, strict=True)],
            schema=_WRITTEN_SCHEMA,
        )


def write_parts(
    rows: DataFrame,
    counts: Mapping[int, int],
    encode: Callable[[pa.Table], pa.Table],
    *,
    store: ObjectStore,
    prefix: str,
    table: str,
) -> tuple[WrittenFile, ...]:
    """Write rows as parts; `counts` are the rows of each `part`, whose order is that of the files.

    Raises EngineError when not every row of every part came.
    """
    keys = {part: part_key(prefix, table, number) for number, part in enumerate(sorted(counts))}
    written = rows.mapInArrow(PartWriter(store, keys, encode), _WRITTEN).collect()
    files = {row["part"]: WrittenFile(keys[row["part"]], row["rows"], row["size"], row["sha256"]) for row in written}
    if len(files) < len(written) or {part: file.rows for part, file in files.items()} != dict(counts):
        raise EngineError(f"Not every row of {table} was written as part of its own part: {prefix} is not to be used.")
    return tuple(files[part] for part in sorted(files))


def write_table(content: pa.Table, *, store: ObjectStore, prefix: str, table: str) -> tuple[WrittenFile, ...]:
    """Write a table that is here as one part."""
    key, parquet = part_key(prefix, table, 0), as_parquet(content)
    store.write(key, parquet)
    return (WrittenFile(key, content.num_rows, len(parquet), hashlib.sha256(parquet).hexdigest()),)


def remove_stale(store: ObjectStore, prefix: str, table: str, written: tuple[WrittenFile, ...]) -> None:
    """Remove what an earlier run left in a table's folder."""
    current = {file.key for file in written}
    for key in list(store.list_keys(f"{prefix}{table}/")):
        if key not in current:
            store.delete(key)
