"""Where bytes are kept under keys: what every store offers, and a local directory, laid out as the bucket is.

A store knows nothing of datasets and tables. Nor of Dagster, which takes memory and a second that a command without a
run has no use for: as resources of runs, stores stand in `object_store` and `s3_store`.
"""

from __future__ import annotations

import os
import shutil
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path, PurePosixPath
from time import time
from typing import BinaryIO, NoReturn
from uuid import uuid4

from gata_assets.errors import ObjectNotFoundError, StoreError

_STAGING = ".staging"
_COPIED_AT_ONCE = 1 << 20
# No write takes this long: a file in the staging place that is older belongs to nobody.
_LEFT_BEHIND_SECONDS = 3_600


class ObjectStore(ABC):
    """ObjectStore by key: a `/`-separated path without a leading slash."""

    @abstractmethod
    def write(self, key: str, content: bytes) -> None:
        """Store an object whole or not at all, in place of what was there; raises StoreError."""

    @abstractmethod
    def read(self, key: str) -> bytes:
        """An object's bytes; raises ObjectNotFoundError, or StoreError."""

    @abstractmethod
    def read_part(self, key: str, start: int, size: int) -> bytes:
        """So many bytes of an object from `start` on (counted from 0), fewer where it ends before.

        Raises ObjectNotFoundError, or StoreError.
        """

    @abstractmethod
    def write_file(self, key: str, path: Path) -> None:
        """Store a file's bytes whole or not at all, however large, in place of what was there; raises StoreError."""

    @abstractmethod
    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """An object as a file to be read while the context lasts: itself, or a copy that is removed at the end.

        Raises ObjectNotFoundError, or StoreError.
        """

    @abstractmethod
    def list_keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with a prefix, ascending; raises StoreError when they cannot all be told.

        Not named `keys`: Dagster takes a resource that has one for a mapping.
        """

    @abstractmethod
    def list_versions(self, prefix: str) -> Iterator[tuple[str, str]]:
        """As `list_keys`, each key with a mark of its object that is another once that was written over."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is an object under the key; raises StoreError when that cannot be told."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object, or find that there is none; raises DeleteDeniedError, or StoreError."""

    @abstractmethod
    def uri(self, key: str) -> str:
        """Where an object is, for people: `s3://bucket/key` or a path."""

    @abstractmethod
    def page(self, key: str) -> str | None:
        """The address at which a browser shows an object to who may see it; None where there is no such page."""


class LocalStore(ObjectStore):
    """ObjectStore as files below a directory, which is made when the first is written."""

    def __init__(self, directory: str) -> None:
        """`directory` need not be there."""
        self.directory = directory

    def write(self, key: str, content: bytes) -> None:
        """See ObjectStore; written beside, flushed to the disk and renamed."""
        path = self._path(key)
        try:
            with self._write_aside(path) as aside:
                aside.write(content)
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}. {_ADVICE}") from None

    def write_file(self, key: str, path: Path) -> None:
        """See ObjectStore; copied beside, flushed to the disk and renamed."""
        place = self._path(key)
        try:
            with path.open("rb") as file, self._write_aside(place) as aside:
                shutil.copyfileobj(file, aside, _COPIED_AT_ONCE)
        except OSError as error:
            raise StoreError(f"{place} cannot be written from {path}: {error.strerror}. {_ADVICE}") from None

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """See ObjectStore; the object itself, which is not to be changed."""
        path = self._path(key)
        if not self.exists(key):
            raise ObjectNotFoundError(f"There is no {path}.")
        yield path

    def list_keys(self, prefix: str) -> Iterator[str]:
        """See ObjectStore; what is being written is not listed."""
        yield from self._walk(prefix)

    def list_versions(self, prefix: str) -> Iterator[tuple[str, str]]:
        """See ObjectStore; every write is a file of its own. One that went after it was listed is left out."""
        for key in self._walk(prefix):
            path = self._path(key)
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StoreError(f"{path} cannot be listed: {error.strerror}. {_ADVICE}") from None
            yield key, f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"

    def _walk(self, prefix: str) -> list[str]:
        root = Path(self.directory)
        folder, _, _ = prefix.rpartition("/")
        start = self._path(folder) if folder else root
        found = []
        try:
            if start.is_dir():
                for place, folders, files in os.walk(start, onerror=_raise):
                    if Path(place) == root and _STAGING in folders:
                        folders.remove(_STAGING)
                    found += [Path(place, name).relative_to(root).as_posix() for name in files]
        except OSError as error:
            raise StoreError(f"{start} cannot be listed: {error.strerror}. {_ADVICE}") from None
        return sorted(key for key in found if key.startswith(prefix))

    def read(self, key: str) -> bytes:
        """See ObjectStore."""
        path = self._path(key)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise ObjectNotFoundError(f"There is no {path}.") from None
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}. {_ADVICE}") from None

    def read_part(self, key: str, start: int, size: int) -> bytes:
        """See ObjectStore."""
        path = self._path(key)
        try:
            with path.open("rb", buffering=0) as file:
                return os.pread(file.fileno(), size, start)
        except FileNotFoundError:
            raise ObjectNotFoundError(f"There is no {path}.") from None
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}. {_ADVICE}") from None

    def exists(self, key: str) -> bool:
        """See ObjectStore."""
        path = self._path(key)
        try:
            return stat.S_ISREG(path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise StoreError(f"{path} cannot be looked for: {error.strerror}. {_ADVICE}") from None

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{path} cannot be deleted: {error.strerror}. {_ADVICE}") from None

    def uri(self, key: str) -> str:
        """See ObjectStore."""
        return str(self._path(key))

    def page(self, key: str) -> str | None:  # noqa: ARG002
        """See ObjectStore; a browser opens no file from a server's page, whichever it is."""
        return None

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key)
        if parts.is_absolute() or ".." in parts.parts or not parts.parts:
            raise StoreError(f"'{key}' is not a key: a relative path without `..` is needed.")
        return Path(self.directory, *parts.parts)

    @contextmanager
    def _write_aside(self, path: Path) -> Iterator[BinaryIO]:
        """A file to write to, which becomes the path when all went well and is on the disk, and nothing if not."""
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._staging() / uuid4().hex
        try:
            with aside.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise

    def _staging(self) -> Path:
        """A place on the same file system, outside of the folders that readers list; swept of what a killed process
        left there, since that may be tickets' texts.
        """
        staging = Path(self.directory, _STAGING)
        staging.mkdir(exist_ok=True)
        for left in staging.iterdir():
            # Another process may rename its file away between the listing and the look.
            with suppress(FileNotFoundError):
                if time() - left.stat().st_mtime > _LEFT_BEHIND_SECONDS:
                    left.unlink()
        return staging


def _raise(error: OSError) -> NoReturn:
    raise error


_ADVICE = "Look at TARGET_DIR, its rights and the space on the disk."
