"""What moves through Spark, and how parts of tables get into the store: finished Parquet files under their own names.

A row of Spark is a packed piece of a table, since Spark takes longer to move a row than our loops to work on it. Spark
holds finished files until the checks have been looked at, and the task that has one stores it: none is ever renamed,
and a task run twice stores the same again.
"""

from __future__ import annotations

import gc
import hashlib
import io
import json
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gata_assets.errors import EngineError
from gata_assets.interactions.engines.base import BuiltTables
from gata_assets.interactions.engines.spark.session import is_open, noting_the_key, spark_errors
from gata_assets.storage.earlier_files import delete_others
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parquet_parts import TableSource, write_groups
from gata_assets.storage.written import WrittenFile
from gata_assets.tables.outcomes import Outcome

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# What every task takes and gives: packed pieces and files of tables, and what else it has to say, by name.
PARTS = "name string, part int, place int, rows bigint, content binary, row_sum bigint"
_PARTS = pa.schema(
    [
        ("name", pa.string()),
        ("part", pa.int32()),
        ("place", pa.int32()),
        ("rows", pa.int64()),
        ("content", pa.binary()),
        ("row_sum", pa.int64()),
    ]
)
# The name under which a kernel gives what its checks say.
REPORT = "report"

_PACKED = pa.ipc.IpcWriteOptions(compression="zstd")

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


@dataclass(frozen=True)
class Part:
    """A file of a table (`row_sum` as of WrittenFile), or something else that a task gives.

    `part` is the range of users or the bucket that it is for, `place` its place among those of the same name there.
    """

    name: str
    part: int
    rows: int
    content: bytes
    place: int = 0
    row_sum: int = 0


