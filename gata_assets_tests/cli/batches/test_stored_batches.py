"""`gata batches`: what the target has of batches, how two differ, and the removal of one.

Real: the commands in this process, SQLite, files, an S3 over HTTP in one test. Stood in for: a store that may not
delete, by `fakes`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pyarrow.parquet as pq
import pytest

from gata_assets.definitions.pipelines import UnknownTenants
from gata_assets.errors import DeleteDeniedError, StoreError
from gata_assets.orchestration.batches.stored import find_files, remove_files
from gata_assets.orchestration.pipelines import BatchPlaces, WithoutBatches
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets_tests.curation.test_own_table import DECLARATION
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import Ran, gata
from gata_assets_tests.support.fakes import StoreWithoutDelete
from gata_assets_tests.support.scenario import BATCH_ID, FALLBACK_LABEL, database_rows, world
from gata_assets_tests.support.stored_datasets import is_complete

SETTINGS = {
    "TICKETS_URL": "sqlite:///tickets.sqlite",
    "LOW_VOLUME_THRESHOLD": "0.1",
    "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL),
    "MIN_INTERACTIONS_PER_USER": "1",
    "MIN_INTERACTIONS_PER_ITEM": "1",
}
NEXT = "2026010204"
GENERAL, LOW_VOLUME = "gata-general", "gata-low-vol"
HEADER = "user_id,item_id,interaction_type,timestamp\n"


def run(directory: Path, *arguments: str, **settings: str) -> Ran:
    return gata(directory, *arguments, **{**SETTINGS, **settings})


def events(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which two batches of tickets and of a tenant `acme` were prepared."""
    directory = tmp_path_factory.mktemp("prepared")
    create_sqlite(directory / "tickets.sqlite", database_rows(world()))
    clicks = [f"u{user},i{(user + n) % 5},click,2025-12-0{n + 1}T10:00:00Z" for user in range(6) for n in range(4)]
    (directory / "clicks.csv").write_text(HEADER + "\n".join(clicks) + "\n")
    (directory / "items.csv").write_text("item_id,title\n" + "".join(f"i{n},Item {n}\n" for n in range(9)))
    for table, file in (("items", "items.csv"), ("interactions", "clicks.csv")):
        assert run(directory, "ingest", table, file, "--tenant", "acme").returncode == 0
    for batch_id in (BATCH_ID, NEXT):
        assert run(directory, "prepare", batch_id).returncode == 0
    return directory


@pytest.fixture
def workplace(prepared: Path, tmp_path: Path) -> Path:
    """A copy of it, to change."""
    return shutil.copytree(prepared, tmp_path / "copy")


@pytest.mark.slow
def test_batches_are_listed_newest_first_with_state_rows_labels_and_sizes(prepared: Path) -> None:
    *batches, last = events(run(prepared, "batches", "list", "--json"))
    assert [(one["batch_id"], one["pipeline"], one.get("tenant")) for one in batches] == [
        (NEXT, "tickets", None),
        (NEXT, "interactions", "acme"),
        (BATCH_ID, "tickets", None),
        (BATCH_ID, "interactions", "acme"),
    ]
    assert {one["state"] for one in batches} == {"complete"}
    assert last == {"event": "BATCHES_LISTED", "batches": 2, "shown": 2}
    general = batches[2]["datasets"][0]
    folder = prepared / "gata-data" / "training" / GENERAL / BATCH_ID
    files = {part: (folder / part / "data.json").read_bytes() for part in ("train", "test")}
    assert general["dataset"] == GENERAL
    assert general["rows"] == {part: len(content.splitlines()) for part, content in files.items()}
    assert general["bytes"] == sum(map(len, files.values()))
    labels = {json.loads(line)["label"] for content in files.values() for line in content.splitlines()}
    assert general["label_count"] == len(labels)


