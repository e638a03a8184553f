"""The interface of object stores: bytes under keys. `local` has the directory, `s3` the bucket.

A store knows neither datasets nor tables. Nor Dagster, which costs memory and a second that a command without a run
need not spend: `resource` and `s3` have stores as resources of runs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, NewType, Self

# Distinguishes an object from every other past or future one under its key; in S3 its ETag, a digest of its content.
Version = NewType("Version", str)
# The version of a key without an object.
ABSENT = Version("")


class Guard(NamedTuple):
    """Another object that must have a given version during a write."""

    key: str
    version: Version


# Bytes, as whoever received them has them.
Content = bytes | bytearray | memoryview


class ObjectWriter(ABC):
    """The bytes of an object, one after another: it is there once all are written, and nothing of it is before.

    A context that ends without an error commits, any other aborts.
    """

    # Of the object, once it is there.
    version: Version = ABSENT

    @abstractmethod
    def write(self, content: Content) -> None:
        """Add bytes, of which few are held in memory; raises StoreError."""

    def commit(self) -> Version:
        """Let the object be there, and return its version; raises ConflictError or StoreError, and aborts then."""
        try:
            self.version = self._commit()
        except BaseException:
            self.abort()
            raise
        return self.version

    @abstractmethod
    def _commit(self) -> Version:
        """As `commit`, which aborts if this fails."""

    @abstractmethod
    def abort(self) -> None:
        """Remove what was written so far, as far as that can be done now; raises nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.commit()
        else:
            self.abort()


class KeptVersion(NamedTuple):
    """Bytes that a store keeps of an object: those that the key has now, or earlier ones.

    Attributes:
        key: of the object.
        name: of the version, among those of its key.
        size: its bytes.
        archive: the storage class from which it has to be restored before it can be read; empty for none.
    """

    key: str
    name: str
    size: int
    archive: str


class ObjectHistory(ABC):
    """What a store keeps beside the present objects, and what it cannot give at once. Keys are those of the store."""

    @abstractmethod
    def old_versions(self) -> Iterator[KeptVersion]:
        """The versions that were superseded or deleted, and are kept; raises StoreError for a partial list."""

    @abstractmethod
    def archived(self) -> Iterator[KeptVersion]:
        """The versions in an archive, restored or not, present ones and old ones; raises as `old_versions`."""

    @abstractmethod
    def open_read(self, kept: KeptVersion) -> AbstractContextManager[BinaryIO]:
        """A version as a file that can seek, read in parts; raises ObjectNotFoundError, ArchivedError or StoreError."""

    @abstractmethod
    def delete(self, kept: KeptVersion) -> None:
        """Delete a version for good, if it exists; raises DeleteDeniedError or StoreError."""

    @abstractmethod
    def restore(self, kept: KeptVersion) -> int:
        """Have a version restored from its archive, unless it is or is being restored.

        Returns:
            The hours after which it can be read at the latest; 0 if it can be read now, or is no more.

        Raises StoreError.
        """


