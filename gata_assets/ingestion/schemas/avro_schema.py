"""The Avro schema of a declared table, derived from its columns: never a second declaration.

Fields are the columns of raw files: those that are always given, then nested fields as records, then the others, which
are nullable with the default null. What Avro has a word for and the model has not is in the table's metadata (`avro`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import polars as pl

from gata_assets.errors import TableSpecError
from gata_assets.tables.columns.column_spec import ColumnSpec
from gata_assets.tables.spec import TableSpec

Schema = dict[str, Any]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_DIGITS = 38
# By the type in Polars; Avro has two integers and no unsigned one.
_KINDS: dict[pl.DataType, Any] = {
    pl.String(): "string",
    pl.Boolean(): "boolean",
    **dict.fromkeys((pl.Int8(), pl.Int16(), pl.Int32(), pl.UInt8(), pl.UInt16()), "int"),
    **dict.fromkeys((pl.Int64(), pl.UInt32(), pl.UInt64()), "long"),
    **dict.fromkeys((pl.Float32(), pl.Float64()), "double"),
    pl.Date(): {"type": "int", "logicalType": "date"},
    pl.Datetime("us", "UTC"): {"type": "long", "logicalType": "timestamp-millis"},
}


def avro_schema(spec: TableSpec) -> Schema:
    """The Avro record of a table's raw rows; raises TableSpecError for a name or type that Avro does not have."""
    columns = [column for column in spec.raw_columns if column.name != spec.more]
    plain = [column for column in columns if not nest_of(spec, column)]
    nests = dict.fromkeys(nest for column in columns if (nest := nest_of(spec, column)))
    fields = [
        *(_field(spec, column) for column in plain if not column.nullable),
        *(_nested(spec, nest, [column for column in columns if nest_of(spec, column) == nest]) for nest in nests),
        *(_field(spec, column) for column in plain if column.nullable),
    ]
    schema = {"type": "record", "name": spec.avro.name or record_name(spec.table)}
    if spec.avro.namespace:
        schema["namespace"] = spec.avro.namespace
    return {**schema, "fields": fields}


def nest_of(spec: TableSpec, column: ColumnSpec) -> str | None:
    """The nested record that has a column; a field that is a column of JSON itself is none."""
    return None if column.within in spec.sources else column.within


def record_name(name: str) -> str:
    """A name as those of records are written: OrderItems for order_items."""
    return "".join(part.capitalize() for part in name.split("_"))


def _nested(spec: TableSpec, nest: str, columns: Iterable[ColumnSpec]) -> Schema:
    """The field of a nested record; it may be null unless one of its columns is always given."""
    fields = [_field(spec, column) for column in columns]
    record = {"type": "record", "name": record_name(nest), "fields": fields}
    return _named(spec, nest, record, nullable=all("default" in field for field in fields))


def _field(spec: TableSpec, column: ColumnSpec) -> Schema:
    return _named(spec, column.name, _type(spec, column), nullable=column.nullable)


def _named(spec: TableSpec, name: str, kind: Any, *, nullable: bool) -> Schema:
    if not _NAME.fullmatch(name):
        raise TableSpecError(f"{spec.table}.{name}: a field of Avro is named by A-Z, a-z, 0-9 and _ alone.")
    return {"name": name, "type": ["null", kind], "default": None} if nullable else {"name": name, "type": kind}


def _type(spec: TableSpec, column: ColumnSpec) -> Any:
    kind = column.dtype
    if column.name in spec.avro.plain_instants:
        return "long"
    if isinstance(kind, pl.Decimal) and kind.precision is not None and kind.precision <= _MOST_DIGITS:
        return {"type": "bytes", "logicalType": "decimal", "precision": kind.precision, "scale": kind.scale}
    if kind not in _KINDS:
        raise TableSpecError(f"{spec.table}.{column.name} is {kind}, which has no type in Avro here.")
    found = _KINDS[kind]
    return dict(found) if isinstance(found, dict) else found
