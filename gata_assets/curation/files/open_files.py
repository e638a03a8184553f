"""Raw files on this machine: opened, decompressed, and their rows validated on two threads.

`readers` reads rows, `validation` defines valid ones, and `validator` finds files in the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO, cast

import polars as pl
import pyarrow as pa

from gata_assets.curation.files.formats import Compression, FileFormat, RawFormat
from gata_assets.curation.files.raw_block import PendingBlock
from gata_assets.curation.files.readers import read_blocks
from gata_assets.curation.validation import ValidatedRows, validate_block
from gata_assets.errors import RawFileError
from gata_assets.storage.parallel import map_in_order
from gata_assets.storage.scratch import scratch_file
from gata_assets.tables.row_rules import RowContext
from gata_assets.tables.spec import TableSpec

_CODECS = {Compression.GZIP: "gzip", Compression.ZSTD: "zstd"}
# A third thread brought no speed on two cores: a block is read while two are validated.
_THREADS = 2


def require_readable(path: Path, file_format: FileFormat, spec: TableSpec) -> None:
    """Check that a file has the right columns and readable rows at its start; raises RawFileError."""
    with _opened(path, file_format) as stream:
        next(read_blocks(stream, file_format.format, spec), None)


def read_validated(
    path: Path, file_format: FileFormat, spec: TableSpec, context: RowContext, source_file: str
) -> Iterator[tuple[int, ValidatedRows]]:
    """All rows of a file in order, validated, with their number; raises RawFileError, also midway."""

    def validate(pending: PendingBlock) -> tuple[int, ValidatedRows]:
        try:
            block = pending()
        # A damaged file can make Polars panic, and a panic is no Exception.
        except (pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise RawFileError(f"cannot be read: it is damaged ({type(error).__name__}). Send it again.") from None
        return len(block), validate_block(spec, block, context, source_file)

    with _opened(path, file_format) as stream:
        yield from map_in_order(validate, read_blocks(stream, file_format.format, spec), _THREADS)


@contextmanager
def _opened(path: Path, file_format: FileFormat) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise RawFileError(f"cannot be read: {error.strerror}.") from None
    try:
        with file:
            if file_format.compression is None:
                yield file
                return
            plain = pa.CompressedInputStream(pa.PythonFile(file, "rb"), _CODECS[file_format.compression])
            with plain:
                if file_format.format is not RawFormat.PARQUET:
                    yield cast(BinaryIO, plain)
                    return
                # Parquet is read from its end: a compressed file is decompressed completely first.
                with scratch_file() as decompressed:
                    copyfileobj(plain, decompressed)
                    yield decompressed
    except (pa.ArrowException, OSError) as error:
        raise RawFileError(
            f"cannot be read to its end: it is damaged or cut off ({type(error).__name__}). Send it again."
        ) from None
