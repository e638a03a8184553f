"""Where bytes are kept under keys: what every store offers. The local directory is in `local`, the bucket in `s3`.

A store knows nothing of datasets and tables. Nor of Dagster, which takes memory and a second that a command without a
run has no use for: as resources of runs, stores are in `resource` and `s3`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, NewType

# What tells an object from every other that was or will be under its key; in S3 its ETag, a digest of its content.
Version = NewType("Version", str)
# The version of a key without an object.
ABSENT = Version("")


class Guard(NamedTuple):
    """Another object that must have a version while a write is carried out."""

    key: str
    version: Version


class ObjectStore(ABC):
    """ObjectStore by key: a `/`-separated path without a leading slash."""

    # Whether a guard is looked at in the same moment as what it guards; where not, it is not looked at.
    is_guarding: bool = False

    @property
    def has_conditions(self) -> bool:
        """Whether the store itself carries conditions out, so that no other writer comes in between."""
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
    ) -> Version:
        """Store an object whole or not at all, in place of what was there.

        Args:
            key: Where.
            content: All bytes of the object.
            expected: The version that must be under the key (ABSENT: none); None to overwrite whatever is there.
            guard: Another object that must be as it says, where the store `is_guarding`.
            unlike: Versions that the object should not get, where the store has a choice.

        Returns:
            The version that was stored.

        Raises:
            ConflictError: Another version is there; nothing was written.
            StoreError: It could not be written.
        """

    @abstractmethod
    def read(self, key: str) -> bytes:
        """An object's bytes; raises ObjectNotFoundError, or StoreError."""

    @abstractmethod
    def read_versioned(self, key: str) -> tuple[bytes, Version]:
        """An object's bytes and their version; raises ObjectNotFoundError, or StoreError."""

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
    def list_versions(self, prefix: str) -> Iterator[tuple[str, Version]]:
        """The keys that begin with a prefix, ascending, with their versions; raises StoreError for a partial list."""

    def list_keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with a prefix, ascending; raises StoreError when they cannot all be listed.

        Not named `keys`: Dagster takes a resource that has one for a mapping.
        """
        return (key for key, _ in self.list_versions(prefix))

    @abstractmethod
    def version(self, key: str) -> Version:
        """The version under the key, ABSENT without an object; raises StoreError when that cannot be looked for."""

    def exists(self, key: str) -> bool:
        """Whether there is an object under the key; raises StoreError when that cannot be looked for."""
        return self.version(key) != ABSENT

    def versions_of(self, content: bytes) -> frozenset[Version]:  # noqa: ARG002
        """The versions by which an object is known to have this content; none where versions say nothing of it."""
        return frozenset()

    @abstractmethod
    def delete(self, key: str, *, expected: Version | None = None, guard: Guard | None = None) -> None:
        """Remove an object, or find that there is none; raises DeleteDeniedError, ConflictError or StoreError.

        `expected` and `guard` are as in `write`.
        """

    @abstractmethod
    def uri(self, key: str) -> str:
        """Where an object is, for people: `s3://bucket/key` or a path."""

    @abstractmethod
    def page(self, key: str) -> str | None:
        """The address at which a browser shows an object to who may see it; None where there is no such page."""