class ObjectStore(ABC):
    """ObjectStore by key: a `/`-separated path without a leading slash."""

    # Whether a guard is checked atomically with the object that it guards; if not, it is not checked at all.
    is_guarding: bool = False
    # Whether `list_keys` may list names without an object, such as a FIFO or a link to a folder; their version is
    # ABSENT, their URI a path.
    lists_odd_files: bool = False

    @property
    def has_conditions(self) -> bool:
        """Whether the store itself enforces conditions, so that no other writer can interfere."""
        return True

    @abstractmethod
    def write(
        self,
        key: str,
        content: bytes,
        *,
        expected: Version | None = None,
        guard: Guard | None = None,
        unlike: Collection[Version] = (),
        is_private: bool = False,
    ) -> Version:
        """Store an object atomically, replacing the one under its key.

        Args:
            key: The key.
            content: All bytes of the object.
            expected: The version that must be under the key (ABSENT: none); None to overwrite any version.
            guard: Another object that must have its version, if the store `is_guarding`.
            unlike: Versions that the object should not get, if the store has a choice.
            is_private: Whether a directory lets its owner alone read the object and its folder, which has private
                objects only; in a bucket, policies say who reads what.

        Returns:
            The version that was stored.

        Raises:
            ConflictError: The key has another version; nothing was written.
            StoreError: It could not be written.
        """

    def read(self, key: str) -> bytes:
        """An object's bytes; raises ObjectNotFoundError, or StoreError."""
        return self.read_versioned(key)[0]

    @abstractmethod
    def read_versioned(self, key: str) -> tuple[bytes, Version]:
        """An object's bytes and their version; raises ObjectNotFoundError, or StoreError."""

    @abstractmethod
    def read_part(self, key: str, start: int, size: int) -> bytes:
        """`size` bytes of an object from `start` on (counted from 0), fewer if it ends before.

        Raises ObjectNotFoundError, or StoreError.
        """

    @abstractmethod
    def write_file(self, key: str, path: Path, *, is_private: bool = False) -> None:
        """Store a file's bytes atomically, however large, replacing the object under the key; raises StoreError.

        `is_private` is as in `write`.
        """

    @abstractmethod
    def open_write(self, key: str, *, expected: Version | None = None) -> ObjectWriter:
        """Store an object whose bytes come one after another, however many, replacing the one under the key.

        `expected` is as in `write`, and decided by `commit`. Who is killed meanwhile leaves nothing under the key.
        """

    @abstractmethod
    def open_read(self, key: str) -> AbstractContextManager[BinaryIO]:
        """An object as a file that can seek, read in parts without a copy; each part is of the object as it was opened.

        Raises ObjectNotFoundError, or StoreError: also later, and if the object was replaced meanwhile and the store
        has no longer the one that was opened.
        """

    @abstractmethod
    def move(self, key: str, to: str) -> None:
        """Give an object another key, atomically, replacing what is there; its bytes do not come here.

        What may not be deleted stays under its first key as well. Raises ObjectNotFoundError, or StoreError.
        """

    @abstractmethod
    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """An object as a readable file during the context: the object itself, or a copy that is removed at the end.

        Raises ObjectNotFoundError, or StoreError.
        """

    @abstractmethod
    def list_versions(self, prefix: str) -> Iterator[tuple[str, Version]]:
        """The keys that begin with a prefix, ascending, with their versions; raises StoreError for a partial list."""

    def list_keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with a prefix, ascending; raises StoreError when they cannot all be listed.

        Not named `keys`: Dagster treats a resource with that method as a mapping.
        """
        return (key for key, _ in self.list_versions(prefix))

    def list_delivered(self, prefix: str) -> Iterator[str]:
        """As `list_keys`, where others than this project write: one folder of theirs that may not be listed keeps no
        other key from being listed, and is listed itself, as a name without an object.
        """
        return self.list_keys(prefix)

    @abstractmethod
    def list_folders(self, prefix: str) -> Iterator[str]:
        """The names of the folders in a folder that have a key below, ascending: `prefix` ends with a slash, or is
        empty for all of the store. Raises StoreError when they cannot all be listed.
        """

    @abstractmethod
    def version(self, key: str) -> Version:
        """The version under the key, ABSENT without an object; raises StoreError if that cannot be found out."""

    def delivered_version(self, key: str) -> Version:
        """The version of an object that others than this project may overwrite, also in place; as `version` else."""
        return self.version(key)

    def delivered_after(self, key: str, version: Version) -> Version:  # noqa: ARG002
        """The `delivered_version` of an object that was just written and got this version; no version that it will ever
        have if it was overwritten since.
        """
        return version

    def exists(self, key: str) -> bool:
        """Whether the key has an object; raises StoreError if that cannot be found out."""
        return self.version(key) != ABSENT

    def versions_of(self, content: bytes) -> frozenset[Version]:  # noqa: ARG002
        """The versions that prove that an object has this content; none if versions do not depend on content."""
        return frozenset()

    @abstractmethod
    def delete(self, key: str, *, expected: Version | None = None, guard: Guard | None = None) -> None:
        """Delete an object if it exists; raises DeleteDeniedError, ConflictError or StoreError.

        `expected` and `guard` are as in `write`.
        """

    def history(self) -> ObjectHistory | None:
        """What it keeps beside the present objects; None for a store that has nothing but these."""
        return None

    @abstractmethod
    def uri(self, key: str) -> str:
        """Where an object is, for people: `s3://bucket/key` or a path."""

    def page(self, key: str) -> str | None:  # noqa: ARG002
        """The URL of a page that shows an object to users with access; None if there is no such page."""
        return None
