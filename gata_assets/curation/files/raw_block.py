"""What every reader yields: rows of a raw file as texts, block by block, and what text formats share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gata_assets.errors import RawFileError

# The state of a record: read, not readable, or with other columns than the file.
READABLE, RAGGED, UNREADABLE = 0, 1, 2


@dataclass(frozen=True)
class RawBlock:
    """Rows of a block.

    Attributes:
        texts: a column of texts for each of the table's that the file has, null where nothing is given.
        records: the number of each row in the file, the first is 1.
        lines: the line of each row, the first of a file is 1; in Parquet the number of the row.
        faults: READABLE, UNREADABLE or RAGGED.
        fault_texts: rows at fault as they came, by place.
    """

    texts: pl.DataFrame
    records: NDArray[np.int64]
    lines: NDArray[np.int64]
    faults: NDArray[np.uint8]
    fault_texts: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines)


# Rows that are not decoded yet; any thread can decode them.
PendingBlock = Callable[[], RawBlock]

# Bytes of a text format that are read at once. 2 MB held 15 MB more.
BLOCK_BYTES = 1_000_000
LONGEST_LINE = 16_000_000
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NOT_UTF_8 = "is not UTF-8: save it as UTF-8 (in Excel: CSV UTF-8) and send it again."


def pieces(stream: BinaryIO, block_bytes: int) -> Iterator[tuple[bytes, bool]]:
    """The bytes of a stream in pieces, each with whether it is the last one, which may be empty."""
    while content := stream.read(block_bytes):
        yield content, False
    yield b"", True


def require_short(rest: bytes) -> None:
    """Check that a line that continues in the next block is not endless; raises RawFileError."""
    if len(rest) > LONGEST_LINE:
        raise RawFileError(f"has a line of more than {LONGEST_LINE:,} bytes.")
