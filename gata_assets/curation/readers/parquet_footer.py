"""The sizes of the column chunks of a Parquet file, read from its footer (Thrift's compact protocol).

Arrow's own objects of them end the process where a file is damaged: their C++ exceptions are not caught. Only wanted
fields are built, one chunk at a time; all others are skipped, since a few bytes may claim millions of values.
Sources: https://parquet.apache.org/docs/file-format/metadata/, parquet.thrift,
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from gata_assets.errors import RawFileError

# Numbers of fields in parquet.thrift.
_ROW_GROUPS, _COLUMNS, _META_DATA = 4, 1, 3
_ENCODINGS, _PATH, _NUM_VALUES, _UNCOMPRESSED = 2, 3, 5, 6
_NAMES = {6: "DELTA_LENGTH_BYTE_ARRAY", 7: "DELTA_BYTE_ARRAY"}
# Types of the protocol.
_TRUE, _FALSE, _BYTE, _INT32, _INT64, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 5, 6, 7, 8, 9, 10, 12
_NUMBERS = (4, _INT32, _INT64)
_BYTES_OF = {_TRUE: 1, _FALSE: 1, _BYTE: 1, _DOUBLE: 8}
_LARGEST_FOOTER = 1 << 26
# Of the encodings and of the path of a column.
_MOST_NAMES = 1_000
# Of a number of 64 bits, seven in each byte.
_LONGEST_NUMBER = 10


@dataclass(frozen=True)
class ColumnChunk:
    """A column in a row group: its size decompressed, and its encodings as far as their memory differs."""

    path: str
    num_values: int
    uncompressed_size: int
    encodings: frozenset[str]


def require_small_footer(stream: BinaryIO) -> None:
    """Check the size of the footer before anything is built from it; raises RawFileError."""
    _, size = _find_footer(stream)
    if size > _LARGEST_FOOTER:
        raise RawFileError(
            f"has a footer of {size:,} bytes, and at most {_LARGEST_FOOTER:,} are read: write it with fewer row groups "
            "and columns, and send it again."
        )


def read_chunks(stream: BinaryIO) -> Iterator[ColumnChunk]:
    """The column chunks of an open file, row group by row group.

    Raises EOFError for a damaged footer, and RawFileError for one that is too large.
    """
    require_small_footer(stream)
    start, size = _find_footer(stream)
    stream.seek(start)
    try:
        yield from _Footer(stream.read(size)).chunks()
    except (IndexError, KeyError, ValueError, RecursionError):
        raise EOFError("The footer is damaged.") from None


def _find_footer(stream: BinaryIO) -> tuple[int, int]:
    """Where the footer starts, and its size; a damaged file has one at its start."""
    end = max(stream.seek(0, 2) - 8, 0)
    stream.seek(end)
    size = min(int.from_bytes(stream.read(4), "little"), end)
    return end - size, size


class _Footer:
    """Reads a footer from its start to its end; each value is read or skipped once."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def chunks(self) -> Iterator[ColumnChunk]:
        for number, kind in self._fields():
            if number != _ROW_GROUPS:
                self._skip(kind)
                continue
            for _ in range(self._count(kind, _STRUCT)):
                yield from self._group()

    def _group(self) -> Iterator[ColumnChunk]:
        has_columns = False
        for number, kind in self._fields():
            if number != _COLUMNS:
                self._skip(kind)
                continue
            has_columns = True
            for _ in range(self._count(kind, _STRUCT)):
                yield self._chunk()
        if not has_columns:
            raise KeyError(_COLUMNS)

    def _chunk(self) -> ColumnChunk:
        """A column of a row group; its sizes are in a struct within."""
        found = None
        for number, kind in self._fields():
            if number == _META_DATA and kind == _STRUCT:
                found = self._sizes()
            else:
                self._skip(kind)
        if found is None:
            raise KeyError(_META_DATA)
        return found

    def _sizes(self) -> ColumnChunk:
        numbers: dict[int, int] = {}
        names: dict[int, list[bytes]] = {}
        encodings: frozenset[str] | None = None
        for number, kind in self._fields():
            if number in (_NUM_VALUES, _UNCOMPRESSED) and kind in _NUMBERS:
                numbers[number] = self._number()
            elif number == _PATH:
                names[number] = [self._binary() for _ in range(self._count(kind, _BINARY, _MOST_NAMES))]
            elif number == _ENCODINGS:
                count = self._count(kind, _INT32, _MOST_NAMES)
                encodings = frozenset([_NAMES.get(self._number(), "") for _ in range(count)])
            else:
                self._skip(kind)
        if encodings is None:
            raise KeyError(_ENCODINGS)
        path = ".".join(name.decode() for name in names[_PATH])
        return ColumnChunk(path, numbers[_NUM_VALUES], numbers[_UNCOMPRESSED], encodings)

    def _fields(self) -> Iterator[tuple[int, int]]:
        """The numbers and types of a struct's fields; whoever takes one reads or skips its value."""
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._number()
            yield number, head & 15

    def _skip(self, kind: int) -> None:
        """Go past the value of a field."""
        # A boolean is in the type of its field.
        if kind not in (_TRUE, _FALSE):
            self._skip_values(kind, 1)

    def _skip_values(self, kind: int, count: int) -> None:
        if kind in _BYTES_OF:
            self._advance(count * _BYTES_OF[kind])
            return
        for _ in range(count):
            if kind in _NUMBERS:
                self._size()
            elif kind == _BINARY:
                self._advance(self._size())
            elif kind in (_LIST, _SET):
                inner, size = self._list()
                self._skip_values(inner, size)
            elif kind == _STRUCT:
                for _, inner in self._fields():
                    self._skip(inner)
            else:
                # Parquet has no maps.
                raise ValueError(f"There is no type {kind} in a footer.")

    def _count(self, kind: int, wanted: int, most: int = _LARGEST_FOOTER) -> int:
        """The number of values of a list of wanted ones."""
        if kind not in (_LIST, _SET):
            raise ValueError("It is no list.")
        inner, count = self._list()
        if (count and inner != wanted) or count > most:
            raise ValueError("It is another list, or too long.")
        return count

    def _list(self) -> tuple[int, int]:
        """The type and the number of a list's values."""
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._size()
        # Every value has a byte at least.
        if count > len(self._data) - self._at:
            raise ValueError("A list is longer than the footer.")
        return head & 15, count

    def _binary(self) -> bytes:
        size = self._size()
        self._advance(size)
        return self._data[self._at - size : self._at]

    def _number(self) -> int:
        value = self._size()
        return (value >> 1) ^ -(value & 1)

    def _size(self) -> int:
        value = 0
        for place in range(_LONGEST_NUMBER):
            byte = self._byte()
            value |= (byte & 127) << 7 * place
            if byte < 128:
                return value
        raise ValueError("A number has more than 64 bits.")

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _advance(self, size: int) -> None:
        self._at += size
        if self._at > len(self._data):
            raise IndexError("A value ends after the footer.")
