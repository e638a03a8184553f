"""Parquet files that prove themselves, where no manifest has their digest: they have their own SHA-256.

It is in the footer's metadata, and is that of all bytes with zeros in its place. Files of releases before it are
decoded alone.
"""

from __future__ import annotations

import re
from hashlib import sha256

import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.errors import DamagedTableError
from gata_assets.storage.objects import ObjectStore

_NOTE, _ZEROS = b"gata_sha256", b"0" * 64
# Between a name and its value in the footer: the field's header, and the size of the value.
# Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
_BETWEEN = b"\x18\x40"
_DIGEST = re.compile(rb"[0-9a-f]{64}")


def encode_proven(rows: pa.Table) -> bytes:
    """Rows as a Parquet file that proves itself; the same for the same rows."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, rows.schema, compression="zstd") as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata({_NOTE: _ZEROS})
    content = bytes(sink.getvalue().to_pybytes())
    return _with(content, _ZEROS, sha256(content).hexdigest().encode())


def read_proven(store: ObjectStore, key: str) -> pa.Table:
    """All rows of a file; raises ObjectNotFoundError, DamagedTableError for any other bytes, or StoreError."""
    content = store.read(key)
    try:
        # Threads of Arrow that read ahead are at times still there when the process ends, which aborts it.
        with pq.ParquetFile(pa.BufferReader(content), pre_buffer=False) as file:
            notes = file.metadata.metadata or {}
            if (digest := notes.get(_NOTE)) is not None:
                if sha256(_with(content, digest, _ZEROS)).hexdigest().encode() != digest:
                    raise ValueError("other bytes than were written")
            elif _NOTE in content or any(_DIGEST.fullmatch(value) for value in notes.values()):
                raise ValueError("a digest that is not where it was written")
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


def _with(content: bytes, old: bytes, new: bytes) -> bytes:
    """The bytes with another digest in place of the one that is there; raises ValueError without one."""
    place = content.rindex(_NOTE + _BETWEEN + old) + len(_NOTE + _BETWEEN)
    return content[:place] + new + content[place + len(new) :]
