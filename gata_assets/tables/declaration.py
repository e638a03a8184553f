"""Declarations of tables: pandera models become `TableSpec`; their metadata has what pandera cannot express.

Types, bounds, allowed values, uniqueness and descriptions are pandera's own. The keys of metadata are those of
`ColumnSpec` (of a field) and `TableSpec` (of Config); unknown keys are refused when a model is read.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from functools import cache
from importlib import import_module
from typing import Any

import pandera.polars as pandera
import polars as pl

from gata_assets.errors import TableSpecError
from gata_assets.tables.changes.declared import Changes, ParentRule, TotalRule
from gata_assets.tables.columns.column_spec import DAY, ISO_8601, Check, ColumnSpec, Reference, ReferenceMode
from gata_assets.tables.consistency import require_consistent, require_known
from gata_assets.tables.documents.declared import pages_of
from gata_assets.tables.spec import (
    NOT_METADATA,
    AvroRecord,
    FrameRule,
    InvalidOptional,
    Repetitions,
    TableSpec,
    UnknownColumns,
)

_INSTANT = pl.Datetime("us", "UTC")
_PANDERA = ("name", "dtype", "nullable", "unique", "description", "checks")
_COLUMN_KEYS = {key.name for key in fields(ColumnSpec)} - set(_PANDERA)
_TABLE_KEYS = {key.name for key in fields(TableSpec)} - {*NOT_METADATA}
_TABLE_KINDS: dict[str, Callable[[Any], Any]] = {
    "key": tuple,
    "phone_regions": tuple,
    "repetitions": Repetitions,
    "unknown_columns": UnknownColumns,
    "invalid_optional": InvalidOptional,
    "changes": lambda declared: Changes(**{name: tuple(names) for name, names in declared.items()}),
    "pages": pages_of,
    "avro": lambda declared: AvroRecord(**(declared | {"plain_instants": tuple(declared.get("plain_instants", ()))})),
    "totals": lambda declared: tuple(TotalRule(name, **of) for name, of in declared.items()),
    "parent_rules": lambda declared: tuple(ParentRule(name, rule) for name, rule in declared.items()),
}


@cache
def spec_of(model: type[pandera.DataFrameModel]) -> TableSpec:
    """Read the declaration of a table that has raw files; raises TableSpecError for an invalid one."""
    return require_consistent(read_model(model))


def read_model(model: type[pandera.DataFrameModel]) -> TableSpec:
    """Read the declaration of any table; raises TableSpecError for unknown metadata."""
    schema = model.to_schema()
    table = str(schema.name)
    columns = []
    for name, column in schema.columns.items():
        metadata = dict(column.metadata or {})
        require_known(f"{table}.{name}", "metadata", metadata, _COLUMN_KEYS)
        if "references" in metadata:
            metadata["references"] = _reference(f"{table}.{name}", metadata["references"])
        metadata |= {key: tuple(metadata[key]) for key in ("aliases", "instants") if key in metadata}
        # pandera represents types without parameters as classes.
        dtype = column.dtype.type() if isinstance(column.dtype.type, type) else column.dtype.type
        if "instants" not in metadata and isinstance(dtype, pl.Datetime | pl.Date):
            metadata["instants"] = (DAY,) if isinstance(dtype, pl.Date) else (ISO_8601,)
        columns.append(
            ColumnSpec(
                name=name,
                dtype=dtype,
                nullable=column.nullable,
                unique=column.unique,
                description=column.description or "",
                checks=tuple(map(check_of, column.checks)),
                **metadata,
            )
        )
    # From the model's Config: the schema's own metadata is None.
    metadata = dict(getattr(model.Config, "metadata", None) or {})
    require_known(table, "Config.metadata", metadata, _TABLE_KEYS)
    try:
        metadata |= {key: kind(metadata[key]) for key, kind in _TABLE_KINDS.items() if key in metadata}
    except (ValueError, TypeError, AttributeError) as error:
        raise TableSpecError(f"{table}: Config.metadata: {error}.") from None
    rules = tuple(_frame_rule(table, check) for check in schema.checks)
    description = inspect.cleandoc(model.__doc__ or "")
    metadata = {"table": table, **metadata}
    return TableSpec(table, model, description, bool(schema.unique), tuple(columns), rules, **metadata)


def check_of(check: pandera.Check) -> Check:
    """A check of pandera as a value."""
    limits = {name: value for name, value in (check.statistics or {}).items() if value is not None}
    if "allowed_values" in limits:
        limits["allowed_values"] = list(limits["allowed_values"])

    def evaluate(values: pl.LazyFrame, column: str) -> pl.LazyFrame:
        kept: pl.LazyFrame = check(values, column).check_output
        return kept

    return Check(str(check.name), limits, evaluate)


def row_rule(name: str, expression: pl.Expr) -> Any:
    """A rule over several columns of a model, assigned to one of its attributes; true for a row that keeps it."""

    def holds(_model: object, data: pandera.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(expression)

    return pandera.dataframe_check(name=name, statistics={"expression": expression})(holds)


def load_specs(module: str) -> tuple[TableSpec, ...]:
    """The tables that a module declares or imports: its models of pandera whose Config.metadata names a `table`.

    Raises TableSpecError for a module that cannot be imported, or has no such model.
    """
    try:
        found = vars(import_module(module)).values()
    except Exception as error:
        # A module can raise anything; only the class is named, since the message may contain anything.
        reason = str(error) if isinstance(error, ImportError) else type(error).__name__
        raise TableSpecError(
            f"the module {module} cannot be imported: {reason}. It must be importable where the command and Dagster's "
            "code server run (installed, or on PYTHONPATH)."
        ) from error
    models = {kind: None for kind in found if isinstance(kind, type) and issubclass(kind, pandera.DataFrameModel)}
    named = [model for model in models if "table" in (getattr(model.Config, "metadata", None) or {})]
    if not named:
        raise TableSpecError(
            f"the module {module} has no pandera model (DataFrameModel) whose Config.metadata names a table, such as "
            '{"table": "visits"}.'
        )
    return tuple(map(spec_of, named))


def tables_by_name(specs: Iterable[TableSpec]) -> dict[str, TableSpec]:
    """Tables by name, referenced tables before those that refer to them.

    Raises TableSpecError if two tables have the same name, tables refer to one another in a cycle, or a reference is to
    a column that is missing, has another type, or belongs to a table curated by day.
    """
    found: dict[str, TableSpec] = {}
    for spec in specs:
        if spec.table in found:
            raise TableSpecError(
                f"two tables are named {spec.table}: {found[spec.table].declared_by} and {spec.declared_by}."
            )
        found[spec.table] = spec
    ordered: dict[str, TableSpec] = {}

    def add(spec: TableSpec, path: tuple[str, ...] = ()) -> None:
        if spec.table in path:
            raise TableSpecError(f"tables refer to one another in a circle: {' → '.join((*path, spec.table))}.")
        for name, reference in spec.references.items():
            target = found.get(reference.table)
            _require_reference(spec.column(name), f"{spec.table}.{name}", reference, target)
            if target and target.table not in ordered and target is not spec:
                add(target, (*path, spec.table))
        named = (name for name, to in spec.references.items() if _names_people(ordered.get(to.table), to.column))
        ordered.setdefault(spec.table, _of_people(spec, tuple(named)))

    for spec in found.values():
        add(spec)
    return ordered


def _names_people(spec: TableSpec | None, column: str) -> bool:
    return spec is not None and column in spec.subject_columns


@cache
def _of_people(spec: TableSpec, named: tuple[str, ...]) -> TableSpec:
    """A table whose rows are about the people of those that they refer to by these columns."""
    # Cached, since what is derived from a table is kept by its identity.
    if not {*named} - {*spec.subject_columns}:
        return spec
    columns = (replace(column, subject=True) if column.name in named else column for column in spec.columns)
    return replace(spec, columns=tuple(columns))


def _require_reference(column: ColumnSpec, place: str, reference: Reference, target: TableSpec | None) -> None:
    to = f"{reference.table}.{reference.column}"
    if target is None or reference.column not in target.curated_schema:
        raise TableSpecError(f"{place} refers to {to}, which is no column.")
    if target.partition_by and not reference.mode.is_of_changes:
        raise TableSpecError(f"{place} refers to {to}, which is curated by day, not in one file.")
    if (kind := target.curated_schema[reference.column]) != column.dtype:
        raise TableSpecError(f"{place} is {column.dtype}, and refers to {to}, which is {kind}.")


def _reference(place: str, declared: str | Mapping[str, str]) -> Reference:
    if isinstance(declared, str):
        declared = dict(zip(("table", "column"), declared.split("."), strict=False))
    try:
        return Reference(declared["table"], declared["column"], ReferenceMode(declared.get("mode", ReferenceMode.WARN)))
    except (KeyError, ValueError):
        raise TableSpecError(f'{place}: references are "table.column", or a table, a column and a mode.') from None


def _frame_rule(table: str, check: pandera.Check) -> FrameRule:
    expression = (check.statistics or {}).get("expression")
    if not isinstance(expression, pl.Expr) or not check.name:
        raise TableSpecError(
            f"{table}: the rule {check.name} over several columns has no expression for raw rows: declare it by "
            "tables.declaration.row_rule, or give its dataframe_check a name and statistics={'expression': …}."
        )
    return FrameRule(check.name, expression)
