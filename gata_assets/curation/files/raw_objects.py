"""Raw objects in the store: which there are, and reading one so that what was read is what is recorded.

An object is identified by its key, its version and the SHA-256 of its bytes: whoever delivers files may overwrite one,
or be seen while still copying it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import SEEK_END
from pathlib import Path
from typing import NamedTuple, TypeVar

from gata_assets.curation.files.formats import RawSource, is_of_ingest, is_raw_key, printable
from gata_assets.curation.files.signatures import HEAD_BYTES, is_parquet
from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.reports import RawContent
from gata_assets.errors import ConflictError, ObjectNotFoundError, RawFileChangedError, RawFileError, StoreError
from gata_assets.storage.files import digest_file, digest_stream
from gata_assets.storage.objects import ABSENT, ObjectStore, Version

# How often an object is read that changes meanwhile, before it is left to the next run.
_MOST_READS = 3
_ODD = "is no regular file: a link to nothing, a FIFO or a socket cannot be read. Replace it by a file, or remove it."
_LINKED = "is a link to a folder, which is not followed. Put the files themselves there, or mount the folder."

Result = TypeVar("Result")


def list_raw_objects(places: TenantLayout, store: ObjectStore, table: str) -> dict[str, Version]:
    """A tenant's raw files with their versions, whoever stored them; ABSENT for what is no regular file, also for
    folders that may not be listed.

    Raises StoreError.
    """
    folder = places.raw(table)
    if store.lists_odd_files:
        keys = (key for key in store.list_delivered(folder) if is_raw_key(places, table, key))
        return {key: store.delivered_version(key) for key in keys}
    return {key: version for key, version in store.list_versions(folder) if is_raw_key(places, table, key)}


def read_raw_object(
    store: ObjectStore, key: str, read: Callable[[RawSource, RawContent], Result]
) -> tuple[Result | RawFileError, RawContent]:
    """Read a raw object; again, if it changes meanwhile.

    Returns:
        What `read` returned, or the RawFileError that says why the object is refused; and what was read.

    Raises:
        RawFileChangedError: It keeps changing.
        ObjectNotFoundError: There is no such object.
        StoreError: The target failed, or it is a folder that may not be listed.
    """
    for _ in range(_MOST_READS):
        version = store.delivered_version(key)
        if version == ABSENT:
            if key not in store.list_delivered(key):
                raise ObjectNotFoundError(f"There is no {printable(store.uri(key))}.")
            require_listed(store, key)
            is_folder = store.lists_odd_files and Path(store.uri(key)).is_dir()
            return RawFileError(_LINKED if is_folder else _ODD), RawContent(ABSENT, 0, None)
        try:
            with opened(store, key) as source:
                content = RawContent(version, *_identify(store, key, source))
                try:
                    result: Result | RawFileError = read(source, content)
                except RawFileError as error:
                    result = error
        except ConflictError:
            # The store has no longer what was opened.
            continue
        if store.delivered_version(key) == version:
            return result, content
    raise RawFileChangedError(
        f"{printable(store.uri(key))} changed each time that it was read: it is left to the next run."
    )


class HeldRaw(NamedTuple):
    """A raw object that this process has the content of, and stores meanwhile: it need not be read.

    `version` waits until it is stored, and raises StoreError if it could not be.
    """

    source: RawSource
    size: int
    sha256: str
    version: Callable[[], Version]


def read_held(
    held: HeldRaw, read: Callable[[RawSource, RawContent], Result]
) -> tuple[Result | RawFileError, RawContent]:
    """As `read_raw_object`, for an object whose content is at hand; what overwrites it is another version.

    `read` is given no version yet.
    """
    content = RawContent(ABSENT, held.size, held.sha256)
    try:
        result: Result | RawFileError = read(held.source, content)
    except RawFileError as error:
        result = error
    return result, content._replace(version=held.version())


def require_listed(store: ObjectStore, key: str) -> None:
    """Raise StoreError for the key of a folder that may not be listed: what is in it is not known."""
    path = Path(store.uri(key))
    if store.lists_odd_files and path.is_dir() and not path.is_symlink():
        any(store.list_keys(f"{key}/"))
        raise ObjectNotFoundError(f"{printable(store.uri(key))} is a folder, and can be listed now.")


def is_to_be_read(key: str, seen: str | None, now: Version, *, was_refused: bool) -> bool:
    """Whether an object with a report has another version than the one that was read.

    Reports of the release before do not say which that was: what others delivered is read once more, since it may have
    been overwritten. A name without a regular file is as a removed file: what was read of it before counts.
    """
    if now == ABSENT and not was_refused:
        return False
    return seen != now if seen is not None else not is_of_ingest(key)


def digest_raw_object(store: ObjectStore, key: str) -> RawContent:
    """What a raw object contains; raises as `read_raw_object` does."""
    return read_raw_object(store, key, lambda _, content: content)[1]


@contextmanager
def opened(store: ObjectStore, key: str) -> Iterator[RawSource]:
    """An object, to read it: Parquet, whose many small parts are read from anywhere, as a file of this machine.

    Raises ObjectNotFoundError, or StoreError.
    """
    with store.open_read(key) as file:
        with _errors(store, key):
            is_whole = is_parquet(file.read(HEAD_BYTES))
            file.seek(0)
        if not is_whole:
            yield file
            return
    with store.local_copy(key) as path:
        yield path


def _identify(store: ObjectStore, key: str, source: RawSource) -> tuple[int, str]:
    with _errors(store, key):
        if isinstance(source, Path):
            return source.stat().st_size, digest_file(source)
        return source.seek(0, SEEK_END), digest_stream(source)


@contextmanager
def _errors(store: ObjectStore, key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ObjectNotFoundError(f"There is no {printable(store.uri(key))}.") from None
    except OSError as error:
        raise StoreError(f"{printable(store.uri(key))} cannot be read: {error.strerror}.") from None
