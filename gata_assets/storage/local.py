"""Objects as files of a directory, laid out as the bucket is.

A write goes to a hidden staging folder, is flushed to the disk and renamed under a lock, which every process that
writes to the directory takes: the rename replaces exactly the version that the condition compared. No result counts
that comes from another directory than the one that the process began with (`same_directory`).
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from time import time_ns
from typing import BinaryIO

from gata_assets.errors import ConflictError, ObjectNotFoundError, StoreError
from gata_assets.storage import same_directory
from gata_assets.storage.directory.listing import file_at, files_below, folders_in
from gata_assets.storage.directory.staging import FileWriter, remove_unlocked
from gata_assets.storage.objects import ABSENT, Guard, ObjectStore, ObjectWriter, Version

_STAGING, _LOCK = ".staging", "lock"
_COPIED_AT_ONCE = 1 << 20
_PRIVATE_FOLDER, _OTHERS = 0o700, 0o077


class LocalStore(ObjectStore):
    """ObjectStore as files below a directory, which is created when the first is written."""

    is_guarding = True
    lists_odd_files = True

    def __init__(self, directory: str) -> None:
        """`directory` need not exist."""
        self.directory = directory

    def write(
        self,
        key: str,
        content: bytes,
        *,
        expected: Version | None = None,
        guard: Guard | None = None,
        unlike: Collection[Version] = (),  # noqa: ARG002 (no version comes twice)
        is_private: bool = False,
    ) -> Version:
        """See ObjectStore."""
        with self._writer(key, expected, guard, is_private=is_private) as writer:
            writer.write(content)
        return writer.version

    def write_file(self, key: str, path: Path, *, is_private: bool = False) -> None:
        """See ObjectStore."""
        with (
            self._errors(f"written from {path}", self._path(key)),
            path.open("rb") as file,
            self._writer(key, is_private=is_private) as writer,
        ):
            shutil.copyfileobj(file, writer, _COPIED_AT_ONCE)

    def open_write(self, key: str, *, expected: Version | None = None) -> ObjectWriter:
        """See ObjectStore."""
        return self._writer(key, expected)

    def move(self, key: str, to: str) -> None:
        """See ObjectStore; a rename."""
        path, target = self._path(key), self._path(to)
        with self._errors(f"moved to {target}", path):
            if not file_at(path):
                raise ObjectNotFoundError(f"There is no {path}.")
            self._staging()
            self._make_folder(target.parent, is_private=False)
            with self._locked():
                try:
                    path.replace(target)
                except FileNotFoundError:
                    raise ObjectNotFoundError(f"There is no {path}.") from None

    @contextmanager
    def open_read(self, key: str) -> Iterator[BinaryIO]:
        """See ObjectStore."""
        with self.local_copy(key) as path:
            with self._errors("read", path):
                try:
                    file = path.open("rb")
                except FileNotFoundError:
                    raise ObjectNotFoundError(f"There is no {path}.") from None
            with file:
                yield file

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """See ObjectStore; the object itself, which is not to be changed."""
        path = self._path(key)
        if not self.exists(key):
            raise ObjectNotFoundError(f"There is no {path}.")
        try:
            yield path
        except Exception:
            # What could not be read because the directory is gone is not damaged; other errors are the caller's own.
            with self._errors("read", path):
                pass
            raise

    def list_keys(self, prefix: str) -> Iterator[str]:
        """See ObjectStore; unfinished writes are not listed, nor hidden folders that may not be read (`.snapshot`)."""
        yield from self._list(prefix, None)

    def list_delivered(self, prefix: str) -> Iterator[str]:
        """See ObjectStore; a folder that may not be listed is listed itself."""
        yield from self._list(prefix, [])

    def list_folders(self, prefix: str) -> Iterator[str]:
        """See ObjectStore."""
        start = self._path(prefix) if prefix else Path(self.directory)
        with self._errors("listed", start):
            found = folders_in(start)
        yield from (name for name in found if prefix or name != _STAGING)

    def _list(self, prefix: str, closed: list[str] | None) -> list[str]:
        """The keys that begin with a prefix; with `closed`, also those of folders that may not be listed."""
        folder, _, _ = prefix.rpartition("/")
        start = self._path(folder) if folder else Path(self.directory)
        with self._errors("listed", start):
            found = files_below(Path(self.directory), start, staging=_STAGING, closed=closed)
        return sorted(key for key in (*found, *(closed or ())) if key.startswith(prefix))

    def list_versions(self, prefix: str) -> Iterator[tuple[str, Version]]:
        """See ObjectStore; a file that was deleted after it was listed is left out."""
        keys = self._list(prefix, None)
        with self._errors("looked for", Path(self.directory)):
            # Of many keys, to make a path of each would take most of the time.
            found = [(key, file_at(f"{self.directory}/{key}")) for key in keys]
        yield from ((key, _version(file)) for key, file in found if file)

    def version(self, key: str) -> Version:
        """See ObjectStore; every write creates a new file, with a time in nanoseconds."""
        found = self._look_at(key)
        return _version(found) if found else ABSENT

    def delivered_version(self, key: str) -> Version:
        """See ObjectStore; with the time of the last change, which nobody can set back as that of the content."""
        found = self._look_at(key)
        return Version(f"{_version(found)}-{found.st_ctime_ns}") if found else ABSENT

    def delivered_after(self, key: str, version: Version) -> Version:
        """See ObjectStore."""
        found = self.delivered_version(key)
        return found if found.startswith(f"{version}-") else Version(f"{version}-")

    def _look_at(self, key: str) -> os.stat_result | None:
        """What is known of a regular file; None if there is none."""
        path = self._path(key)
        with self._errors("looked for", path):
            return file_at(path)

    def read_versioned(self, key: str) -> tuple[bytes, Version]:
        """See ObjectStore; the version is that of the open file, which no rename replaces."""
        with self._open(key) as file:
            return file.read(), _version(os.fstat(file.fileno()))

    def read_part(self, key: str, start: int, size: int) -> bytes:
        """See ObjectStore."""
        with self._open(key) as file:
            return os.pread(file.fileno(), size, start)

    def delete(self, key: str, *, expected: Version | None = None, guard: Guard | None = None) -> None:
        """See ObjectStore."""
        path = self._path(key)
        if not self.exists(key):
            return
        with self._errors("deleted", path):
            self._staging()
            with self._locked():
                self._require(key, expected, guard)
                path.unlink(missing_ok=True)

    def unfinished_files(self) -> Iterator[Path]:
        """The files of writes that are in progress, or were cut off, until the next write removes these; one may be
        gone when it is opened. Raises StoreError.
        """
        staging = Path(self.directory, _STAGING)
        with self._errors("listed", staging):
            found = sorted(staging.iterdir()) if staging.is_dir() else []
        return (path for path in found if path.name != _LOCK)

    def uri(self, key: str) -> str:
        """See ObjectStore."""
        return str(self._path(key))

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key)
        if parts.is_absolute() or ".." in parts.parts or not parts.parts:
            raise StoreError(f"'{key}' is not a key: a relative path without `..` is needed.")
        return Path(self.directory, *parts.parts)

    @contextmanager
    def _open(self, key: str) -> Iterator[BinaryIO]:
        path = self._path(key)
        with self._errors("read", path):
            try:
                with path.open("rb", buffering=0) as file:
                    yield file
            except FileNotFoundError:
                raise ObjectNotFoundError(f"There is no {path}.") from None

    def _writer(
        self, key: str, expected: Version | None = None, guard: Guard | None = None, *, is_private: bool = False
    ) -> FileWriter:
        """A new file in the staging folder, renamed to the key once it is on disk and the conditions hold."""
        path = self._path(key)

        def place(aside: Path) -> Version:
            with self._locked():
                self._require(key, expected, guard)
                # The file system's own clock has milliseconds, and inodes are soon reused.
                now = time_ns()
                os.utime(aside, ns=(now, now))
                version = _version(aside.stat())
                aside.replace(path)
                return version

        writer: FileWriter | None = None
        try:
            with self._errors("written", path):
                same_directory.create(self.directory)
                self._make_folder(path.parent, is_private=is_private)
                errors = partial(self._errors, "written", path)
                writer = FileWriter(self._staging(), place, errors, is_private=is_private)
        except StoreError:
            # Also if the directory was replaced meanwhile, which is found at the end.
            if writer:
                writer.abort()
            raise
        return writer

    def _make_folder(self, folder: Path, *, is_private: bool) -> None:
        """Create the folder of a key, but not the store's directory, which may have been unmounted."""
        if not folder.is_dir():
            place = Path(self.directory)
            for name in folder.relative_to(place).parts:
                place /= name
                with suppress(FileExistsError):
                    place.mkdir()
        # Also one of an earlier release. Another user's folder stays as it is: its files are private by themselves.
        if is_private and folder.stat().st_mode & _OTHERS:
            with suppress(PermissionError):
                folder.chmod(_PRIVATE_FOLDER)

    def _require(self, key: str, expected: Version | None, guard: Guard | None) -> None:
        for place, required in ((key, expected), guard or (key, None)):
            if required is not None and self.version(place) != required:
                raise ConflictError(f"{self.uri(key)} was not changed: {self.uri(place)} was, by another command.")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Block all other writers of the directory, in this process and in others."""
        lock = os.open(Path(self.directory, _STAGING, _LOCK), os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _staging(self) -> Path:
        """A folder on the same file system that readers do not list, without what killed processes left in it: they may
        be texts of tickets.
        """
        staging = Path(self.directory, _STAGING)
        staging.mkdir(exist_ok=True)
        for left in staging.iterdir():
            if left.name != _LOCK:
                with suppress(OSError):
                    remove_unlocked(left)
        return staging

    @contextmanager
    def _errors(self, done: str, path: Path) -> Iterator[None]:
        """Raise an error of the file system as a StoreError that says what could not be done.

        Nothing counts, no result and no absence, if the directory was removed or replaced meanwhile.
        """
        advice = "Look at TARGET_DIR, its rights and the space on the disk."
        try:
            try:
                yield
            except Exception:
                same_directory.is_present(self.directory)
                raise
            same_directory.is_present(self.directory)
        except OSError as error:
            raise StoreError(f"{path} cannot be {done}: {error.strerror}. {advice}") from None


def _version(found: os.stat_result) -> Version:
    return Version(f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}")
