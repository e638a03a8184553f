"""Raw files: opened, decompressed, and their rows validated on two threads.

`readers` reads rows, `validation` defines valid ones, `faults` says whose fault an error is, and `validator` finds
files in the store.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from gata_assets.curation.files.formats import Compression, FileFormat, RawFormat, RawSource
from gata_assets.curation.files.signatures import HEAD_BYTES, compression_of, require_format
from gata_assets.curation.policy import MAX_DECODED_BYTES
from gata_assets.curation.readers.faults import attributed_faults
from gata_assets.curation.readers.parquet_reader import measure_parquet
from gata_assets.curation.readers.raw_block import BLOCK_BYTES, PendingBlock, require_decodable
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.curation.validation import ValidatedRows, validate_block
from gata_assets.errors import RawFileError, StoreError
from gata_assets.storage.parallel import map_in_order
from gata_assets.storage.scratch import scratch_file
from gata_assets.tables.row_rules import RowContext
from gata_assets.tables.spec import TableSpec

CODECS = {Compression.GZIP: "gzip", Compression.ZSTD: "zstd"}
# A third thread brought no speed on two cores: a block is read while two are validated.
_THREADS = 2
# Of a compressed Parquet file, decompressed on disk: a few kilobytes may be gigabytes.
_MOST_UNPACKED = 4_000_000_000
# So much needs no more free space than it takes: that a disk is nearly full is not the file's fault.
_LITTLE_UNPACKED = 100_000_000


def require_readable(
    source: RawSource, file_format: FileFormat, spec: TableSpec, *, max_decoded_bytes: int = MAX_DECODED_BYTES
) -> None:
    """Check that a file has the right columns and readable rows at its start, and that it does not decode to more than
    `max_decoded_bytes`, as far as that can be known without reading its rows.

    Raises RawFileError; OSError if the path cannot be opened; StoreError for another fault of the machine.
    """
    with _opened(source) as file, attributed_faults(), decompressed(file, file_format, max_decoded_bytes) as stream:
        next(read_blocks(stream, file_format.format, spec, max_decoded_bytes=max_decoded_bytes), None)
        if file_format.format is RawFormat.PARQUET:
            measure_parquet(stream, spec, max_decoded_bytes)


def read_validated(
    source: RawSource,
    file_format: FileFormat,
    spec: TableSpec,
    context: RowContext,
    source_file: str,
    *,
    max_decoded_bytes: int = MAX_DECODED_BYTES,
    header: TableSpec | None = None,
) -> Iterator[tuple[int, ValidatedRows]]:
    """All rows of a file in order, validated, with their number; raises RawFileError, also midway, and StoreError for a
    fault of the machine.

    `header` is the table as far as it says which columns the file must have, where rows may lack their values.
    """

    def validate(pending: PendingBlock) -> tuple[int, ValidatedRows]:
        with attributed_faults(is_decoding=True):
            block = pending()
        return len(block), validate_block(spec, block, context, source_file)

    with (
        attributed_faults(),
        _opened(source) as file,
        decompressed(file, file_format, max_decoded_bytes) as stream,
    ):
        blocks = read_blocks(
            stream, file_format.format, header or spec, max_decoded_bytes=max_decoded_bytes, keeps_types=True
        )
        # Documents are decoded by the interpreter, for which a second thread would only wait.
        yield from map(validate, blocks) if spec.pages else map_in_order(validate, blocks, _THREADS)


def _opened(source: RawSource) -> AbstractContextManager[BinaryIO]:
    if isinstance(source, Path):
        return source.open("rb")
    source.seek(0)
    return nullcontext(source)


@contextmanager
def decompressed(file: BinaryIO, file_format: FileFormat, max_decoded_bytes: int) -> Iterator[BinaryIO]:
    """The content of a file, decompressed by what it is and not by what its name says."""
    head = file.read(HEAD_BYTES)
    file.seek(0)
    compression = compression_of(head)
    if compression is None:
        yield file
        return
    with pa.CompressedInputStream(pa.PythonFile(file, "rb"), CODECS[compression]) as plain:
        if file_format.format is not RawFormat.PARQUET:
            yield cast(BinaryIO, plain)
            return
        # Parquet is read from its end: a compressed file is decompressed completely first.
        with scratch_file() as decompressed:
            while content := plain.read(BLOCK_BYTES):
                if not decompressed.tell():
                    require_format(content[:HEAD_BYTES], RawFormat.PARQUET)
                _unpack(content, decompressed)
                require_decodable(decompressed.tell(), max_decoded_bytes)
            yield decompressed


def _unpack(content: bytes, scratch: BinaryIO) -> None:
    """Write the next bytes of a compressed Parquet file, at most `_MOST_UNPACKED` in all and half of the free space.

    Raises RawFileError for more, and StoreError if they cannot be written.
    """
    size = scratch.tell() + len(content)
    if size > _MOST_UNPACKED:
        raise _packed_too_much(size, f"at most {_MOST_UNPACKED:,} are decompressed of one")
    free = _free_bytes(scratch)
    if size > max(free, _LITTLE_UNPACKED):
        raise _packed_too_much(size, f"{free:,} more are free for temporary files, of which one may take half")
    try:
        scratch.write(content)
        scratch.flush()
    except OSError as error:
        raise StoreError(
            f"A compressed Parquet file could not be decompressed on this machine: {error.strerror}, after "
            f"{size - len(content):,} bytes. It was not refused: free space for temporary files (see TMPDIR) and run "
            "it again, or send it without .gz or .zst, since Parquet compresses itself."
        ) from error


def _packed_too_much(size: int, limit: str) -> RawFileError:
    return RawFileError(
        f"is compressed Parquet and decompresses to {size:,} bytes or more; {limit}. Parquet compresses itself: send "
        "it without .gz or .zst."
    )


def _free_bytes(file: BinaryIO) -> int:
    """The free space where a file is."""
    found = os.fstatvfs(file.fileno())
    return found.f_bavail * found.f_frsize
