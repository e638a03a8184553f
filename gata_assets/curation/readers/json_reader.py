"""JSON Lines: every line is an object of texts, numbers, booleans and nulls, or of the table's nested fields.

Lines are decoded with a structure derived from the table; a line that does not fit is decoded by itself to find the
reason. A field that the table does not have is treated the same wherever it first occurs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, BinaryIO

import msgspec
import numpy as np
import polars as pl

from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.files.signatures import is_json_array
from gata_assets.curation.readers.columns import Path, column_of, is_left_out, match_columns, unknown_columns
from gata_assets.curation.readers.raw_block import (
    RAGGED,
    READABLE,
    UNREADABLE,
    PendingBlock,
    RawBlock,
    pieces,
    require_line_ends,
    require_short,
    without_mark,
)
from gata_assets.errors import RawFileError
from gata_assets.tables.changes.declared import COMMITTED_AT
from gata_assets.tables.spec import TableSpec, UnknownColumns

_LINES_THAT_TELL_COLUMNS = 1_000
_Value = str | int | float | bool | None


def read_json_lines(
    stream: BinaryIO, spec: TableSpec, block_bytes: int, max_decoded_bytes: int
) -> Iterator[PendingBlock]:
    """All lines of a file that are not blank, block by block; raises RawFileError."""
    decode = None
    line, record, rest = 1, 1, b""
    for content, is_last in pieces(stream, RawFormat.JSON_LINES, block_bytes, max_decoded_bytes):
        block = rest + content
        block = without_mark(block) if line == 1 else block
        used = len(block) if is_last else block.rfind(b"\n") + 1
        rest, block = block[used:], block[:used]
        require_short(rest)
        texts = block.split(b"\n")
        numbers: Sequence[int] = range(line, line + len(texts))
        line += len(texts) - 1
        if not texts[-1]:
            texts.pop()
        # Hardly ever is a line blank.
        if not all(map(bytes.strip, texts)):
            numbers = [number for number, text in zip(numbers, texts, strict=False) if text.strip()]
            texts = [text for text in texts if text.strip()]
        if not texts:
            continue
        decode = decode or _Decoder(spec, texts[:_LINES_THAT_TELL_COLUMNS])
        yield partial(decode, texts, numbers[: len(texts)], record)
        record += len(texts)
    if decode is None:
        raise RawFileError("is empty but for blank lines.")


class _Decoder:
    """Decodes lines by all names that the table's columns may have; the first lines tell whether they are its."""

    def __init__(self, spec: TableSpec, lines: Sequence[bytes]) -> None:
        self._spec = spec
        self._nests = {column.within: f"n{number}" for number, column in enumerate(spec.raw_columns) if column.within}
        paths = {path: column_of(spec, path) for path in self._paths_of(lines)}
        if not paths and not spec.is_by_row:
            raise _not_json_lines(spec, lines[0])
        if not spec.is_by_row:
            # A column may have two names in a file, but not in a row.
            match_columns(spec, {column or path: path for path, column in paths.items()}.values(), is_header=False)
        # Rows of a file whose first ones have no commit time were committed when its day began.
        self._is_committed = not spec.changes or spec.is_by_row or COMMITTED_AT in paths.values()
        # A field of each name: with one of two, the values of the other would be those of an unknown column.
        self._fields = {
            column.name: {f"c{number}_{place}": name for place, name in enumerate(spec.names_of(column))}
            for number, column in enumerate(spec.raw_columns)
            if spec.names_of(column)
        }
        # What the mapping gives: a row that has it too is not of these columns.
        self._given = {f"g{number}": name for number, name in enumerate(sorted(spec.mapping.filled))}
        forbids = spec.unknown_columns is not UnknownColumns.IGNORE

        def structure(name: str, columns: Iterable[str], nests: Mapping[str, Any]) -> type[msgspec.Struct]:
            names = {field: source for column in columns for field, source in self._fields[column].items()}
            names |= {self._nests[nest]: nest for nest in nests} | (self._given if name == "Row" else {})
            kinds = {field: nests.get(source, _Value) for field, source in names.items()}
            fields = [(field, kind, None) for field, kind in kinds.items()]
            return msgspec.defstruct(name, fields, rename=names, forbid_unknown_fields=forbids, gc=False)

        inner = {nest: structure("Nest", self._within(nest), {}) | None for nest in self._nests}
        self._row = structure("Row", self._fields, inner)
        self._decode = msgspec.json.Decoder(self._row).decode

    def __call__(self, lines: Sequence[bytes], numbers: Sequence[int], first_record: int) -> RawBlock:
        """Decode lines with their numbers."""
        apart, faults = {}, np.zeros(len(lines), dtype=np.uint8)
        rows: list[Any] = []
        decoded = map(self._decode, lines)
        while len(rows) < len(lines):
            try:
                # Up to the next line that does not fit, without a step of Python for each.
                rows.extend(decoded)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                place = len(rows)
                rows.append(self._row())
                apart[place], faults[place] = self._read_apart(lines[place])
        columns: dict[str, list[Any]] = {}
        twice: set[int] = set()
        for name, (first, *others) in self._fields.items():
            columns[name] = list(map(attrgetter(first), rows))
            for field in others:
                twice |= _fill(columns[name], map(attrgetter(field), rows))
        for nest, nest_field in self._nests.items():
            nested = list(map(attrgetter(nest_field), rows))
            for name in self._within(nest) if any(row is not None for row in nested) else ():
                for field in self._fields[name]:
                    twice |= _fill(columns[name], (None if row is None else getattr(row, field) for row in nested))
        if not self._is_committed and any(value is not None for value in columns.pop(COMMITTED_AT, ())):
            raise RawFileError(
                "says of some rows when they were committed, and not of its first ones: give all rows a commit time, "
                "or none."
            )
        for place in twice:
            apart[place], faults[place] = {}, UNREADABLE
        for field in self._given:
            for place, value in enumerate(map(attrgetter(field), rows)):
                if value is not None:
                    apart[place], faults[place] = {}, RAGGED
        for place, values in apart.items():
            for name, column in columns.items():
                column[place] = values.get(name)
        return RawBlock(
            texts=pl.DataFrame([_as_series(name, values) for name, values in columns.items()]),
            records=np.arange(first_record, first_record + len(lines)),
            lines=np.array(numbers, dtype=np.int64),
            faults=faults,
            fault_texts={
                place: lines[place].decode(errors="replace").rstrip("\r") for place in np.flatnonzero(faults).tolist()
            },
        )

    def _within(self, nest: str) -> list[str]:
        """The columns that a nested field may contain."""
        return [
            column.name for column in self._spec.raw_columns if column.within == nest and column.name in self._fields
        ]

    def _read_apart(self, line: bytes) -> tuple[dict[str, object], int]:
        """The values of a line by column, or its fault; raises RawFileError for a field that no file may have."""
        values: dict[str, object] = {}
        fault = READABLE
        row = _read_object(line)
        if row is None:
            return {}, UNREADABLE
        for path, value in self._walk(row):
            name = column_of(self._spec, path)
            if name is None and is_left_out(self._spec, path):
                continue
            if name is None:
                if self._spec.unknown_columns is UnknownColumns.REFUSE_FILE and not self._spec.is_by_row:
                    raise unknown_columns(self._spec, [path])
                if self._spec.unknown_columns is not UnknownColumns.IGNORE and value is not None:
                    fault = RAGGED
            elif isinstance(value, dict | list) or (value is not None and values.get(name) is not None):
                return {}, UNREADABLE
            elif value is not None:
                values[name] = value
        return ({}, fault) if fault else (values, READABLE)

    def _paths_of(self, lines: Iterable[bytes]) -> list[Path]:
        """The paths of all names in lines, in the order in which they first occur."""
        paths: dict[Path, None] = {}
        # Nearly all rows have the same names.
        seen: set[tuple[str, ...]] = set()
        for line in lines:
            try:
                # A fifth of the time of `_read_object`, which reads what this refuses.
                row = msgspec.json.decode(line)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                row = _read_object(line)
            if not isinstance(row, dict) or (names := tuple(row)) in seen:
                continue
            paths |= dict.fromkeys(path for path, _ in self._walk(row))
            if self._nests.keys().isdisjoint(names):
                seen.add(names)
        return list(paths)

    def _walk(self, row: Mapping[str, object]) -> Iterator[tuple[Path, object]]:
        """The values of a row with the paths of their names."""
        for name, value in row.items():
            if name not in self._nests:
                yield (name,), value
            elif isinstance(value, dict):
                yield from (((name, inner), within) for inner, within in value.items())
            elif value is not None:
                # A field that contains fields is not a column: no table has it.
                yield from (((name, column.name), []) for column in self._spec.raw_columns if column.within == name)


