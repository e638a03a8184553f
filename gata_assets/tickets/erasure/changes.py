"""What an erasure changes in a batch of tickets: worked out before anything is written, and stored until all is.

A dataset cannot be read while its files are replaced, and its lines cannot be found once its table has lost its rows.
So whoever goes on after a kill completes what is stored here. It has places of rows and lines, no ids and no texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.errors import DamagedTableError, DeleteDeniedError, ObjectNotFoundError
from gata_assets.governance.trust.proofs import encode_proven
from gata_assets.storage.claims import FixedKeysWrite
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ABSENT, ObjectStore, Version
from gata_assets.tables.manifests import Manifest
from gata_assets.tickets.assets.io_managers import encode_table
from gata_assets.tickets.training_files import FILES

_FOLDER = "intermediate/erasures/"


@dataclass(frozen=True)
class TableChange:
    """A table, or a quarantine, that loses rows: its file's SHA-256 before, the places of these rows, and what the file
    says of itself then, as JSON; a quarantine says nothing.
    """

    key: str
    before: str
    places: tuple[int, ...]
    provenance: str = ""

    def encode(self, rows: pa.Table) -> bytes:
        """The file after the change, of its rows before."""
        is_kept = np.ones(len(rows), np.bool_)
        is_kept[list(self.places)] = False
        kept = rows.filter(pa.array(is_kept))
        return encode_table(kept, json.loads(self.provenance)) if self.provenance else encode_proven(kept)


@dataclass(frozen=True)
class DatasetChange:
    """A dataset that loses lines: its manifests before and after, and the places of these lines by file."""

    folder: str
    before: Manifest
    after: Manifest
    places: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class BatchChange:
    """What changes in a batch."""

    batch_id: str
    datasets: tuple[DatasetChange, ...]
    tables: tuple[TableChange, ...]


def carry_out(store: ObjectStore, change: BatchChange, earlier: Version) -> None:
    """Store the change in place of an earlier one, and carry it out.

    Raises ConflictError if another command changes the batch at this moment, or StoreError: the change stays stored.
    """
    store.write(_key(change.batch_id), msgspec.json.encode(change), expected=earlier)
    _apply(store, change)


def complete(store: ObjectStore, batch_id: str) -> Version:
    """Carry out what is left of a change that was cut off; raises as `carry_out`, or DamagedTableError.

    Returns the version under which it is stored after that: a role may not be allowed to delete it.
    """
    key = _key(batch_id)
    try:
        change = msgspec.json.decode(store.read(key), type=BatchChange)
    except ObjectNotFoundError:
        return ABSENT
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DamagedTableError(
            f"{store.uri(key)} is damaged: what an erasure has begun to change in batch {batch_id} is not known. "
            "Prepare the batch again, delete that file, and go on with the same request.",
            key=key,
        ) from None
    _apply(store, change)
    return store.version(key)


def stored_changes(store: ObjectStore) -> set[str]:
    """The batches with a change that was cut off."""
    return {key.removeprefix(_FOLDER).removesuffix(".json") for key in store.list_keys(_FOLDER)}


def without_lines(content: bytes, places: tuple[int, ...]) -> bytes:
    """A file without the lines at these places."""
    gone = frozenset(places)
    kept = BytesIO()
    kept.writelines(line for place, line in enumerate(BytesIO(content)) if place not in gone)
    return kept.getvalue()


def _apply(store: ObjectStore, change: BatchChange) -> None:
    # The lines first, whose places are of the tables before.
    for dataset in change.datasets:
        _apply_to_dataset(store, dataset)
    for table in change.tables:
        _apply_to_table(store, table)
    # A change that stays is done: whoever finds it changes nothing.
    with suppress(DeleteDeniedError):
        store.delete(_key(change.batch_id))


def _apply_to_dataset(store: ObjectStore, change: DatasetChange) -> None:
    """Write a dataset without the lines, unless that is done, or others have written it since."""
    found = find_manifest(store, change.folder)
    if found.manifest is not None and found.manifest.digest != change.before.digest:
        return
    contents = {}
    for name, entry in change.before.files.items():
        try:
            content = store.read(change.folder + name)
        except ObjectNotFoundError:
            return
        if entry.matches(content):
            content = without_lines(content, change.places.get(name, ()))
        elif not change.after.files[name].matches(content):
            return
        contents[name] = content
    FixedKeysWrite(store, change.folder, FILES, expected=found.version).run(contents, change.after)


def _apply_to_table(store: ObjectStore, change: TableChange) -> None:
    """Write a table without the rows, unless that is done, or others have written it since."""
    with suppress(ObjectNotFoundError):
        content, version = store.read_versioned(change.key)
        if sha256(content).hexdigest() == change.before:
            after = change.encode(pq.read_table(pa.BufferReader(content)))
            store.write(change.key, after, expected=version, is_private=not change.provenance)


def _key(batch_id: str) -> str:
    return f"{_FOLDER}{batch_id}.json"
