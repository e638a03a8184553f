"""The published schemas of this project's own tables: a change of a table may break no version of them.

Real: the files in docs/schemas, the tables. Nothing is faked.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from gata_assets.ingestion.schemas.avro_schema import avro_schema
from gata_assets.ingestion.schemas.compatibility import Level, clashes
from gata_assets.ingestion.schemas.published import PublishedSchemas
from gata_assets.ingestion.schemas.registry import check
from gata_assets.interactions.tables import TABLES
from gata_assets.tables.spec import TableSpec

PUBLISHED = Path(__file__).parents[3] / "docs" / "schemas"
COMMAND = "gata schemas register {} --files docs/schemas"


@pytest.mark.parametrize("table", TABLES)
def test_the_schema_of_a_table_is_the_last_published_version(table: str) -> None:
    found = check(PublishedSchemas(PUBLISHED), table, avro_schema(TABLES[table]))
    assert found.clashes == (), f"{table} must stay readable: {[*map(str, found.clashes)]}"
    assert found.same, f"out of date: {COMMAND.format(table)}"
    assert found.same.version == found.versions, "an older version is not published again"


@pytest.mark.parametrize("table", TABLES)
def test_every_published_version_may_follow_those_before_it(table: str) -> None:
    versions = [(one.version, one.schema) for one in PublishedSchemas(PUBLISHED).versions(table)]
    assert [number for number, _ in versions] == [*range(1, len(versions) + 1)]
    for place, (_, schema) in enumerate(versions):
        assert clashes(schema, versions[:place], Level.BACKWARD_TRANSITIVE) == []


def test_every_file_is_of_a_table() -> None:
    assert {path.name.rpartition("-")[0] for path in PUBLISHED.iterdir()} == {*TABLES}


def changed(spec: TableSpec, of: str, /, **changes: object) -> TableSpec:
    columns = (replace(column, **changes) if column.name == of else column for column in spec.columns)  # type: ignore[arg-type]
    return replace(spec, columns=tuple(columns))


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (changed(TABLES["interactions"], "rating", nullable=False), "rating"),
        (changed(TABLES["interactions"], "session_id", nullable=False), "context"),
        (changed(TABLES["interactions"], "rating", dtype=pl.Int32()), "rating"),
        (changed(TABLES["interactions"], "item_id", name="product_id"), "product_id"),
        (changed(TABLES["items"], "available_at", dtype=pl.Date()), "available_at"),
    ],
)
def test_a_change_of_a_table_that_breaks_readers_is_found(spec: TableSpec, path: str) -> None:
    found = check(PublishedSchemas(PUBLISHED), spec.table, avro_schema(spec))
    assert path in {clash.path for clash in found.clashes}


def test_a_further_nullable_column_may_follow() -> None:
    spec = TABLES["items"]
    column = replace(spec.column("brand"), name="color")
    found = check(PublishedSchemas(PUBLISHED), "items", avro_schema(replace(spec, columns=(*spec.columns, column))))
    assert (found.clashes, found.same) == ((), None)
