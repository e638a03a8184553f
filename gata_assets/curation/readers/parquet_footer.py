"""The sizes of the column chunks of a Parquet file, read from its footer (Thrift's compact protocol).

Arrow's own objects of them end the process where a file is damaged: their C++ exceptions are not caught.
Sources: https://parquet.apache.org/docs/file-format/metadata/, parquet.thrift,
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

# Numbers of fields in parquet.thrift.
_ROW_GROUPS, _COLUMNS, _META_DATA = 4, 1, 3
_ENCODINGS, _PATH, _NUM_VALUES, _UNCOMPRESSED = 2, 3, 5, 6
_NAMES = {6: "DELTA_LENGTH_BYTE_ARRAY", 7: "DELTA_BYTE_ARRAY"}


@dataclass(frozen=True)
class ColumnChunk:
    """A column in a row group: its size decompressed, and its encodings as far as their memory differs."""

    path: str
    num_values: int
    uncompressed_size: int
    encodings: frozenset[str]


def read_chunks(stream: BinaryIO) -> Iterator[ColumnChunk]:
    """The column chunks of an open file, row group by row group; raises EOFError for a damaged footer."""
    end = stream.seek(0, 2) - 8
    stream.seek(max(end, 0))
    size = int.from_bytes(stream.read(4), "little")
    stream.seek(max(end - size, 0))
    try:
        footer, _ = _read_struct(stream.read(size), 0)
        for group in footer.get(_ROW_GROUPS, []):
            for column in group[_COLUMNS]:
                chunk = column[_META_DATA]
                yield ColumnChunk(
                    ".".join(name.decode() for name in chunk[_PATH]),
                    int(chunk[_NUM_VALUES]),
                    int(chunk[_UNCOMPRESSED]),
                    frozenset(_NAMES.get(number, "") for number in chunk[_ENCODINGS]),
                )
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise EOFError("The footer is damaged.") from None


def _read_struct(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    """The fields of a struct by their numbers, and where it ends."""
    fields: dict[int, Any] = {}
    number = 0
    while head := data[at]:
        kind, step = head & 15, head >> 4
        at += 1
        if step:
            number += step
        else:
            number, at = _read_number(data, at)
        if kind in (1, 2):
            fields[number] = kind == 1
        else:
            fields[number], at = _read_value(data, at, kind)
    return fields, at + 1


def _read_value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    match kind:
        case 1 | 2 | 3:
            return data[at], at + 1
        case 4 | 5 | 6:
            return _read_number(data, at)
        case 7:
            return None, at + 8
        case 8:
            size, at = _read_size(data, at)
            return data[at : at + size], at + size
        case 9 | 10:
            count, inner = data[at] >> 4, data[at] & 15
            count, at = _read_size(data, at + 1) if count == 15 else (count, at + 1)
            values = []
            for _ in range(count):
                value, at = _read_value(data, at, inner)
                values.append(value)
            return values, at
        case 12:
            return _read_struct(data, at)
    # Parquet has no maps.
    raise ValueError(f"There is no type {kind} in a footer.")


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    value, at = _read_size(data, at)
    return (value >> 1) ^ -(value & 1), at


def _read_size(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at