@pytest.mark.slow
def test_a_limit_shows_the_newest_and_says_how_many_there_are(prepared: Path) -> None:
    shown = run(prepared, "batches", "list", "--limit", "1", "--summary", "table").stdout
    assert NEXT in shown
    assert BATCH_ID not in shown
    assert "The newest 1 of 2 batches; --limit shows more." in shown
    of_tenant = events(run(prepared, "batches", "list", "--tenant", "acme", "--json"))
    assert {one.get("pipeline") for one in of_tenant[:-1]} == {"interactions"}
    wrong = run(prepared, "batches", "list", "--tenant", "globex")
    assert (wrong.returncode, "globex is not prepared. Tenants: acme." in wrong.stderr) == (2, True)


@pytest.mark.slow
def test_a_batch_with_a_part_missing_and_one_of_a_later_release_are_listed_beside_others(workplace: Path) -> None:
    training = workplace / "gata-data" / "training"
    shutil.rmtree(training / LOW_VOLUME / BATCH_ID)
    manifest = training / GENERAL / NEXT / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"manifest_version": 99}))
    batches = {one["batch_id"]: one for one in events(run(workplace, "batches", "list", "--only", "tickets"))[:-1]}
    assert (batches[BATCH_ID]["state"], batches[BATCH_ID]["reasons"]) == (
        "missing",
        ["not all of it is in the target"],
    )
    assert [one["reason"] for one in batches[BATCH_ID]["datasets"]][1] == "not in the target"
    assert batches[NEXT]["state"] == "unknown"
    assert "a later release wrote it" in batches[NEXT]["reasons"][0]


def test_without_any_batch_the_first_command_is_named(tmp_path: Path) -> None:
    create_sqlite(tmp_path / "tickets.sqlite", database_rows(world()))
    assert "`gata prepare latest` prepares the first" in run(tmp_path, "batches", "list", "--summary", "table").stdout
    for command in ("show", "remove"):
        ran = run(tmp_path, "batches", command, BATCH_ID)
        assert (ran.returncode, f"gata-data has nothing of batch {BATCH_ID}" in ran.stderr) == (1, True)


@pytest.mark.slow
def test_a_batch_is_shown_with_its_labels_windows_and_settings(prepared: Path) -> None:
    [batch] = events(run(prepared, "batches", "show", BATCH_ID, "--only", "tickets"))
    general = batch["datasets"][0]
    assert sum(sum(rows.values()) for rows in general["labels"].values()) == sum(general["rows"].values())
    assert general["settings"]["LOW_VOLUME_THRESHOLD"] == 0.1
    assert general["windows"]["training"]["end_at"] == "2026-01-02T00:00:00+00:00"
    shown = run(prepared, "batches", "show", BATCH_ID, "--summary", "table").stdout
    assert f"Batch {BATCH_ID}, tickets: complete" in shown
    assert "LOW_VOLUME_THRESHOLD=0.1" in shown
    for label, rows in general["labels"].items():
        [line] = [line for line in shown.splitlines() if f" {label} " in line and f" {rows['train']:,} " in line][:1]
        assert f"{rows['test']:,}" in line


@pytest.mark.slow
def test_the_difference_of_two_batches_is_that_of_their_files(prepared: Path) -> None:
    found = {one["dataset"]: one for one in events(run(prepared, "batches", "diff", BATCH_ID, NEXT, "--json"))}
    assert set(found) == {GENERAL, LOW_VOLUME, "features", "training_data"}
    folder = prepared / "gata-data" / "intermediate" / "tickets"
    then, now = (pq.read_table(folder / f"{batch_id}.parquet").to_pandas() for batch_id in (BATCH_ID, NEXT))
    counts = found[GENERAL]["counts"]
    assert counts["in_both"] == len(set(then["id"]) & set(now["id"]))
    assert counts["only_in_first"] == len(set(then["id"]) - set(now["id"])) > 0
    assert counts["only_in_second"] == len(set(now["id"]) - set(then["id"]))
    assert found[GENERAL]["settings"] == {}
    same = {one["dataset"]: one for one in events(run(prepared, "batches", "diff", NEXT, NEXT))}
    assert same[GENERAL]["labels"] == {}
    assert same[GENERAL]["counts"]["from_train_to_test"] == same[GENERAL]["counts"]["only_in_first"] == 0


