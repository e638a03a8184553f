"""Spark tasks, and the tables that they build: finished Parquet files under their own names.

Spark caches finished files until their checks are evaluated; then the task that has a file stores it. No file is
renamed, and a task that runs twice stores the same file again.
"""

from __future__ import annotations

import gc
import hashlib
import json
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from gata_assets.errors import EngineError
from gata_assets.interactions.engines.base import BuiltTables, Numbers, Outcomes
from gata_assets.interactions.engines.spark import task_outputs
from gata_assets.interactions.engines.spark.session import is_open, noting_the_key, spark_errors
from gata_assets.interactions.engines.spark.task_outputs import OUTPUT_COLUMNS, REPORT, TaskOutput
from gata_assets.storage.files import WrittenFile
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parquet_parts import part_key

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# What a task does: from the number of its part, and the outputs in its partition, to its own outputs.
Kernel = Callable[[int, Sequence[TaskOutput]], Iterable[TaskOutput]]

# Each task outputs a piece per bucket.
_MAX_BUCKETS = 256


def bucket_count(rows: int, rows_per_part: int) -> int:
    """The number of key buckets for sums by user and item, of which there are fewer than rows."""
    return min(max(rows // (4 * rows_per_part), 1), _MAX_BUCKETS)


@cache
def _settle() -> None:
    """Exclude imported modules from garbage collection, once per Spark worker, which collects after every task.

    That collection took 0.12 s, as long as a task of 500,000 interactions.
    """
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Tasks:
    """Runs a function for each number of a partition."""

    run: Callable[[int], Iterable[TaskOutput]]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The function of mapInArrow, from the column `id` to OUTPUT_COLUMNS."""
        _settle()
        with noting_the_key():
            for batch in batches:
                for number in batch.column("id").to_pylist():
                    yield from map(task_outputs.to_batch, self.run(number))


def run_tasks(session: SparkSession, make: Callable[[int], Iterable[TaskOutput]], count: int) -> DataFrame:
    """Run `count` tasks, numbered from 0, each in its own partition; returns their outputs."""
    return session.range(0, count, 1, max(count, 1)).mapInArrow(Tasks(make), OUTPUT_COLUMNS)


@dataclass(frozen=True)
class PerPartition:
    """Applies a kernel to all outputs of a partition, in the order of their places; skips empty partitions."""

    kernel: Kernel

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The function of mapInArrow, from OUTPUT_COLUMNS to OUTPUT_COLUMNS."""
        _settle()
        outputs = sorted(task_outputs.read_outputs(batches), key=lambda output: (output.name, output.place))
        if outputs:
            yield from map(task_outputs.to_batch, self.kernel(outputs[0].part, outputs))


def run_kernel(rows: DataFrame, kernel: Kernel) -> DataFrame:
    """Run a kernel on each partition of outputs; returns its own outputs."""
    return rows.mapInArrow(PerPartition(kernel), OUTPUT_COLUMNS)


def repartition_by_part(rows: DataFrame, parts: int) -> DataFrame:
    """Repartition outputs so that each part has its own partition."""
    return rows.repartitionById(parts, "part")


def collect_outputs(rows: DataFrame) -> list[TaskOutput]:
    """Collect small outputs on the driver."""
    return [
        TaskOutput(row.name, row.part, row.rows, bytes(row.content), row.place)
        for row in rows.select("name", "part", "place", "rows", "content").collect()
    ]


def sum_rows(
    outputs: DataFrame,
    name: str,
    buckets: int,
    *,
    by: Mapping[str, Any],
    values: Mapping[str, Any],
    limit: int | None = None,
) -> pl.DataFrame:
    """Sum the packed rows with a name over all ranges: the columns `values` by the columns `by`.

    With a limit, only the sums whose `rows` are at most so many.
    """
    parts = repartition_by_part(outputs.where(outputs["name"] == name), buckets)
    columns = {**by, **values}
    return task_outputs.unpack_rows(
        collect_outputs(run_kernel(parts, SumRows(name, tuple(by), columns, limit))), name, columns
    )


@dataclass(frozen=True)
class SumRows:
    """Sums a bucket's rows in the order of the ranges, so that sums of floats are deterministic."""

    name: str
    by: tuple[str, ...]
    columns: Mapping[str, Any]
    limit: int | None

    def __call__(self, part: int, parts: Sequence[TaskOutput]) -> Iterator[TaskOutput]:
        """Process a bucket."""
        rows = task_outputs.unpack_rows(parts, self.name, self.columns)
        sums = rows.group_by(*self.by, maintain_order=True).agg(pl.exclude(*self.by).sum())
        if self.limit is not None:
            sums = sums.filter(pl.col("rows") <= self.limit)
        yield TaskOutput(self.name, part, len(sums), task_outputs.pack(sums.to_arrow()))


@dataclass(frozen=True)
class CachedOutputs:
    """A kernel's outputs, cached by Spark (`rows`, OUTPUT_COLUMNS): `counts` are rows by table and part.

    Without ranges, `local` has the kernel's empty tables.
    """

    rows: DataFrame
    counts: Mapping[str, Mapping[int, int]]
    report: task_outputs.Report
    local: Mapping[str, TaskOutput]

    def release(self) -> None:
        """Free the cache, if its session is still open."""
        if is_open(self.rows.sparkSession):
            self.rows.unpersist()

    def row_count(self, name: str) -> int:
        """A table's number of rows."""
        return sum(self.counts.get(name, {}).values())


def run_and_cache(rows: DataFrame, kernel: Kernel, tables: Sequence[str]) -> CachedOutputs:
    """Run the kernel of tables on all ranges, and cache its outputs in the executors' memory or on their disks."""
    from pyspark.sql import functions as sf

    outputs = run_kernel(rows, kernel).persist()
    try:
        counts: dict[str, dict[int, int]] = {}
        reports = []
        report = sf.when(sf.col("name") == REPORT, sf.col("content"))
        named = outputs.where(sf.col("name").isin(REPORT, *tables))
        for name, part, row_count, content in named.select("name", "part", "rows", report).collect():
            if content is None:
                counts.setdefault(name, {})[part] = row_count
            else:
                reports.append(bytes(content))
    except BaseException:
        outputs.unpersist()
        raise
    empty = {} if counts else {output.name: output for output in kernel(0, ())}
    local = {name: output for name, output in empty.items() if name in tables}
    return CachedOutputs(outputs, counts, task_outputs.sum_reports(reports or [empty[REPORT].content]), local)


class SparkTables(BuiltTables):
    """Tables whose parts are cached by Spark, or local in a single part.

    The cache is freed after writing, or when this object is garbage collected.
    """

    def __init__(
        self, store: ObjectStore, cached: CachedOutputs, numbers: Numbers, outcomes: Outcomes, *local: TaskOutput
    ) -> None:
        """`local` are other tables than the kernel's."""
        self.numbers, self.outcomes = numbers, outcomes
        self._store, self._rows = store, cached.rows
        self._counts = {name: _with_rows(counts) for name, counts in cached.counts.items()}
        self._local = (*local, *cached.local.values())
        self._release = weakref.finalize(self, cached.release)
        self._release.atexit = False

    def write(self, prefix: str, token: str) -> Mapping[str, tuple[WrittenFile, ...]]:
        """See BuiltTables."""
        keys = {
            (name, part): part_key(prefix, name, number, token)
            for name, counts in self._counts.items()
            for number, part in enumerate(sorted(counts))
        }
        with spark_errors("writing tables"):
            named = self._rows.where(self._rows["name"].isin(*self._counts))
            stored = collect_outputs(run_kernel(named, PartStorer(self._store, keys)))
        by_table: dict[str, dict[int, WrittenFile]] = {name: {} for name in self._counts}
        for output in stored:
            by_table[output.name][output.part] = WrittenFile(**json.loads(output.content))
        for name, files in by_table.items():
            if {part: file.rows for part, file in files.items()} != self._counts[name]:
                raise EngineError(f"Not every part of {name} was written: {prefix} is not to be used. Run it again.")
        tables = {name: tuple(files[part] for part in sorted(files)) for name, files in by_table.items()}
        for output in self._local:
            tables[output.name] = (_store(self._store, part_key(prefix, output.name, 0, token), output),)
        self._release()
        return tables


def _with_rows(counts: Mapping[int, int]) -> dict[int, int]:
    """The parts with rows, or one empty part if none has rows."""
    return {part: rows for part, rows in counts.items() if rows} or {min(counts): 0}


def _store(store: ObjectStore, key: str, output: TaskOutput) -> WrittenFile:
    store.write(key, output.content)
    digest = hashlib.sha256(output.content).hexdigest()
    return WrittenFile(key, output.rows, len(output.content), digest, output.row_sum)


@dataclass(frozen=True)
class PartStorer:
    """Stores the outputs that have a key, by table and part; skips other outputs."""

    store: ObjectStore
    keys: Mapping[tuple[str, int], str]

    def __call__(self, _part: int, parts: Sequence[TaskOutput]) -> Iterator[TaskOutput]:
        """Outputs a WrittenFile per object, as JSON."""
        for output in parts:
            key = self.keys.get((output.name, output.part))
            if key is not None:
                written = json.dumps(asdict(_store(self.store, key, output)))
                yield TaskOutput(output.name, output.part, output.rows, written.encode())
