"""New files beside the objects of a directory, which no reader lists: locked by their process while it writes them."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from gata_assets.errors import StoreError
from gata_assets.storage.objects import Content, ObjectWriter, Version

_PRIVATE_FILE = 0o600
_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_ATTEMPTS = 20


class FileWriter(ObjectWriter):
    """A file in the staging folder. It stays open, and so locked, until it has its place."""

    def __init__(
        self,
        staging: Path,
        place: Callable[[Path], Version],
        errors: Callable[[], AbstractContextManager[None]],
        *,
        is_private: bool,
    ) -> None:
        """`place` renames the file; in `errors` everything is done, so that OSErrors are those of the store."""
        self._aside, self._file = _open_aside(staging)
        self._place, self._errors = place, errors
        self._mode = _PRIVATE_FILE if is_private else None

    def write(self, content: Content) -> None:
        """See ObjectWriter."""
        with self._errors():
            self._file.write(content)

    def _commit(self) -> Version:
        with self._errors(), self._file as file:
            os.fchmod(file.fileno(), _usual_mode(self._aside.parent) if self._mode is None else self._mode)
            file.flush()
            os.fsync(file.fileno())
            return self._place(self._aside)

    def abort(self) -> None:
        """See ObjectWriter."""
        with suppress(OSError):
            self._aside.unlink(missing_ok=True)
        with suppress(OSError):
            # What is still buffered cannot be written on a full disk.
            self._file.close()


def _open_aside(staging: Path) -> tuple[Path, BinaryIO]:
    """A new file that nobody else can read, locked for as long as it is open."""
    for _ in range(_MOST_ATTEMPTS):
        aside = staging / uuid4().hex
        file = os.fdopen(os.open(aside, _NEW | os.O_RDWR, _PRIVATE_FILE), "wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_nlink:
                return aside, file
        except BlockingIOError:
            pass
        # Another process took it for a leftover before it was locked.
        file.close()
    raise StoreError(f"No file can be written in {staging}: others delete it at once.")


def remove_unlocked(left: Path) -> None:
    """Delete a file of a process that was killed: who writes it holds its lock."""
    file = os.open(left, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        left.unlink()
    finally:
        os.close(file)


def _usual_mode(staging: Path) -> int:
    """The mode that a new file has there by the umask and the folder's access list."""
    probe = staging / uuid4().hex
    file = os.open(probe, _NEW | os.O_WRONLY, 0o666)
    try:
        return stat.S_IMODE(os.fstat(file).st_mode)
    finally:
        os.close(file)
        probe.unlink(missing_ok=True)
