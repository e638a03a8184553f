"""Pairs of schemas for tests of compatibility, each with a value that shows whether what was written is read."""

from __future__ import annotations

from typing import Any, NamedTuple


def record(*fields: Any, name: str = "R", **named: Any) -> dict[str, Any]:
    """A record of fields, each (name, type) or (name, type, further keys)."""
    found = [{"name": field[0], "type": field[1], **(field[2] if len(field) > 2 else {})} for field in fields]
    return {"type": "record", "name": name, "fields": found, **named}


def enum(*symbols: str, **named: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": [*symbols], **named}


def fixed(size: int) -> dict[str, Any]:
    return {"type": "fixed", "name": "F", "size": size}


def array(items: str) -> dict[str, Any]:
    return {"type": "array", "items": items}


def mapping(values: str) -> dict[str, Any]:
    return {"type": "map", "values": values}


NULL = {"default": None}
NODE = record(("value", "int"), ("next", ["null", "N"], NULL), name="N")
LONGER_NODE = record(("value", "long"), ("next", ["null", "N"], NULL), ("note", "string", {"default": ""}), name="N")
OTHER_NODE = record(("value", "string"), ("next", ["null", "N"], NULL), name="N")


class Case(NamedTuple):
    """A reader's and a writer's schema, a value that was written, and the path where they clash; None: nowhere."""

    what: str
    reader: Any
    writer: Any
    written: Any
    clash: str | None = None


def _context(*fields: Any, name: str = "C") -> dict[str, Any]:
    return record(("context", ["null", record(*fields, name=name)], NULL))


CASES = (
    Case("the same", record(("a", "int")), record(("a", "int")), {"a": 1}),
    Case(
        "a field is added with a default",
        record(("a", "int"), ("b", "int", {"default": 7})),
        record(("a", "int")),
        {"a": 1},
    ),
    Case("a field is added without one", record(("a", "int"), ("b", "int")), record(("a", "int")), {"a": 1}, "b"),
    Case("a nullable field is added without one", record(("b", ["null", "int"])), record(), {}, "b"),
    Case("a field is removed", record(("a", "int")), record(("a", "int"), ("b", "int")), {"a": 1, "b": 2}),
    Case("a field becomes nullable", record(("a", ["null", "int"], NULL)), record(("a", "int")), {"a": 1}),
    Case("a field is no longer nullable", record(("a", "int")), record(("a", ["null", "int"])), {"a": None}, "a"),
    Case("a field is renamed", record(("b", "int")), record(("a", "int")), {"a": 1}, "b"),
    Case("a field is renamed with an alias", record(("b", "int", {"aliases": ["a"]})), record(("a", "int")), {"a": 1}),
    Case("the record is renamed", record(("a", "int"), name="S"), record(("a", "int")), {"a": 1}, ""),
    Case(
        "the record is renamed with an alias",
        record(("a", "int"), name="S", aliases=["R"]),
        record(("a", "int")),
        {"a": 1},
    ),
    Case(
        "the record is renamed with an alias in its namespace",
        record(("a", "int"), name="S", namespace="x.y", aliases=["R"]),
        record(("a", "int"), namespace="x.y"),
        {"a": 1},
    ),
    Case("the namespace differs", record(("a", "int"), namespace="x"), record(("a", "int"), namespace="y"), {"a": 1}),
    *(
        Case(f"{old} to {new}", record(("a", new)), record(("a", old)), {"a": 1})
        for old, new in (
            ("int", "long"),
            ("int", "float"),
            ("int", "double"),
            ("long", "float"),
            ("long", "double"),
            ("float", "double"),
        )
    ),
    *(
        Case(f"{old} to {new}", record(("a", new)), record(("a", old)), {"a": value}, "a")
        for old, new, value in (
            ("long", "int", 1),
            ("double", "float", 1.5),
            ("double", "long", 1.5),
            ("int", "string", 1),
            ("string", "int", "x"),
            ("boolean", "int", True),
            ("int", "boolean", 1),
            ("null", "string", None),
        )
    ),
    Case("text to bytes", record(("a", "bytes")), record(("a", "string")), {"a": "x"}),
    Case("bytes to text", record(("a", "string")), record(("a", "bytes")), {"a": b"x"}),
    Case("a union gets a type", record(("a", ["int", "string"])), record(("a", ["int"])), {"a": 1}),
    Case("a union loses a type", record(("a", ["int"])), record(("a", ["int", "string"])), {"a": "x"}, "a"),
    Case("a type of a union is wider", record(("a", ["null", "long"])), record(("a", ["null", "int"])), {"a": 1}),
    Case(
        "a type of a union is narrower", record(("a", ["null", "int"])), record(("a", ["null", "long"])), {"a": 1}, "a"
    ),
    Case(
        "a nested record gets a field",
        _context(("x", "string"), ("y", "int")),
        _context(("x", "string")),
        {"context": {"x": "v"}},
        "context.y",
    ),
    Case(
        "a nested record gets a nullable field",
        _context(("x", "string"), ("y", ["null", "int"], NULL)),
        _context(("x", "string")),
        {"context": {"x": "v"}},
    ),
    Case(
        "a nested record loses a field",
        _context(("x", "string")),
        _context(("x", "string"), ("y", "int")),
        {"context": {"x": "v", "y": 1}},
    ),
    Case(
        "a nested field has another type",
        _context(("x", "int")),
        _context(("x", "string")),
        {"context": {"x": "v"}},
        "context.x",
    ),
    Case(
        "a nested record is renamed",
        _context(("x", "int"), name="D"),
        _context(("x", "int")),
        {"context": {"x": 1}},
        "context",
    ),
    Case("a symbol is added", record(("e", enum("A", "B"))), record(("e", enum("A"))), {"e": "A"}),
    Case("a symbol is removed", record(("e", enum("A"))), record(("e", enum("A", "B"))), {"e": "B"}, "e"),
    Case(
        "a symbol is removed with a default",
        record(("e", enum("A", default="A"))),
        record(("e", enum("A", "B"))),
        {"e": "B"},
    ),
    Case("items are wider", record(("t", array("long"))), record(("t", array("int"))), {"t": [1]}),
    Case("items have another type", record(("t", array("int"))), record(("t", array("string"))), {"t": ["x"]}, "t[]"),
    Case(
        "values of a map have another type",
        record(("m", mapping("int"))),
        record(("m", mapping("string"))),
        {"m": {"k": "x"}},
        "m{}",
    ),
    Case("an array becomes a map", record(("t", mapping("int"))), record(("t", array("int"))), {"t": [1]}, "t"),
    Case("fixed bytes of another size", record(("f", fixed(4))), record(("f", fixed(2))), {"f": b"ab"}, "f"),
    Case("a record within itself is wider", LONGER_NODE, NODE, {"value": 1, "next": {"value": 2, "next": None}}),
    Case("a record within itself has another type", OTHER_NODE, NODE, {"value": 1, "next": None}, "value"),
)


def _of_type(kind: str, logical: str, **named: Any) -> dict[str, Any]:
    return record(("a", {"type": kind, "logicalType": logical, **named}))


# What is read and means something else then; Avro leaves that to its users.
MEANINGS = (
    (_of_type("long", "timestamp-millis"), _of_type("long", "timestamp-micros"), True),
    (_of_type("long", "timestamp-millis"), _of_type("int", "date"), True),
    (_of_type("bytes", "decimal", precision=18, scale=2), _of_type("bytes", "decimal", precision=18, scale=3), True),
    (_of_type("bytes", "decimal", precision=18, scale=2), record(("a", "bytes")), True),
    (_of_type("bytes", "decimal", precision=18, scale=2), record(("a", "string")), True),
    (_of_type("long", "timestamp-millis"), record(("a", "long")), False),
    (_of_type("bytes", "decimal", precision=18), _of_type("bytes", "decimal", precision=18, scale=0), False),
    (_of_type("long", "of-our-own"), _of_type("long", "of-our-own"), False),
)
