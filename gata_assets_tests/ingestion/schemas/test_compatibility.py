"""Compatibility of schemas on seven levels. Real: `avro.compatibility`.

The oracle is fastavro: what was written by one schema is read by the other, or is not.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import fastavro
import pytest
from fastavro.read import SchemaResolutionError
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.errors import SchemaError
from gata_assets.ingestion.schemas.compatibility import Clash, Level, clashes, unreadable
from gata_assets.ingestion.schemas.parsing import MAX_SCHEMA_BYTES, read_schema, require_valid
from gata_assets_tests.ingestion.schemas.cases import CASES, MEANINGS, NULL, Case, record


def is_read(reader: Any, writer: Any, value: Any) -> bool:
    written = BytesIO()
    fastavro.schemaless_writer(written, fastavro.parse_schema(writer), value)
    written.seek(0)
    try:
        fastavro.schemaless_reader(written, fastavro.parse_schema(writer), fastavro.parse_schema(reader))
    except SchemaResolutionError:
        return False
    return True


def paths(found: list[Clash]) -> list[str]:
    return [clash.path for clash in found]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_a_clash_is_found_exactly_where_what_was_written_is_not_read(case: Case) -> None:
    expected = [] if case.clash is None else [case.clash]
    assert is_read(case.reader, case.writer, case.written) == (not expected)
    assert paths(clashes(case.reader, [(1, case.writer)], Level.BACKWARD)) == expected
    assert paths(clashes(case.writer, [(1, case.reader)], Level.FORWARD)) == expected
    assert unreadable(case.reader, case.writer) == expected


@pytest.mark.parametrize(("reader", "writer", "is_clash"), MEANINGS)
def test_a_type_that_means_something_else_is_a_clash(reader: Any, writer: Any, is_clash: bool) -> None:
    assert paths(clashes(reader, [(1, writer)], Level.BACKWARD)) == ["a"] * is_clash
    assert unreadable(reader, writer) == []


A = record(("a", "int"))
A_B = record(("a", "int"), ("b", "int", {"default": 0}))
A_NEEDS_B = record(("a", "int"), ("b", "int"))
OTHER = record(("a", "string"))


@pytest.mark.parametrize(
    ("new", "versions", "broken"),
    [
        # Needs what old data lacks, and old readers read it: backward alone is broken, also by the version before.
        (A_NEEDS_B, [A], {"BACKWARD": [1], "FULL": [1]}),
        # Lacks what old readers need.
        (A, [A_NEEDS_B], {"FORWARD": [1], "FULL": [1]}),
        (A_B, [A], {}),
        (OTHER, [A], {"BACKWARD": [1], "FORWARD": [1], "FULL": [1]}),
        # The latest has the field: only a transitive level looks further back.
        (A_NEEDS_B, [A, A_B], {"BACKWARD_TRANSITIVE": [1], "FULL_TRANSITIVE": [1]}),
        (A, [A_NEEDS_B, A_B], {"FORWARD_TRANSITIVE": [1], "FULL_TRANSITIVE": [1]}),
        (A_B, [], {}),
    ],
)
def test_each_level_compares_with_its_versions_in_its_direction(
    new: Any, versions: list[Any], broken: dict[str, list[int]]
) -> None:
    latest = {f"{name}_TRANSITIVE": found for name, found in broken.items() if not name.endswith("TRANSITIVE")}
    expected: dict[str, list[int]] = {**{level: [] for level in Level}, **latest, **broken}
    # The order in which versions are given does not count.
    given_versions = [*reversed([*enumerate(versions, 1)])]
    found = {level: sorted({clash.version for clash in clashes(new, given_versions, level)}) for level in Level}
    assert found == {Level(name): numbers for name, numbers in expected.items()}


def test_a_clash_names_version_field_and_reason_in_words() -> None:
    old = record(("a", "int"), ("context", ["null", record(("x", "string"), name="C")], NULL), ("gone", "int"))
    new = record(("a", "string"), ("context", ["null", record(("x", "string"), ("y", "int"), name="C")], NULL))
    assert [str(clash) for clash in clashes(new, [(3, old)], Level.FULL)] == [
        "version 3, a: version 3 has int, which string of the new schema does not read",
        "version 3, context.y: it is new since version 3 and has no default: give it one",
        "version 3, a: the new one has string, which int of version 3 does not read",
        "version 3, gone: it is removed, and version 3 has no default for it: keep it",
    ]


@pytest.mark.parametrize("fault", CASES, ids=lambda case: case.what)
def test_every_clash_has_a_message(fault: Case) -> None:
    for clash in clashes(fault.reader, [(12, fault.writer)], Level.FULL):
        assert "version 12" in clash.message


NAMES = st.sampled_from(["a", "b", "c"])
PLAIN = st.sampled_from(["int", "long", "double", "string", "boolean"])
KINDS = st.one_of(
    PLAIN,
    PLAIN.map(lambda kind: ["null", kind]),
    PLAIN.map(lambda kind: {"type": "array", "items": kind}),
    st.lists(st.tuples(NAMES, PLAIN), max_size=2, unique_by=lambda field: field[0]).map(
        lambda fields: ["null", record(*fields, name="Inner")]
    ),
)
VALUES: dict[str, Any] = {"int": 5, "long": 5, "double": 1.5, "string": "text", "boolean": True, "null": None}


@st.composite
def schemas(draw: st.DrawFn) -> Any:
    names = draw(st.lists(NAMES, max_size=3, unique=True))
    kinds = {name: draw(KINDS) for name in names}
    # Inner may be defined once.
    inner = [name for name, kind in kinds.items() if "Inner" in str(kind)]
    for name in inner[1:]:
        kinds[name] = "string"
    return record(*((name, kind, NULL if isinstance(kind, list) else {}) for name, kind in kinds.items()))


def values(kind: Any) -> list[Any]:
    """A value for each branch that a writer may choose."""
    if isinstance(kind, list):
        return [value for branch in kind for value in values(branch)]
    if isinstance(kind, str):
        return [VALUES[kind]]
    if kind["type"] == "array":
        return [[value] for value in values(kind["items"])]
    rows: list[dict[str, Any]] = [{}]
    for field in kind["fields"]:
        rows = [{**row, field["name"]: value} for row in rows for value in values(field["type"])]
    return rows


@given(reader=schemas(), writer=schemas())
def test_without_a_clash_every_value_is_read_and_with_one_some_value_is_not(reader: Any, writer: Any) -> None:
    all_are_read = all(is_read(reader, writer, value) for value in values(writer))
    assert (not clashes(reader, [(1, writer)], Level.BACKWARD)) == all_are_read


@pytest.mark.parametrize(
    "schema",
    [
        "nothing",
        3,
        {},
        {"type": "record", "name": "1a", "fields": []},
        {"type": "record", "name": "A"},
        ["null", "null"],
        record(("a", "int"), ("a", "int")),
        record(("a", "nothing")),
        record(("a", "int", {"default": "x"})),
        record(("a", ["null", "int"], {"default": 3.5})),
    ],
)
def test_what_is_no_schema_is_refused(schema: Any) -> None:
    with pytest.raises(SchemaError, match="not valid Avro"):
        require_valid(schema)


@pytest.mark.parametrize(
    ("text", "fault"),
    [("{", "no JSON"), ("[" * 100_000, "no JSON"), ('"string"' + " " * MAX_SCHEMA_BYTES, "longer than 262,144")],
)
def test_a_text_that_is_no_schema_is_refused(text: str, fault: str) -> None:
    with pytest.raises(SchemaError, match=fault):
        read_schema(text)