@pytest.mark.slow
def test_other_settings_and_moved_labels_are_in_the_difference(workplace: Path) -> None:
    ran = run(workplace, "prepare", NEXT, "--only", "tickets", TEST_SHARE="0.3")
    assert ran.returncode == 0
    found = events(run(workplace, "batches", "diff", BATCH_ID, NEXT, "--only", "tickets"))[0]
    assert found["settings"] == {"TEST_SHARE": [0.1, 0.3]}
    before, after = found["rows"]["test"]
    assert after > before
    assert found["counts"]["from_train_to_test"] > found["counts"]["from_test_to_train"]
    shown = run(workplace, "batches", "diff", BATCH_ID, NEXT, "--only", "tickets", "--summary", "table").stdout
    assert "TEST_SHARE" in shown
    assert "tickets from train to test" in shown


@pytest.mark.slow
def test_what_lacks_a_batch_or_is_damaged_is_not_compared_and_stops_no_other(workplace: Path) -> None:
    ran = run(workplace, "batches", "diff", BATCH_ID, "2026010205")
    assert (ran.returncode, ran.stdout) == (1, "")
    for scope in ("tickets", "acme"):
        assert f"{scope} was not compared: batch 2026010205 is not complete in the target." in ran.stderr
    table = workplace / "gata-data" / "intermediate" / "tickets" / f"{NEXT}.parquet"
    for damage in (lambda: table.write_bytes(table.read_bytes()[:-9]), table.unlink):
        damage()
        ran = run(workplace, "batches", "diff", BATCH_ID, NEXT)
        assert (ran.returncode, "tickets was not compared: " in ran.stderr) == (1, True)
        assert {one["dataset"] for one in events(ran)} == {"features", "training_data"}
    neither = run(workplace, "batches", "diff", "2026010100", "2026010101")
    assert (neither.returncode, "has neither of the batches" in neither.stderr) == (1, True)


@pytest.mark.slow
def test_a_batch_is_removed_whole_once_it_is_confirmed_and_others_stay(workplace: Path) -> None:
    target = workplace / "gata-data"
    kept = {path for path in target.rglob("*") if path.is_file() and BATCH_ID not in str(path)}
    declined = run(workplace, "batches", "remove", BATCH_ID)
    assert declined.returncode == 1
    assert [path for path in target.rglob("*") if path.is_file() and BATCH_ID in str(path)]
    ran = run(workplace, "batches", "remove", BATCH_ID, "--yes")
    [event] = events(ran)
    assert (ran.returncode, event["event"], event["of"]) == (0, "BATCH_REMOVED", ["tickets", "acme"])
    assert {path for path in target.rglob("*") if path.is_file()} == kept
    assert event["removed"] == event["files"] > 10
    listed = events(run(workplace, "batches", "list"))
    assert {one["batch_id"] for one in listed[:-1]} == {NEXT}
    assert run(workplace, "prepare", BATCH_ID).returncode == 0
    store = LocalStoreResource(directory=str(target))
    assert is_complete(store, f"training/{GENERAL}/{BATCH_ID}/")


@pytest.mark.slow
def test_no_command_shows_a_text_or_an_id_of_a_person(tmp_path: Path) -> None:
    word = canary("a text").lower().replace("-", "").replace("_", "")
    rows = database_rows(world())
    rows["processed_data"] = rows["processed_data"].astype(str) + f" {word}"
    create_sqlite(tmp_path / "tickets.sqlite", pd.DataFrame(rows))
    for batch_id in (BATCH_ID, NEXT):
        assert run(tmp_path, "prepare", batch_id, "--only", "tickets").returncode == 0
    assert word in (tmp_path / "gata-data" / "training" / GENERAL / NEXT / "train" / "data.json").read_text()
    for arguments in (("list",), ("show", NEXT), ("diff", BATCH_ID, NEXT), ("remove", NEXT, "--yes")):
        for summary in ("table", "json"):
            ran = run(tmp_path, "batches", *arguments, "--summary", summary)
            assert word not in ran.stdout + ran.stderr


