"""Staged rows of a partition become its curated rows: repetitions resolved, derived columns added, in a fixed order.

Pure functions of the spec and the rows. Where exact repetitions are dropped, neither the order of files nor how rows
are divided among them changes a row; where the latest row of a key counts, the order of files decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl
import pyarrow as pa

from gata_assets.tables.arrow_checks import check_arrow_tables
from gata_assets.tables.columns.hashing import hash_ids
from gata_assets.tables.outcomes import Outcome
from gata_assets.tables.spec import Repetitions, TableSpec

_ADVICE = "This is a defect of the curation; please report it."
# The place of a row's file among the files in the order in which they landed.
_FILE, _LINE = "place of file", "source_line"


@dataclass(frozen=True)
class MergedRows:
    """The curated files of a partition by name, the table's own first; the number of rows dropped as repetitions, the
    outcomes of the table's rules for the other rows, further details for the manifest, and the outcomes of further
    checks by their names.
    """

    files: Mapping[str, pa.Table]
    repeated: int
    outcomes: Sequence[Outcome]
    details: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, Sequence[Outcome]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The rows of the table's own file."""
        return len(next(iter(self.files.values())))


@dataclass(frozen=True)
class MergedIdentity:
    """What leads from a curated row of a merge of its own back to its record, which the row names by `source_file` and
    `source_record`: the columns that tell curated rows apart, those of them and of staged rows that have the same
    values in both, and what adds the former to staged rows.
    """

    columns: tuple[str, ...]
    unchanged: tuple[str, ...]
    add_columns: Callable[[pl.DataFrame], pl.DataFrame]


# From the staged tables of partitions (None: the entire table), in the order in which their files landed, to curated
# files.
Merge = Callable[[Mapping[date | None, Sequence[pa.Table]]], Mapping[date | None, MergedRows]]


def table_file(table: str) -> str:
    """The name of a curated table's own file."""
    return f"{table}.parquet"


def staged_rows(spec: TableSpec) -> pa.Table:
    """A staged table without rows."""
    return pl.DataFrame(schema=spec.staged_schema).to_arrow()


def merge_partitions(
    spec: TableSpec, partitions: Mapping[date | None, Sequence[pa.Table]]
) -> dict[date | None, MergedRows]:
    """Merge each partition by itself, as its spec defines; nullable columns of staged rows may be missing."""
    merged = {}
    for day, tables in partitions.items():
        rows, repeated = merge_rows(spec, [pl.DataFrame(pl.from_arrow(table)) for table in tables])
        table = rows.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
        outcomes = [*check_arrow_tables(spec, [table]), *_check_key(spec, rows), *_check_day(spec, rows, day)]
        merged[day] = MergedRows({table_file(spec.table): table}, repeated, outcomes)
    return merged


def merge_rows(spec: TableSpec, parts: Sequence[pl.DataFrame]) -> tuple[pl.DataFrame, int]:
    """The curated rows of staged ones, and how many were dropped as repetitions."""
    # Where a row came from makes it no other row.
    parts = [part.drop(spec.place_schema, strict=False) for part in parts]
    numbered = [part.with_columns(pl.lit(place, pl.UInt32).alias(_FILE)) for place, part in enumerate(parts)]
    # The first frame gives the columns that no part has, and the order of all columns.
    own = {name: kind for name, kind in spec.staged_schema.items() if name not in spec.place_schema}
    no_rows = pl.DataFrame(schema={**own, _FILE: pl.UInt32()})
    staged = pl.concat([no_rows, *numbered], how="diagonal")
    if spec.repetitions is Repetitions.LATEST:
        # The key may be a column of words, which staged rows have as codes.
        ordered = derive(spec, staged).sort(*spec.key, _FILE, _LINE)
        curated = ordered.unique(spec.key, keep="last", maintain_order=True)
    else:
        # No two rows are equal then, so ordering by all columns leaves no ties.
        curated = derive(spec, _with_plain_zeros(staged.drop(_FILE)).unique())
        first = [spec.event_time] if spec.event_time else []
        curated = curated.sort(*first, *(name for name in spec.curated_schema if name not in first))
    return curated.select(*spec.curated_schema), len(staged) - len(curated)


def _with_plain_zeros(rows: pl.DataFrame) -> pl.DataFrame:
    """Replace -0.0 by 0.0: they are equal, and which of them is kept would be chance. Polars optimizes `+ 0.0` away."""
    floats = {name: kind for name, kind in rows.schema.items() if kind.is_float()}
    return rows.with_columns(
        pl.when(pl.col(name) == 0).then(0.0).otherwise(pl.col(name)).cast(kind).alias(name)
        for name, kind in floats.items()
    )


def derive(spec: TableSpec, rows: pl.DataFrame) -> pl.DataFrame:
    """Add words to codes, and keys to ids."""
    for column in spec.columns:
        if column.code_of:
            word = spec.column(column.code_of)
            codes = list(range(len(word.allowed_values or ())))
            words = pl.col(column.name).replace_strict(
                codes, list(word.allowed_values or ()), default=None, return_dtype=word.dtype
            )
            rows = rows.with_columns(words.alias(word.name))
        elif column.key_of:
            rows = rows.with_columns(hash_ids(rows[column.key_of]).alias(column.name))
    return rows


def _check_key(spec: TableSpec, rows: pl.DataFrame) -> list[Outcome]:
    if spec.repetitions is not Repetitions.LATEST:
        return []
    twice = len(rows) - rows.n_unique(spec.key) if len(rows) else 0
    return [Outcome(f"{', '.join(spec.key)} is there once", twice, len(rows), _ADVICE)]


def _check_day(spec: TableSpec, rows: pl.DataFrame, day: date | None) -> list[Outcome]:
    if day is None or spec.event_time is None:
        return []
    outside = int((rows[spec.event_time].dt.date() != day).sum())
    return [Outcome(f"{spec.event_time} is of the day", outside, len(rows), _ADVICE)]
