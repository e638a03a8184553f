"""Whether a schema may follow the versions of its subject, on the seven levels of schema registries.

Pure. `avro.compatibility` decides whether a reader's schema reads what a writer's wrote; this module walks to the
fields where it does not, adds what Avro leaves to its users (logical types), and names each in words. Levels:
https://docs.confluent.io/platform/current/schema-registry/fundamentals/schema-evolution.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import avro.schema
from avro.compatibility import (
    ReaderWriterCompatibilityChecker,
    SchemaCompatibilityType,
    lookup_writer_field,
    schema_name_equals,
)

from gata_assets.ingestion.schemas.parsing import LOGICAL, parse_with_apache

_Avro = avro.schema.Schema
_MOST_SHOWN = 5


class Level(StrEnum):
    """Which of new and old must read the other; transitive: for all versions, otherwise for the latest alone."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"

    @property
    def is_transitive(self) -> bool:
        """Whether every version counts."""
        return self.endswith("_TRANSITIVE")

    @property
    def reads_old(self) -> bool:
        """Whether the new schema must read what was written by an old one."""
        return self.startswith(("BACKWARD", "FULL"))

    @property
    def is_read_by_old(self) -> bool:
        """Whether old schemas must read what is written by the new one."""
        return self.startswith(("FORWARD", "FULL"))


@dataclass(frozen=True)
class Clash:
    """A version that a schema clashes with, the field (`context.os`, `tags[]`; empty: the schema itself), and why."""

    version: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"version {self.version}, {self.path or 'the schema itself'}: {self.message}"


def clashes(new: Any, old: Sequence[tuple[int, Any]], level: Level) -> list[Clash]:
    """Where a schema clashes with versions of its subject, by version; raises SchemaError for what is no schema."""
    versions = sorted(old, key=lambda one: one[0])
    candidate = parse_with_apache(new)
    found: list[Clash] = []
    for version, schema in versions if level.is_transitive else versions[-1:]:
        other = parse_with_apache(schema)
        if level.reads_old:
            found += [Clash(version, *place) for place in _Walk(version, new_reads=True).places(candidate, other)]
        if level.is_read_by_old:
            found += [Clash(version, *place) for place in _Walk(version, new_reads=False).places(other, candidate)]
    return list(dict.fromkeys(found))


def unreadable(reader: Any, writer: Any) -> list[str]:
    """The fields of a writer's schema that the reader's cannot read, or not with each of their values.

    Logical types do not count: what is decoded knows the writer's. Raises SchemaError.
    """
    walk = _Walk(1, new_reads=True, has_meaning=False)
    return sorted({path for path, _ in walk.places(parse_with_apache(reader), parse_with_apache(writer))})


