"""The JSON Schema of a table's rows, as raw files of JSON Lines and the bodies of requests have them.

Source: https://json-schema.org/draft/2020-12
"""

from __future__ import annotations

from typing import Any

import polars as pl

from gata_assets.tables.columns.column_spec import ISO_8601, ColumnSpec
from gata_assets.tables.spec import TableSpec, UnknownColumns

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# A limit of a check, by the check and the limit's name: the keyword that says the same.
_LIMITS = {
    ("greater_than_or_equal_to", "min_value"): "minimum",
    ("greater_than", "min_value"): "exclusiveMinimum",
    ("less_than_or_equal_to", "max_value"): "maximum",
    ("less_than", "max_value"): "exclusiveMaximum",
    ("in_range", "min_value"): "minimum",
    ("in_range", "max_value"): "maximum",
    ("str_length", "min_value"): "minLength",
    ("str_length", "max_value"): "maxLength",
    ("str_matches", "pattern"): "pattern",
    ("isin", "allowed_values"): "enum",
}


def json_schema(spec: TableSpec) -> dict[str, Any]:
    """The schema of a row; rules over several columns or tables are not in it."""
    return {
        "$schema": _DIALECT,
        "title": spec.table,
        "description": " ".join(spec.description.split()),
        "type": "object",
        "properties": {column.name: _property(column) for column in spec.raw_columns if column.name != spec.more},
        "required": list(spec.required),
        "additionalProperties": spec.more is not None or spec.unknown_columns is UnknownColumns.IGNORE,
    }


def _property(column: ColumnSpec) -> dict[str, Any]:
    found: dict[str, Any] = {"type": _type_of(column.dtype)}
    if isinstance(column.dtype, pl.Datetime) and ISO_8601 in column.instants:
        found["format"] = "date-time"
    elif isinstance(column.dtype, pl.Date):
        found["format"] = "date"
    elif column.format == "email":
        found["format"] = "email"
    for check in column.checks:
        for name, value in check.limits.items():
            if keyword := _LIMITS.get((check.name, name)):
                found[keyword] = list(value) if keyword == "enum" else value
    if column.json:
        # Any value.
        del found["type"]
    elif column.nullable:
        found["type"] = [found["type"], "null"]
        if "enum" in found:
            found["enum"] = [*found["enum"], None]
    if column.description:
        found["description"] = column.description
    if column.aliases:
        found["x-aliases"] = list(column.aliases)
    if column.within:
        found["x-within"] = column.within
    return found


def _type_of(kind: pl.DataType) -> str:
    if kind.is_integer():
        return "integer"
    if kind.is_numeric():
        return "number"
    return "boolean" if kind == pl.Boolean() else "string"
