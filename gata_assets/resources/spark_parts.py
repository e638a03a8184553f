"""How parts of tables are held by Spark and get into the store: as finished Parquet files, each under its own name.

A kernel makes the files of its partition, Spark holds them as bytes until the checks have been looked at, and the task
that has a part stores it. No file has a name of Spark's, none is renamed, and a task run twice stores the same again.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from gata_assets.core.quality import Outcome
from gata_assets.errors import EngineError
from gata_assets.resources.interaction_engine import MadeTables, WrittenFile
from gata_assets.resources.object_store import ObjectStore
from gata_assets.resources.spark_session import spark_errors

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# What a kernel gives: files of tables, and what else it has to say under names of its own.
PARTS = "name string, part int, rows bigint, content binary"
_PARTS = pa.schema([("name", pa.string()), ("part", pa.int32()), ("rows", pa.int64()), ("content", pa.binary())])
_STORED = "name string, part int, rows bigint, size bigint, sha256 string"
_STORED_SCHEMA = pa.schema(
    [("name", pa.string()), ("part", pa.int32()), ("rows", pa.int64()), ("size", pa.int64()), ("sha256", pa.string())]
)


@dataclass(frozen=True)
class Part:
    """A file of a table, or something else that a kernel gives."""

    name: str
    part: int
    rows: int
    content: bytes


def as_batch(part: Part) -> pa.RecordBatch:
    """A part as the only row of a batch of PARTS."""
    values = (part.name, part.part, part.rows, part.content)
    columns = [pa.array([value], field.type) for value, field in zip(values, _PARTS, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=_PARTS)


def parts_of(batches: Iterator[pa.RecordBatch]) -> Iterator[Part]:
    """The parts in batches of PARTS."""
    for batch in batches:
        for row in range(batch.num_rows):
            yield Part(*(batch.column(field.name)[row].as_py() for field in _PARTS))


class SparkTables(MadeTables):
    """Tables whose parts Spark holds, besides such as are here, each in one part.

    What is held is given up when it has been written, or when nobody has these tables any more.
    """

    def __init__(
        self,
        store: ObjectStore,
        held: DataFrame,
        counts: Mapping[str, Mapping[int, int]],
        here: Mapping[str, bytes],
        numbers: Mapping[str, Mapping[str, int | float]],
        outcomes: Mapping[str, Mapping[str, Sequence[Outcome]]],
    ) -> None:
        """`counts` are rows by table and part; `here` are files, of which `numbers` has the `row_count`."""
        self.numbers, self.outcomes = numbers, outcomes
        self._store, self._held, self._counts, self._here = store, held, counts, here
        self._give_up = weakref.finalize(self, _unpersist, held)

    def write(self, prefix: str) -> Mapping[str, tuple[WrittenFile, ...]]:
        """See MadeTables."""
        keys = {
            (name, part): f"{prefix}{name}/part-{number:05d}.parquet"
            for name, counts in self._counts.items()
            for number, part in enumerate(sorted(counts))
        }
        with spark_errors("writing tables"):
            stored = self._held.mapInArrow(PartStorer(self._store, keys), _STORED).collect()
        by_table: dict[str, dict[int, WrittenFile]] = {name: {} for name in self._counts}
        for name, part, rows, size, sha256 in stored:
            by_table[name][part] = WrittenFile(keys[name, part], rows, size, sha256)
        for name, files in by_table.items():
            if {part: file.rows for part, file in files.items()} != self._counts[name]:
                raise EngineError(f"Not every part of {name} was written: {prefix} is not to be used. Run it again.")
        written = {name: tuple(files[part] for part in sorted(files)) for name, files in by_table.items()}
        for name, content in self._here.items():
            key = f"{prefix}{name}/part-00000.parquet"
            self._store.write(key, content)
            rows = int(self.numbers[name]["row_count"])
            written[name] = (WrittenFile(key, rows, len(content), hashlib.sha256(content).hexdigest()),)
        for name, files_of_table in written.items():
            delete_others(self._store, f"{prefix}{name}/", [file.key for file in files_of_table])
        self._give_up()
        return written


def _unpersist(held: DataFrame) -> None:
    held.unpersist()


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
            values = (one.name, one.part, one.rows, len(one.content), hashlib.sha256(one.content).hexdigest())
            columns = [pa.array([value], field.type) for value, field in zip(values, _STORED_SCHEMA, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=_STORED_SCHEMA)
