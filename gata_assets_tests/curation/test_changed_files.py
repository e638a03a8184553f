"""Raw files that change: seen while they are copied, overwritten, restored from a backup.

Real: validation, curation, reports; a directory and S3 over HTTP on loopback. Faked: a store whose raw file changes
whenever it is read, by another writer.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.landing import Landing
from gata_assets.curation.reports import Report
from gata_assets.errors import RawFileChangedError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.raw_worlds import (
    NOW,
    STRICT,
    curated_rows,
    curator_of,
    encode,
    interaction,
    item,
    send,
)

KEY = "acme/raw/interactions/2026-01-09/by hand.csv"
LATER = NOW + timedelta(days=2)
FULL = encode([interaction(user_id=f"u{number}") for number in range(9)], "csv")


def half(content: bytes) -> bytes:
    """What is there of a file while it is copied."""
    return content[: content.index(b"\n", len(content) // 2) + 1]


def validate(curator: Curator) -> list[Report]:
    """What a run validates."""
    return curator.validate_new(INTERACTIONS)


def counting_rows(store: ObjectStore) -> int:
    curator = curator_of(store)
    assert all(day.is_written for day in curator.curate(INTERACTIONS, curator.stale(INTERACTIONS)))
    return len(curated_rows(curator))


def test_a_file_that_was_seen_while_it_was_copied_is_validated_again(any_store: ObjectStore) -> None:
    any_store.write(KEY, half(FULL))
    [first] = validate(curator_of(any_store))
    assert counting_rows(any_store) == first.valid < 9
    any_store.write(KEY, FULL)
    later = curator_of(any_store, now=LATER)
    assert later.unvalidated([INTERACTIONS]) == later.unvalidated(is_compared=True) == [KEY]
    [second] = validate(later)
    assert (second.valid, second.file_id, len(later.reports(INTERACTIONS))) == (9, first.file_id, 1)
    assert counting_rows(any_store) == 9
    assert later.unvalidated() == validate(later) == []


def test_a_report_says_which_bytes_were_read(any_store: ObjectStore) -> None:
    any_store.write(KEY, FULL)
    version = any_store.delivered_version(KEY)
    [report] = validate(curator_of(any_store))
    content = sha256(FULL).hexdigest()
    assert (report.raw_version, report.raw_size, report.raw_sha256) == (version, len(FULL), content)
    stored = json.loads(any_store.read(f"acme/reports/interactions/{report.file_id}.json"))
    assert (stored["report_version"], stored["raw_sha256"]) == (3, content)


def test_a_file_that_changed_landed_now_and_one_that_is_validated_again_did_not(any_store: ObjectStore) -> None:
    key = "acme/raw/items/items.csv"
    any_store.write(key, encode([item(title="one")], "csv"))
    [first] = curator_of(any_store).validate_new(ITEMS)
    assert first.landed_at == NOW
    assert curator_of(any_store, now=LATER).validate(key).landed_at == NOW
    any_store.write(key, encode([item(title="two")], "csv"))
    [second] = curator_of(any_store, now=LATER).validate_new(ITEMS)
    assert second.landed_at == LATER


def test_a_refused_file_is_validated_when_a_correct_one_is_put_over_it(any_store: ObjectStore) -> None:
    any_store.write(KEY, b"user,item\n1,2\n")
    assert validate(curator_of(any_store))[0].refused
    any_store.write(KEY, FULL)
    [report] = validate(curator_of(any_store))
    assert (report.refused, report.valid) == (None, 9)


def test_a_file_that_became_unreadable_is_refused_and_its_rows_no_longer_count(any_store: ObjectStore) -> None:
    any_store.write(KEY, FULL)
    validate(curator_of(any_store))
    assert counting_rows(any_store) == 9
    any_store.write(KEY, b"user,item\n1,2\n")
    [report] = validate(curator_of(any_store))
    assert report.refused
    assert counting_rows(any_store) == 0


def test_a_restored_backup_is_recognized_and_not_validated_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        send(curator_of(tmp_path / "store"), [interaction(user_id=name)], tmp_path / "in", name=f"{name}.csv")
    before = curator_of(tmp_path / "store").reports(INTERACTIONS)
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("*.csv"):
        path.touch()
    curator = curator_of(tmp_path / "copy", now=LATER)
    staged = {path: path.stat().st_mtime_ns for path in (tmp_path / "copy/acme/staged").rglob("*.arrows")}
    assert len(curator.unvalidated()) == 2
    assert curator.unvalidated(is_compared=True) == [], "a plan compares bytes, and writes nothing"
    validate(curator)
    after = curator.reports(INTERACTIONS)
    assert [replace(report, raw_version=None) for report in after] == [replace(one, raw_version=None) for one in before]
    assert [report.raw_version for report in after] != [report.raw_version for report in before]
    assert {path: path.stat().st_mtime_ns for path in staged} == staged, "no row was validated"
    assert curator.unvalidated() == []


def test_what_was_refused_under_other_settings_is_validated_again_though_its_bytes_are_the_same(
    any_store: ObjectStore,
) -> None:
    any_store.write(KEY, b"user,item\n1,2\n")
    [first] = validate(curator_of(any_store))
    [again] = validate(curator_of(any_store, rules=STRICT))
    assert first.rules != again.rules


def forget_content(store: ObjectStore, report: Report) -> None:
    """Write a report as the release before did, which recorded nothing of the raw object."""
    key = f"acme/reports/{report.table}/{report.file_id}.json"
    stored = json.loads(store.read(key)) | {"report_version": 2}
    for name in ("raw_version", "raw_size", "raw_sha256", "replaced_by"):
        del stored[name]
    store.write(key, json.dumps(stored).encode())


MARKED = KEY.replace("by hand", "a-0123456789ab")


def test_a_report_of_the_release_before_adopts_the_version_of_now_and_sees_later_ones(any_store: ObjectStore) -> None:
    any_store.write(MARKED, half(FULL))
    [first] = validate(curator_of(any_store))
    forget_content(any_store, first)
    assert curator_of(any_store).unvalidated() == validate(curator_of(any_store, now=LATER)) == []
    [adopted] = curator_of(any_store).reports(INTERACTIONS)
    assert adopted == replace(first, raw_size=None, raw_sha256=None)
    any_store.write(MARKED, FULL)
    [second] = validate(curator_of(any_store, now=LATER))
    assert (second.valid, second.landed_at) == (9, first.landed_at), "whether it changed is not known: it may be a copy"
    assert second.raw_sha256


@pytest.mark.parametrize("key", [KEY, KEY.replace("by hand", "export-202601090000")])
def test_what_others_delivered_to_the_release_before_is_validated_once_in_place(
    key: str, any_store: ObjectStore
) -> None:
    any_store.write(key, half(FULL))
    [first] = validate(curator_of(any_store))
    any_store.write(key, FULL)
    forget_content(any_store, first)
    later = curator_of(any_store, now=LATER)
    assert later.unvalidated() == later.unvalidated(is_compared=True) == [key]
    [second] = validate(later)
    assert (second.valid, second.file_id, second.landed_at) == (9, first.file_id, first.landed_at)
    assert later.unvalidated() == validate(later) == []
    assert later.reports(INTERACTIONS) == [second]


def test_a_file_that_is_overwritten_in_place_with_its_old_time_and_size_is_seen(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.write(KEY, FULL)
    validate(curator_of(store))
    path = tmp_path / KEY
    time = path.stat().st_mtime_ns
    path.write_bytes(FULL.replace(b"u8", b"v8"))
    os.utime(path, ns=(time, time))
    assert curator_of(store).unvalidated() == [KEY]
    [report] = validate(curator_of(store))
    assert report.raw_sha256 == sha256(FULL.replace(b"u8", b"v8")).hexdigest()
    path.chmod(0o600)
    assert curator_of(store).unvalidated(is_compared=True) == [], "another time of change alone costs a digest"
    assert validate(curator_of(store)) == [replace(report, raw_version=store.delivered_version(KEY))]


class OverwrittenWhileRead(LocalStore):
    """A directory in which another writer overwrites the raw file after it was opened, so many times."""

    def __init__(self, directory: str, times: int) -> None:
        super().__init__(directory)
        self.times = times

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """Overwrite the object at the end, in place as `cp` does."""
        with super().local_copy(key) as path:
            yield path
            if "/raw/" in key and self.times:
                self.times -= 1
                path.write_bytes(FULL if self.times == 0 else half(FULL)[: -self.times])


@pytest.mark.parametrize("at", ["identified", "read"])
def test_a_file_that_changes_while_it_is_read_is_read_again(at: str, tmp_path: Path) -> None:
    class Overwritten(OverwrittenWhileRead):
        @contextmanager
        def local_copy(self, key: str) -> Iterator[Path]:
            with super().local_copy(key) as path:
                if at == "identified" and "/raw/" in key and self.times:
                    self.times -= 1
                    path.write_bytes(FULL)
                yield path

    store = Overwritten(str(tmp_path), times=1)
    store.write(KEY, half(FULL))
    [report] = validate(curator_of(store))
    assert (report.valid, report.raw_sha256) == (9, sha256(FULL).hexdigest())
    assert report.raw_version == store.delivered_version(KEY)


def test_a_file_that_keeps_changing_is_left_to_the_next_run_and_stops_no_other(tmp_path: Path) -> None:
    store = OverwrittenWhileRead(str(tmp_path), times=3)
    for key in (KEY, KEY.replace("by hand", "other")):
        store.write(key, half(FULL) if key == KEY else encode([interaction()], "csv"))
    warnings: list[str] = []
    validated = curator_of(store).validate_new(INTERACTIONS, warn=warnings.append)
    assert [report.raw_key.rpartition("/")[2] for report in validated] == ["other.csv"]
    [warning] = warnings
    assert "by hand.csv changed each time that it was read: it is left to the next run" in warning
    assert [report.valid for report in validate(curator_of(store))] == [9]


def test_a_file_that_keeps_changing_fails_the_command_that_asks_for_it(tmp_path: Path) -> None:
    store = OverwrittenWhileRead(str(tmp_path), times=3)
    store.write(KEY, half(FULL))
    with pytest.raises(RawFileChangedError):
        curator_of(store).validate(KEY)
    assert curator_of(store).reports(INTERACTIONS) == []


class RemovedAfterListing(LocalStore):
    """A directory from which another writer removes the raw file once it was listed."""

    def list_delivered(self, prefix: str) -> Iterator[str]:
        """List, then remove."""
        keys = list(super().list_delivered(prefix))
        for key in keys:
            if key == KEY:
                yield key
                self.delete(KEY)
            else:
                yield key


def test_a_file_that_is_removed_meanwhile_is_left_out(tmp_path: Path) -> None:
    store = RemovedAfterListing(str(tmp_path))
    for key in (KEY, KEY.replace("by hand", "other")):
        store.write(key, encode([interaction()], "csv"))
    warnings: list[str] = []
    assert len(curator_of(store).validate_new(INTERACTIONS, warn=warnings.append)) == 1
    assert len(warnings) == 1
    assert "There is no" in warnings[0]


def test_content_whose_object_was_overwritten_lands_again_beside_it(any_store: ObjectStore, tmp_path: Path) -> None:
    curator = curator_of(any_store)
    path = tmp_path / "a.csv"
    path.write_bytes(FULL)

    def land() -> Any:
        return Landing(curator_of(any_store)).land(INTERACTIONS, path.name, path, parse_format(path.name))

    first = land()
    any_store.write(first.report.raw_key, half(FULL))
    second = land()
    assert (second.was_there, second.report.valid) == (False, 9)
    assert second.report.raw_key != first.report.raw_key
    assert any_store.read(second.report.raw_key) == FULL
    assert land().report.file_id == second.report.file_id
    assert len(curator.raw_keys(INTERACTIONS)) == 2


def test_content_that_was_overwritten_and_restored_is_known(any_store: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(FULL)
    first = send(curator_of(any_store), FULL, tmp_path / "in")
    any_store.write(first.raw_key, half(FULL))
    validate(curator_of(any_store))
    any_store.write(first.raw_key, FULL)
    again = Landing(curator_of(any_store)).land(INTERACTIONS, "a.csv", path, parse_format("a.csv"))
    assert (again.was_there, again.report.valid, again.report.file_id) == (True, 9, first.file_id)
