"""The rows that move through Spark: task outputs with a packed piece of a table, a Parquet file or a report.

A Spark row is a packed piece of a table, since Spark takes longer to move a row than the loops take to process it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from gata_assets.storage.parquet_parts import TableSource, write_groups

# The columns of task inputs and outputs in Spark, and the same as an Arrow schema.
OUTPUT_COLUMNS = "name string, part int, place int, rows bigint, content binary, row_sum bigint"
_OUTPUT_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("part", pa.int32()),
        ("place", pa.int32()),
        ("rows", pa.int64()),
        ("content", pa.binary()),
        ("row_sum", pa.int64()),
    ]
)
_PACKED = pa.ipc.IpcWriteOptions(compression="zstd")


@dataclass(frozen=True)
class TaskOutput:
    """A task's output: a file of a table (`row_sum` as in WrittenFile), a packed piece of a table, or a report.

    `part` is the range of users or the bucket that it belongs to, `place` its order among outputs of the same name.
    """

    name: str
    part: int
    rows: int
    content: bytes
    place: int = 0
    row_sum: int = 0


def to_batch(part: TaskOutput) -> pa.RecordBatch:
    """Convert an output to a record batch of one row."""
    values = (part.name, part.part, part.place, part.rows, part.content, part.row_sum)
    columns = [pa.array([value], field.type) for value, field in zip(values, _OUTPUT_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=_OUTPUT_SCHEMA)


def table_output(name: str, part: int, source: TableSource) -> TaskOutput:
    """Write a part of a table as Parquet, as the single-machine engine does."""
    sink = io.BytesIO()
    rows, row_sum = write_groups(source, source.groups, sink)
    return TaskOutput(name, part, rows, sink.getvalue(), row_sum=row_sum)


def pack(*tables: pa.Table) -> bytes:
    """Serialize tables as compressed Arrow IPC streams; the format is internal."""
    sink = io.BytesIO()
    for table in tables:
        with pa.ipc.new_stream(sink, table.schema, options=_PACKED) as writer:
            writer.write_table(table)
    return sink.getvalue()


def unpack(content: bytes) -> list[pa.Table]:
    """Read the tables of `pack`."""
    source = pa.BufferReader(content)
    tables = []
    while source.tell() < source.size():
        with pa.ipc.open_stream(source) as reader:
            tables.append(reader.read_all())
    return tables


def read_outputs(batches: Iterator[pa.RecordBatch]) -> Iterator[TaskOutput]:
    """Read the outputs in record batches."""
    for batch in batches:
        for row in range(batch.num_rows):
            yield TaskOutput(**{field.name: batch.column(field.name)[row].as_py() for field in _OUTPUT_SCHEMA})
