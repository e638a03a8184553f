"""Parquet files that prove themselves. Real: every byte of a file. Faked: the store, in memory."""

from __future__ import annotations

from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gata_assets.errors import DamagedTableError
from gata_assets.governance.trust.proofs import encode_proven, read_note, read_proven
from gata_assets_tests.support.memory_store import MemoryStore

KEY = "acme/events/file.parquet"
ROWS = pa.table({"record": [1, 2, 3], "source": ["a", None, "é"]})


def stored(content: bytes) -> MemoryStore:
    store = MemoryStore()
    store.write(KEY, content)
    return store


@pytest.mark.parametrize("rows", [ROWS, ROWS.slice(0, 0)])
def test_what_is_encoded_is_read_again_and_always_the_same(rows: pa.Table) -> None:
    content = encode_proven(rows)
    assert content == encode_proven(rows)
    assert read_proven(stored(content), KEY).equals(rows)
    assert pq.read_table(pa.BufferReader(content)).equals(rows)


def test_a_byte_that_is_changed_anywhere_is_found() -> None:
    content, random = encode_proven(ROWS), Random(1)
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << random.randrange(8)
        with pytest.raises(DamagedTableError, match="Restore it"):
            read_proven(stored(bytes(changed)), KEY)


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b"", lambda b: b"PAR1" + b])
def test_other_bytes_are_found(change: object) -> None:
    with pytest.raises(DamagedTableError):
        read_proven(stored(change(encode_proven(ROWS))), KEY)  # type: ignore[operator]


def test_a_file_of_an_earlier_release_is_decoded_alone() -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(ROWS, sink, compression="zstd")
    content = bytes(sink.getvalue())
    assert read_proven(stored(content), KEY).equals(ROWS)
    with pytest.raises(DamagedTableError):
        read_proven(stored(content[:-4] + b"PAR2"), KEY)


def test_a_note_is_read_without_the_rows() -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(ROWS.replace_schema_metadata({b"gata_assets": b"{}"}), sink)
    store = stored(bytes(sink.getvalue()))
    assert read_note(store, KEY, b"gata_assets") == b"{}"
    assert read_note(store, KEY, b"other") is None
    with pytest.raises(DamagedTableError):
        read_note(stored(b"PAR1 and no more"), KEY, b"other")