def as_batch(part: Part) -> pa.RecordBatch:
    """A part as the only row of a batch of PARTS."""
    values = (part.name, part.part, part.place, part.rows, part.content, part.row_sum)
    columns = [pa.array([value], field.type) for value, field in zip(values, _PARTS, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=_PARTS)


def as_part(name: str, part: int, source: TableSource) -> Part:
    """A part of a table as the one-machine engine writes it."""
    sink = io.BytesIO()
    rows, row_sum = write_groups(source, source.groups, sink)
    return Part(name, part, rows, sink.getvalue(), row_sum=row_sum)


def pack(*tables: pa.Table) -> bytes:
    """Tables as bytes that no one but this project reads."""
    sink = io.BytesIO()
    for table in tables:
        with pa.ipc.new_stream(sink, table.schema, options=_PACKED) as writer:
            writer.write_table(table)
    return sink.getvalue()


def unpack(content: bytes) -> list[pa.Table]:
    """The tables that were packed."""
    source = pa.BufferReader(content)
    tables = []
    while source.tell() < source.size():
        with pa.ipc.open_stream(source) as reader:
            tables.append(reader.read_all())
    return tables


def bucket_count(rows: int, rows_a_part: int) -> int:
    """In how many buckets of keys the users and items of so many rows are summed, which are fewer than the rows."""
    return min(max(rows // (4 * rows_a_part), 1), _MOST_BUCKETS)


# A task gives a piece for each.
_MOST_BUCKETS = 256


@cache
def _settle() -> None:
    """Once in a worker of Spark: it collects garbage after every task, for which it would go through all modules.

    That took 0.12 s, as long as a task of 500,000 interactions.
    """
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Tasks:
    """Has a task made for each number below `count`, each of which gives parts."""

    make: Callable[[int], Iterable[Part]]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The function of mapInArrow, from the column `id` to PARTS."""
        _settle()
        with noting_the_key():
            for batch in batches:
                for number in batch.column("id").to_pylist():
                    yield from map(as_batch, self.make(number))


def run_tasks(session: SparkSession, make: Callable[[int], Iterable[Part]], count: int) -> DataFrame:
    """What tasks with the numbers from 0 give, each in a partition of its own."""
    return session.range(0, count, 1, max(count, 1)).mapInArrow(Tasks(make), PARTS)


@dataclass(frozen=True)
class PerPart:
    """Makes parts of all parts of a partition, in the order of their places; of none, nothing."""

    make: Callable[[Sequence[Part]], Iterable[Part]]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The function of mapInArrow, from PARTS to PARTS."""
        _settle()
        parts = sorted(parts_of(batches), key=lambda part: (part.name, part.place))
        if parts:
            yield from map(as_batch, self.make(parts))


def by_part(rows: DataFrame, parts: int) -> DataFrame:
    """PARTS with all rows of a part in a partition of their own."""
    return rows.repartitionById(parts, "part")


def collect_parts(rows: DataFrame) -> list[Part]:
    """PARTS that are small, here."""
    return [
        Part(row.name, row.part, row.rows, bytes(row.content), row.place)
        for row in rows.select("name", "part", "place", "rows", "content").collect()
    ]


Outcomes = Mapping[str, Mapping[str, Sequence[Outcome]]]


def report_of(part: int, outcomes: Outcomes, counts: Mapping[str, float]) -> Part:
    """What the checks of a range say, by table and check, and counts: JSON, as a part named REPORT."""
    said = [
        (table, check, [asdict(one) for one in of_check])
        for table, checks in outcomes.items()
        for check, of_check in checks.items()
    ]
    return Part(REPORT, part, 0, json.dumps({"outcomes": said, "counts": counts}).encode())


@dataclass(frozen=True)
class Report:
    """What the checks of all ranges say together: outcomes with their numbers added up, and counts."""

    outcomes: Outcomes
    counts: Mapping[str, Any]


def add_up(reports: Iterable[bytes]) -> Report:
    """The sum of the ranges' reports."""
    sums: dict[str, dict[str, dict[str, Outcome]]] = {}
    counts: Counter[str] = Counter()
    for report in map(json.loads, reports):
        counts.update(report["counts"])
        for table, check, said in report["outcomes"]:
            by_rule = sums.setdefault(table, {}).setdefault(check, {})
            for one in (Outcome(**fields) for fields in said):
                before = by_rule.get(one.rule)
                by_rule[one.rule] = one if before is None else _sum(before, one)
    outcomes = {
        table: {check: list(rules.values()) for check, rules in checks.items()} for table, checks in sums.items()
    }
    return Report(outcomes, counts)


def _sum(one: Outcome, other: Outcome) -> Outcome:
    return replace(one, failed=one.failed + other.failed, checked=one.checked + other.checked)


def parts_of(batches: Iterator[pa.RecordBatch]) -> Iterator[Part]:
    """The parts in batches of PARTS."""
    for batch in batches:
        for row in range(batch.num_rows):
            yield Part(**{field.name: batch.column(field.name)[row].as_py() for field in _PARTS})


@dataclass(frozen=True)
class Held:
    """What a kernel gave, held by Spark (`rows`, as PARTS): `counts` are rows by name and part.

    Where there was no range to run it on, `here` is what it gives then.
    """

    rows: DataFrame
    counts: Mapping[str, Mapping[int, int]]
    report: Report
    here: Mapping[str, bytes]

    def give_up(self) -> None:
        """Let Spark forget it, if the session that holds it goes on."""
        if is_open(self.rows.sparkSession):
            self.rows.unpersist()

    def row_count(self, name: str) -> int:
        """The rows of a table."""
        return sum(self.counts.get(name, {}).values())


def hold(made: DataFrame, tables: Sequence[str], of_nothing: Callable[[], Iterable[Part]]) -> Held:
    """Have a kernel run on all ranges, now, and hold what it gives, in the executors' memory or on their disks."""
    from pyspark.sql import functions as sf

    made = made.persist()
    try:
        counts: dict[str, dict[int, int]] = {}
        reports = []
        said = sf.when(sf.col("name") == REPORT, sf.col("content"))
        named = made.where(sf.col("name").isin(REPORT, *tables))
        for name, part, rows, content in named.select("name", "part", "rows", said).collect():
            if content is None:
                counts.setdefault(name, {})[part] = rows
            else:
                reports.append(bytes(content))
    except BaseException:
        made.unpersist()
        raise
    here = {} if counts else {part.name: part.content for part in of_nothing()}
    return Held(made, counts, add_up(reports or [here[REPORT]]), here)


class SparkTables(BuiltTables):
    """Tables whose parts Spark holds, besides such as are here, each in one part.

    What is held is given up when it has been written, or when nobody has these tables any more.
    """

    def __init__(
        self,
        store: ObjectStore,
        held: Held,
        tables: Sequence[str],
        here: Mapping[str, bytes],
        numbers: Mapping[str, Mapping[str, int | float]],
        outcomes: Outcomes,
    ) -> None:
        """`tables` are those of the kernel; `here` are others, of which `numbers` has the `row_count`."""
        self.numbers, self.outcomes = numbers, outcomes
        self._store, self._held = store, held
        self._counts = {name: _with_rows(held.counts[name]) for name in tables if name in held.counts}
        self._here = {**here, **{name: held.here[name] for name in tables if name in held.here}}
        self._give_up = weakref.finalize(self, held.give_up)
        self._give_up.atexit = False

    def write(self, prefix: str) -> Mapping[str, tuple[WrittenFile, ...]]:
        """See BuiltTables."""
        keys = {
            (name, part): f"{prefix}{name}/part-{number:05d}.parquet"
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
            key = f"{prefix}{name}/part-00000.parquet"
            self._store.write(key, content)
            rows = int(self.numbers[name]["row_count"])
            tables[name] = (WrittenFile(key, rows, len(content), hashlib.sha256(content).hexdigest()),)
        for name, files_of_table in tables.items():
            delete_others(self._store, f"{prefix}{name}/", [file.key for file in files_of_table])
        self._give_up()
        return tables


def _with_rows(counts: Mapping[int, int]) -> dict[int, int]:
    """The parts that have rows, or one where none has."""
    return {part: rows for part, rows in counts.items() if rows} or {min(counts): 0}


@dataclass(frozen=True)
class PartStorer:
    """Stores the parts that have a key, by table and part; other rows are left."""

    store: ObjectStore
    keys: Mapping[tuple[str, int], str]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The function of mapInArrow; gives a row an object."""
        for one in parts_of(batches):
            key = self.keys.get((one.name, one.part))
            if key is None:
                continue
            self.store.write(key, one.content)
            digest = hashlib.sha256(one.content).hexdigest()
            values = (one.name, one.part, one.rows, len(one.content), digest, one.row_sum)
            columns = [pa.array([value], field.type) for value, field in zip(values, _STORED_SCHEMA, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=_STORED_SCHEMA)