@pytest.mark.slow
@pytest.mark.server
def test_batches_in_s3_are_listed_and_removed(tmp_path: Path, bucket: str) -> None:
    create_sqlite(tmp_path / "tickets.sqlite", database_rows(world()))
    settings = {"TARGET_BUCKET": bucket, "TENANTS": "none"}
    for batch_id in (BATCH_ID, NEXT):
        assert run(tmp_path, "prepare", batch_id, **settings).returncode == 0
    listed = events(run(tmp_path, "batches", "list", **settings))
    assert [one["batch_id"] for one in listed[:-1]] == [NEXT, BATCH_ID]
    ran = run(tmp_path, "batches", "remove", NEXT, "--yes", "--summary", "table", **settings)
    assert (ran.returncode, f"of batch {NEXT} (tickets) are removed." in ran.stdout) == (0, True)
    assert [one["batch_id"] for one in events(run(tmp_path, "batches", "list", **settings))[:-1]] == [BATCH_ID]


def test_files_whose_manifest_cannot_be_deleted_stay(tmp_path: Path) -> None:
    store = StoreWithoutDelete(directory=str(tmp_path))
    keys = ["a/manifest.json", "a/part", "other"]
    for key in keys:
        store.write(key, b"x")
    [(key, error)] = remove_files(store, keys)
    assert (key, isinstance(error, DeleteDeniedError)) == ("a/manifest.json", True)
    assert list(store.list_keys("")) == keys


class TwoFolders(WithoutBatches):
    """A pipeline with two datasets and files beside them."""

    def places(self, batch_id: str) -> BatchPlaces:
        """Those of any batch."""
        return BatchPlaces({"a": f"a/{batch_id}/", "b": f"b/{batch_id}/"}, [f"other/{batch_id}", "absent"])


def test_all_files_of_a_batch_are_found_manifests_first(tmp_path: Path) -> None:
    store = LocalStoreResource(directory=str(tmp_path))
    for key in ("a/1/part", "a/1/manifest.json", "a/2/part", "b/1/manifest.json", "b/1/z/part", "other/1", "other/2"):
        store.write(key, b"x")
    pipeline: Any = TwoFolders()
    keys = find_files(pipeline, store, "1")
    assert keys == ["a/1/manifest.json", "b/1/manifest.json", "a/1/part", "b/1/z/part", "other/1"]
    assert [error for _, error in remove_files(store, keys)] == [None] * 5
    assert list(store.list_keys("")) == ["a/2/part", "other/2"]


@pytest.mark.slow
def test_a_tenant_with_tables_of_its_own_is_removed_too(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipeline of own tables has the tenant's name, and no batches."""
    module = f"tables_{uuid4().hex}"
    (workplace / f"{module}.py").write_text(DECLARATION)
    monkeypatch.syspath_prepend(workplace)
    [event] = events(run(workplace, "batches", "remove", BATCH_ID, "--yes", TABLE_SPECS=module))
    assert event["of"] == ["tickets", "acme"]
    target = workplace / "gata-data"
    assert not [path for path in target.rglob("*") if path.is_file() and BATCH_ID in path.as_posix()]


def test_nothing_is_removed_while_tenants_are_not_known(tmp_path: Path) -> None:
    store = LocalStoreResource(directory=str(tmp_path))
    unknown: Any = UnknownTenants("the target cannot be listed")
    with pytest.raises(StoreError, match="cannot be listed"):
        find_files(unknown, store, BATCH_ID)


@pytest.mark.slow
def test_rows_of_interactions_are_shown_and_a_damaged_file_is_named(workplace: Path) -> None:
    arguments = ("batches", "show", BATCH_ID, "--tenant", "acme", "--summary", "table", "--rows", "1")
    shown = run(workplace, *arguments, PREVIEW_ROWS="1")
    assert shown.returncode == 0, shown.stderr
    rows = [line for line in shown.stdout.splitlines() if line.startswith(('{"user_id":"u', '{"item_id":"i'))]
    assert len(rows) == 5, "a row of each table"
    [part] = (workplace / f"gata-data/acme/training_data/{BATCH_ID}/with_features").glob("*.parquet")
    part.write_bytes(b"no Parquet")
    damaged = run(workplace, *arguments, PREVIEW_ROWS="1")
    assert damaged.returncode == 1
    assert f"{part.relative_to(workplace)} is no complete Parquet file" in damaged.stderr
