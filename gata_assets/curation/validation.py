"""Blocks of raw rows become valid rows and rejected ones; every row is in one of the two.

A rule has a name that says what is true of a valid row. A rejected row is kept as it came, with all rules that it
breaks, its file, its number and its line. The rules are derived in `tables.row_rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.curation.files.raw_block import RAGGED, READABLE, UNREADABLE, RawBlock
from gata_assets.curation.policy import CurationRules
from gata_assets.tables.columns.arrow_buffers import MICROS_OF_A_DAY
from gata_assets.tables.row_rules import FITTING_RULE, READABLE_RULE, RowContext, rule_names, validate_columns
from gata_assets.tables.spec import ReferenceMode, Repetitions, TableSpec

# A number beyond that of any day.
_NO_DAY = 1 << 40

# Goes up when rows are validated otherwise than before under the same settings and by the same table.
_VERSION = 2


@dataclass(frozen=True)
class ValidatedRows:
    """Rows of a block: valid ones by the table's `staged_schema`, but for columns that the file does not have, and
    rejected ones by its `quarantine_schema`; and how many rows broke which rule, valid ones refer to nothing, and valid
    ones lost a value.
    """

    valid: pa.Table
    rejected: pa.Table
    rejected_by_rule: Mapping[str, int]
    unknown_by_rule: Mapping[str, int]
    discarded_by_rule: Mapping[str, int]


def digest_settings(spec: TableSpec, rules: CurationRules) -> str:
    """Ten characters that differ where the table or the settings could judge rows of a file otherwise.

    Not of the rows that others refer to, which grow all the time: what they say is seen by validating the file again.
    """
    parts: list[object] = [_VERSION, spec.digest]
    if spec.event_time:
        parts += [rules.earliest_at.isoformat(), rules.at_most_ahead]
    parts += [rules.mode_of(reference) for reference in spec.references.values()]
    return sha256("\n".join(map(str, parts)).encode()).hexdigest()[:10]


def digest_context(spec: TableSpec, context: RowContext) -> str:
    """Ten characters that differ where a row of one file could be validated otherwise."""
    modes = {name: context.modes.get(name, reference.mode) for name, reference in spec.references.items()}
    digest = sha256("\n".join(map(str, [_VERSION, spec.digest, context.start_at, context.end_at, modes])).encode())
    for name, known in context.known.items():
        if modes[name] is ReferenceMode.REJECT:
            digest.update("\n".join(map(str, known)).encode())
    return digest.hexdigest()[:10]


def validate_block(spec: TableSpec, block: RawBlock, context: RowContext, source_file: str) -> ValidatedRows:
    """Divide the rows of a block into valid and rejected ones."""
    found = validate_columns(spec, block.texts, context)
    is_readable = pl.Series(block.faults == READABLE)
    # Of what could not be read no more is said.
    broken = {name: rows & is_readable for name, rows in found.broken.items()}
    for name, fault in ((READABLE_RULE, UNREADABLE), (FITTING_RULE, RAGGED)):
        if (block.faults == fault).any():
            broken[name] = pl.Series(block.faults == fault)
    is_rejected = pl.select(pl.any_horizontal(*broken.values())).to_series() if broken else ~is_readable
    is_valid = ~is_rejected
    ordered = {name: broken[name] for name in rule_names(spec) if name in broken}
    return ValidatedRows(
        valid=_stage(spec, found.values, block, is_valid),
        rejected=_quarantine(spec, block, ordered, is_rejected, source_file),
        rejected_by_rule=_count(ordered),
        unknown_by_rule=_count({name: rows & is_valid for name, rows in found.warned.items()}),
        discarded_by_rule=_count({name: rows & is_valid for name, rows in found.discarded.items()}),
    )


def _count(rules: Mapping[str, pl.Series]) -> dict[str, int]:
    return {name: count for name, rows in rules.items() if (count := int(rows.sum()))}


def _stage(spec: TableSpec, values: pl.DataFrame, block: RawBlock, is_valid: pl.Series) -> pa.Table:
    """Valid rows by the table's `staged_schema`.

    By day where each is curated by itself: many days share a block, and while that is in the processor's cache, putting
    them in order costs next to nothing.
    """
    if spec.repetitions is Repetitions.LATEST:
        values = values.with_columns(pl.Series("source_line", block.lines))
    valid = values if is_valid.all() else values.filter(is_valid)
    if spec.partition_by and spec.event_time:
        valid = valid[_by_day(valid[spec.event_time].to_physical().to_numpy())]
    for column in spec.columns:
        if column.code_of in valid.columns:
            words = pl.Enum(spec.column(column.code_of).allowed_values or ())
            code = pl.col(column.code_of).cast(words).to_physical().cast(column.dtype)
            valid = valid.with_columns(code.alias(column.name))
    # A column that the file does not have is left out where days share a file: three cost what comes after a tenth.
    kinds = spec.staged_schema
    absent = [] if spec.partition_by else [pl.lit(None, kinds[name]).alias(name) for name in kinds if name not in valid]
    staged = valid.with_columns(absent).select(name for name in kinds if spec.partition_by is None or name in valid)
    return staged.to_arrow(compat_level=pl.CompatLevel.oldest())


def _by_day(instants: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of instants by day, those of a day as they come."""
    days = instants // MICROS_OF_A_DAY
    first, last = days.min(initial=_NO_DAY), days.max(initial=-_NO_DAY)
    # NumPy puts numbers of 16 bits in order without comparing any.
    return np.argsort((days - first).astype(np.uint16) if last - first < 1 << 16 else days, kind="stable")


def _quarantine(
    spec: TableSpec, block: RawBlock, broken: Mapping[str, pl.Series], is_rejected: pl.Series, source_file: str
) -> pa.Table:
    schema = _arrow_schema(spec)
    places = is_rejected.arg_true()
    if places.is_empty():
        return schema.empty_table()
    # Of the rejected rows alone: names for all of them take longer than to validate them.
    names = [pl.when(rows.gather(places)).then(pl.lit(name)) for name, rows in broken.items()]
    at = places.to_numpy()
    faults = [block.fault_texts.get(place) for place in at.tolist()]
    rows = block.texts.select(pl.all().gather(places)).with_columns(
        pl.Series("row", faults, dtype=pl.String),
        pl.select(pl.concat_list(names).list.drop_nulls().alias("rules")).to_series(),
        pl.lit(source_file).alias("source_file"),
        pl.Series("source_record", block.records[at]),
        pl.Series("source_line", block.lines[at]),
    )
    absent = [pl.lit(None, pl.String()).alias(name) for name in spec.quarantine_schema if name not in rows.columns]
    whole = rows.with_columns(absent).select(*spec.quarantine_schema)
    return whole.to_arrow(compat_level=pl.CompatLevel.oldest())


@cache
def _arrow_schema(spec: TableSpec) -> pa.Schema:
    return pl.DataFrame(schema=spec.quarantine_schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
