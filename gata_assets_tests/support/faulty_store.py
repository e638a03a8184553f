"""An object store in memory whose n-th call fails, before or after it is done: fast enough to fail each in turn."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from gata_assets.errors import ConflictError, DeleteDeniedError, ObjectNotFoundError, StoreError
from gata_assets.storage.objects import ABSENT, Guard, ObjectStore, ObjectWriter, Version
from gata_assets_tests.support.memory_store import MemoryWriter


@dataclass
class Fault:
    """Which call fails, counted from 1 (0: none), and whether its work is done before; `calls` were made so far."""

    at: int = 0
    is_done: bool = False
    calls: int = 0

    @contextmanager
    def judged(self) -> Iterator[None]:
        """Raise before or after a call whose turn it is."""
        self.calls += 1
        is_due = self.calls == self.at
        if is_due and not self.is_done:
            raise StoreError("the store broke")
        yield
        if is_due:
            raise StoreError("the answer of the store was lost")


@dataclass
class MemoryStore(ObjectStore):
    """Objects and their versions by key; with `can_delete` false, as a role without that permission."""

    objects: dict[str, tuple[bytes, Version]] = field(default_factory=dict)
    fault: Fault = field(default_factory=Fault)
    can_delete: bool = True
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

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
        with self.fault.judged():
            if expected is not None and self._version(key) != expected:
                raise ConflictError(f"{key} was not changed.")
            # Versions do not come again when objects are put back to what they were.
            version = Version(f"v{next(self._numbers)}")
            self.objects[key] = content, version
        return version

    def read_versioned(self, key: str) -> tuple[bytes, Version]:
        with self.fault.judged():
            if key not in self.objects:
                raise ObjectNotFoundError(f"There is no {key}.")
            return self.objects[key]

    def read_part(self, key: str, start: int, size: int) -> bytes:
        return self.read(key)[start : start + size]

    def write_file(self, key: str, path: Path, *, is_private: bool = False) -> None:
        self.write(key, path.read_bytes())

    def open_write(self, key: str, *, expected: Version | None = None) -> ObjectWriter:
        return MemoryWriter(self, key, expected)

    @contextmanager
    def open_read(self, key: str) -> Iterator[BinaryIO]:
        with BytesIO(self.read(key)) as file:
            yield file

    def move(self, key: str, to: str) -> None:
        with self.fault.judged():
            if key not in self.objects:
                raise ObjectNotFoundError(f"There is no {key}.")
            self.objects[to] = self.objects.pop(key)

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        with TemporaryDirectory() as folder:
            path = Path(folder, "object")
            path.write_bytes(self.read(key))
            yield path

    def list_versions(self, prefix: str) -> Iterator[tuple[str, Version]]:
        with self.fault.judged():
            found = sorted((key, version) for key, (_, version) in self.objects.items() if key.startswith(prefix))
        return iter(found)

    def list_folders(self, prefix: str) -> Iterator[str]:
        keys = [key.removeprefix(prefix) for key, _ in self.list_versions(prefix)]
        return iter(sorted({key.partition("/")[0] for key in keys if "/" in key}))

    def version(self, key: str) -> Version:
        with self.fault.judged():
            return self._version(key)

    def delete(self, key: str, *, expected: Version | None = None, guard: Guard | None = None) -> None:
        with self.fault.judged():
            if not self.can_delete:
                raise DeleteDeniedError(f"{key} may not be deleted.")
            self.objects.pop(key, None)

    def uri(self, key: str) -> str:
        return f"memory://{key}"

    def _version(self, key: str) -> Version:
        return self.objects[key][1] if key in self.objects else ABSENT
