"""What lands: content that nobody else can change, and its SHA-256. Files and streams of others are copied for that.

`landing` decides whether it lands, and under which key.
"""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from gata_assets.curation.files.formats import RawSource
from gata_assets.curation.files.raw_objects import opened
from gata_assets.errors import RawFileError, StoreError
from gata_assets.storage.objects import ObjectStore, Version

_READ_AT_ONCE = 1 << 20


class FixedContent(ABC):
    """Content that nobody else can change."""

    sha256: str

    @abstractmethod
    def opened(self) -> AbstractContextManager[RawSource]:
        """The content, to read it; raises StoreError."""

    @abstractmethod
    def store_as(self, store: ObjectStore, key: str) -> None:
        """Store it under a key, atomically; raises StoreError."""


@dataclass(frozen=True)
class PrivateCopy(FixedContent):
    """A file in a private directory."""

    path: Path
    sha256: str

    def opened(self) -> AbstractContextManager[RawSource]:
        """See FixedContent."""
        return nullcontext(self.path)

    def store_as(self, store: ObjectStore, key: str) -> None:
        """See FixedContent."""
        store.write_file(key, self.path)


@dataclass(frozen=True)
class HeldContent(FixedContent):
    """A few megabytes in memory."""

    content: bytes
    sha256: str

    def opened(self) -> AbstractContextManager[RawSource]:
        """See FixedContent."""
        return BytesIO(self.content)

    def store_as(self, store: ObjectStore, key: str) -> None:
        """See FixedContent."""
        self.store_raw(store, key)

    def store_raw(self, store: ObjectStore, key: str) -> Version:
        """As `store_as`; returns the version of the raw file."""
        return store.delivered_after(key, store.write(key, self.content))


@dataclass(frozen=True)
class StoredContent(FixedContent):
    """An object under a key that nobody else knows: it gets another key when it lands."""

    store: ObjectStore
    key: str
    sha256: str

    def opened(self) -> AbstractContextManager[RawSource]:
        """See FixedContent."""
        return opened(self.store, self.key)

    def store_as(self, store: ObjectStore, key: str) -> None:
        """See FixedContent; `store` is that of the object."""
        store.move(self.key, key)


def copy_privately(source: Path | BinaryIO, scratch: Path) -> PrivateCopy:
    """A copy of what is read of a source, once, in a private directory."""
    path = scratch / "file"
    return PrivateCopy(path, copy_once(source, path))


def copy_once(source: Path | BinaryIO, to: Path) -> str:
    """Copy what is read of a source, once; returns the SHA-256 of the copy."""
    digest = sha256()
    with _opened(source) as stream:
        before = _identity(stream)
        try:
            with to.open("wb") as copy:
                while block := _read(stream):
                    digest.update(block)
                    copy.write(block)
        except OSError as error:
            advice = "Look at the space on the disk of temporary files (TMPDIR)."
            raise StoreError(
                f"The copy of the file cannot be written to {to.parent}: {error.strerror}. {advice}"
            ) from None
        if before and isinstance(source, Path):
            is_same = before == _identity(stream) == _identity(source) and before.size == to.stat().st_size
        else:
            is_same = before == _identity(stream)
        if not is_same:
            raise RawFileError("changed while it was read: send it again when it is complete.")
    return digest.hexdigest()


@contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(source, Path):
        yield source
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise RawFileError(f"cannot be read: {error.strerror}.") from None
    with file:
        yield file


def _read(stream: BinaryIO) -> bytes:
    try:
        return stream.read(_READ_AT_ONCE)
    except OSError as error:
        raise RawFileError(f"cannot be read: {error.strerror}.") from None


@dataclass(frozen=True)
class _Identity:
    """What distinguishes a regular file from every other, and from itself once it is changed."""

    device: int
    inode: int
    size: int
    modified_ns: int


def _identity(source: Path | BinaryIO) -> _Identity | None:
    """The identity of a regular file; None for anything else, such as a FIFO."""
    try:
        found = source.stat() if isinstance(source, Path) else os.fstat(source.fileno())
    except OSError:
        # io.UnsupportedOperation too, of a stream that is no file.
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return _Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