def _fill(column: list[Any], values: Iterable[Any]) -> set[int]:
    """Fill the values of a column with those under another name; returns the places that have both."""
    twice = set()
    for place, value in enumerate(values):
        if value is not None:
            if column[place] is not None:
                twice.add(place)
            column[place] = value
    return twice


def _read_object(line: bytes) -> dict[str, Any] | None:
    """A JSON object with valid Unicode texts; None for anything else."""
    try:
        row = json.loads(line)
        # A lone surrogate is not valid text.
        json.dumps(row, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _not_json_lines(spec: TableSpec, line: bytes) -> RawFileError:
    """The error of a file none of whose first lines is an object, by the first of them."""
    line = line.strip()
    if line.startswith(b"["):
        return is_json_array()
    require_line_ends(line)
    names = {name.strip(' "') for name in re.split(r"[,;\t|]", line.decode(errors="replace"))}
    if not line.startswith(b"{") and names & {*spec.sources}:
        return RawFileError(
            "is CSV, and its name (or --format) says JSON Lines: name it .csv, or send it with --format csv."
        )
    if _read_object(line.rstrip(b",")) is not None:
        return RawFileError("is not JSON Lines: its lines end with commas. Remove them and send it again.")
    if line.startswith(b"{") and line.count(b"{") > line.count(b"}"):
        return RawFileError(
            "is JSON over several lines, not JSON Lines: write each object on a line of its own (jq -c .) and send it "
            "again."
        )
    return RawFileError("is not JSON Lines: every line is an object such as {…}, with texts, numbers or null.")


def _as_series(name: str, values: Sequence[object]) -> pl.Series:
    try:
        texts = pl.Series(name, values, dtype=pl.String)
    except TypeError:
        texts = pl.Series(name, [_as_text(value) for value in values], dtype=pl.String)
    return pl.select(pl.when(texts.str.len_bytes() > 0).then(texts).alias(name)).to_series()


def _as_text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
