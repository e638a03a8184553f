"""Spark tasks, and the tables that they build: finished Parquet files under their own names.

Spark caches finished files until their checks are evaluated; then the task that has a file stores it. No file is
renamed, and a task that runs twice stores the same file again.
"""

from __future__ import annotations

import gc
import hashlib
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from gata_assets.errors import EngineError
from gata_assets.interactions.engines.base import BuiltTables
from gata_assets.interactions.engines.spark.reports import REPORT, Outcomes, Report, sum_reports
from gata_assets.interactions.engines.spark.session import is_open, noting_the_key, spark_errors
from gata_assets.interactions.engines.spark.task_outputs import OUTPUT_COLUMNS, TaskOutput, read_outputs, to_batch
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parquet_parts import part_key
from gata_assets.storage.written import WrittenFile

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_STORED = "name string, part int, rows bigint, size bigint, sha256 string, row_sum bigint"
_STORED_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("part", pa.int32()),
        ("rows", pa.int64()),
        ("size", pa.int64()),
        ("sha256", pa.string()),
        ("row_sum", pa.int64()),
    ]
)


def bucket_count(rows: int, rows_per_part: int) -> int:
    """The number of key buckets for sums by user and item, of which there are fewer than rows."""
    return min(max(rows // (4 * rows_per_part), 1), _MAX_BUCKETS)


# Each task outputs a piece per bucket.
_MAX_BUCKETS = 256


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
                    yield from map(to_batch, self.run(number))


def run_tasks(session: SparkSession, make: Callable[[int], Iterable[TaskOutput]], count: int) -> DataFrame:
    """Run `count` tasks, numbered from 0, each in its own partition; returns their outputs."""
    return session.range(0, count, 1, max(count, 1)).mapInArrow(Tasks(make), OUTPUT_COLUMNS)


@dataclass(frozen=True)
class PerPartition:
    """Applies a function to all outputs of a partition, in the order of their places; skips empty partitions."""

    run: Callable[[Sequence[TaskOutput]], Iterable[TaskOutput]]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The function of mapInArrow, from OUTPUT_COLUMNS to OUTPUT_COLUMNS."""
        _settle()
        outputs = sorted(read_outputs(batches), key=lambda output: (output.name, output.place))
        if outputs:
            yield from map(to_batch, self.run(outputs))


def repartition_by_part(rows: DataFrame, parts: int) -> DataFrame:
    """Repartition outputs so that each part has its own partition."""
    return rows.repartitionById(parts, "part")


def collect_outputs(rows: DataFrame) -> list[TaskOutput]:
    """Collect small outputs on the driver."""
    return [
        TaskOutput(row.name, row.part, row.rows, bytes(row.content), row.place)
        for row in rows.select("name", "part", "place", "rows", "content").collect()
    ]


@dataclass(frozen=True)
class CachedOutputs:
    """A kernel's outputs, cached by Spark (`rows`, OUTPUT_COLUMNS): `counts` are rows by name and part.

    Without ranges, `local` has the kernel's empty outputs.
    """

    rows: DataFrame
    counts: Mapping[str, Mapping[int, int]]
    report: Report
    local: Mapping[str, bytes]

    def release(self) -> None:
        """Free the cache, if its session is still open."""
        if is_open(self.rows.sparkSession):
            self.rows.unpersist()

    def row_count(self, name: str) -> int:
        """A table's number of rows."""
        return sum(self.counts.get(name, {}).values())


def run_and_cache(
    outputs: DataFrame, tables: Sequence[str], empty_outputs: Callable[[], Iterable[TaskOutput]]
) -> CachedOutputs:
    """Run a kernel on all ranges, and cache its outputs in the executors' memory or on their disks."""
    from pyspark.sql import functions as sf

    outputs = outputs.persist()
    try:
        counts: dict[str, dict[int, int]] = {}
        reports = []
        report = sf.when(sf.col("name") == REPORT, sf.col("content"))
        named = outputs.where(sf.col("name").isin(REPORT, *tables))
        for name, part, rows, content in named.select("name", "part", "rows", report).collect():
            if content is None:
                counts.setdefault(name, {})[part] = rows
            else:
                reports.append(bytes(content))
    except BaseException:
        outputs.unpersist()
        raise
    local = {} if counts else {output.name: output.content for output in empty_outputs()}
    return CachedOutputs(outputs, counts, sum_reports(reports or [local[REPORT]]), local)


class SparkTables(BuiltTables):
    """Tables whose parts are cached by Spark, or local in a single part.

    The cache is freed after writing, or when this object is garbage collected.
    """

    def __init__(
        self,
        store: ObjectStore,
        cached: CachedOutputs,
        tables: Sequence[str],
        local: Mapping[str, bytes],
        numbers: Mapping[str, Mapping[str, int | float]],
        outcomes: Outcomes,
    ) -> None:
        """`tables` are the kernel's; `local` has other tables by name, whose `row_count` is in `numbers`."""
        self.numbers, self.outcomes = numbers, outcomes
        self._store, self._held = store, cached
        self._counts = {name: _with_rows(cached.counts[name]) for name in tables if name in cached.counts}
        self._here = {**local, **{name: cached.local[name] for name in tables if name in cached.local}}
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
            stored = self._held.rows.mapInArrow(PartStorer(self._store, keys), _STORED).collect()
        by_table: dict[str, dict[int, WrittenFile]] = {name: {} for name in self._counts}
        for name, part, *written in stored:
            by_table[name][part] = WrittenFile(keys[name, part], *written)
        for name, files in by_table.items():
            if {part: file.rows for part, file in files.items()} != self._counts[name]:
                raise EngineError(f"Not every part of {name} was written: {prefix} is not to be used. Run it again.")
        tables = {name: tuple(files[part] for part in sorted(files)) for name, files in by_table.items()}
        for name, content in self._here.items():
            key = part_key(prefix, name, 0, token)
            self._store.write(key, content)
            rows = int(self.numbers[name]["row_count"])
            tables[name] = (WrittenFile(key, rows, len(content), hashlib.sha256(content).hexdigest()),)
        self._release()
        return tables


def _with_rows(counts: Mapping[int, int]) -> dict[int, int]:
    """The parts with rows, or one empty part if none has rows."""
    return {part: rows for part, rows in counts.items() if rows} or {min(counts): 0}


@dataclass(frozen=True)
class PartStorer:
    """Stores the outputs that have a key, by table and part; skips other outputs."""

    store: ObjectStore
    keys: Mapping[tuple[str, int], str]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The function of mapInArrow; outputs a row per object."""
        for one in read_outputs(batches):
            key = self.keys.get((one.name, one.part))
            if key is None:
                continue
            self.store.write(key, one.content)
            digest = hashlib.sha256(one.content).hexdigest()
            values = (one.name, one.part, one.rows, len(one.content), digest, one.row_sum)
            columns = [pa.array([value], field.type) for value, field in zip(values, _STORED_SCHEMA, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=_STORED_SCHEMA)
