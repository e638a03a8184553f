"""What `gata ingest` reads: each file once, from a stream, so that what is stored is what was read.

Real: click's command line, landing, FIFOs, pipes, a directory and S3 over HTTP on loopback; a shell for `<(…)`. Faked:
a file that another writer changes while it is read.
"""

from __future__ import annotations

import io
import os
import resource
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from threading import Thread
from typing import Any

import pytest

from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.landing import LandedFile, Landing
from gata_assets.errors import RawFileError, StoreError
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.cli.raw_files.test_ingest import ingest, said, workplace
from gata_assets_tests.support.raw_worlds import curator_of, encode, interaction

__all__ = ["workplace"]

CONTENT = encode([interaction(user_id=f"u{number}") for number in range(40_000)], "csv")
OTHER = CONTENT.replace(b"u1", b"v1")


class Watched(type(Path())):  # type: ignore[misc]
    """A path whose file somebody changes once the first bytes of it are read."""

    def __new__(cls, path: Path, change: Callable[[Path], object]) -> Watched:
        """Remember the change."""
        made: Watched = super().__new__(cls, path)
        made.change, made.opened = change, 0
        return made

    def open(self, *arguments: Any, **options: Any) -> Any:
        """Open the file."""
        self.opened += 1
        stream = Path(str(self)).open(*arguments, **options)  # noqa: SIM115 (Landing closes it)
        return ChangedWhileRead(stream, lambda: self.change(Path(str(self))))


class ChangedWhileRead:
    """A stream that calls somebody after its first read."""

    def __init__(self, stream: Any, change: Callable[[], object]) -> None:
        self.stream, self.change = stream, change

    def __enter__(self) -> ChangedWhileRead:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def fileno(self) -> int:
        """The descriptor."""
        return int(self.stream.fileno())

    def read(self, size: int) -> bytes:
        """Read, then let the change happen."""
        content: bytes = self.stream.read(size)
        change, self.change = self.change, lambda: None
        change()
        return content


def land(store: ObjectStore | Path, source: Any, name: str = "a.csv") -> LandedFile:
    return Landing(curator_of(store)).land(INTERACTIONS, name, source, parse_format(name))


def rotate(path: Path) -> None:
    """Another file takes its name."""
    path.rename(path.with_suffix(".old"))
    path.write_bytes(OTHER)


def append(path: Path) -> None:
    """A row is written at its end."""
    with path.open("ab") as file:
        file.write(OTHER[-60:])


def overwrite(path: Path) -> None:
    """Other content of the same size is written over it."""
    path.write_bytes(OTHER)


def truncate(path: Path) -> None:
    """It is emptied, to be written again."""
    path.write_bytes(b"")


@pytest.mark.parametrize("change", [rotate, append, overwrite, truncate, Path.unlink], ids=lambda call: call.__name__)
def test_a_file_that_changes_while_it_is_read_is_refused_and_nothing_lands(
    change: Callable[[Path], object], any_store: ObjectStore, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(CONTENT)
    with pytest.raises(RawFileError, match="changed while it was read: send it again when it is complete"):
        land(any_store, Watched(path, change))
    assert list(any_store.list_keys("acme/")) == []
    path.write_bytes(OTHER)
    landed = land(any_store, path)
    assert (landed.was_there, any_store.read(landed.report.raw_key)) == (False, OTHER)


def test_a_file_is_opened_once_and_the_digest_is_of_what_is_stored(any_store: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(CONTENT)
    watched = Watched(path, lambda _: None)
    report = land(any_store, watched).report
    assert (watched.opened, report.raw_sha256) == (1, sha256(any_store.read(report.raw_key)).hexdigest())
    assert land(any_store, path).was_there


def test_a_stream_without_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    assert land(tmp_path / "store", io.BytesIO(CONTENT)).report.valid == 40_000
    with pytest.raises(RawFileError, match="is empty"):
        land(tmp_path / "store", io.BytesIO(b""))


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl", "parquet", "parquet.zst"])
def test_a_fifo_is_read_once(ending: str, workplace: Path) -> None:
    path = workplace / f"pipe.{ending}"
    os.mkfifo(path)
    content = encode([interaction(), interaction(rating="9")], ending)
    writer = Thread(target=path.write_bytes, args=(content,))
    writer.start()
    (landed,) = said(ingest("interactions", path.name))
    writer.join()
    assert (landed["rows"], landed["valid"], landed["was_there"]) == (2, 1, False)
    assert (workplace / "gata-data" / str(landed["raw"])).read_bytes() == content


@pytest.mark.parametrize("of_reader", [True, False])
def test_a_pipe_that_the_shell_passes_is_read_once(of_reader: bool, workplace: Path) -> None:
    reader, writer = os.pipe()
    try:
        os.write(writer, encode([interaction()], "csv"))
        os.close(writer)
        given = f"/dev/fd/{reader}" if of_reader else f"/proc/self/fd/{reader}"
        (landed,) = said(ingest("interactions", given, "--format", "csv"))
    finally:
        os.close(reader)
    assert (landed["valid"], landed["event"]) == (1, "FILE_VALIDATED")


@pytest.mark.process
def test_bash_may_pass_the_output_of_a_command(workplace: Path) -> None:
    (workplace / "a.csv").write_bytes(CONTENT)
    command = (
        f"{shlex.quote(sys.executable)} -m gata_assets ingest interactions <(cat a.csv) --format csv --tenant sample"
    )
    done = subprocess.run(["bash", "-c", command], cwd=workplace, capture_output=True, text=True, check=False)
    assert '"valid": 40000' in done.stdout, done.stderr


def test_a_socket_or_a_missing_file_is_refused_with_the_reason_of_the_system(workplace: Path) -> None:
    os.mknod(workplace / "socket.csv", 0o140600)
    (workplace / "link.csv").symlink_to("nowhere.csv")
    told = said(ingest("interactions", "socket.csv", "link.csv"))
    assert [one["reason"] for one in told] == [
        "cannot be read: No such device or address.",
        "cannot be read: No such file or directory.",
    ]


def test_the_private_copy_is_removed_also_of_a_refused_file(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(workplace / "scratch"))
    (workplace / "scratch").mkdir()
    (workplace / "a.csv").write_bytes(CONTENT)
    (workplace / "b.csv").write_bytes(b"no,such\n1,2\n")
    assert ingest("interactions", "a.csv", "b.csv").exit_code == 1
    assert gettempdir() == str(workplace / "scratch")
    assert list((workplace / "scratch").iterdir()) == []


def test_a_full_disk_of_temporary_files_is_no_fault_of_the_file(tmp_path: Path) -> None:
    # Files of this process may be no longer than this: a write fails then, as on a full disk.
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(StoreError, match=r"The copy of the file cannot be written to .*: File too large\. Look at"):
            land(tmp_path / "store", io.BytesIO(CONTENT))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert land(tmp_path / "store", io.BytesIO(CONTENT)).report.valid == 40_000
