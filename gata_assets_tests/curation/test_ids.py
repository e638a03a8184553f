"""Ids of raw files: no two files share one, and those of the release before stay readable.

Real: validation, landing, reports; a directory and S3 over HTTP on loopback. The layout of the release before is made
of this release's: the same reports under short ids, of objects whose names have short marks.
"""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from gata_assets.curation.files.formats import file_id, mark_of, old_file_id, parse_format
from gata_assets.curation.landing import LandedFile, Landing
from gata_assets.curation.reports import Report
from gata_assets.curation.superseding import valid_reports
from gata_assets.errors import DamagedTableError
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.raw_worlds import curator_of, encode, interaction, send

FOLDER = "acme/raw/interactions/"
# Their ids of the release before are equal: 32 bits of a digest.
COLLIDING = [f"{FOLDER}014977/data.csv", f"{FOLDER}040694/data.csv"]


def counting(store: ObjectStore) -> list[str]:
    return sorted(report.raw_key for report in valid_reports(curator_of(store).reports(INTERACTIONS)))


def land(store: ObjectStore, content: bytes, directory: Path) -> LandedFile:
    (directory / "a.csv").write_bytes(content)
    return Landing(curator_of(store)).land(INTERACTIONS, "a.csv", directory / "a.csv", parse_format("a.csv"))


def make_old(store: ObjectStore, report: Report, name: str) -> Report:
    """Write a report as the release before did, under a short id."""
    new, old = (f"acme/reports/interactions/{file}.json" for file in (report.file_id, name))
    stored = json.loads(store.read(new)) | {"report_version": 2, "file_id": name}
    for field in ("raw_version", "raw_size", "raw_sha256", "replaced_by"):
        del stored[field]
    store.write(old, json.dumps(stored).encode())
    store.delete(new)
    return replace(report, file_id=name, raw_version=None, raw_size=None, raw_sha256=None)


def store_old(store: ObjectStore, content: bytes, mark: str) -> Report:
    """A file as the release before landed it."""
    key = f"{FOLDER}2026-01-09/a-{mark}.csv"
    store.write(key, content)
    curator = curator_of(store)
    return make_old(store, curator.validate(key), old_file_id(curator.places, INTERACTIONS, key))


def test_files_whose_ids_were_equal_in_the_release_before_both_count(any_store: ObjectStore) -> None:
    curator = curator_of(any_store)
    assert len({old_file_id(curator.places, INTERACTIONS, key) for key in COLLIDING}) == 1
    for number, key in enumerate(COLLIDING):
        any_store.write(key, encode([interaction(user_id=f"u{number}")], "csv"))
    for _ in range(2):
        curator_of(any_store).validate_new(INTERACTIONS)
        assert counting(any_store) == COLLIDING


def test_ids_marks_and_names_of_parts_have_128_bits(tmp_path: Path) -> None:
    report = send(curator_of(tmp_path / "store"), [interaction()], tmp_path / "in")
    assert len(mark_of(report.raw_key) or "") == 32
    assert len(report.file_id.rpartition("-")[2]) == 32
    assert len(report.parts[0].key.rpartition("-")[2].partition(".")[0]) == 32
    assert len(report.rules) == 32


def test_a_file_of_the_release_before_keeps_its_id_and_is_known_by_its_bytes(
    any_store: ObjectStore, tmp_path: Path
) -> None:
    content = encode([interaction()], "csv")
    old = store_old(any_store, content, sha256(content).hexdigest()[:12])
    assert curator_of(any_store).unvalidated() == []
    landed = land(any_store, content, tmp_path)
    assert (landed.was_there, landed.report.file_id) == (True, old.file_id)
    assert landed.report.raw_sha256 == sha256(content).hexdigest()
    assert counting(any_store) == [old.raw_key]
    other = encode([interaction(user_id="u2")], "csv")
    any_store.write(old.raw_key, other)
    [changed] = curator_of(any_store).validate_new(INTERACTIONS)
    assert (changed.file_id, changed.raw_sha256) == (old.file_id, sha256(other).hexdigest())
    assert curator_of(any_store).validate(old.raw_key).file_id == old.file_id


def test_a_short_mark_alone_does_not_make_content_known(any_store: ObjectStore, tmp_path: Path) -> None:
    content, other = (encode([interaction(user_id=name)], "csv") for name in ("u1", "u2"))
    old = store_old(any_store, other, sha256(content).hexdigest()[:12])
    landed = land(any_store, content, tmp_path)
    assert (landed.was_there, landed.report.valid) == (False, 1)
    assert counting(any_store) == sorted([old.raw_key, landed.report.raw_key])


def test_a_report_of_the_release_before_is_not_taken_for_another_file_with_the_same_id(any_store: ObjectStore) -> None:
    for number, key in enumerate(COLLIDING):
        any_store.write(key, encode([interaction(user_id=f"u{number}")], "csv"))
    curator = curator_of(any_store)
    old_id = old_file_id(curator.places, INTERACTIONS, COLLIDING[0])
    make_old(any_store, curator.validate(COLLIDING[0]), old_id)
    # The first is read once more, since nothing says which version was.
    found = {report.raw_key: report.file_id for report in curator_of(any_store).validate_new(INTERACTIONS)}
    assert found == {COLLIDING[0]: old_id, COLLIDING[1]: file_id(curator.places, INTERACTIONS, COLLIDING[1])}
    assert counting(any_store) == COLLIDING
    assert curator_of(any_store).unvalidated() == []


def test_a_report_of_another_raw_file_is_not_taken(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    report = send(curator, [interaction()], tmp_path / "in")
    key = f"acme/reports/interactions/{report.file_id}.json"
    stored = json.loads(curator.store.read(key)) | {"raw_key": COLLIDING[0]}
    curator.store.write(key, json.dumps(stored).encode())
    with pytest.raises(DamagedTableError, match=r"is of another raw file, acme/raw/interactions/014977/data\.csv"):
        curator_of(tmp_path / "store").validate(report.raw_key)


def test_a_copy_of_a_report_does_not_count_its_rows_twice(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    report = send(curator, [interaction()], tmp_path / "in")
    content = curator.store.read(f"acme/reports/interactions/{report.file_id}.json")
    curator.store.write("acme/reports/interactions/backup.json", content)
    with pytest.raises(DamagedTableError, match=r"backup\.json is the report of another file, .*: remove it"):
        curator_of(tmp_path / "store").reports(INTERACTIONS)
