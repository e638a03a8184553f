"""The rows of raw files, as texts: CSV, JSON Lines and Parquet all come out alike, a block at a time.

Every row of a file comes out once, with its number and line; one that cannot be read comes with its fault. What its
values have to be is decided in `validation`. A stream comes in as an argument; nothing here opens a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from gata_assets.curation.files.csv_reader import read_csv
from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.files.json_reader import read_json_lines
from gata_assets.curation.files.parquet_reader import read_parquet
from gata_assets.curation.files.raw_block import BLOCK_BYTES, PendingBlock
from gata_assets.errors import RawFileError
from gata_assets.tables.spec import TableSpec


def read_blocks(
    stream: BinaryIO, file_format: RawFormat, spec: TableSpec, *, block_bytes: int = BLOCK_BYTES
) -> Iterator[PendingBlock]:
    """All rows of a raw file (decompressed) in order, a block at a time, of about `block_bytes` or a few times that.

    Raises RawFileError, at first or on the way, for a file that is empty, damaged, or has the wrong columns; its
    message goes on from the file's name. So does a block when it is decoded.
    """
    try:
        if file_format is RawFormat.PARQUET:
            yield from read_parquet(stream, spec)
        elif file_format is RawFormat.CSV:
            yield from read_csv(stream, spec, block_bytes)
        else:
            yield from read_json_lines(stream, spec, block_bytes)
    # Names of columns that are not UTF-8 are met when they are read, and refused by Python itself.
    except (pa.ArrowException, EOFError, OSError, UnicodeDecodeError) as error:
        raise RawFileError(
            f"cannot be read to its end: it is damaged or cut off ({type(error).__name__}). Send it again."
        ) from None
