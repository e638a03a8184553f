"""The rows of raw files as texts: CSV, JSON Lines and Parquet give the same blocks.

Every row of a file is yielded once, with its number and line; an unreadable row has a fault. `validation` decides which
values are valid. Streams are arguments; nothing here opens a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.policy import MAX_DECODED_BYTES
from gata_assets.curation.readers.csv_reader import read_csv
from gata_assets.curation.readers.faults import attributed_faults
from gata_assets.curation.readers.json_files.lines import read_json_lines
from gata_assets.curation.readers.json_files.pages import read_pages
from gata_assets.curation.readers.parquet_reader import read_parquet
from gata_assets.curation.readers.raw_block import BLOCK_BYTES, PendingBlock
from gata_assets.tables.spec import TableSpec


def read_blocks(
    stream: BinaryIO,
    file_format: RawFormat,
    spec: TableSpec,
    *,
    block_bytes: int = BLOCK_BYTES,
    max_decoded_bytes: int = MAX_DECODED_BYTES,
    keeps_types: bool = False,
) -> Iterator[PendingBlock]:
    """All rows of a raw file (decompressed) in order, in blocks of about `block_bytes` or a few times that.

    With `keeps_types`, columns of Parquet that have their table's type, and those of JSON in JSON, are `RawBlock.known`
    by their values.

    Raises RawFileError, at the start or midway, for a file that is empty, damaged, or has the wrong columns, or whose
    values are more than `max_decoded_bytes`; its message continues the file's name. Decoding a block raises it too.
    Raises StoreError for a fault of the machine.
    """
    with attributed_faults():
        if file_format is RawFormat.PARQUET:
            yield from read_parquet(stream, spec, max_decoded_bytes, keeps_types=keeps_types)
        elif file_format is RawFormat.CSV:
            yield from read_csv(stream, spec, block_bytes, max_decoded_bytes)
        else:
            # A line of many senders is a row.
            read = read_pages if spec.pages and not spec.is_by_row else read_json_lines
            yield from read(stream, spec, block_bytes, max_decoded_bytes, keeps_types=keeps_types)
