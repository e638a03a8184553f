"""How Parquet files prove themselves that nothing names: their pages have checksums, and can all be decoded.

Files of releases that wrote no checksums are decoded alone.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.errors import DamagedTableError
from gata_assets.storage.objects import ObjectStore


def read_proven(store: ObjectStore, key: str) -> pa.Table:
    """All rows of a Parquet file; raises ObjectNotFoundError, DamagedTableError for a damaged one, or StoreError."""
    content = store.read(key)
    try:
        # Threads of Arrow that read ahead are at times still there when the process ends, which aborts it.
        source = pa.BufferReader(content)
        with pq.ParquetFile(source, pre_buffer=False, page_checksum_verification=True) as file:
            rows = file.read(use_threads=False)
        rows.validate(full=True)
    except (pa.ArrowException, OSError, ValueError):
        raise damaged(store, key) from None
    return rows


def prove_parquet(store: ObjectStore, key: str) -> None:
    """Raise as `read_proven` does."""
    read_proven(store, key)


def damaged(store: ObjectStore, key: str) -> DamagedTableError:
    """The error for an object that is not as it was written."""
    return DamagedTableError(
        f"{store.uri(key)} is damaged: it is no Parquet file as it was written. Restore it from a version or a copy.",
        key=key,
    )


def read_note(store: ObjectStore, key: str, note: bytes) -> bytes | None:
    """A value of a Parquet file's own metadata, None without it; raises as `read_proven` does."""
    try:
        with store.open_read(key) as file:
            found = pq.read_metadata(file).metadata
    except (pa.ArrowException, OSError):
        raise damaged(store, key) from None
    value = (found or {}).get(note)
    return bytes(value) if value is not None else None
