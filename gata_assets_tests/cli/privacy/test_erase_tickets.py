"""`gata privacy erase` for tickets: of the embedded store, of a database, and of a lake.

Real: the commands in this process, SQLite, PostgreSQL, files. Nothing is faked.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg

from gata_assets.storage.local import LocalStore
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets_tests.lake.test_lake_batches import (
    FIRST,
    FROM_LAKE,
    TENANT,
    expected_labels,
    stored_labels,
    write_pages,
)
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import Ran, gata
from gata_assets_tests.support.scenario import BATCH_ID, FALLBACK_LABEL, OLDER_WINDOW, database_rows, world

PERSON, NAMESAKE = f"user-{canary('who asked')}", "user-2"
SAID = canary("what they wrote")
GENERAL, LOW_VOLUME = f"training/gata-general/{BATCH_ID}/", f"training/gata-low-vol/{BATCH_ID}/"
KEYS = {"PRIVACY_KEYS": f"1:{canary('a key of the tests')}{canary('and more of it')}"}
SETTINGS = {
    **KEYS,
    "LOW_VOLUME_THRESHOLD": "0.1",
    "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL),
    "ON_INVALID_TICKETS": "quarantine",
}
EMBEDDED = {**SETTINGS, "TICKETS_URL": "sqlite:///tickets.sqlite", "TICKETS_REQUESTER_COLUMN": "Asked"}


def tickets() -> pd.DataFrame:
    """The world, in which the person asked every twentieth ticket, one in the words of somebody else, and an invalid
    one.
    """
    rows = world()
    for number in range(0, len(rows), 20):
        rows[number] = {**rows[number], "text": f"{rows[number]['text']} {SAID}", "asked": PERSON}
    # The same words, by the person and by others, in a label that stays and in one that is relabeled.
    for label in (101, 201):
        own = next(n for n, row in enumerate(rows) if row["label"] == label and "asked" not in row)
        rows[own]["asked"] = PERSON
        rows.append({**rows[own], "asked": NAMESAKE})
    rows.append({**rows[0], "text": f"Not valid {SAID}", "asked": PERSON})
    return database_rows([{"asked": NAMESAKE, **row} for row in rows])


def theirs() -> pd.DataFrame:
    found = tickets()
    return found[found["asked"] == PERSON]


def fill(path: Path, rows: pd.DataFrame) -> None:
    """An embedded store with a column more."""
    create_sqlite(path, rows.drop(columns="asked"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE ticket ADD COLUMN Asked text")
        connection.executemany("UPDATE ticket SET Asked = ? WHERE id = ?", rows[["asked", "id"]].values.tolist())


def run(directory: Path, *words: str, code: int = 0, **variables: str) -> list[dict[str, Any]]:
    ran: Ran = gata(directory, *words, "--json", **variables)
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert PERSON not in ran.stdout + ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def erase(directory: Path, *words: str, tenant: str = "default", code: int = 0, **variables: str) -> dict[str, Any]:
    """What was removed, by place, and what was said."""
    *places, last = run(directory, "privacy", "erase", "--tenant", tenant, *words, code=code, **variables)
    assert last["left"] == []
    found = {place["place"]: {kind: n for kind, n in place["removed"].items() if n} for place in places}
    said = {place["place"]: place["remains"] or place["note"] for place in places if place["remains"] or place["note"]}
    return {**{place: removed for place, removed in found.items() if removed}, **said}


def lines_of(store: LocalStore, folder: str) -> dict[str, list[bytes]]:
    return {name: store.read(f"{folder}{name}/data.json").splitlines(keepends=True) for name in ("train", "test")}


def all_files(directory: Path) -> Iterator[bytes]:
    return (path.read_bytes() for path in directory.rglob("*") if path.is_file())


def objects(directory: Path, *prefixes: str) -> dict[str, bytes]:
    store = LocalStore(str(directory / "gata-data"))
    return {key: store.read(key) for prefix in prefixes for key in store.list_keys(prefix)}


def is_complete(directory: Path, **variables: str) -> bool:
    [planned, *_] = run(directory, "backfill", BATCH_ID, BATCH_ID, "--plan", **variables)
    return (planned["complete"], planned["due"]) == (1, 0)


def test_tickets_go_from_a_batch_and_from_the_embedded_store(tmp_path: Path) -> None:
    fill(tmp_path / "tickets.sqlite", tickets())
    run(tmp_path, "prepare", BATCH_ID, **EMBEDDED)
    store = LocalStore(str(tmp_path / "gata-data"))
    before = {folder: lines_of(store, folder) for folder in (GENERAL, LOW_VOLUME)}
    done = erase(tmp_path, "--subject", PERSON, "--request", "letter-1", **EMBEDDED)
    trained = theirs()[theirs()["processed_data"].str.islower()]
    in_window = trained[trained["closed"] >= OLDER_WINDOW.end]
    low = trained[trained["closed_group_id_mapped"].isin([201, 202, 203])]
    assert done == {
        "tickets: tables of batches": {"rows": len(in_window) + len(low), "rejected_rows": 1},
        "tickets: training files": {"lines": len(in_window) + len(low)},
        "tickets: embedded store": {"rows": len(theirs())},
    }
    assert not any(SAID.encode() in content for content in all_files(tmp_path))
    for folder, files in before.items():
        after = lines_of(store, folder)
        gone = Counter(line for lines in files.values() for line in lines)
        gone.subtract(line for lines in after.values() for line in lines)
        assert min(gone.values()) == 0
        assert gone.total() == len(in_window if folder == GENERAL else low)
        for name, lines in files.items():
            left = iter(lines)
            assert all(line in left for line in after[name]), "what stays is in its order"
        manifest = json.loads(store.read(f"{folder}manifest.json"))
        assert manifest["erased_by"] == ["letter-1"]
        kept = sum(entry["rows"] for entry in manifest["files"].values())
        assert kept == manifest["tickets"]["kept"] == sum(map(len, after.values()))
        assert sum(n for counts in manifest["labels"].values() for n in counts.values()) == kept
    assert is_complete(tmp_path, **EMBEDDED)
    [verified] = run(tmp_path, "verify", **EMBEDDED)
    assert verified["problems"] == 0
    assert erase(tmp_path, "--subject", PERSON, "--request", "letter-1", **EMBEDDED) == {}
    run(tmp_path, "prepare", BATCH_ID, **EMBEDDED)
    other = tmp_path / "without"
    other.mkdir()
    fill(other / "tickets.sqlite", tickets()[tickets()["asked"] != PERSON])
    run(other, "prepare", BATCH_ID, **EMBEDDED)
    # Where there was a quarantine, there is one without rows.
    rebuilt = objects(tmp_path, "training/", "intermediate/")
    del rebuilt[f"intermediate/tickets_quarantine/{BATCH_ID}.parquet"]
    assert rebuilt == objects(other, "training/", "intermediate/")


def test_tickets_of_a_database_stay_there_and_are_not_read(
    tmp_path: Path, fill_postgres: Callable[[pd.DataFrame], str]
) -> None:
    url = fill_postgres(tickets().drop(columns="asked"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute('ALTER TABLE ticket ADD COLUMN "Asked" text')
        ids = theirs()["id"].tolist()
        connection.execute('UPDATE ticket SET "Asked" = %s WHERE id = ANY (%s)', [PERSON, ids])
    of_database = {**EMBEDDED, "TICKETS_URL": url}
    run(tmp_path, "prepare", BATCH_ID, **of_database)
    done = erase(tmp_path, "--subject", PERSON, **of_database)
    assert f"{len(theirs())} tickets stay in the ticket table" in done["tickets: source"]
    assert not any(SAID.encode() in content for content in all_files(tmp_path))
    run(tmp_path, "prepare", BATCH_ID, **of_database)
    other = tmp_path / "without"
    other.mkdir()
    fill(other / "tickets.sqlite", tickets()[tickets()["asked"] != PERSON])
    run(other, "prepare", BATCH_ID, **EMBEDDED)
    found, expected = (objects(directory, "training/") for directory in (tmp_path, other))
    assert [content for key, content in found.items() if key.endswith("data.json")] == [
        content for key, content in expected.items() if key.endswith("data.json")
    ]
    counted = json.loads(found[f"{GENERAL}manifest.json"])["tickets"]
    assert counted["excluded"]["erased"] == counted["in_window"] - counted["kept"] - sum(
        n for reason, n in counted["excluded"].items() if reason != "erased"
    )


def test_whose_tickets_are_is_said_to_be_unknown_until_they_are_named(tmp_path: Path) -> None:
    fill(tmp_path / "tickets.sqlite", tickets())
    settings = {name: value for name, value in EMBEDDED.items() if name != "TICKETS_REQUESTER_COLUMN"}
    run(tmp_path, "prepare", BATCH_ID, **settings)
    [said] = erase(tmp_path, "--subject", PERSON, code=1, **settings).values()
    assert "set TICKETS_REQUESTER_COLUMN" in said
    (tmp_path / "ids.txt").write_text("".join(f"{one}\n" for one in theirs()["id"]))
    done = erase(tmp_path, "--subject", PERSON, "--tickets-file", "ids.txt", **settings)
    assert done["tickets: embedded store"] == {"rows": len(theirs())}
    assert not any(SAID.encode() in content for content in all_files(tmp_path / "gata-data"))


def test_tickets_of_a_lake_go_from_its_batches(tmp_path: Path) -> None:
    pages = write_pages(tmp_path)[:-3]
    settings = {**FROM_LAKE, **KEYS}
    run(tmp_path, "ingest", "tickets", *(path.name for path in sorted(tmp_path.glob("page-*.json"))), **settings)
    run(tmp_path, "prepare", FIRST, **settings)
    assert stored_labels(tmp_path, FIRST) == expected_labels(pages, FIRST)
    [(person, _)] = Counter(str(row["requester_id"]) for row in pages).most_common(1)
    left = expected_labels([row for row in pages if str(row["requester_id"]) != person], FIRST)
    assert left.total() < expected_labels(pages, FIRST).total()
    erase(tmp_path, "--subject", person, tenant=TENANT, **settings)
    assert stored_labels(tmp_path, FIRST) == left
    [verified] = run(tmp_path, "verify", **settings)
    assert verified["problems"] == 0
    run(tmp_path, "prepare", FIRST, **settings)
    assert stored_labels(tmp_path, FIRST) == left
