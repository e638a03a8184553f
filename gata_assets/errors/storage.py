"""Errors of the target: what is stored, or should be."""

from __future__ import annotations

from gata_assets.errors.base import GataError


class StoreError(GataError):
    """The target could not be read or written."""


class ObjectNotFoundError(StoreError):
    """No object exists under this key."""


class ArchivedError(StoreError):
    """An object is in an archive (S3 Glacier), from which it has to be restored before it can be read."""


class DamagedTableError(StoreError):
    """An object exists but is not a complete table of this project; `key` is the object's key in a dataset."""

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class AccessDeniedError(StoreError):
    """The role lacks permission for what it did to the target."""


class DeleteDeniedError(StoreError):
    """The role lacks permission to delete an object."""


class ConflictError(StoreError):
    """Another command changed an object that was to be changed under a condition; nothing was changed here."""


class RawFileChangedError(ConflictError):
    """A raw file changed each time that it was read, or is no regular file any more; it is left to the next run."""


class TooManyEventsError(StoreError):
    """So many events wait to be stored that no more are taken; nothing was stored, and later there is room again."""


class CatalogError(StoreError):
    """A table of the catalog is not the one that was to be written, or cannot become it."""


class ManifestVersionError(StoreError):
    """A later release wrote a dataset; this release can neither read it nor know what it would overwrite."""
