"""`gata privacy export`: all rows of a person, nobody else's, and whether it is all; with a store of the user's own.

Real: the commands, settings, a directory, and S3 over HTTP (moto); the store of the user's own is that of
docs/privacy.md, in SQLite. Others are faked by classes that fail.
"""

from __future__ import annotations

import base64
import importlib
import json
import sqlite3
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gata_assets.curation.erasure.raw_records import NumberedRow
from gata_assets.definitions.lake import open_lake_curator
from gata_assets.definitions.privacy.own_stores import find_hooks
from gata_assets.errors import DataRuleError, SettingsError, StoreError
from gata_assets.governance.privacy.exports.archive import new_archive
from gata_assets.governance.privacy.exports.lines import line_of
from gata_assets.interactions.curated.curator import Curator
from gata_assets.settings.model import load_settings
from gata_assets.settings.table_specs import all_tables, curation_rules
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.cli.privacy import test_erase
from gata_assets_tests.cli.privacy.test_erase import NAMESAKE, PERSON, fill, gata, ingest, lines
from gata_assets_tests.curation.erasure.test_documents import ticket
from gata_assets_tests.docs.pages import DOCS, blocks
from gata_assets_tests.interactions.test_erasure import BEFORE, write_batch
from gata_assets_tests.support.canaries import canary, canary_digits
from gata_assets_tests.support.raw_worlds import encode, interaction

store = test_erase.store
SECRET = f"secret-{canary('what a hook says in its error')}"


def exported(*ids: str, to: str = "person.zip", code: int = 0) -> dict[str, list[dict[str, Any]]]:
    """The lines of each file of an export, which ends with a code, and its manifest."""
    options = [option for one in ids or (PERSON,) for option in ("--subject", one)]
    done = gata("privacy", "export", "--tenant", "acme", *options, "--to", to)
    assert done.exit_code == code, done.output
    assert lines(done)[-1]["is_complete"] is (code == 0)
    assert not any(one in done.output for one in ids or (PERSON,))
    assert Path(to).stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(to) as zipped:
        content = {name: zipped.read(name) for name in zipped.namelist()}
    manifest = json.loads(content["manifest.json"])
    for file in manifest["files"]:
        own = content[file["name"]]
        assert (file["sha256"], file["bytes"], file["rows"]) == (sha256(own).hexdigest(), len(own), own.count(b"\n"))
    assert {file["name"] for file in manifest["files"]} == content.keys() - {"manifest.json", "README.txt"}
    assert (b"THIS IS NOT ALL" in content["README.txt"]) is (code != 0)
    found = {name: [json.loads(line) for line in own.splitlines()] for name, own in content.items() if "/" in name}
    return {**found, "manifest": [manifest]}


def curate(store: ObjectStore) -> None:
    """Curate all days of the tenant."""
    settings = load_settings()
    curator = Curator(store, "acme", curation_rules(settings), datetime.now(UTC), all_tables(settings))
    for table in ("interactions", "visits"):
        assert list(curator.curate(table, curator.stale(table)))


@pytest.mark.parametrize("store", ["local", pytest.param("s3", marks=pytest.mark.server)], indirect=True)
def test_all_rows_of_a_person_are_given_and_nobody_elses(store: Callable[[], ObjectStore]) -> None:
    fill()
    curate(store())
    write_batch(store(), BEFORE, PERSON)
    # One that nobody has validated yet, and one that cannot be read.
    rows = encode([interaction(user_id=user) for user in (NAMESAKE, PERSON)], "csv")
    store().write("acme/raw/interactions/2026-01-09/new.csv", rows + f'bad,"{PERSON} x"y\n'.encode())
    found = exported()
    [manifest] = found.pop("manifest")
    assert {name: len(own) for name, own in found.items()} == {
        "interactions/raw_files.jsonl": 5,
        "interactions/staged.jsonl": 2,
        "interactions/rejected_rows.jsonl": 1,
        # With the list of people of the day.
        "interactions/curated.jsonl": 2,
        "interactions/features_of_batches.jsonl": 3,
        "interactions/training_data_of_batches.jsonl": 6,
        "visits/raw_files.jsonl": 2,
        "visits/staged.jsonl": 1,
        "visits/rejected_rows.jsonl": 1,
        "visits/curated.jsonl": 1,
    }
    assert NAMESAKE not in repr(found)
    assert all(PERSON in repr(line["row"]) for own in found.values() for line in own)
    assert {"from": "acme/raw/interactions/2026-01-09/new.csv", "record": 3, "row": {"text": f'bad,"{PERSON} x"y'}} in (
        found["interactions/raw_files.jsonl"]
    )
    assert (manifest["is_complete"], manifest["not_exported"]) == (True, [])
    logged = lines(gata("privacy", "log", "--tenant", "acme"))
    assert [entry["kind"] for entry in logged] == ["exported"]
    content: Any = logged[0]["content"]
    assert (content["ids"], content["rows"], content["not_exported"]) == (1, 24, 0)
    assert content["by"].startswith("cli:")


