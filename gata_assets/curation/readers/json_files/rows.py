"""Rows of JSON: objects of texts, numbers, booleans and nulls, the table's nested fields, and its columns of JSON.

They are decoded with a structure derived from the table; one that does not fit is decoded by itself to find the reason.
A field that the table does not have is treated the same wherever it first occurs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import polars as pl

from gata_assets.curation.readers.columns import Path, column_of, is_left_out, match_columns, unknown_columns
from gata_assets.curation.readers.json_files.kept import KeptJson, Text, Value, as_utf_8, is_given, known
from gata_assets.curation.readers.json_files.objects import NOT_READ, fields_as_they_came, not_json_lines, read_object
from gata_assets.curation.readers.json_files.page_rows import Joined
from gata_assets.curation.readers.json_files.texts import as_series
from gata_assets.curation.readers.raw_block import LONGEST_LINE, RAGGED, READABLE, UNREADABLE, RawBlock
from gata_assets.errors import RawFileError
from gata_assets.tables.changes.declared import COMMITTED_AT
from gata_assets.tables.raw_mapping import NO_MAPPING
from gata_assets.tables.spec import TableSpec, UnknownColumns

LINES_THAT_TELL_COLUMNS = 1_000


def _nothing_beside() -> Joined:
    return Joined({}, 0)


@dataclass(frozen=True)
class JsonRows:
    """Rows of a file, each with its line; the first has the number `first_record`. `joined` gives what other lists of
    their documents have for them.
    """

    lines: Sequence[int]
    texts: Sequence[Text]
    first_record: int
    joined: Callable[[], Joined] = _nothing_beside


class RowDecoder:
    """Decodes rows by all names that the table's columns may have; the first rows tell whether they are its."""

    def __init__(self, spec: TableSpec, first: Sequence[Text], *, keeps_types: bool = False) -> None:
        self._spec = spec
        self._kept = KeptJson(spec)
        nests = dict.fromkeys(column.within for column in spec.raw_columns if column.within)
        # A nested field that is a column of JSON too is read from that.
        self._nests = {
            nest: f"n{number}" for number, nest in enumerate(nests) if nest and nest not in self._kept.inside
        }
        self._keeps_types = keeps_types
        paths = {path: column_of(spec, path) for path in self._paths_of(first)}
        if not paths and not spec.is_by_row and not spec.pages:
            raise not_json_lines(spec, bytes(first[0]))
        if not spec.is_by_row and not spec.pages:
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
        kept = {*self._kept.names}
        forbids = spec.unknown_columns is not UnknownColumns.IGNORE and not spec.more

        def structure(name: str, columns: Iterable[str], nests: Mapping[str, Any]) -> Any:
            names = {field: source for column in columns for field, source in self._fields[column].items()}
            names |= {self._nests[nest]: nest for nest in nests} | (self._given if name == "Row" else {})
            kinds = {field: nests.get(source, Value) for field, source in names.items()}
            kinds |= {field: msgspec.Raw for column in columns if column in kept for field in self._fields[column]}
            fields = [(field, kind, None) for field, kind in kinds.items()]
            return msgspec.defstruct(name, fields, rename=names, forbid_unknown_fields=forbids, gc=False)

        inner = {nest: structure("Nest", self._within(nest), {}) | None for nest in self._nests}
        self._row = structure("Row", self._fields, inner)
        self._decode = msgspec.json.Decoder(self._row).decode

    def __call__(self, rows: JsonRows) -> RawBlock:
        """Decode rows; of one that cannot be read the text is kept, up to a length."""
        faults = np.zeros(len(rows.texts), dtype=np.uint8)
        found, apart = list[Any](), dict[int, Mapping[str, object]]()
        decoded = map(self._decode, rows.texts)
        while len(found) < len(rows.texts):
            try:
                # Up to the next row that does not fit, without a step of Python for each.
                found.extend(decoded)
            except NOT_READ:
                place = len(found)
                found.append(self._row())
                apart[place], faults[place] = self._read_apart(bytes(rows.texts[place]))
        columns: dict[str, list[Any]] = {}
        twice: set[int] = set()
        for name, (first, *also) in self._fields.items():
            columns[name] = list(map(attrgetter(first), found))
            for field_name in also:
                twice |= _fill(columns[name], map(attrgetter(field_name), found))
        for nest, nest_field in self._nests.items():
            nested = list(map(attrgetter(nest_field), found))
            for name in self._within(nest) if any(row is not None for row in nested) else ():
                for field_name in self._fields[name]:
                    twice |= _fill(columns[name], (None if row is None else getattr(row, field_name) for row in nested))
        if not self._is_committed and any(value is not None for value in columns.pop(COMMITTED_AT, ())):
            raise RawFileError(
                "says of some rows when they were committed, and not of its first ones: give all rows a commit time, "
                "or none."
            )
        for place in twice:
            apart[place], faults[place] = {}, UNREADABLE
        for field_name in self._given:
            for place, value in enumerate(map(attrgetter(field_name), found)):
                if value is not None:
                    apart[place], faults[place] = {}, RAGGED
        for place, values in apart.items():
            for name, column in columns.items():
                column[place] = values.get(name)
        self._kept.fill(columns)
        if self._spec.pages:
            faults[self._strangers(columns)] = UNREADABLE
        others = [None if fault else self._kept.others_of(text) for text, fault in zip(rows.texts, faults, strict=True)]
        beside, unused = rows.joined()
        content = self._kept.texts(columns, others, beside)
        kept = {name: as_utf_8(values) for name, values in content.items()}
        for name, texts in kept.items():
            # One that is not UTF-8.
            faults[(texts.is_null() & content[name].is_not_null()).to_numpy()] = UNREADABLE
        frame = pl.DataFrame([as_series(name, values) for name, values in columns.items()] + list(kept.values()))
        if faults.any() and kept:
            is_read = pl.Series(faults == READABLE)
            frame = frame.select(pl.when(is_read).then(pl.col(name)).alias(name) for name in frame.columns)
        # A mapping changes texts; these need not be validated again.
        is_known = self._keeps_types and self._spec.mapping == NO_MAPPING
        return RawBlock(
            texts=frame.drop(kept) if is_known else frame,
            records=np.arange(rows.first_record, rows.first_record + len(rows.texts)),
            lines=np.array(rows.lines, dtype=np.int64),
            faults=faults,
            fault_texts={place: _fault_text(bytes(rows.texts[place])) for place in np.flatnonzero(faults).tolist()},
            known={name: known(frame[name]) for name in kept} if is_known else {},
            unused=unused,
        )

    def _strangers(self, columns: Mapping[str, Sequence[Any]]) -> list[int]:
        """The rows without a value in any own column: an answer of another kind, or a page without its list."""
        pages = self._spec.pages
        own = [values for name, values in columns.items() if pages and name not in {one.column for one in pages.beside}]
        first = next((columns[name] for name in self._spec.required if name in columns), own[0] if own else ())
        lacking = (place for place, value in enumerate(first) if value is None)
        return [place for place in lacking if not any(is_given(values[place]) for values in own)]

    def _within(self, nest: str) -> list[str]:
        """The columns that a nested field may contain."""
        return [
            column.name for column in self._spec.raw_columns if column.within == nest and column.name in self._fields
        ]

    def _read_apart(self, line: bytes) -> tuple[dict[str, object], int]:
        """The values of a line by column, or its fault; raises RawFileError for a field that no file may have."""
        values: dict[str, object] = {}
        fault = READABLE
        row = read_object(line)
        if row is None:
            return {}, UNREADABLE
        try:
            raws = fields_as_they_came(line) if self._kept.names or self._spec.more else {}
        except NOT_READ:
            return {}, UNREADABLE
        for path, value in self._walk(row):
            name = column_of(self._spec, path)
            if name in self._kept.names:
                if value is not None and values.setdefault(str(name), raws[path[0]]) is not raws[path[0]]:
                    return {}, UNREADABLE
                continue
            if name is None and is_left_out(self._spec, path):
                continue
            if name is None:
                if self._spec.more:
                    continue
                if self._spec.unknown_columns is UnknownColumns.REFUSE_FILE and not self._spec.is_by_row:
                    raise unknown_columns(self._spec, [path])
                if self._spec.unknown_columns is not UnknownColumns.IGNORE and value is not None:
                    fault = RAGGED
            elif isinstance(value, dict | list) or (value is not None and values.get(name) is not None):
                return {}, UNREADABLE
            elif value is not None:
                values[name] = value
        return ({}, fault) if fault else (values, READABLE)

    def _paths_of(self, rows: Iterable[Text]) -> list[Path]:
        """The paths of all names in rows, in the order in which they first occur."""
        paths: dict[Path, None] = {}
        # Nearly all rows have the same names.
        seen: set[tuple[str, ...]] = set()
        for text in rows:
            try:
                # A fifth of the time of `read_object`, which reads what this refuses.
                row = msgspec.json.decode(text)
            except NOT_READ:
                row = read_object(bytes(text))
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
        if value is not None and is_given(value):
            if is_given(column[place]):
                twice.add(place)
            column[place] = value
    return twice


def _fault_text(text: bytes) -> str:
    shown = text[:LONGEST_LINE].decode(errors="replace").rstrip("\r")
    return shown if len(text) <= LONGEST_LINE else f"{shown}… ({len(text):,} bytes)"
