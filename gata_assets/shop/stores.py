"""The shop's places as one store: raw, curated and prod may be buckets of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from gata_assets.errors import StoreError
from gata_assets.shop.places import CURATED, PROD, RAW
from gata_assets.storage.objects import Guard, ObjectStore, ObjectWriter, Version


class ShopStore(ObjectStore):
    """ObjectStore of the keys below `shop/`: those of a mounted prefix are another store's, without the prefix."""

    def __init__(self, target: ObjectStore, mounts: Mapping[str, ObjectStore]) -> None:
        """`mounts` has the stores by their prefix, which ends with a slash; other keys are the target's."""
        self._target = target
        self.mounts = dict(mounts)
        raw = self.mounts.get(RAW, target)
        # Of raw files alone it is asked; guards are of what is written.
        self.lists_odd_files = raw.lists_odd_files
        self.is_guarding = all(self.mounts.get(prefix, target).is_guarding for prefix in (CURATED, PROD))

    @property
    def has_conditions(self) -> bool:
        """See ObjectStore."""
        return all(store.has_conditions for store in (self._target, *self.mounts.values()))

    def _find(self, key: str) -> tuple[str, ObjectStore, str]:
        """The prefix of a key, its store, and its key there."""
        for prefix, store in self.mounts.items():
            if key.startswith(prefix):
                return prefix, store, key.removeprefix(prefix)
            if prefix.startswith(key):
                raise StoreError(f"{key or 'the target'} is in several buckets, and cannot be listed at once.")
        return "", self._target, key

    def _guard(self, key: str, guard: Guard | None) -> Guard | None:
        if guard is None:
            return None
        (prefix, *_), (other, _, own) = self._find(key), self._find(guard.key)
        if prefix != other:
            raise StoreError(f"{key} and {guard.key} are in two buckets: neither guards the other.")
        return Guard(own, guard.version)

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
        """See ObjectStore."""
        _, store, own = self._find(key)
        guard = self._guard(key, guard)
        return store.write(own, content, expected=expected, guard=guard, unlike=unlike, is_private=is_private)

    def read_versioned(self, key: str) -> tuple[bytes, Version]:
        """See ObjectStore."""
        _, store, own = self._find(key)
        return store.read_versioned(own)

    def read_part(self, key: str, start: int, size: int) -> bytes:
        """See ObjectStore."""
        _, store, own = self._find(key)
        return store.read_part(own, start, size)

    def write_file(self, key: str, path: Path, *, is_private: bool = False) -> None:
        """See ObjectStore."""
        _, store, own = self._find(key)
        store.write_file(own, path, is_private=is_private)

    def open_write(self, key: str, *, expected: Version | None = None) -> ObjectWriter:
        """See ObjectStore."""
        _, store, own = self._find(key)
        return store.open_write(own, expected=expected)

    def open_read(self, key: str) -> AbstractContextManager[BinaryIO]:
        """See ObjectStore."""
        _, store, own = self._find(key)
        return store.open_read(own)

    def move(self, key: str, to: str) -> None:
        """See ObjectStore."""
        (prefix, store, own), (other, _, target) = self._find(key), self._find(to)
        if prefix != other:
            raise StoreError(f"{key} and {to} are in two buckets: nothing is moved from one to the other.")
        store.move(own, target)

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """See ObjectStore."""
        _, store, own = self._find(key)
        return store.local_copy(own)

    def list_versions(self, prefix: str) -> Iterator[tuple[str, Version]]:
        """See ObjectStore."""
        mount, store, own = self._find(prefix)
        return ((mount + key, version) for key, version in store.list_versions(own))

    def list_keys(self, prefix: str) -> Iterator[str]:
        """See ObjectStore."""
        mount, store, own = self._find(prefix)
        return (mount + key for key in store.list_keys(own))

    def list_delivered(self, prefix: str) -> Iterator[str]:
        """See ObjectStore."""
        mount, store, own = self._find(prefix)
        return (mount + key for key in store.list_delivered(own))

    def list_folders(self, prefix: str) -> Iterator[str]:
        """See ObjectStore."""
        below = {mount.removeprefix(prefix).partition("/")[0] for mount in self.mounts if mount.startswith(prefix)}
        if below - {""}:
            return iter(sorted({*self._target.list_folders(prefix), *below}))
        _, store, own = self._find(prefix)
        return store.list_folders(own)

    def version(self, key: str) -> Version:
        """See ObjectStore."""
        _, store, own = self._find(key)
        return store.version(own)

    def delivered_version(self, key: str) -> Version:
        """See ObjectStore."""
        _, store, own = self._find(key)
        return store.delivered_version(own)

    def delivered_after(self, key: str, version: Version) -> Version:
        """See ObjectStore."""
        _, store, own = self._find(key)
        return store.delivered_after(own, version)

    def delete(self, key: str, *, expected: Version | None = None, guard: Guard | None = None) -> None:
        """See ObjectStore."""
        _, store, own = self._find(key)
        store.delete(own, expected=expected, guard=self._guard(key, guard))

    def uri(self, key: str) -> str:
        """See ObjectStore."""
        _, store, own = self._find(key)
        return store.uri(own)

    def page(self, key: str) -> str | None:
        """See ObjectStore."""
        _, store, own = self._find(key)
        return store.page(own)
