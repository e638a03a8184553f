"""Scratch space: private while it is used, gone afterwards, also after SIGKILL.

Real: processes, signals, files, links. Directories of other users are made where the tests run as root.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from gata_assets.errors import StoreError
from gata_assets.storage.scratch import scratch_directory, scratch_file, sweep_scratch
from gata_assets_tests.support.canaries import canary

HOLD = """
import sys, time
from gata_assets.storage.scratch import scratch_directory
with scratch_directory() as folder:
    (folder / "rows.csv").write_text(sys.argv[1])
    print(folder, flush=True)
    time.sleep(600)
"""


def start_holder() -> tuple[subprocess.Popen[str], Path]:
    """A process that has rows in scratch space, and where."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, canary("a row")], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    with process.stdout:
        return process, Path(process.stdout.readline().strip())


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_scratch_is_private_and_gone_at_the_end(temporary: Path) -> None:
    before = os.umask(0)
    try:
        with scratch_directory() as folder, scratch_file() as file:
            (folder / "rows.csv").write_text(canary("a row"))
            file.write(b"x")
            assert mode(folder) == mode(folder.parent) == 0o700
            assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600
            assert folder.parent.parent == temporary
    finally:
        os.umask(before)
    assert list(temporary.iterdir()) == []


def test_scratch_is_gone_after_an_error_too(temporary: Path) -> None:
    def break_off() -> None:
        with scratch_directory() as folder:
            (folder / "a" / "b").mkdir(parents=True)
            raise RuntimeError("broke")

    with pytest.raises(RuntimeError, match="broke"):
        break_off()
    assert list(temporary.iterdir()) == []


@pytest.mark.process
def test_what_a_killed_process_left_is_swept_and_what_a_living_one_uses_is_not(temporary: Path) -> None:
    killed, left = start_holder()
    living, used = start_holder()
    try:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert (left / "rows.csv").exists(), "nobody removes what a killed process has, but the next one"
        with scratch_directory() as own:
            assert not left.parent.exists()
            assert (used / "rows.csv").read_text() == canary("a row")
            assert sweep_scratch() == 0
            assert own.exists()
    finally:
        living.kill()
        living.wait()
    assert sweep_scratch() == 1
    assert list(temporary.iterdir()) == []


@pytest.mark.process
def test_any_command_sweeps(temporary: Path, tmp_path: Path) -> None:
    killed, left = start_holder()
    killed.kill()
    killed.wait()
    assert left.exists()
    command = [sys.executable, "-m", "gata_assets", "tables"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("step", ["directory", "lock", "half removed", "files removed"])
def test_a_process_killed_between_two_steps_leaves_nothing_for_good(temporary: Path, step: str) -> None:
    folder = temporary / f"gata-{os.geteuid()}-0123456789abcdef"
    folder.mkdir(mode=0o700)
    if step != "directory":
        (folder / "lock").touch(mode=0o600)
    if step == "half removed":
        (folder / "files").mkdir()
        (folder / "files" / "rows.csv").touch()
    assert sweep_scratch() == 1
    assert list(temporary.iterdir()) == []


def test_links_and_what_others_put_there_are_left_alone(temporary: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    (precious / "files").mkdir(parents=True)
    (precious / "lock").touch()
    (precious / "files" / "thesis").touch()
    prefix = f"gata-{os.geteuid()}-"
    (temporary / f"{prefix}1").symlink_to(precious)
    inner = temporary / f"{prefix}2"
    inner.mkdir()
    (inner / "lock").symlink_to(precious / "lock")
    (inner / "files").symlink_to(precious / "files")
    (temporary / f"{prefix}3").touch()
    (temporary / "gata-of-somebody").mkdir()
    no_lock = temporary / f"{prefix}4"
    no_lock.mkdir()
    (no_lock / "something").touch()
    linked_files = temporary / f"{prefix}5"
    linked_files.mkdir()
    (linked_files / "lock").touch()
    (linked_files / "files").symlink_to(precious / "files")
    before = sorted(temporary.rglob("*"))
    assert sweep_scratch() == 0
    assert (precious / "files" / "thesis").exists()
    assert (precious / "lock").exists()
    assert sorted(temporary.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a directory of another user")
def test_a_directory_of_another_user_is_left_alone(temporary: Path) -> None:
    folder = temporary / f"gata-{os.geteuid()}-1"
    folder.mkdir()
    (folder / "lock").touch()
    os.chown(folder, 12345, 12345)
    assert sweep_scratch() == 0
    assert (folder / "lock").exists()


def test_sweepers_and_new_directories_do_not_disturb_one_another(temporary: Path) -> None:
    """Threads open files of their own, so their locks exclude each other as those of processes do."""
    done = threading.Event()
    errors: list[Exception] = []

    def sweep_on() -> None:
        while not done.is_set():
            sweep_scratch()

    def use() -> None:
        try:
            for _ in range(150):
                with ExitStack() as stack:
                    folders = [stack.enter_context(scratch_directory()) for _ in range(2)]
                    for folder in folders:
                        (folder / "rows").write_text("x")
                        assert (folder / "rows").read_text() == "x"
        except Exception as error:
            errors.append(error)

    sweepers = [threading.Thread(target=sweep_on) for _ in range(2)]
    users = [threading.Thread(target=use) for _ in range(2)]
    for thread in (*sweepers, *users):
        thread.start()
    for thread in users:
        thread.join()
    done.set()
    for thread in sweepers:
        thread.join()
    assert errors == []
    assert list(temporary.iterdir()) == []


def test_a_directory_for_temporary_files_that_is_gone_is_an_error_in_words(temporary: Path) -> None:
    assert tempfile.gettempdir() == str(temporary)
    temporary.rmdir()
    with pytest.raises(StoreError, match=r"temporary files .* Look at TMPDIR"), scratch_directory():
        pytest.fail("there is no place for it")
    with pytest.raises(StoreError, match=r"Temporary files cannot be written .* Look at TMPDIR"):
        scratch_file()
