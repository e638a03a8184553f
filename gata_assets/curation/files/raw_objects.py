"""Raw objects in the store: which there are, and reading one so that what was read is what is recorded.

An object is identified by its key, its version and the SHA-256 of its bytes: whoever delivers files may overwrite one,
or be seen while still copying it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import polars as pl
import pyarrow as pa

from gata_assets.curation.files.formats import is_raw_key
from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.reports import RawContent
from gata_assets.errors import GataError, ObjectNotFoundError, RawFileChangedError, RawFileError, StoreError
from gata_assets.storage.files import digest_file
from gata_assets.storage.objects import ABSENT, ObjectStore, Version

# How often an object is read that changes meanwhile, before it is left to the next run.
_MOST_READS = 3
_ODD = "is no regular file: a link to nothing, a FIFO or a socket cannot be read. Replace it by a file, or remove it."

Result = TypeVar("Result")


def list_raw_objects(places: TenantLayout, store: ObjectStore, table: str) -> dict[str, Version]:
    """A tenant's raw files with their versions, whoever stored them; ABSENT for names that are no regular files.

    Raises StoreError.
    """
    folder = places.raw(table)
    if store.lists_odd_files:
        listed = ((key, store.version(key)) for key in store.list_keys(folder) if is_raw_key(places, table, key))
        return dict(listed)
    return {key: version for key, version in store.list_versions(folder) if is_raw_key(places, table, key)}


def read_raw_object(
    store: ObjectStore, key: str, read: Callable[[Path, RawContent], Result]
) -> tuple[Result | RawFileError, RawContent]:
    """Read a raw object; again, if it changes meanwhile.

    Returns:
        What `read` returned, or the RawFileError that says why the object is refused; and what was read.

    Raises:
        RawFileChangedError: It keeps changing.
        ObjectNotFoundError: There is no such object.
        StoreError: The target failed.
    """
    for _ in range(_MOST_READS):
        version = store.version(key)
        if version == ABSENT:
            if key not in store.list_keys(key):
                raise ObjectNotFoundError(f"There is no {store.uri(key)}.")
            return RawFileError(_ODD), RawContent(ABSENT, 0, None)
        with store.local_copy(key) as path:
            content = RawContent(version, *_identify(store, key, path))
            try:
                result: Result | RawFileError = read(path, content)
            except RawFileError as error:
                result = error
        if store.version(key) == version:
            return result, content
    raise RawFileChangedError(f"{store.uri(key)} changed each time that it was read: it is left to the next run.")


def digest_raw_object(store: ObjectStore, key: str) -> RawContent:
    """What a raw object contains; raises as `read_raw_object` does."""
    return read_raw_object(store, key, lambda _, content: content)[1]


@contextmanager
def unforeseen_errors_refuse() -> Iterator[None]:
    """Raise what nobody foresaw about a raw file's bytes as a RawFileError, so that the file stops no other.

    Errors of the environment pass: the file may be read when they are over.
    """
    try:
        yield
    except (GataError, MemoryError, pa.ArrowCancelled):
        raise
    # A damaged file can make Polars panic, and a panic is no Exception.
    except (Exception, pl.exceptions.PanicException) as error:
        # Arrow's own errors about the bytes have no number.
        if (isinstance(error, OSError) and error.errno is not None) or "start new thread" in str(error):
            raise
        raise RawFileError(f"cannot be read ({_describe(error)}), which nobody foresaw: please report it.") from None


def _identify(store: ObjectStore, key: str, path: Path) -> tuple[int, str]:
    try:
        return path.stat().st_size, digest_file(path)
    except FileNotFoundError:
        raise ObjectNotFoundError(f"There is no {store.uri(key)}.") from None
    except OSError as error:
        raise StoreError(f"{store.uri(key)} cannot be read: {error.strerror}.") from None


def _describe(error: BaseException) -> str:
    """The type of an error and where it was raised; its message may contain values."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
