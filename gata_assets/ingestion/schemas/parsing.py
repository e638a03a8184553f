"""Schemas of Avro as they are read here: valid for both libraries, of bounded size, and safe to decode by.

Pure. Apache's `avro` parses names and types, `fastavro` checks defaults; both leave out what the other finds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import avro.errors
import avro.schema
import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from gata_assets.errors import SchemaError

MAX_SCHEMA_BYTES = 262_144
MAX_VALUES = 10_000
# Under this name Apache's library keeps a logical type as it is, and does not warn about those that it does not know.
LOGICAL = "gata.logicalType"
_NAMED = ("record", "enum", "fixed", "error")


def read_schema(text: str) -> Any:
    """A schema as a value of JSON, from the text that a registry or file has; raises SchemaError."""
    if len(text) > MAX_SCHEMA_BYTES:
        raise SchemaError(f"The schema is longer than {MAX_SCHEMA_BYTES:,} characters.")
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):
        raise SchemaError("The schema is no JSON.") from None
    require_valid(schema)
    return schema


def require_valid(schema: Any) -> None:
    """Check a schema; raises SchemaError."""
    parse_with_apache(schema)
    parse_with_fastavro(schema)


def parse_with_apache(schema: Any) -> avro.schema.Schema:
    """A schema as Apache's library has it, with qualified aliases and logical types under `LOGICAL`.

    Raises SchemaError.
    """
    try:
        return avro.schema.parse(json.dumps(_prepared(schema, "")))
    except (avro.errors.AvroException, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SchemaError(f"The schema is not valid Avro: {str(error)[:200]}.") from None


def parse_with_fastavro(schema: Any) -> Any:
    """A schema as fastavro reads and writes by it; raises SchemaError."""
    try:
        return fastavro.parse_schema(schema)
    except (SchemaParseException, UnknownType, ValueError, TypeError, KeyError, RecursionError) as error:
        raise SchemaError(f"The schema is not valid Avro: {str(error)[:200]}.") from None


def require_safe(schema: avro.schema.Schema) -> None:
    """Check that a message by this schema is decoded in time and memory that its length bounds; raises SchemaError.

    A record within itself could be nested as deep as a message is long, items of no bytes repeated for ever, and
    records of records that take no bytes be as many as two to the power of their depth.
    """
    _measure(schema, (), {})


def _measure(schema: Any, within: tuple[str, ...], known: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """The fewest bytes of a value, and how many values it has in it at most, items of arrays and maps counted once."""
    kind = schema.type
    if kind in ("record", "error") and schema.fullname in known:
        return known[schema.fullname]
    if kind in ("record", "error"):
        if schema.fullname in within:
            raise SchemaError(f"The record {schema.name} contains itself; it is not decoded.")
        parts = [_measure(field.type, (*within, schema.fullname), known) for field in schema.fields]
        known[schema.fullname] = sum(least for least, _ in parts), 1 + sum(most for _, most in parts)
        if known[schema.fullname][1] > MAX_VALUES:
            raise SchemaError(f"The record {schema.name} has more than {MAX_VALUES:,} values; it is not decoded.")
        return known[schema.fullname]
    if kind in ("array", "map"):
        least, most = _measure(schema.items if kind == "array" else schema.values, within, known)
        if kind == "array" and not least:
            raise SchemaError("The schema has an array of items that may take no bytes; it is not decoded.")
        return 1, 1 + most
    if kind == "union":
        branches = [_measure(branch, within, known) for branch in schema.schemas]
        return 1 + min((least for least, _ in branches), default=0), max((most for _, most in branches), default=1)
    return {"null": 0, "fixed": getattr(schema, "size", 0), "float": 4, "double": 8}.get(kind, 1), 1


def _prepared(schema: Any, namespace: str) -> Any:
    """The schema for Apache's library, which compares a reader's aliases as they are written with full names."""
    if isinstance(schema, list):
        return [_prepared(branch, namespace) for branch in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = dict(schema)
    if found.get("type") in _NAMED:
        name = str(found.get("name", ""))
        given = name.rpartition(".")[0] if "." in name else found.get("namespace", namespace)
        namespace = str(given or "")
        if isinstance(found.get("aliases"), list):
            found["aliases"] = [*map(partial(_qualified, namespace), found["aliases"])]
    if "logicalType" in found:
        found[LOGICAL] = found.pop("logicalType")
    for key in ("type", "items", "values"):
        if isinstance(found.get(key), list | Mapping):
            found[key] = _prepared(found[key], namespace)
    if isinstance(found.get("fields"), list):
        found["fields"] = [_prepared(field, namespace) for field in found["fields"]]
    return found


def _qualified(namespace: str, alias: Any) -> Any:
    return f"{namespace}.{alias}" if namespace and isinstance(alias, str) and "." not in alias else alias
