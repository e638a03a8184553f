"""Where bytes are kept under keys: a local directory, laid out as the bucket is, and what every store offers.

A store knows nothing of datasets and tables. The S3 store stands in `s3_store`, so that who writes locally does
not load the AWS SDK.
"""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path, PurePosixPath
from time import time
from uuid import uuid4

import dagster as dg

from gata_assets.errors import ObjectNotFoundError, StoreError

# No write takes this long: a file in the staging place that is older belongs to nobody.
_LEFT_BEHIND_SECONDS = 3_600


class ObjectStore(dg.ConfigurableResource, ABC):  # type: ignore[type-arg]
    """Objects by key: a `/`-separated path without a leading slash."""

    @abstractmethod
    def write(self, key: str, content: bytes) -> None:
        """Store an object whole or not at all, in place of what was there; raises StoreError."""

    @abstractmethod
    def read(self, key: str) -> bytes:
        """An object's bytes; raises ObjectNotFoundError, or StoreError."""

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


class LocalObjectStore(ObjectStore):
    """Objects as files below a directory, which is made when the first is written."""

    directory: str

    def write(self, key: str, content: bytes) -> None:
        """See ObjectStore; written beside, flushed to the disk and renamed."""
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = self._staging() / uuid4().hex
            try:
                with aside.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(aside, path)
            except BaseException:
                aside.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}. {_ADVICE}") from None

    def read(self, key: str) -> bytes:
        """See ObjectStore."""
        path = self._path(key)
        try:
            return path.read_bytes()
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

    def _staging(self) -> Path:
        """A place on the same file system, outside of the folders that readers list; swept of what a killed process
        left there, since that may be tickets' texts.
        """
        staging = Path(self.directory, ".staging")
        staging.mkdir(exist_ok=True)
        for left in staging.iterdir():
            # Another process may rename its file away between the listing and the look.
            with suppress(FileNotFoundError):
                if time() - left.stat().st_mtime > _LEFT_BEHIND_SECONDS:
                    left.unlink()
        return staging


_ADVICE = "Look at TARGET_DIR, its rights and the space on the disk."
