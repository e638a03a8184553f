"""The rows that move through Spark: task outputs with packed tables, a Parquet file or a report.

A Spark row is a packed piece of a table, since Spark takes longer to move a row than the loops take to process it.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl
import pyarrow as pa

from gata_assets.interactions.engines.base import Outcomes
from gata_assets.storage.parquet_parts import TableSource, write_groups
from gata_assets.tables.outcomes import Outcome

# The columns of task inputs and outputs in Spark, and the same as an Arrow schema.
OUTPUT_COLUMNS = "name string, part int, place int, rows bigint, content binary, row_sum bigint"
_TYPES = {"string": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "binary": pa.binary()}
_OUTPUT_SCHEMA = pa.schema([(name, _TYPES[kind]) for name, kind in map(str.split, OUTPUT_COLUMNS.split(", "))])
_PACKED = pa.ipc.IpcWriteOptions(compression="zstd")

# The name of an output with check outcomes and counts.
REPORT = "report"


@dataclass(frozen=True)
class TaskOutput:
    """A task's output: a file of a table (`row_sum` as in WrittenFile), packed tables, or a report.

    `part` is the range of users or the bucket that it belongs to, `place` its order among outputs of the same name.
    """

    name: str
    part: int
    rows: int
    content: bytes
    place: int = 0
    row_sum: int = 0


def to_batch(output: TaskOutput) -> pa.RecordBatch:
    """Convert an output to a record batch of one row."""
    return pa.RecordBatch.from_pylist([vars(output)], schema=_OUTPUT_SCHEMA)


def read_outputs(batches: Iterator[pa.RecordBatch]) -> Iterator[TaskOutput]:
    """Read the outputs in record batches."""
    for batch in batches:
        for row in range(batch.num_rows):
            yield TaskOutput(**batch.slice(row, 1).to_pylist()[0])


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


def pack_buckets(name: str, rows: pl.DataFrame, key: str, buckets: int, place: int) -> Iterator[TaskOutput]:
    """Pack rows by buckets of a key, the same on every machine; empty buckets are omitted."""
    divided = rows.with_columns(bucket=pl.col(key) % buckets).partition_by("bucket", as_dict=True, include_key=False)
    for (bucket,), piece in divided.items():
        yield TaskOutput(name, int(bucket), len(piece), pack(piece.to_arrow()), place)


def unpack_rows(outputs: Iterable[TaskOutput], name: str, columns: Mapping[str, Any]) -> pl.DataFrame:
    """The rows of the packed tables with a name, which have these columns."""
    tables = [table for output in outputs if output.name == name for table in unpack(output.content)]
    return pl.concat([pl.DataFrame(schema=columns), *map(pl.DataFrame, tables)])


def report_of(part: int, outcomes: Outcomes, counts: Mapping[str, float]) -> TaskOutput:
    """Serialize a range's outcomes, by table and check, and counts as JSON, in an output named REPORT."""
    listed = [
        (table, check, [asdict(outcome) for outcome in rules])
        for table, checks in outcomes.items()
        for check, rules in checks.items()
    ]
    return TaskOutput(REPORT, part, 0, json.dumps({"outcomes": listed, "counts": counts}).encode())


@dataclass(frozen=True)
class Report:
    """The outcomes and counts of all ranges, summed."""

    outcomes: dict[str, dict[str, Sequence[Outcome]]]
    counts: Mapping[str, Any]


def sum_reports(reports: Iterable[bytes]) -> Report:
    """Sum the reports of ranges: outcomes by rule, and counts by name."""
    sums: dict[str, dict[str, dict[str, Outcome]]] = {}
    counts: Counter[str] = Counter()
    for report in map(json.loads, reports):
        counts.update(report["counts"])
        for table, check, rules in report["outcomes"]:
            by_rule = sums.setdefault(table, {}).setdefault(check, {})
            for outcome in (Outcome(**fields) for fields in rules):
                before = by_rule.get(outcome.rule, replace(outcome, failed=0, checked=0))
                failed, checked = before.failed + outcome.failed, before.checked + outcome.checked
                by_rule[outcome.rule] = replace(before, failed=failed, checked=checked)
    return Report(
        {table: {check: [*rules.values()] for check, rules in checks.items()} for table, checks in sums.items()}, counts
    )
