"""Validates blocks of raw rows: every row is either valid or rejected.

The name of a rule states what is true of a valid row. A rejected row is kept unchanged, with all rules that it breaks,
its file, its number and its line. The rules are derived in `tables.row_rules`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, reduce
from hashlib import sha256
from operator import or_

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.curation.policy import CurationRules
from gata_assets.curation.readers.raw_block import RAGGED, READABLE, UNREADABLE, RawBlock
from gata_assets.curation.reports import RowFigures
from gata_assets.tables.columns.arrow_buffers import MICROS_OF_A_DAY, numbers_as_arrow
from gata_assets.tables.columns.column_spec import ReferenceMode
from gata_assets.tables.masking.rows import HIDDEN, is_masked, mask_texts, mask_values
from gata_assets.tables.row_rules import (
    FITTING_RULE,
    READABLE_RULE,
    RowContext,
    ValidatedColumns,
    consistency_rule_names,
    rule_names,
    validate_columns,
)
from gata_assets.tables.spec import Repetitions, TableSpec

# A number greater than that of any day.
_NO_DAY = 1 << 40

# Goes up when the same settings and table validate rows differently than before.
_VERSION = 3
# Goes up when rows of masked tables are masked differently than before.
_MASKING_VERSION = 2


@dataclass(frozen=True)
class ValidatedRows:
    """Rows of a block: valid ones in the table's `staged_schema`, without columns that the file lacks, and rejected
    ones in its `quarantine_schema`; and by rule, how many rows broke it, how many valid rows have an unknown reference,
    and how many valid rows lost a value; how many values were masked, by column or kind; what else is counted; and the
    numbers of the records of people who were erased, which are in neither.
    """

    valid: pa.Table
    rejected: pa.Table
    rejected_by_rule: Mapping[str, int]
    unknown_by_rule: Mapping[str, int]
    discarded_by_rule: Mapping[str, int]
    masked: Mapping[str, int]
    figures: RowFigures
    erased: tuple[int, ...] = ()


def digest_settings(spec: TableSpec, rules: CurationRules) -> str:
    """Digits that differ if the table or the settings could validate rows of a file differently.

    Referenced rows are not included, since they grow all the time: validating the file again shows their effect.
    """
    parts: list[object] = [_VERSION, spec.digest]
    if spec.event_time:
        parts += [rules.earliest_of(spec.table).isoformat(), rules.at_most_ahead]
    parts += [rules.mode_of(reference) for reference in spec.references.values()]
    # Another key gives other tokens.
    parts += [_MASKING_VERSION, rules.tokens.token("settings", spec.table)] if is_masked(spec) else []
    return sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]


def digest_context(spec: TableSpec, context: RowContext) -> str:
    """Digits that differ if a row of the same file could be validated differently."""
    modes = {name: context.modes.get(name, reference.mode) for name, reference in spec.references.items()}
    digest = sha256("\n".join(map(str, [_VERSION, spec.digest, context.start_at, context.end_at, modes])).encode())
    for name, known in context.known.items():
        if modes[name] is ReferenceMode.REJECT:
            digest.update("\n".join(map(str, known)).encode())
    if context.erased:
        digest.update(context.erased.digest.encode())
    return digest.hexdigest()[:32]


def validate_block(spec: TableSpec, block: RawBlock, context: RowContext, source_file: str) -> ValidatedRows:
    """Split the rows of a block into valid and rejected ones."""
    found = _validate_columns(spec, block, context)
    is_erased = context.erased.rows_of(spec, found.values) if context.erased else None
    erased: tuple[int, ...] = ()
    if is_erased is not None:
        # As if they had never been in the file.
        erased = tuple(block.records[is_erased].tolist())
        block = block.only(~is_erased)
        found = _validate_columns(spec, block, context)
    is_readable = pl.Series(block.faults == READABLE)
    # An unreadable row breaks no other rule.
    broken = {name: rows & is_readable for name, rows in found.broken.items()}
    for name, fault in ((READABLE_RULE, UNREADABLE), (FITTING_RULE, RAGGED)):
        if (block.faults == fault).any():
            broken[name] = pl.Series(block.faults == fault)
    is_rejected = reduce(or_, broken.values(), ~is_readable)
    is_valid = ~is_rejected
    ordered = {name: broken[name] for name in rule_names(spec) if name in broken}
    valid, masked = _stage(spec, found.values, block, is_valid, source_file, context)
    rejected, also_masked = _quarantine(spec, block, ordered, is_rejected, source_file, context)
    return ValidatedRows(
        valid=valid,
        rejected=rejected,
        rejected_by_rule=_count(ordered),
        unknown_by_rule=_count({name: rows & is_valid for name, rows in found.warned.items()}),
        discarded_by_rule=_count({name: rows & is_valid for name, rows in found.discarded.items()}),
        masked=masked + also_masked,
        figures=RowFigures(found.missing, found.unfilled, _count_inconsistent(spec, broken), block.unused),
        erased=erased,
    )


def _validate_columns(spec: TableSpec, block: RawBlock, context: RowContext) -> ValidatedColumns:
    known = {name: (column.values, column.given) for name, column in block.known.items()}
    return validate_columns(spec, block.texts, context, known)


def _count_inconsistent(spec: TableSpec, broken: Mapping[str, pl.Series]) -> int:
    rows = [broken[name] for name in consistency_rule_names(spec) if name in broken]
    return int(reduce(or_, rows).sum()) if rows else 0


def _count(rules: Mapping[str, pl.Series]) -> dict[str, int]:
    return {name: count for name, rows in rules.items() if (count := int(rows.sum()))}


def _stage(
    spec: TableSpec,
    values: pl.DataFrame,
    block: RawBlock,
    is_valid: pl.Series,
    source_file: str,
    context: RowContext,
) -> tuple[pa.Table, Counter[str]]:
    """Valid rows in the table's `staged_schema`, and how many of their values were masked.

    Ordered by day if each day is curated by itself: many days share a block, and while it is in the processor's cache,
    ordering costs next to nothing.
    """
    if spec.repetitions is Repetitions.LATEST:
        # Rows of one page have one line.
        values = values.with_columns(pl.Series("source_line", block.records if spec.pages else block.lines))
    if spec.staged_as:
        places_of = {
            "source_file": source_file,
            "source_record": pl.Series(block.records),
            "loaded_at": context.loaded_at,
        }
        kinds = spec.place_schema
        values = values.with_columns(pl.lit(value).cast(kinds[name]).alias(name) for name, value in places_of.items())
    places = np.flatnonzero(is_valid.to_numpy())
    if spec.is_staged_by_day and spec.event_time:
        instants = values[spec.event_time].to_physical().to_numpy()
        places = places[_by_day(instants[places])]
    columns = []
    for name, kind in spec.staged_schema.items():
        word = spec.column(name).code_of if name in spec.curated_schema else None
        if word in values.columns:
            words = pl.Enum(spec.column(word).allowed_values or ())
            columns.append(pl.col(word).cast(words, strict=False).to_physical().cast(kind).alias(name))
        elif name in values.columns:
            columns.append(pl.col(name))
        elif not spec.is_staged_by_day or spec.staged_as:
            # Left out where days share a file: three such columns slow the following steps by a tenth.
            columns.append(pl.lit(None, kind).alias(name))
    # Mostly all rows are valid.
    kept = values if len(places) == len(values) and not spec.is_staged_by_day else values[places]
    staged = kept.select(columns)
    masked = Counter[str]()
    if is_masked(spec):
        staged, masked = mask_values(spec, staged, context.tokens)
    return staged.to_arrow(compat_level=pl.CompatLevel.oldest()), masked


def _by_day(instants: NDArray[np.int64]) -> NDArray[np.int64]:
    """The positions of instants ordered by day, stable within a day."""
    days = instants // MICROS_OF_A_DAY
    first, last = days.min(initial=_NO_DAY), days.max(initial=-_NO_DAY)
    # NumPy orders 16-bit numbers without comparisons (radix sort).
    return np.argsort((days - first).astype(np.uint16) if last - first < 1 << 16 else days, kind="stable")


def _quarantine(
    spec: TableSpec,
    block: RawBlock,
    broken: Mapping[str, pl.Series],
    is_rejected: pl.Series,
    source_file: str,
    context: RowContext,
) -> tuple[pa.Table, Counter[str]]:
    schema, masked = _arrow_schema(spec), Counter[str]()
    places = np.flatnonzero(is_rejected.to_numpy())
    if not len(places):
        return pa.Table.from_batches([], schema), masked
    # For rejected rows only: building names for all rows takes longer than validating them.
    found = np.stack([rows.to_numpy()[places] for rows in broken.values()], axis=1)
    ends = np.concatenate([[0], np.cumsum(found.sum(axis=1))])
    names = pl.Series(list(broken)).gather(np.nonzero(found)[1])
    faults = pl.Series([block.fault_texts.get(place) for place in places.tolist()], dtype=pl.String)
    texts = pl.DataFrame(block.texts_at(places))
    if is_masked(spec):
        # What is in which column of a row that could not be divided is not known.
        is_divided = pl.Series(block.faults[places] == READABLE)
        texts, masked = mask_texts(spec, texts, context.tokens)
        texts = texts.with_columns(pl.when(is_divided).then(pl.col(name)).alias(name) for name in texts.columns)
        faults = pl.select(pl.when(faults.is_not_null()).then(pl.lit(HIDDEN))).to_series()
    columns = {
        **{column.name: _as_arrow(column) for column in texts},
        "row": _as_arrow(faults),
        "rules": pa.LargeListArray.from_arrays(numbers_as_arrow(ends), _as_arrow(names)),
        "source_file": _as_arrow(pl.Series([source_file]).new_from_index(0, len(places))),
        "source_record": numbers_as_arrow(block.records[places]),
        "source_line": numbers_as_arrow(block.lines[places]),
    }
    absent = pa.nulls(len(places), pa.large_string())
    return pa.table([columns.get(name, absent) for name in schema.names], schema=schema), masked


def _as_arrow(texts: pl.Series) -> pa.Array:
    return texts.to_arrow(compat_level=pl.CompatLevel.oldest())


@cache
def _arrow_schema(spec: TableSpec) -> pa.Schema:
    return pl.DataFrame(schema=spec.quarantine_schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
