"""What a table is, as a value: columns, rules, and how raw files may write them.

`declaration.spec_of` reads it from a pandera model; `row_rules` derives the rules that validate raw rows. As JSON it
comes without pandera, whose import takes as long as reading a million rows, and 75 MB.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import cache, cached_property
from hashlib import sha256
from typing import Any

import polars as pl
from msgspec import json

from gata_assets.tables.changes.declared import (
    COMMITTED_AT,
    DELETE,
    INSERT,
    IS_DELETE,
    OPERATION,
    UPDATE,
    Changes,
    ParentRule,
    TotalRule,
)
from gata_assets.tables.columns.column_spec import ISO_8601, Check, ColumnSpec, Reference
from gata_assets.tables.documents.declared import Pages
from gata_assets.tables.raw_mapping import NO_MAPPING, RawMapping


class UnknownColumns(StrEnum):
    """What happens to a column of a raw file that its table does not have.

    In CSV and Parquet all rows have the same columns: rejecting rows there means refusing the file.
    """

    IGNORE = "ignore"
    REJECT_ROW = "reject_row"
    REFUSE_FILE = "refuse_file"


class InvalidOptional(StrEnum):
    """What an invalid value of a nullable column rejects: its row, or only the value, which is counted."""

    REJECT_ROW = "reject_row"
    DISCARD_VALUE = "discard_value"


class Repetitions(StrEnum):
    """Which rows count: all but exact repetitions, or the latest of each key (by file, then by position in it)."""

    EXACT = "exact"
    LATEST = "latest"

    @property
    def dropped(self) -> str:
        """The name for rows that no longer count."""
        return "duplicates" if self is Repetitions.EXACT else "earlier_rows"


@dataclass(frozen=True)
class FrameRule:
    """A rule over several columns; the expression is true for a row that keeps it; null passes."""

    name: str
    expression: pl.Expr


@dataclass(frozen=True)
class AvroRecord:
    """How the table's Avro record is named, and which of its instants are plain longs: milliseconds since 1970 (UTC).

    Without a name it is the table's, in capitals as records are; without a namespace it has none.
    """

    name: str | None = None
    namespace: str | None = None
    plain_instants: tuple[str, ...] = ()


# The fields of a column that are in no digest, or in their own way.
_NOT_IN_DIGESTS = ("description", "checks", "format", "json", "subject")
# The fields of a table that other tables do not have.
_OF_SOME = ("changes", "totals", "parent_rules", "card_numbers", "phone_regions", "more", "pages", "staged_as")
# The fields of a table that are not keys of its Config's metadata.
NOT_METADATA = (
    "name",
    "declared_by",
    "description",
    "unique_together",
    "columns",
    "frame_rules",
    "mapping",
    "is_by_row",
)
# The fields of a table that change no raw row.
_NOT_OF_ROWS = ("avro",)


@dataclass(frozen=True, eq=False)
class TableSpec:
    """A table: its columns and rules, and from `table` on the keys of its Config's metadata.

    Attributes:
        name: its name in pandera.
        declared_by: its pandera model, or where that is, as `module:Class`.
        unique_together: whether several columns together are unique; the model says which.
        table: its name in commands and keys; without it the model's name.
        key: the columns that identify a row, where the latest repetition counts.
        event_time: the column of instants that determines a row's event window and day.
        partition_by: "day" where each day (UTC) of event_time is curated by itself.
        unknown_columns: see `UnknownColumns`.
        invalid_optional: see `InvalidOptional`.
        separator: the character between columns of CSV.
        changes: see `Changes`; None where rows change nothing.
        totals: rules over a row and its parts.
        parent_rules: rules over a row and the row that it refers to.
        card_numbers: "truncate" if card numbers in texts are truncated before rows are stored.
        phone_regions: the countries whose phone numbers are hidden in national notation too, where card numbers are.
        more: the column that takes all fields which the table does not have, as a JSON object; in no raw file itself.
        pages: see `Pages`: how JSON documents contain rows; None where each line of JSON Lines is a row.
        staged_as: "parquet" if the valid rows of a file are staged as one Parquet file with their places.
        avro: see `AvroRecord`.
        mapping: how particular raw files differ, once it is applied (`raw_mapping.mapped`).
        is_by_row: whether each line of JSON Lines is judged alone, so that none refuses its file (`read_by_row`).
    """

    name: str
    declared_by: Any
    description: str
    unique_together: bool
    columns: tuple[ColumnSpec, ...]
    frame_rules: tuple[FrameRule, ...]
    table: str
    key: tuple[str, ...] = ()
    event_time: str | None = None
    repetitions: Repetitions = Repetitions.EXACT
    partition_by: str | None = None
    unknown_columns: UnknownColumns = UnknownColumns.REFUSE_FILE
    invalid_optional: InvalidOptional = InvalidOptional.REJECT_ROW
    separator: str = ","
    changes: Changes | None = None
    totals: tuple[TotalRule, ...] = ()
    parent_rules: tuple[ParentRule, ...] = ()
    card_numbers: str | None = None
    phone_regions: tuple[str, ...] = ()
    more: str | None = None
    pages: Pages | None = None
    staged_as: str | None = None
    avro: AvroRecord = AvroRecord()
    mapping: RawMapping = NO_MAPPING
    is_by_row: bool = False

    @property
    def model(self) -> Any:
        """Its pandera model, which is loaded if needed."""
        return pkgutil.resolve_name(self.declared_by) if isinstance(self.declared_by, str) else self.declared_by

    @cached_property
    def raw_columns(self) -> tuple[ColumnSpec, ...]:
        """The columns of raw files, required ones first."""
        found = [column for column in self.columns if not column.is_derived]
        return (*sorted(found, key=lambda column: column.nullable), *self.change_columns)

    @cached_property
    def change_columns(self) -> tuple[ColumnSpec, ...]:
        """The columns that raw files of changes have besides those of the table."""
        if self.changes is None:
            return ()
        operations = Check("isin", {"allowed_values": [INSERT, UPDATE, DELETE]})
        return (
            ColumnSpec(OPERATION, pl.String(), nullable=True, checks=(operations,), aliases=self.changes.operation),
            ColumnSpec(
                COMMITTED_AT,
                pl.Datetime("us", "UTC"),
                nullable=True,
                aliases=self.changes.committed_at,
                instants=(ISO_8601,),
            ),
        )

    @property
    def is_staged_by_day(self) -> bool:
        """Whether the valid rows of a file are divided into days; the day of a change may be known only later."""
        return bool(self.partition_by and self.event_time and not self.changes)

    @property
    def required(self) -> tuple[str, ...]:
        """The names of the columns that a raw file must have."""
        return tuple(column.name for column in self.raw_columns if not column.nullable)

    @property
    def optional(self) -> tuple[str, ...]:
        """The names of the columns that a raw file may have."""
        return tuple(column.name for column in self.raw_columns if column.nullable and column.name != self.more)

    @cached_property
    def sources(self) -> dict[str, str]:
        """The table's column by each name that a raw file may give it."""
        return {name: column.name for column in self.raw_columns for name in self.names_of(column)}

    def names_of(self, column: ColumnSpec) -> tuple[str, ...]:
        """The names that raw files may give a column; none if the mapping gives its values, or it takes all others."""
        if column.name in self.mapping.filled or column.name == self.more:
            return ()
        return self.mapping.columns.get(column.name, (column.name, *column.aliases))

    @cached_property
    def curated_schema(self) -> dict[str, pl.DataType]:
        """The columns of the curated table."""
        return {column.name: column.dtype for column in self.columns}

    @cached_property
    def staged_schema(self) -> dict[str, pl.DataType]:
        """The columns of staged rows: those of raw files, with codes instead of words where a column has codes, the
        line where the latest row counts, and places where rows are staged with them.
        """
        coded = {column.code_of for column in self.columns}
        kept = {column.name: column.dtype for column in self.columns if not column.key_of and column.name not in coded}
        kept |= {IS_DELETE: pl.Boolean(), COMMITTED_AT: pl.Datetime("us", "UTC")} if self.changes else {}
        kept |= {"source_line": pl.Int64()} if self.repetitions is Repetitions.LATEST else {}
        return kept | self.place_schema

    @property
    def place_schema(self) -> dict[str, pl.DataType]:
        """The columns of staged rows that say where each came from, if there are any."""
        instant = pl.Datetime("us", "UTC")
        of_place = {"source_file": pl.String(), "source_record": pl.Int64(), "loaded_at": instant}
        return of_place if self.staged_as else {}

    @cached_property
    def quarantine_schema(self) -> dict[str, pl.DataType]:
        """The columns of rejected rows: those of the raw file as texts, the entire row if it could not be read, the
        rules that it breaks, its file, its number there (from 1) and its line.
        """
        texts = dict.fromkeys([*(column.name for column in self.raw_columns), "row"], pl.String())
        places = dict.fromkeys(("source_record", "source_line"), pl.Int64())
        return {**texts, "rules": pl.List(pl.String()), "source_file": pl.String(), **places}

    @cached_property
    def subject_columns(self) -> tuple[str, ...]:
        """The columns that name the person whom a row is about."""
        return tuple(column.name for column in self.columns if column.subject)

    @cached_property
    def references(self) -> dict[str, Reference]:
        """The references of columns, by column."""
        return {column.name: column.references for column in self.columns if column.references}

    def column(self, name: str) -> ColumnSpec:
        """A column by its name."""
        return next(column for column in (*self.columns, *self.change_columns) if column.name == name)

    @cached_property
    def digest(self) -> str:
        """Digits that differ if raw rows could be read or validated differently."""
        left_out = (*NOT_METADATA, *_OF_SOME, *_NOT_OF_ROWS)
        identity = [
            [str(getattr(self, key.name)) for key in fields(self) if key.name not in left_out],
            [
                [str(getattr(column, key.name)) for key in fields(column) if key.name not in _NOT_IN_DIGESTS]
                + [f"{check.name} {check.limits}" for check in column.checks]
                + ([column.format] if column.format else [])
                + (["json"] if column.json else [])
                for column in self.columns
            ],
            [f"{rule.name} {rule.expression}" for rule in self.frame_rules],
            *([repr(self.mapping)] if self.mapping != NO_MAPPING else []),
            # Rules over several rows or tables change no raw row.
            *([repr((self.changes, self.card_numbers))] if self.changes or self.card_numbers else []),
            *([repr(self.phone_regions)] if self.phone_regions else []),
            *([repr((self.more, self.pages, self.staged_as))] if self.more or self.pages or self.staged_as else []),
        ]
        return sha256(repr(identity).encode()).hexdigest()[:32]


@cache
def read_by_row(spec: TableSpec) -> TableSpec:
    """A table whose raw file has rows of many senders: what would refuse the file rejects the row alone."""
    # Cached, since what is derived from a table is kept by its identity.
    return replace(spec, is_by_row=True)


def tables_from_json(content: bytes) -> dict[str, TableSpec]:
    """Tables by name, from the JSON that `gata_assets_tests.reference` writes: without defaults."""

    def decode(kind: type, value: Any) -> Any:
        if kind is not pl.DataType:
            return value
        parameters = {key: decode(kind, item) if key == "inner" else item for key, item in value.items()}
        return getattr(pl, parameters.pop("type"))(**parameters)

    return json.decode(content, type=dict[str, TableSpec], dec_hook=decode)
