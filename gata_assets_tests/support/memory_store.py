"""An object store in memory, and one whose calls fail: for tests of what is stored, not of how it is.

Faked: the storage itself; a directory synchronizes each file with its disk, which takes most of the time of small runs.
The contract's tests hold the one in memory to what a directory and S3 do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import RLock
from typing import Any, BinaryIO

from gata_assets.errors import ConflictError, ObjectNotFoundError, StoreError
from gata_assets.storage.objects import ABSENT, Content, Guard, ObjectStore, ObjectWriter, Version

_NAME = re.compile(r"[^A-Za-z0-9.=_-]")


class MemoryStore(ObjectStore):
    """Objects in a dictionary, with conditional writes and guards."""

    is_guarding = True

    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, Version]] = {}
        self._lock, self._numbers = RLock(), count(1)

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
        with self._lock:
            self._require(key, expected, guard)
            version = Version(str(next(self._numbers)))
            self._objects[key] = bytes(content), version
            return version

    def _require(self, key: str, expected: Version | None, guard: Guard | None) -> None:
        wanted = [(key, expected)] if expected is not None else []
        wanted += [(guard.key, guard.version)] if guard else []
        for name, version in wanted:
            if self.version(name) != version:
                raise ConflictError(f"{self.uri(name)} has another version.")

    def read_versioned(self, key: str) -> tuple[bytes, Version]:
        """See ObjectStore."""
        try:
            return self._objects[key]
        except KeyError:
            raise ObjectNotFoundError(f"There is no {self.uri(key)}.") from None

    def read_part(self, key: str, start: int, size: int) -> bytes:
        """See ObjectStore."""
        return self.read(key)[start : start + size]

    def write_file(self, key: str, path: Path, *, is_private: bool = False) -> None:
        """See ObjectStore."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StoreError(f"{self.uri(key)} cannot be written from {path}: {error.strerror}.") from None
        self.write(key, content, is_private=is_private)

    def open_write(self, key: str, *, expected: Version | None = None) -> ObjectWriter:
        """See ObjectStore."""
        return MemoryWriter(self, key, expected)

    @contextmanager
    def open_read(self, key: str) -> Iterator[BinaryIO]:
        """See ObjectStore."""
        with BytesIO(self.read(key)) as file:
            yield file

    def move(self, key: str, to: str) -> None:
        """See ObjectStore."""
        with self._lock:
            self._objects[to] = self.read_versioned(key)
            if key != to:
                del self._objects[key]

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """See ObjectStore."""
        content = self.read(key)
        with TemporaryDirectory() as folder:
            path = Path(folder, _NAME.sub("_", key.rpartition("/")[2])[-100:])
            path.write_bytes(content)
            yield path

    def list_versions(self, prefix: str) -> Iterator[tuple[str, Version]]:
        """See ObjectStore."""
        with self._lock:
            found = {key: version for key, (_, version) in self._objects.items() if key.startswith(prefix)}
        return iter(sorted(found.items()))

    def list_folders(self, prefix: str) -> Iterator[str]:
        """See ObjectStore."""
        rests = (key.removeprefix(prefix) for key in self.list_keys(prefix))
        return iter(sorted({rest.partition("/")[0] for rest in rests if "/" in rest}))

    def version(self, key: str) -> Version:
        """See ObjectStore."""
        return self._objects.get(key, (b"", ABSENT))[1]

    def delete(self, key: str, *, expected: Version | None = None, guard: Guard | None = None) -> None:
        """See ObjectStore."""
        with self._lock:
            self._require(key, expected, guard)
            self._objects.pop(key, None)

    def uri(self, key: str) -> str:
        """See ObjectStore."""
        return f"memory:{key}"

    def copy(self) -> MemoryStore:
        """A store with the same objects, under the same versions."""
        copied = MemoryStore()
        copied._objects, copied._numbers = dict(self._objects), count(next(self._numbers))
        return copied


# Calls of a store that can fail; `list_keys` and `exists` are made of others.
_CALLS = frozenset(
    {"write", "write_file", "read_versioned", "read_part", "local_copy", "list_versions", "list_folders", "version"}
) | {"delete", "move", "open_read"}
_WRITES = frozenset({"write", "write_file", "delete", "move"})


class _CallingStore(MemoryStore):
    """Another store, whose calls are counted, and go through `_call`."""

    def __init__(self, store: MemoryStore, counted: frozenset[str] = _CALLS) -> None:
        super().__init__()
        self._store, self._counted = store, counted
        self.calls = 0

    def __getattribute__(self, name: str) -> Any:
        if name not in _CALLS:
            return super().__getattribute__(name)
        found: Callable[..., Any] = getattr(self._store, name)
        if name not in self._counted:
            return found

        def call(*args: Any, **values: Any) -> Any:
            with self._lock:
                self.calls += 1
                number = self.calls
            return self._call(number, lambda: found(*args, **values))

        return call

    def _call(self, number: int, call: Callable[[], Any]) -> Any:
        raise NotImplementedError


class FailingStore(_CallingStore):
    """Fails from the n-th call on, as a target that is away does: before the call, or after it was carried out."""

    def __init__(self, store: MemoryStore, fails_at: float, *, is_carried_out: bool = False) -> None:
        """Of calls that are carried out, and yet fail, those that write are counted alone."""
        super().__init__(store, _WRITES if is_carried_out else _CALLS)
        self._fails_at, self._is_carried_out = fails_at, is_carried_out

    def _call(self, number: int, call: Callable[[], Any]) -> Any:
        if number == self._fails_at and self._is_carried_out:
            call()
        if number >= self._fails_at:
            raise StoreError("The target is away.")
        return call()


class PausingStore(_CallingStore):
    """Does something else before the n-th call."""

    def __init__(self, store: MemoryStore, pauses_at: int, meanwhile: Callable[[], None]) -> None:
        super().__init__(store)
        self._pauses_at, self._meanwhile = pauses_at, meanwhile

    def _call(self, number: int, call: Callable[[], Any]) -> Any:
        if number == self._pauses_at:
            self._meanwhile()
        return call()


class MemoryWriter(ObjectWriter):
    """Keeps all bytes, and writes them with one call of the store."""

    def __init__(self, store: ObjectStore, key: str, expected: Version | None) -> None:
        self._store, self._key, self._expected = store, key, expected
        self._content = bytearray()

    def write(self, content: Content) -> None:
        """See ObjectWriter."""
        self._content += content

    def _commit(self) -> Version:
        return self._store.write(self._key, bytes(self._content), expected=self._expected)

    def abort(self) -> None:
        """See ObjectWriter."""
        self._content.clear()
