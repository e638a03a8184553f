"""What becomes of a file's first rows by a table and a mapping, and which of several mappings fits a file best.

Nothing is written. `proposal` makes the mapping that is tried where no other fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import reduce
from operator import or_

import polars as pl

from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.files.head import Head
from gata_assets.curation.mappings.hints import Hints
from gata_assets.curation.mappings.proposal import propose
from gata_assets.curation.mappings.raw_columns import RawColumns, first_rows
from gata_assets.curation.readers.raw_block import RAGGED, READABLE, UNREADABLE
from gata_assets.errors import MappingError, RawFileError
from gata_assets.tables.mapped_table import mapped
from gata_assets.tables.raw_mapping import NO_MAPPING, RawMapping, merge_mappings
from gata_assets.tables.row_rules import (
    FITTING_RULE,
    READABLE_RULE,
    RowContext,
    rule_name,
    rule_names,
    validate_columns,
)
from gata_assets.tables.spec import TableSpec

_SHOWN_ROWS = 5
# A preset that reads less of a file is of another format, whose names happen to be the same.
_LEAST_OF_PRESET = 0.5
# The table itself fits if a mapping would read hardly more.
_NEARLY = 0.95


@dataclass(frozen=True)
class ExplainedTable:
    """A table that a file may be of.

    Attributes:
        spec: the table, by which rows are validated.
        context: what rows are validated against.
        always: what its files are read by whatever else is said.
        required_of: the table with the columns that a file must have, though rows may lack values in them.
    """

    spec: TableSpec
    context: RowContext = field(default_factory=RowContext)
    always: RawMapping = NO_MAPPING
    required_of: Callable[[TableSpec], TableSpec] = lambda spec: spec


class Fit(StrEnum):
    """What a file is read by."""

    TABLE = "table"
    PRESET = "preset"
    PROPOSAL = "proposal"
    GIVEN = "given"


@dataclass(frozen=True)
class Preview:
    """The first rows of a file by a table.

    Attributes:
        rows: how many were looked at.
        valid: how many of them are valid.
        read: those, and rows that are outside of the event window and nothing else.
        rejected_by_rule: how many rows break each rule.
        values: the first rows that are read, by the table's columns that the file has.
        instants: the least and the greatest event time of rows that are read.
        unknown_words: by column with allowed values, the texts that are none.
    """

    rows: int = 0
    valid: int = 0
    read: int = 0
    rejected_by_rule: Mapping[str, int] = field(default_factory=dict)
    discarded_by_rule: Mapping[str, int] = field(default_factory=dict)
    values: pl.DataFrame = field(default_factory=pl.DataFrame)
    instants: tuple[datetime, datetime] | None = None
    unknown_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Fitting:
    """A table as a file has it, and what becomes of the file's first rows by it; `preset` names the preset, if any."""

    fit: Fit
    spec: TableSpec
    preview: Preview
    preset: str | None = None
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    refused: str | None = None

    @property
    def mapping(self) -> RawMapping:
        """The mapping, which may be none."""
        return self.spec.mapping


def find_fitting(
    head: Head, raw: RawColumns, table: ExplainedTable, hints: Hints, presets: Mapping[str, RawMapping]
) -> Fitting:
    """What a file is read by best: the table as it is, a preset, or what is proposed. Raises StoreError."""
    proposal = propose(table.required_of(table.spec), raw, hints)
    proposed = _try(Fit.PROPOSAL, head, table, proposal.mapping)
    proposed = replace(proposed, notes=(*proposal.notes, *proposal.oddities), missing=proposal.missing)
    of_presets = [
        replace(found, preset=name, notes=proposal.oddities)
        for name, mapping in presets.items()
        if _may_be(mapping, raw, table.spec)
        for found in [_try(Fit.PRESET, head, table, mapping)]
        if found.preview.read >= max(found.preview.rows * _LEAST_OF_PRESET, 1)
    ]
    as_it_is = _try(Fit.TABLE, head, table, NO_MAPPING)
    best_preset = max(of_presets, key=lambda found: found.preview.read, default=None)
    most = max(found.preview.read for found in (proposed, as_it_is, *of_presets))
    if as_it_is.preview.read >= max(most * _NEARLY, 1):
        return replace(as_it_is, notes=proposal.oddities)
    return best_preset or proposed


def try_mapping(head: Head, table: ExplainedTable, mapping: RawMapping, preset: str | None = None) -> Fitting:
    """What becomes of a file by a given mapping; raises MappingError if it does not fit the table."""
    mapped(table.spec, mapping)
    return replace(_try(Fit.GIVEN, head, table, mapping), preset=preset)


def preview(spec: TableSpec, head: Head, table: ExplainedTable) -> Preview:
    """What becomes of the first rows of a file by a table with a mapping; raises RawFileError."""
    context = table.context
    block = first_rows(head, table.required_of(spec))
    if block is None:
        return Preview()
    found = validate_columns(spec, block.texts, context)
    faults = pl.Series(block.faults)
    is_readable = faults == READABLE
    broken = {name: rows & is_readable for name, rows in found.broken.items()}
    broken |= {READABLE_RULE: faults == UNREADABLE, FITTING_RULE: faults == RAGGED}
    window = rule_name(spec, spec.column(spec.event_time), "window") if spec.event_time else ""
    is_rejected = reduce(or_, broken.values())
    is_unread = reduce(or_, (rows for name, rows in broken.items() if name != window))
    counts = {name: int(broken[name].sum()) for name in rule_names(spec) if name in broken and broken[name].any()}
    values = found.values.filter(~is_unread)
    at = values[spec.event_time] if spec.event_time in values.columns else pl.Series(dtype=pl.Datetime("us", "UTC"))
    times = at.drop_nulls()
    return Preview(
        rows=len(block),
        valid=int((~is_rejected).sum()),
        read=len(values),
        rejected_by_rule=counts,
        discarded_by_rule={name: int(rows.sum()) for name, rows in found.discarded.items()},
        values=values.head(_SHOWN_ROWS),
        instants=None if times.is_empty() else (times.min(), times.max()),  # type: ignore[arg-type]
        unknown_words=_unknown_words(spec, found.values),
    )


def _unknown_words(spec: TableSpec, values: pl.DataFrame) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for column in spec.raw_columns:
        if column.allowed_values and column.name in values.columns:
            words = values[column.name].drop_nulls().unique().sort()
            found[column.name] = tuple(word for word in words if word not in column.allowed_values)
    return {name: words for name, words in found.items() if words}


def _try(fit: Fit, head: Head, table: ExplainedTable, mapping: RawMapping) -> Fitting:
    merged = merge_mappings(table.always, mapping)
    try:
        found = mapped(table.spec, merged) if merged != NO_MAPPING else table.spec
        return Fitting(fit, found, preview(found, head, table))
    except (RawFileError, MappingError) as error:
        return Fitting(fit, table.spec, Preview(), refused=str(error))


def _may_be(mapping: RawMapping, raw: RawColumns, spec: TableSpec) -> bool:
    """Whether a file is written as a preset's files are: with its separator, its types and as many columns."""
    if mapping.has_typed_names != raw.has_typed_names:
        return False
    is_csv = raw.format is RawFormat.CSV
    if (mapping.header or mapping.separator) and not is_csv:
        return False
    if is_csv and (mapping.separator or spec.separator) != raw.separator:
        return False
    return raw.has_header if not mapping.header else not raw.has_header and len(mapping.header) == len(raw.names)
