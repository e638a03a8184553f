"""Odd things in the folder of raw files: each is refused alone, with its reason, and stops no other file.

Real: validation, the commands, a directory, and S3 over HTTP on loopback. Faked: what breaks while rows are read, since
no file is known that breaks a reader.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from gata_assets.cli.doctor import examine
from gata_assets.curation.backlog import find_waiting
from gata_assets.curation.files.formats import is_hidden, printable
from gata_assets.curation.readers.faults import unforeseen_errors_refuse
from gata_assets.curation.reports import Report
from gata_assets.errors import DataRuleError, RawFileChangedError, RawFileError, StoreError
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.settings.model import parse_settings
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.cli.raw_files.test_ingest import gata, ingest, said, workplace
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.raw_worlds import NOW, curator_of, encode, interaction, quarantined

__all__ = ["workplace"]

FOLDER = "acme/raw/interactions/"
USER = canary("a user")
VALID = encode([interaction()], "csv")


def validate(store: ObjectStore | Path) -> dict[str, Report]:
    """What a run makes of the raw files, by key; and that nothing is left to be done."""
    reports = curator_of(store).validate_new(INTERACTIONS)
    assert curator_of(store).unvalidated() == []
    assert curator_of(store).validate_new(INTERACTIONS) == []
    return {report.raw_key.removeprefix(FOLDER): report for report in reports}


@pytest.mark.parametrize(
    "folder",
    ["9999-12-31", "0000-00-00", "0000-01-01", "2026-02-30", "9999-99-99", "x.csv", "+999-01-01", "٢٠٢٦-01-01"],
)
def test_a_file_in_an_odd_folder_is_validated_as_any_other(folder: str, any_store: ObjectStore) -> None:
    any_store.write(f"{FOLDER}{folder}/a.csv", VALID)
    [report] = validate(any_store).values()
    assert (report.valid, report.landed_at) == (1, NOW)


def test_names_that_are_no_regular_files_are_refused_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    (folder / "x.csv").mkdir(parents=True)
    (folder / "x.csv" / "valid.csv").write_bytes(VALID)
    (folder / "link.csv").symlink_to(tmp_path / "nowhere.csv")
    (folder / "circle.csv").symlink_to(folder / "circle.csv")
    os.mkfifo(folder / "fifo.csv")
    os.mknod(folder / "socket.csv", stat.S_IFSOCK | 0o600)
    reports = validate(tmp_path)
    refused = ["circle.csv", "fifo.csv", "link.csv", "socket.csv"]
    assert sorted(name for name, report in reports.items() if report.refused) == refused
    assert all("is no regular file" in (reports[name].refused or "") for name in refused)
    assert reports["x.csv/valid.csv"].valid == 1
    (folder / "link.csv").unlink()
    (folder / "link.csv").write_bytes(VALID)
    assert [report.valid for report in curator_of(tmp_path).validate_new(INTERACTIONS)] == [1]


@pytest.mark.parametrize("odd", ["link", "fifo"])
def test_a_file_that_is_none_for_a_while_keeps_its_rows_and_the_time_at_which_it_landed(
    odd: str, tmp_path: Path
) -> None:
    folder, away = tmp_path / "store" / FOLDER, tmp_path / "away.csv"
    folder.mkdir(parents=True)
    away.write_bytes(VALID)
    (folder / "a.csv").symlink_to(away)
    [before] = validate(tmp_path / "store").values()
    away.unlink()
    if odd == "fifo":
        os.mkfifo(away)
    curator, warnings = curator_of(tmp_path / "store", now=NOW + timedelta(days=1)), list[str]()
    assert (curator.unvalidated(), find_waiting(curator.places, curator.store, [INTERACTIONS])) == ([], [])
    assert curator.validate_new(INTERACTIONS, warnings.append) == []
    assert [warning.count("a.csv is no regular file any more") for warning in warnings] == [1]
    with pytest.raises(RawFileChangedError, match="counts on"):
        curator.validate(before.raw_key)
    assert curator.reports(INTERACTIONS) == [before]
    away.unlink(missing_ok=True)
    away.write_bytes(VALID)
    curator.validate_new(INTERACTIONS)
    [after] = curator.reports(INTERACTIONS)
    assert (after.landed_at, after.raw_sha256, after.parts) == (before.landed_at, before.raw_sha256, before.parts)
    assert curator.unvalidated() == []


def test_links_to_folders_are_refused_and_counted_as_left_alone(workplace: Path) -> None:
    other = workplace / "other"
    other.mkdir()
    (other / "b.csv").write_bytes(VALID)
    for folder in (workplace / "store" / FOLDER, workplace / "in"):
        folder.mkdir(parents=True)
        (folder / "a.csv").write_bytes(VALID)
        for name in ("linked", ".hidden"):
            (folder / name).symlink_to(other)
    reports = validate(workplace / "store")
    assert sorted(reports) == ["a.csv", "linked"]
    assert "is a link to a folder, which is not followed" in (reports["linked"].refused or "")
    result = ingest("interactions", "in")
    assert [one["file"] for one in said(result)] == ["in/a.csv"]
    words = " ".join(result.stderr.split())
    assert (
        "2 of 3 files are left alone: 1 hidden (in a folder or with a name that begins with . or _), 1 links to folders"
        in words
    )
    curator = curator_of(LocalStore(str(workplace / "store")))
    (workplace / "store" / FOLDER / "linked").unlink()
    (workplace / "store" / FOLDER / "linked").mkdir()
    (workplace / "store" / FOLDER / "linked" / "b.csv").write_bytes(VALID)
    assert [report.valid for report in curator.validate_new(INTERACTIONS)] == [1]


class ClosedFiles(LocalStore):
    """A directory with raw files of another user, which may not be read."""

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """Refuse, as a file of mode 0600 does when its bytes are read."""
        if "closed" in key:
            raise StoreError(f"{key} cannot be read: Permission denied.")
        with super().local_copy(key) as path:
            yield path


@pytest.mark.parametrize(("closed", "read"), [(1, 2), (3, 2), (30, 0)])
def test_files_that_may_not_be_read_fail_the_run_once_the_others_are_validated(
    closed: int, read: int, tmp_path: Path
) -> None:
    store = ClosedFiles(str(tmp_path))
    for name in ("a", "z", *(f"closed-{number}" for number in range(closed))):
        store.write(f"{FOLDER}{name if read or name != 'a' else 'y'}.csv", VALID)
    with pytest.raises(StoreError, match=r"closed-0\.csv cannot be read: Permission denied") as raised:
        curator_of(store).validate_new(INTERACTIONS)
    others = {1: None, 3: "So it is with 2 others", 30: "So it is with 19 others"}[closed]
    assert others is None or others in str(raised.value)
    assert len(curator_of(store).reports(INTERACTIONS)) == read
    assert len(curator_of(store).unvalidated(is_compared=True)) == closed + 2 - read


def closed_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no folder with `closed` in its name be listed, whoever runs the tests."""
    real, real_stat = os.scandir, os.stat

    def scandir(path: str) -> object:
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    def look_at(path: str, *, follow_symlinks: bool = False, **options: int) -> os.stat_result:
        if "half/closed" in str(path) and not follow_symlinks:
            raise PermissionError(13, "Permission denied", str(path))
        return real_stat(path, follow_symlinks=follow_symlinks, **options)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "lstat", look_at)


