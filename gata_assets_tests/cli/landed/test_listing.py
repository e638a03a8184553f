"""`gata tenants` and `gata files`: which raw files there are, and what became of each.

Real: the commands in this process, files below a directory. Nothing is faked.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.settings.model import parse_settings
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.support.command import Ran, gata

HEADER = "user_id,item_id,interaction_type,timestamp"
VALID = "u1,i1,click,2026-01-05T10:00:00Z"
INVALID = "u1,,click,2026-01-05T10:00:00Z"


def events(ran: Ran) -> list[dict[str, Any]]:
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def send(directory: Path, name: str, *rows: str, tenant: str = "acme", more: tuple[str, ...] = ()) -> str:
    """Land a file of interactions; returns its id."""
    (directory / name).write_text("\n".join([HEADER, *rows]) + "\n")
    ran = gata(directory, "ingest", "interactions", name, "--tenant", tenant, *more)
    return str(json.loads(ran.stdout.splitlines()[-1]).get("file_id"))


def drop(directory: Path, tenant: str, name: str, content: str) -> None:
    """Put a file where raw files are, as others do."""
    folder = directory / "gata-data" / tenant / "raw" / "interactions" / "2026-01-07"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """Files in each state."""
    old = send(tmp_path, "old.csv", VALID)
    send(tmp_path, "new.csv", VALID, VALID.replace("u1", "u2"), INVALID, more=("--replaces", old))
    drop(tmp_path, "acme", "wrong.csv", "who,what\n1,2\n")
    store = LocalStoreResource(directory=str(tmp_path / "gata-data"))
    curator = Curator(store, "acme", parse_settings({}).interactions.curation_rules, datetime.now(UTC))
    curator.validate_new(INTERACTIONS)
    drop(tmp_path, "acme", "dropped.csv", f"{HEADER}\n{VALID}\n")
    send(tmp_path, "other.csv", VALID, tenant="globex")
    return tmp_path


def test_each_file_is_listed_with_its_state_and_rows(workplace: Path) -> None:
    *files, last = events(gata(workplace, "files", "--tenant", "acme", "--json"))
    found = {Path(file["key"]).name.split("-")[0].removesuffix(".csv"): file for file in files}
    assert {name: file["state"] for name, file in found.items()} == {
        "old": "superseded",
        "new": "counts",
        "wrong": "refused",
        "dropped": "waiting",
    }
    assert [found["new"][count] for count in ("rows", "valid", "rejected")] == [3, 2, 1]
    assert found["old"]["why"] == f"by {found['new']['file_id']}"
    assert found["wrong"]["why"].startswith("lacks the columns user_id, item_id, interaction_type, timestamp")
    assert last == {"event": "FILES_LISTED", "tenant": "acme", "files": 4}


def test_files_of_other_rules_than_those_of_now_are_outdated(workplace: Path) -> None:
    *files, _ = events(gata(workplace, "files", "--tenant", "acme", "--state", "outdated", MAX_HOURS_AHEAD="48"))
    assert [Path(file["key"]).name.split("-")[0] for file in files] == ["new"]


def test_a_table_and_a_state_choose_files_and_an_unknown_table_is_named(workplace: Path) -> None:
    shown = gata(workplace, "files", "--tenant", "acme", "--state", "refused", "--summary", "table").stdout
    assert ": refused," in shown
    assert "counts" not in shown
    items = gata(workplace, "files", "--tenant", "acme", "--table", "items", "--summary", "table")
    assert "There is no such file of acme." in items.stdout
    wrong = gata(workplace, "files", "--tenant", "acme", "--table", "cards")
    assert (wrong.returncode, "cards is no table: there are" in wrong.stderr) == (2, True)


def test_tenants_are_listed_with_the_rows_that_count_and_whether_they_are_prepared(workplace: Path) -> None:
    *rows, last = events(gata(workplace, "tenants", TENANTS="acme,initech"))
    assert last == {"event": "TENANTS_LISTED", "tenants": 3}
    assert {row["tenant"]: row["is_prepared"] for row in rows} == {"acme": True, "globex": False, "initech": True}
    [acme] = [row for row in rows if (row["tenant"], row["table"]) == ("acme", "interactions")]
    assert [acme[name] for name in ("files", "valid", "rejected", "refused", "waiting")] == [4, 2, 1, 1, 1]
    shown = gata(workplace, "tenants", "--summary", "table", TENANTS="acme").stdout
    assert "Not prepared, since TENANTS does not name them: globex." in shown


def test_without_a_tenant_the_command_that_lands_a_file_is_named(tmp_path: Path) -> None:
    assert "`gata ingest` lands the first file" in gata(tmp_path, "tenants", "--summary", "table").stdout
