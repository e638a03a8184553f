"""What every reader yields: rows of a raw file as texts, block by block, and what text formats share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.files.signatures import BYTE_ORDER_MARK, HEAD_BYTES, require_format
from gata_assets.errors import RawFileError

# The state of a record: read, not readable, or with other columns than the file.
READABLE, RAGGED, UNREADABLE = 0, 1, 2


@dataclass(frozen=True)
class KnownColumn:
    """A column that the reader has read by its table's type: values, whether one is given, and the texts at places."""

    values: pl.Series
    given: pl.Series
    texts_at: Callable[[NDArray[np.int64]], pl.Series]


@dataclass(frozen=True)
class RawBlock:
    """Rows of a block.

    Attributes:
        texts: a column of texts for each of the table's that the file has, null where nothing is given.
        known: columns with values instead of texts, if the reader was asked for them.
        unused: records beside the rows of a document that are in no row.
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
    known: Mapping[str, KnownColumn] = field(default_factory=dict)
    unused: int = 0

    def texts_at(self, places: NDArray[np.int64]) -> list[pl.Series]:
        """The texts of rows, by column."""
        known = [column.texts_at(places).alias(name) for name, column in self.known.items()]
        return [*(column.gather(places) for column in self.texts), *known]

    def only(self, is_kept: NDArray[np.bool_]) -> RawBlock:
        """The block with these rows alone."""
        places = np.flatnonzero(is_kept)
        known = {
            name: KnownColumn(
                column.values.gather(places),
                column.given.gather(places),
                lambda at, column=column: column.texts_at(places[at]),  # type: ignore[misc]
            )
            for name, column in self.known.items()
        }
        fault_texts = {new: self.fault_texts[old] for new, old in enumerate(places.tolist()) if old in self.fault_texts}
        return replace(
            self,
            texts=self.texts[places],
            records=self.records[places],
            lines=self.lines[places],
            faults=self.faults[places],
            fault_texts=fault_texts,
            known=known,
        )

    def __len__(self) -> int:
        return len(self.lines)


# Rows that are not decoded yet; any thread can decode them.
PendingBlock = Callable[[], RawBlock]

# Bytes of a text format that are read at once. 2 MB held 15 MB more.
BLOCK_BYTES = 1_000_000
LONGEST_LINE = 16_000_000
_LINES_AT_ONCE = 50_000
NOT_UTF_8 = "is not UTF-8: save it as UTF-8 (in Excel: CSV UTF-8) and send it again."


def without_mark(content: bytes) -> bytes:
    """The start of a file without its byte order mark."""
    return content.removeprefix(BYTE_ORDER_MARK)


def pieces(
    stream: BinaryIO, file_format: RawFormat, block_bytes: int, max_decoded_bytes: int, *, takes_arrays: bool = False
) -> Iterator[tuple[bytes, bool]]:
    """The bytes of a file of texts in pieces, each with whether it is the last one, which may be empty.

    Raises RawFileError if it begins as another format does, or is longer than `max_decoded_bytes`.
    """
    size = 0
    while content := stream.read(block_bytes):
        if not size:
            require_format(content[:HEAD_BYTES], file_format, takes_arrays=takes_arrays)
        size += len(content)
        require_decodable(size, max_decoded_bytes)
        # Shorter pieces where lines are short: what is kept of each row takes more memory than its bytes.
        step = -(-len(content) // (content.count(b"\n") // _LINES_AT_ONCE + 1))
        for start in range(0, len(content), step):
            yield content[start : start + step], False
    if not size:
        require_format(b"", file_format)
    yield b"", True


def require_decodable(size: int, max_decoded_bytes: int) -> None:
    """Check the bytes that were decoded so far; raises RawFileError for too many."""
    if size > max_decoded_bytes:
        raise RawFileError(
            f"decodes to {size:,} bytes or more, and at most {max_decoded_bytes / 1e9:,g} GB are read: split it into "
            "several files, or raise MAX_DECODED_GIGABYTES, and send it again (a file that landed: gata quarantine "
            "--replay)."
        )


def require_short(rest: bytes) -> None:
    """Check that a line that continues in the next block is not endless; raises RawFileError."""
    if len(rest) > LONGEST_LINE:
        require_line_ends(rest)
        raise RawFileError(f"has a line of more than {LONGEST_LINE:,} bytes.")


def require_line_ends(line: bytes) -> None:
    """Check that a line has no carriage returns but at its end; raises RawFileError."""
    if b"\r" in line.rstrip(b"\r"):
        raise RawFileError(
            "has lines that end with a carriage return alone (\\r), as on old Macs: save it with line ends of Unix or "
            "Windows (\\n or \\r\\n) and send it again."
        )