def test_what_is_in_no_file_is_listed_and_fails(store: Callable[[], ObjectStore]) -> None:
    fill()
    store().write("acme/exports/mine.csv", f"who\n{PERSON}\n".encode())
    [manifest] = exported(code=1)["manifest"]
    assert [(one["key"], one["values"]) for one in manifest["not_exported"]] == [("acme/exports/mine.csv", 1)]
    shown = gata("privacy", "export", "--tenant", "acme", "--subject", PERSON, "--to", "b.zip", "--summary", "table")
    assert "not exported: acme/exports/mine.csv (1 values)" in shown.output
    assert "Something of theirs is not in the archive: 1 objects." in shown.output


def test_an_erased_person_has_only_what_came_again(store: Callable[[], ObjectStore]) -> None:
    fill()
    assert gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON).exit_code == 0
    assert exported(to="gone.zip").keys() == {"manifest"}
    later = f"{datetime.now(UTC) + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    ingest("interactions", "later.csv", encode([interaction(user_id=PERSON, timestamp=later)], "csv"))
    assert {name: len(own) for name, own in exported().items()} == {
        "interactions/raw_files.jsonl": 1,
        "interactions/staged.jsonl": 1,
        "manifest": 1,
    }


def test_the_tokens_of_ids_count_and_several_ids_are_one_person(
    store: Callable[[], ObjectStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_MASKING_KEY", canary("a key that masks") * 2)
    fill()
    first, second, agent = (canary_digits(name)[:12] for name in ("an id", "another id", "an agent"))
    tickets = [ticket(1, int(first)), ticket(2, int(second)), {**ticket(3, int(agent)), "assignee_id": int(first)}]
    for number, found in enumerate(tickets, 1):
        content = json.dumps({"tickets": [{**found, "created_at": f"2026-01-0{number}T03:04:05Z"}]})
        store().write(f"acme/raw/tickets/2026-01-09/{number}.json", content.encode())
    curator = open_lake_curator(load_settings(), "acme", store())
    curator.validate_new("tickets")
    assert len(list(curator.curate("tickets", curator.stale("tickets")))) == 3
    # As an agent they are in somebody else's ticket, under their id and under their token.
    found = exported(first, second, code=1)
    assert [line["row"]["id"] for line in found["tickets/raw_files.jsonl"]] == [1, 2]
    assert [line["row"]["id"] for line in found["tickets/curated.jsonl"]] == [1, 1, 2, 2]
    assert {line["row"]["requester"][:7] for line in found["tickets/curated.jsonl"]} == {"person_"}
    [manifest] = found["manifest"]
    left = {one["key"].split("/")[1] for one in manifest["not_exported"]}
    assert left == {"raw", "staged", "curated"}


def test_nothing_is_replaced_and_nothing_half_is_left(tmp_path: Path) -> None:
    to = tmp_path / "exports" / "person.zip"
    to.parent.mkdir()

    def fail() -> Iterator[bytes]:
        yield b"half"
        raise StoreError("The target is away.")

    with pytest.raises(StoreError, match="away"), new_archive(to) as archive:
        archive.add_lines("a", fail())
    assert list(to.parent.iterdir()) == []
    with new_archive(to) as archive:
        archive.add_text("a", "whole")
    before = to.read_bytes()
    with pytest.raises(DataRuleError, match="is there already"), new_archive(to):
        pass
    late = to.parent / "late.zip"
    with pytest.raises(DataRuleError, match="is there already"), new_archive(late):
        late.write_bytes(b"by somebody else")
    assert (to.read_bytes(), late.read_bytes()) == (before, b"by somebody else")
    assert {path.name for path in to.parent.iterdir()} == {"person.zip", "late.zip"}
    with pytest.raises(StoreError, match="No such file"), new_archive(tmp_path / "no" / "a.zip"):
        pass


def test_a_line_has_what_json_has_no_word_for() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    row = {
        "at": at,
        "day": at.date(),
        "bytes": b"\x00\xff",
        "nan": float("nan"),
        "long": 10**30,
        "price": Decimal("9.50"),
        "list": [at, None, {"x": float("inf")}],
        "array": np.array([1, 2]),
        "lone": "\udc80",
    }
    line = line_of("key", NumberedRow(3, row))
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "from": "key",
        "record": 3,
        "row": {
            "at": "2026-01-02T03:04:05+00:00",
            "day": "2026-01-02",
            "bytes": base64.b64encode(b"\x00\xff").decode(),
            "nan": None,
            "long": 10**30,
            "price": "9.50",
            "list": ["2026-01-02T03:04:05+00:00", None, {"x": None}],
            "array": [1, 2],
            "lone": "\udc80",
        },
    }


@pytest.fixture
def own_store(store: Callable[[], ObjectStore], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """The store of the page, with vectors of two people; gives whom it has."""
    fill()
    [code] = [block.text for block in blocks(DOCS / "privacy.md") if block.mark == "file own_stores.py"]
    failing = f"""

class Failing(Vectors):
    name = "failing"

    def erase(self, tenant, ids):
        raise ValueError("{SECRET}" + ids[0])

    def export(self, tenant, ids):
        yield {{"user_id": ids[0]}}
        raise KeyError("{SECRET}" + ids[0])

    def count(self, tenant, ids):
        return "many"


failing = Failing()
"""
    Path("own_stores.py").write_text(code + failing)
    importlib.invalidate_caches()
    monkeypatch.setenv("PRIVACY_HOOKS", "own_stores:vectors")
    with closing(sqlite3.connect("vectors.sqlite")) as rows, rows:
        rows.execute("CREATE TABLE vectors (tenant, user_id, vector)")
        rows.executemany("INSERT INTO vectors VALUES ('acme', ?, '[1, 2]')", [(PERSON,), (NAMESAKE,)])

    def whom() -> list[str]:
        with closing(sqlite3.connect("vectors.sqlite")) as rows:
            return [user for [user] in rows.execute("SELECT user_id FROM vectors")]

    yield whom
    sys.modules.pop("own_stores", None)


def test_a_store_of_ones_own_is_exported_searched_and_erased(own_store: Callable[[], list[str]]) -> None:
    found = exported()
    assert found["own_stores/vectors.jsonl"] == [{"from": "vectors", "row": {"user_id": PERSON, "vector": "[1, 2]"}}]
    erased = gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON)
    assert erased.exit_code == 0, erased.output
    removed = {line.get("place"): line.get("removed") for line in lines(erased)}
    assert removed["own stores: vectors"] == {"records": 1}
    assert own_store() == [NAMESAKE]


def test_a_store_of_ones_own_that_fails_is_named_and_others_go_on(
    own_store: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIVACY_HOOKS", "own_stores:failing, own_stores:vectors")
    found = exported(code=1)
    assert len(found["own_stores/vectors.jsonl"]) == 1
    [manifest] = found["manifest"]
    assert {(one["key"], one["fault"].partition(":")[0]) for one in manifest["not_exported"]} == {
        ("failing", "The store failing of PRIVACY_HOOKS failed with KeyError"),
    }
    erased = gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON, "--request", "r", "--summary", "table")
    assert erased.exit_code == 1
    assert "The store failing of PRIVACY_HOOKS failed with ValueError" in erased.output
    assert "left: own stores: failing (The store failing of PRIVACY_HOOKS failed with TypeError" in erased.output
    assert own_store() == [NAMESAKE]
    report = gata("privacy", "report", "--tenant", "acme", "r", "--for", "auditor")
    assert report.exit_code == 1
    shown = json.dumps(manifest) + erased.output + report.output
    assert SECRET not in shown
    assert PERSON not in shown


@pytest.mark.parametrize(
    ("hooks", "said"),
    [
        ("nowhere.at_all:store", "cannot be imported: No module named"),
        ("json:dumps", "is no store: it needs a `name`"),
        ("own_stores:Vectors", "is no store"),
        ("own_stores:vectors,own_stores:vectors", "two stores of the name vectors"),
        ("own_stores", "must be names of objects of Python modules"),
    ],
)
def test_what_is_no_store_is_refused(
    hooks: str, said: str, own_store: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIVACY_HOOKS", hooks)
    with pytest.raises(SettingsError, match=said):
        find_hooks(load_settings())
