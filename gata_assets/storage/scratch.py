"""Private scratch space for rows that are between a file and the target; what killed processes left is removed.

Each directory is 0700 in the directory for temporary files (TMPDIR), with a lock that its process holds as long as it
needs the directory: the kernel frees it however the process ends. Whoever starts next removes the directories of this
user whose lock is free. A shared directory such as /tmp contains what others put there: a link is never followed, and
nothing of another user is touched.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryFile, gettempdir
from typing import BinaryIO

from gata_assets.errors import StoreError

_LOCK, _FILES = "lock", "files"
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_ATTEMPTS = 20
# The directories for temporary files that this process has swept; a copy in a forked child is right too.
_swept: set[str] = set()


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """An empty directory that nobody else can read, removed at the end; raises StoreError if it cannot be made.

    The first of a process also removes what killed processes of this user left.
    """
    root = gettempdir()
    if root not in _swept:
        sweep_scratch()
    folder, lock = _locked_folder(root)
    try:
        yield folder / _FILES
    finally:
        with suppress(OSError):
            _remove(str(folder), None)
        os.close(lock)


def scratch_file() -> BinaryIO:
    """An empty file without a name, which is gone when it is closed; raises StoreError if it cannot be made."""
    try:
        return TemporaryFile(prefix=_prefix())
    except OSError as error:
        raise _unavailable(gettempdir(), error) from None


def sweep_scratch() -> int:
    """Remove the scratch directories that killed processes of this user left; returns how many."""
    root = gettempdir()
    _swept.add(root)
    removed = 0
    with suppress(OSError):
        above = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in os.listdir(above):  # noqa: PTH208 (of the open directory)
                if name.startswith(_prefix()):
                    with suppress(OSError):
                        removed += _sweep(name, above)
        finally:
            os.close(above)
    return removed


def regular_files(folder: Path) -> Iterator[Path]:
    """The files below a folder, which may be gone; links are not followed, and left out. Raises StoreError."""

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise StoreError(f"{error.filename} cannot be listed: {error.strerror}. Look at its rights.")

    for place, folders, files in os.walk(folder, onerror=refuse):
        folders.sort()
        found = (Path(place, name) for name in sorted(files))
        yield from (path for path in found if path.is_file() and not path.is_symlink())


def scratch_files() -> Iterator[Path]:
    """The files in scratch directories of this user, of running and of killed processes; links are left out.

    One may be gone when it is opened. Raises StoreError if the directory for temporary files cannot be listed.
    """
    root = gettempdir()
    try:
        names = [entry.name for entry in os.scandir(root) if entry.name.startswith(_prefix())]
    except OSError as error:
        raise _unavailable(root, error) from None
    for name in sorted(names):
        yield from regular_files(Path(root, name))


def _prefix() -> str:
    return f"gata-{os.geteuid()}-"


def _locked_folder(root: str) -> tuple[Path, int]:
    """A new directory and the open file whose lock says that it is in use."""
    for _ in range(_MOST_ATTEMPTS):
        folder = Path(root, f"{_prefix()}{token_hex(8)}")
        try:
            folder.mkdir(mode=0o700)
            lock = os.open(folder / _LOCK, _LOCK_FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        except (FileExistsError, FileNotFoundError):
            # Another process has swept it before it was locked.
            if not Path(root).is_dir():
                break
            continue
        except OSError as error:
            raise _unavailable(root, error) from None
        try:
            if _try_lock(lock):
                (folder / _FILES).mkdir(mode=0o700)
                if os.fstat(lock).st_nlink:
                    return folder, lock
        except FileNotFoundError:
            pass
        except OSError as error:
            os.close(lock)
            raise _unavailable(root, error) from None
        os.close(lock)
    raise StoreError(f"No directory for temporary files can be made in {root}. Look at TMPDIR.")


def _try_lock(lock: int) -> bool:
    """Whether the lock is ours now; where there are no locks it counts as that, since nobody can sweep."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _sweep(name: str, above: int) -> bool:
    """Remove a directory of this user if no process uses it; whether it was removed."""
    folder = os.open(name, _FOLDER_FLAGS, dir_fd=above)
    try:
        if os.fstat(folder).st_uid != os.geteuid():
            return False
        try:
            lock = os.open(_LOCK, _LOCK_FLAGS, dir_fd=folder)
        except FileNotFoundError:
            # Its process was killed, or is, between two steps: without content alone it is removed.
            os.rmdir(name, dir_fd=above)
            return True
        try:
            if not stat.S_ISREG(os.fstat(lock).st_mode):
                return False
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.fstat(lock).st_nlink:
                return False
            _remove(name, above)
        finally:
            os.close(lock)
    finally:
        os.close(folder)
    return True


def _remove(name: str, above: int | None) -> None:
    """Remove the content before the lock: who is killed meanwhile leaves what the next sweep finds."""
    folder = os.open(name, _FOLDER_FLAGS, dir_fd=above)
    try:
        with suppress(FileNotFoundError):
            shutil.rmtree(_FILES, dir_fd=folder)
        os.unlink(_LOCK, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=above)


def _unavailable(root: str, error: OSError) -> StoreError:
    return StoreError(
        f"Temporary files cannot be written in {root}: {error.strerror}. Look at TMPDIR, its rights and its space."
    )
