"""Rows of messages: Avro in the wire format of a registry, as the JSON object that a table's raw files have, and back.

A fault of the message is a MessageError with its reason and no value: it goes to quarantine. A fault of the registry
is a RegistryError: nothing is known about the message, which is tried again. Sizes are bounded, and so is the number of
schemas that are kept.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from threading import Lock
from typing import Any, NamedTuple, cast

import fastavro
from fastavro.read import SchemaResolutionError

from gata_assets.errors import MessageError, SchemaError, UnknownSchemaError
from gata_assets.ingestion.schemas.avro_schema import avro_schema, nest_of
from gata_assets.ingestion.schemas.compatibility import unreadable
from gata_assets.ingestion.schemas.parsing import parse_with_apache, parse_with_fastavro, require_safe
from gata_assets.ingestion.schemas.raw_values import avro_values_of, raw_value_of
from gata_assets.ingestion.schemas.registry import SchemaId, SchemaRegistry
from gata_assets.ingestion.schemas.wire import LONGEST_HEAD, head, split_message
from gata_assets.tables.columns.column_spec import ColumnSpec
from gata_assets.tables.spec import TableSpec

MAX_MESSAGE_BYTES = 1_048_576
_KEPT_SCHEMAS = 256
_LONGEST_PATHS = 200
Row = dict[str, Any]
# What fastavro raises for bytes that are not of their schema.
_NOT_OF_SCHEMA = (LookupError, ValueError, ArithmeticError, TypeError, struct.error)


class AvroRows:
    """Decodes and encodes rows of a table; several threads may use one.

    Args:
        spec: The table.
        registry: Where the schemas of messages are found by their ids.
        max_bytes: The longest message, and the longest record after it is unpacked.
    """

    def __init__(self, spec: TableSpec, registry: SchemaRegistry, *, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._spec = spec
        self._registry = registry
        self._max_bytes = max_bytes
        self.schema = avro_schema(spec)
        self._reader = parse_with_fastavro(self.schema)
        self._writers: OrderedDict[SchemaId, _Writer] = OrderedDict()
        self._lock = Lock()
        plain = spec.avro.plain_instants
        self._raw = _by_nest(spec, raw_value_of)
        self._avro = _by_nest(spec, lambda column: avro_values_of(column, is_plain=column.name in plain))

    def decode(self, message: bytes) -> Row:
        """A message as a raw row, without its nulls.

        Raises:
            MessageError: The message is none of the table, however often it is read.
            UnknownSchemaError: The registry does not have its schema.
            RegistryError: The registry cannot be asked for its schema; try again.
        """
        schema_id, record = split_message(message, self._max_bytes)
        writer = self._writer(schema_id)
        stream = BytesIO(record)
        try:
            found = fastavro.schemaless_reader(stream, writer.parsed, self._reader)
        except EOFError:
            raise MessageError("The message ends within its record.") from None
        except SchemaResolutionError:
            raise MessageError(
                f"The message's schema {schema_id} does not fit {self._spec.table}: {writer.unreadable}."
            ) from None
        except _NOT_OF_SCHEMA as error:
            raise MessageError(f"The message's record is not of its schema ({type(error).__name__}).") from None
        if stream.tell() != len(record):
            raise MessageError(f"The message goes on for {len(record) - stream.tell():,} bytes after its record.")
        return self._raw_row(cast("Row", found))

    def own_field(self, message: bytes, name: str) -> Any | None:
        """What a message has in a field of its own schema that the table may not have; None without such a field.

        Raises as `decode`.
        """
        schema_id, record = split_message(message, self._max_bytes)
        writer = self._writer(schema_id)
        fields = writer.parsed.get("fields", ()) if isinstance(writer.parsed, dict) else ()
        if all(field["name"] != name for field in fields):
            return None
        try:
            return cast("Row", fastavro.schemaless_reader(BytesIO(record), writer.parsed, None)).get(name)
        except (EOFError, *_NOT_OF_SCHEMA):
            raise MessageError("The message's record is not of its schema.") from None

    def encode(self, row: Mapping[str, Any], schema_id: SchemaId) -> bytes:
        """A raw row as a message; many at once are as `encode_all` has them, and faster. Raises MessageError."""
        return self.encode_all([row], schema_id)[0]

    def encode_all(self, rows: Sequence[Mapping[str, Any]], schema_id: SchemaId) -> list[bytes]:
        """Raw rows as messages by the table's schema, which has this id in the registry; raises MessageError."""
        found: list[Row] = [{} for _ in rows]
        known = {name for pair in self._avro for name in pair}
        for number, row in enumerate(rows):
            if unknown := sum(name not in known for name in row):
                raise MessageError(f"Row {number:,} has {unknown:,} fields that {self._spec.table} does not have.")
        for (nest, name), convert in self._avro.items():
            try:
                values = convert([_given(row, nest, name) for row in rows])
            except (TypeError, ValueError):
                raise MessageError(f"A value of {name} is not written as its column's type.") from None
            for row, value in zip(found, values, strict=True):
                if value is not None:
                    (row.setdefault(nest, {}) if nest else row)[name] = value
        return [head(schema_id) + self._written(row) for row in found]

    def _written(self, row: Row) -> bytes:
        stream = BytesIO()
        try:
            fastavro.schemaless_writer(stream, self._reader, row)
        except (*_NOT_OF_SCHEMA, AttributeError) as error:
            raise MessageError(
                f"The row is none of {self._spec.table}: a required value is missing or out of range "
                f"({type(error).__name__})."
            ) from None
        if stream.tell() > self._max_bytes - LONGEST_HEAD:
            raise MessageError(f"The row takes {stream.tell():,} bytes, and a message {self._max_bytes:,} at most.")
        return stream.getvalue()

    def _raw_row(self, found: Mapping[str, Any]) -> Row:
        row: Row = {}
        for (nest, name), convert in self._raw.items():
            inner = found.get(nest) if nest else found
            value = inner.get(name) if inner else None
            if value is None:
                continue
            try:
                written = convert(value)
            except (TypeError, ValueError, OverflowError):
                raise MessageError(f"The value of {name} is of another kind than the column.") from None
            (row.setdefault(nest, {}) if nest else row)[name] = written
        return row

    def _writer(self, schema_id: SchemaId) -> _Writer:
        with self._lock:
            if schema_id in self._writers:
                self._writers.move_to_end(schema_id)
                return self._writers[schema_id]
        try:
            schema = self._registry.schema_by_id(schema_id)
            if schema is None:
                raise UnknownSchemaError(f"The message's schema {schema_id} is not in {self._registry.place}.")
            require_safe(parse_with_apache(schema))
            paths = ", ".join(path or "the record" for path in unreadable(self.schema, schema))
            writer = _Writer(parse_with_fastavro(schema), paths[:_LONGEST_PATHS] or "a value of another type")
        except SchemaError as error:
            raise MessageError(f"The message's schema {schema_id} cannot be used. {error}") from None
        with self._lock:
            self._writers[schema_id] = writer
            while len(self._writers) > _KEPT_SCHEMAS:
                self._writers.popitem(last=False)
        return writer


class _Writer(NamedTuple):
    """A schema that messages were written by, and its fields that the table's schema cannot always read."""

    parsed: Any
    unreadable: str


def _given(row: Mapping[str, Any], nest: str, name: str) -> Any:
    """A raw value; a nested one may be beside its field too."""
    inner = row.get(nest) if nest else None
    found = inner.get(name) if isinstance(inner, Mapping) else None
    return row.get(name) if found is None else found


def _by_nest(spec: TableSpec, convert: Callable[[ColumnSpec], Any]) -> dict[tuple[str, str], Any]:
    """What converts each column's values, by the nested field that it is in and its name."""
    columns = (column for column in spec.raw_columns if column.name != spec.more)
    return {(nest_of(spec, column) or "", column.name): convert(column) for column in columns}