class _Walk:
    """Finds the places where a reader's schema does not read a writer's; one of the two is the new schema."""

    def __init__(self, version: int, *, new_reads: bool, has_meaning: bool = True) -> None:
        self._has_meaning = has_meaning
        self._checker: Any = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
        self._seen: set[tuple[int, int]] = set()
        self._new_reads = new_reads
        self._version = f"version {version}"
        self._reader, self._writer = ("the new schema", self._version) if new_reads else (self._version, "the new one")

    def places(self, reader: _Avro, writer: _Avro) -> Iterator[tuple[str, str]]:
        """Each place with the reason."""
        found = list(self._walk(reader, writer, ""))
        yield from found
        if not found and not self._reads(reader, writer):
            said = self._checker.get_compatibility(reader, writer)
            yield "", f"{self._reader} cannot read {self._writer}: {'; '.join(sorted(said.messages))}"

    def _reads(self, reader: _Avro, writer: _Avro) -> bool:
        return self._checker.get_compatibility(reader, writer).compatibility is SchemaCompatibilityType.compatible

    def _walk(self, reader: Any, writer: Any, path: str) -> Iterator[tuple[str, str]]:
        if reader.type in _NAMED:
            # A record within itself.
            if (id(reader), id(writer)) in self._seen:
                return
            self._seen.add((id(reader), id(writer)))
        if "union" in (reader.type, writer.type):
            yield from self._walk_union(reader, writer, path)
        elif reader.type != writer.type or (reader.type in _NAMED and not schema_name_equals(reader, writer)):
            if not self._reads(reader, writer):
                yield path, self._kinds_differ(reader, writer)
            else:
                yield from self._logical_types(reader, writer, path)
        elif reader.type in _RECORDS:
            yield from self._walk_record(reader, writer, path)
        elif reader.type == "array":
            yield from self._walk(reader.items, writer.items, f"{path}[]")
        elif reader.type == "map":
            yield from self._walk(reader.values, writer.values, f"{path}{{}}")
        elif reader.type == "enum" and not self._reads(reader, writer):
            lacking = [symbol for symbol in writer.symbols if symbol not in reader.symbols]
            yield path, f"{self._reader} has no symbol {_listed(lacking)} of {self._writer}, and no default for it"
        elif reader.type == "fixed" and reader.size != writer.size:
            yield path, f"{self._reader} has {reader.size} bytes, {self._writer} {writer.size}"
        else:
            yield from self._logical_types(reader, writer, path)

    def _walk_union(self, reader: Any, writer: Any, path: str) -> Iterator[tuple[str, str]]:
        """Each type that the writer may write needs one that reads it."""
        mine = reader.schemas if reader.type == "union" else [reader]
        for branch in writer.schemas if writer.type == "union" else [writer]:
            alike = [one for one in mine if one.type == branch.type and _is_same_name(one, branch)]
            readable = alike or [one for one in mine if self._reads(one, branch)]
            if readable:
                yield from self._walk(readable[0], branch, path)
            elif branch.type == "null":
                yield path, f"{self._writer} may have null, {self._reader} has {_kinds(mine)} alone"
            else:
                yield path, self._kinds_differ(reader, branch)

    def _walk_record(self, reader: Any, writer: Any, path: str) -> Iterator[tuple[str, str]]:
        for field in reader.fields:
            inner = f"{path}.{field.name}" if path else str(field.name)
            written = lookup_writer_field(writer_schema=writer, reader_field=field)
            if written is not None:
                yield from self._walk(field.type, written.type, inner)
            elif not field.has_default and self._new_reads:
                yield inner, f"it is new since {self._version} and has no default: give it one"
            elif not field.has_default:
                yield inner, f"it is removed, and {self._version} has no default for it: keep it"

    def _kinds_differ(self, reader: Any, writer: Any) -> str:
        if reader.type == writer.type and reader.type in _NAMED:
            names = f"{self._writer} names the {writer.type} {writer.name}, {self._reader} {reader.name}"
            return f"{names}: keep the name, or add it as an alias"
        return f"{self._writer} has {_kind(writer)}, which {_kind(reader)} of {self._reader} does not read"

    def _logical_types(self, reader: Any, writer: Any, path: str) -> Iterator[tuple[str, str]]:
        """Numbers and bytes that are read, and mean something else then."""
        mine, other = _logical(reader), _logical(writer)
        if self._has_meaning and mine != other and ((mine and other) or "decimal" in (*mine, *other)):
            yield path, f"{self._writer} has {_kind(writer)}, which means something else as {_kind(reader)}"


_RECORDS = ("record", "error")
_NAMED = (*_RECORDS, "enum", "fixed")


def _is_same_name(reader: Any, writer: Any) -> bool:
    return reader.type not in _NAMED or schema_name_equals(reader, writer)


def _logical(schema: Any) -> tuple[Any, ...]:
    """The logical type, with precision and scale of a decimal."""
    name = schema.props.get(LOGICAL)
    if name is None:
        return ()
    return (name, schema.props.get("precision"), schema.props.get("scale", 0)) if name == "decimal" else (name,)


def _kind(schema: Any) -> str:
    """A type in words."""
    if schema.type == "union":
        return _kinds(schema.schemas)
    if schema.type in _NAMED:
        return f"{schema.type} {schema.name}"
    match _logical(schema):
        case ("decimal", precision, scale):
            return f"decimal({precision},{scale})"
        case (name,):
            return f"{schema.type} ({name})"
        case _:
            return str(schema.type)


def _kinds(schemas: Sequence[Any]) -> str:
    return " or ".join(map(_kind, schemas)) or "no type"


def _listed(symbols: Sequence[str]) -> str:
    more = len(symbols) - _MOST_SHOWN
    return ", ".join(symbols[:_MOST_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
