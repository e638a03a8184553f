"""A helpdesk's own tables through TICKETS_QUERY, from `gata doctor` to the training files.

Real: commands in this process, SQLite files, a PostgreSQL server, boto3 over HTTP, a directory as target. Faked:
Aurora's Data API, by the project's own server.
"""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets_tests.support.command import gata
from gata_assets_tests.support.data_api import FaultyDataApi
from gata_assets_tests.support.scenario import BATCH_ID, FALLBACK_LABEL, TRAINING_WINDOW, database_rows, world
from gata_assets_tests.tickets.sources.conftest import (
    QUERIES,
    change_postgres,
    change_sqlite,
    no_foreign_table,
)

__all__ = ["no_foreign_table"]

ROWS: list[dict[str, object]] = [
    *world(),
    {"id": 80_001, "via_channel": "api", "initial_group_id": 5, "closed": TRAINING_WINDOW.start + 1},
    {"id": 80_002, "routed_by": "gata-mapped", "closed": TRAINING_WINDOW.start + 1},
]
COMMON = {
    "TARGET_DIR": "target",
    "LOW_VOLUME_THRESHOLD": "0.1",
    "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL),
}


def training_files(directory: Path, settings: dict[str, str]) -> dict[str, bytes]:
    """The training files of the batch, and the account in its manifest."""
    ran = gata(directory, "prepare", BATCH_ID, **COMMON, **settings)
    assert ran.returncode == 0, ran.stdout
    target = directory / "target" / "training"
    manifest = json.loads((target / "gata-general" / BATCH_ID / "manifest.json").read_text())
    files = {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("data.json")}
    return files | {"account": json.dumps(manifest["tickets"]).encode()}


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, bytes]:
    """The files of the same tickets from the documented table."""
    directory = tmp_path / "documented"
    directory.mkdir()
    create_sqlite(directory / "tickets.sqlite", database_rows(ROWS))
    return training_files(directory, {"TICKETS_URL": "sqlite:///tickets.sqlite"})


def settings_of(kind: str, request: pytest.FixtureRequest, directory: Path) -> dict[str, str]:
    """The settings of a database with the tickets in a foreign table."""
    query = {"TICKETS_QUERY": QUERIES["sqlite" if kind == "sqlite" else "postgresql"]}
    if kind == "sqlite":
        create_sqlite(directory / "helpdesk.sqlite", database_rows(ROWS))
        change_sqlite(directory / "helpdesk.sqlite", None, is_foreign=True)
        return {"TICKETS_URL": "sqlite:///helpdesk.sqlite", **query}
    request.getfixturevalue("no_foreign_table")
    with psycopg.connect(request.getfixturevalue("postgres_url"), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS cases")
    url = request.getfixturevalue("fill_postgres")(database_rows(ROWS))
    change_postgres(url, None, is_foreign=True)
    if kind == "postgresql":
        return {"TICKETS_URL": url, **query}
    api: FaultyDataApi = request.getfixturevalue("data_api")
    return {"DB_ARN": api.resource_arn, "DB_SECRET_ARN": api.secret_arn, **query}


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.server),
        pytest.param("data-api", marks=pytest.mark.server),
    ],
)
def test_a_query_gives_the_training_files_of_the_documented_table(
    kind: str, expected: dict[str, bytes], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    settings = settings_of(kind, request, tmp_path)
    examined = gata(tmp_path, "doctor", **COMMON, **settings)
    assert examined.returncode == 0, examined.stdout
    assert f"{len(ROWS):,} closed tickets" in examined.stdout
    checked = gata(tmp_path, "tickets", "check", BATCH_ID, **COMMON, **settings).stdout.splitlines()
    assert json.loads(checked[0])["excluded"] == {"routed_by_api": 1, "routed_by_mapping": 1}
    assert training_files(tmp_path, settings) == expected


def test_a_query_that_is_no_select_statement_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    settings = {**COMMON, "TICKETS_URL": "sqlite:///nowhere.sqlite", "TICKETS_QUERY": "SELECT 1; DELETE FROM ticket"}
    ran = gata(tmp_path, "doctor", **settings)
    assert ran.returncode == 2
    assert "TICKETS_QUERY: 'SELECT 1; DELETE FROM ticket' has several statements" in ran.stderr


def test_doctor_names_all_that_a_query_lacks(tmp_path: Path) -> None:
    create_sqlite(tmp_path / "t.sqlite", database_rows([{}]))
    query = "SELECT id, processed_data, '2026-01-02T03:04:05Z' AS closed FROM ticket"
    ran = gata(tmp_path, "doctor", **COMMON, TICKETS_URL="sqlite:///t.sqlite", TICKETS_QUERY=query)
    assert ran.returncode == 1
    said = " ".join(ran.stdout.split())
    assert "TICKETS_QUERY lacks closed_group_id_mapped (a whole number, or a name), and has columns of other" in said
    assert "closed is text (ISO 8601 instants) where a whole number is needed" in said