def test_hidden_folders_that_may_not_be_listed_are_ignored(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (workplace / "store" / FOLDER, workplace / "in"):
        (folder / ".closed").mkdir(parents=True)
        (folder / ".half/closed").mkdir(parents=True)
        (folder / "a.csv").write_bytes(VALID)
    closed_folders(monkeypatch)
    assert [report.valid for report in validate(workplace / "store").values()] == [1]
    result = ingest("interactions", "in")
    assert result.exit_code == 0
    assert "2 of 3 files are left alone: 2 hidden" in " ".join(result.stderr.split())


def test_a_folder_that_may_not_be_listed_fails_the_run_once_other_files_are_validated(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = workplace / "store"
    (store / FOLDER / "deep/closed").mkdir(parents=True)
    (store / FOLDER / "deep/closed/b.csv").write_bytes(VALID)
    (store / FOLDER / "deep/a.csv").write_bytes(VALID)
    os.mkfifo(store / FOLDER / "deep/pipe.csv")
    with monkeypatch.context() as patch:
        closed_folders(patch)
        for _ in range(2):
            with pytest.raises(StoreError, match=r"deep/closed cannot be listed: Permission denied\. Look at"):
                curator_of(store).validate_new(INTERACTIONS)
            reports = {Path(report.raw_key).name: report for report in curator_of(store).reports(INTERACTIONS)}
            assert {name: report.refused is None for name, report in reports.items()} == {
                "a.csv": True,
                "pipe.csv": False,
            }
            assert curator_of(store).unvalidated() == [f"{FOLDER}deep/closed"], "it waits, and no run passes over it"
        assert [key for key, _ in LocalStore(str(store)).list_versions("acme/reports/")], "other folders are listed"
        with pytest.raises(StoreError, match="cannot be listed: Permission denied"):
            list(LocalStore(str(store)).list_keys(FOLDER))
        settings = parse_settings({"TARGET_DIR": str(store), "TENANTS": "acme"})
        [seen] = [finding for finding in examine(settings) if finding.subject == "interactions of acme"]
        assert (seen.is_well, "deep/closed cannot be listed" in seen.found) == (False, True)
    assert [report.raw_key for report in curator_of(store).validate_new(INTERACTIONS)] == [f"{FOLDER}deep/closed/b.csv"]


@pytest.mark.parametrize("given", [".", "in", "in/closed"])
def test_ingest_names_a_folder_that_it_may_not_list_and_lands_the_others(
    given: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace / "in/closed").mkdir(parents=True)
    (workplace / "in/a.csv").write_bytes(VALID)
    closed_folders(monkeypatch)
    for options in ([], ["--summary", "table"]):
        result = ingest("interactions", given, *options)
        assert result.exit_code == 1
        assert "in/closed" in result.stdout
        assert "cannot be listed: Permission denied." in result.stdout
    landed = list(Path("gata-data").glob("sample/raw/interactions/*/a-*.csv"))
    assert len(landed) == (given != "in/closed")


def test_a_path_that_may_not_be_looked_at_or_is_too_long_is_refused(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace / "in").mkdir()
    (workplace / "in" / "closed.csv").write_bytes(VALID)
    real_stat, real_open = Path.stat, Path.open

    def closed(real: Callable[..., object]) -> Callable[..., object]:
        def call(self: Path, *arguments: object, **options: object) -> object:
            if self.name == "closed.csv":
                raise PermissionError(13, "Permission denied", str(self))
            return real(self, *arguments, **options)

        return call

    monkeypatch.setattr(Path, "stat", closed(real_stat))
    monkeypatch.setattr(Path, "open", closed(real_open))
    for given in ("in", "in/closed.csv", f"{'long' * 75}.csv"):
        result = ingest("interactions", given)
        [refused] = said(result)
        assert (result.exit_code, refused["event"]) == (1, "FILE_REFUSED")
        assert ("File name too long" if "long" in given else "Permission denied") in str(refused["reason"])


def test_refused_odd_files_are_listed_by_the_command(workplace: Path) -> None:
    folder = workplace / "gata-data/sample/raw/interactions"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "fifo.csv")
    (folder / "valid.csv").write_bytes(VALID)
    curator_of(workplace / "gata-data", "sample").validate_new(INTERACTIONS)
    [refused] = said(gata("quarantine", "--tenant", "sample"))
    assert "is no regular file" in str(refused["reason"])
    replayed = gata("quarantine", "--tenant", "sample", "--replay")
    assert (replayed.exit_code, [one["event"] for one in said(replayed)]) == (1, ["FILE_REFUSED"])


@pytest.mark.server
def test_a_key_that_is_too_long_for_a_file_name_is_validated(bucket: str, request: pytest.FixtureRequest) -> None:
    from dagster_aws.s3 import S3Resource

    from gata_assets.storage.s3 import S3StoreResource

    store = S3StoreResource(bucket=bucket, s3=S3Resource())
    store.write(f"{FOLDER}{'long-' * 80}.csv", VALID)
    store.write(f"{FOLDER}folder/", b"")
    store.write(f"{FOLDER}a//b.csv", VALID)
    assert [report.valid for report in validate(store).values()] == [1, 1]


def test_a_name_that_is_not_utf_8_crashes_nothing(workplace: Path) -> None:
    folder = workplace / "gata-data/sample/raw/interactions"
    folder.mkdir(parents=True)
    name = os.fsdecode(b"caf\xe9\n.csv")
    (folder / name).write_bytes(encode([interaction(), interaction(rating="9")], "csv"))
    curator = curator_of(workplace / "gata-data", "sample")
    [report] = curator.validate_new(INTERACTIONS)
    assert (report.valid, report.rejected, curator.unvalidated()) == (1, 1, [])
    assert quarantined(curator, report)["source_file"].to_list() == [r"caf\xe9\n.csv"]
    assert curator_of(workplace / "gata-data", "sample").reports(INTERACTIONS) == [report]
    (workplace / "in").mkdir()
    (workplace / "in" / name).write_bytes(VALID)
    for summary in ("table", "json"):
        for given in ("in", f"in/{name}"):
            result = ingest("interactions", given, "--summary", summary)
            assert result.exit_code == 0
            assert r"in/caf\xe9\n.csv" in result.stdout.replace(r"\\", "\\")
    unknown = ingest("interactions", os.fsdecode(b"in/caf\xe9.txt"))
    assert unknown.exit_code == 1
    assert r"in/caf\\xe9.txt" in unknown.stdout


@pytest.mark.parametrize(
    ("path", "is_not_raw"),
    [
        ("a.csv", False),
        ("2026-01-01/a.csv", False),
        ("a//b.csv", False),
        ("a_b/c.d.csv", False),
        (".a.csv", True),
        ("_SUCCESS", True),
        (".ipynb_checkpoints/a.csv", True),
        ("2026-01-01/_temporary/0/part-0.csv", True),
        ("folder/", True),
    ],
)
def test_hidden_paths_below_the_raw_folder_are_ignored(path: str, is_not_raw: bool, tmp_path: Path) -> None:
    assert is_hidden(path) is is_not_raw
    if not path.endswith("/"):
        store = LocalStore(str(tmp_path))
        store.write(f"_own/raw/interactions/{path}", VALID)
        assert len(curator_of(store, "_own").unvalidated()) == (not is_not_raw)


def test_what_a_directory_has_besides_raw_files_is_counted_by_reason(workplace: Path) -> None:
    for name in ("a.csv", "notes.txt", ".b.csv", ".ipynb_checkpoints/a.csv", "_temporary/0/part-0.csv"):
        (workplace / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (workplace / "in" / name).write_bytes(VALID)
    os.mkfifo(workplace / "in" / "fifo.csv")
    (workplace / "in" / "link.csv").symlink_to("nowhere.csv")
    result = ingest("interactions", "in")
    assert [one["file"] for one in said(result)] == ["in/a.csv"]
    words = " ".join(result.stderr.split())
    assert "in: 6 of 7 files are left alone: 3 hidden" in words
    assert "2 not regular files (a link to nothing, a FIFO or a socket)" in words
    assert "1 with a name that does not end as a raw file's does" in words


@pytest.mark.parametrize(
    "error",
    [
        *(ValueError(USER), OverflowError(), KeyError(USER), RuntimeError(USER), pl.exceptions.ComputeError(USER)),
        *(OSError("of Arrow, without a number"), pa.ArrowInvalid(USER), RecursionError(), AssertionError()),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_nobody_foresaw_refuses_the_file_without_its_values(error: Exception) -> None:
    with pytest.raises(RawFileError) as refused, unforeseen_errors_refuse():
        raise error
    message = str(refused.value)
    assert message.startswith(f"cannot be read ({type(error).__name__} at test_odd_files.py:")
    assert "please report it" in message
    assert USER not in message


@pytest.mark.parametrize(
    "error",
    [
        *(OSError(28, "No space left on device"), PermissionError(13, "denied"), MemoryError(), pa.ArrowMemoryError()),
        *(StoreError("away"), DataRuleError("other"), RuntimeError("can't start new thread"), KeyboardInterrupt()),
    ],
    ids=lambda error: type(error).__name__,
)
def test_faults_of_the_environment_refuse_nothing(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, unforeseen_errors_refuse():
        raise error
    assert raised.value is error


def test_a_panic_of_polars_refuses_the_file() -> None:
    with pytest.raises(RawFileError, match="PanicException"), unforeseen_errors_refuse():
        raise pl.exceptions.PanicException("of a damaged file")


def breaking(error: BaseException) -> Callable[[int], None]:
    """Whoever is told how many rows were read, and breaks."""

    def progress(_: int) -> None:
        raise error

    return progress


def test_an_error_that_nobody_foresaw_while_rows_are_read_is_the_reason_in_the_report(any_store: ObjectStore) -> None:
    any_store.write(f"{FOLDER}broken.csv", VALID)
    report = curator_of(any_store).validate(f"{FOLDER}broken.csv", progress=breaking(ValueError("u77")))
    assert "cannot be read (ValueError at test_odd_files.py:" in (report.refused or "")
    assert (report.rows, report.parts) == (0, ())
    assert curator_of(any_store).unvalidated() == []


@pytest.mark.parametrize("error", [MemoryError(), OSError(28, "No space left"), StoreError("the target is away")])
def test_a_fault_of_the_environment_leaves_no_report(error: Exception, any_store: ObjectStore) -> None:
    any_store.write(f"{FOLDER}a.csv", VALID)
    with pytest.raises(type(error)):
        curator_of(any_store).validate(f"{FOLDER}a.csv", progress=breaking(error))
    assert curator_of(any_store).reports(INTERACTIONS) == []
    assert [report.valid for report in validate(any_store).values()] == [1]


def test_printable_names_are_as_they_were() -> None:
    assert printable("Täg lich (1).csv") == "Täg lich (1).csv"
    assert json.loads(json.dumps(printable(os.fsdecode(b"\xff\x1b[31m")))) == r"\xff\x1b[31m"
