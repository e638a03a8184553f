"""A raw file's own columns with the texts of its first rows, whatever table it may be of; `proposal` interprets them.

Read by the same readers as rows are, so that what is seen here is what is read later.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.files.head import Head
from gata_assets.curation.mappings.value_shapes import is_value
from gata_assets.curation.readers.csv_reader import MOST_COLUMNS
from gata_assets.curation.readers.parquet_reader import is_readable
from gata_assets.curation.readers.raw_block import NOT_UTF_8, RAGGED, READABLE, RawBlock, without_mark
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.errors import RawFileError
from gata_assets.tables.columns.column_spec import ColumnSpec
from gata_assets.tables.raw_mapping import RawMapping, typed_name
from gata_assets.tables.spec import TableSpec, UnknownColumns

FIRST_ROWS = 1_000
# In this order where the columns' number says nothing; the last two only if no other separates anything.
_USUAL, _UNUSUAL = ("\t", ",", ";", "|"), (":", " ")
_TYPED_NAME = re.compile(r"[^:]+:(token|token_seq|float|float_seq)")
_ENOUGH = 0.95


@dataclass(frozen=True)
class RawColumns:
    """The columns of a file's first rows.

    Attributes:
        format: how it is written.
        names: the names of its columns in order; made-up ones (`column 1`) for CSV without a header.
        texts: a column of texts for each of them, null where nothing is given, without those that contain fields.
        nested: the columns that contain fields or lists, or values that cannot be read.
        separator: the character between columns of CSV.
        has_header: whether the first line of CSV names columns.
        has_typed_names: whether names have types behind them, which `names` are without.
    """

    format: RawFormat
    names: tuple[str, ...]
    texts: pl.DataFrame
    nested: tuple[str, ...] = ()
    separator: str | None = None
    has_header: bool = True
    has_typed_names: bool = False


def first_rows(head: Head, spec: TableSpec, most: int = FIRST_ROWS) -> RawBlock | None:
    """The first rows of a file as a table has them, read once; None without any. Raises RawFileError."""
    head.stream.seek(0)
    blocks: list[RawBlock] = []
    try:
        for pending in read_blocks(head.stream, head.format, spec):
            blocks.append(pending())
            if sum(map(len, blocks)) > most:
                break
    except RawFileError:
        # A document may go on behind the start of the file.
        if spec.pages is None or head.is_complete:
            raise
        if not blocks:
            raise RawFileError(
                "begins with a document that is too long to look at: its rows are read by name."
            ) from None
    if not blocks:
        return None
    states = np.concatenate([block.faults for block in blocks])
    readable = np.flatnonzero(states == READABLE)
    # The last record of a start may be cut within a value of many lines, each of which then looks like a faulty record.
    is_cut = not head.is_complete and len(readable)
    kept = min(most, int(readable[-1]) + 1 if is_cut else len(states))
    starts = [0, *(sum(map(len, blocks[:number])) for number in range(1, len(blocks)))]
    faults = chain.from_iterable(
        ((start + place, text) for place, text in block.fault_texts.items())
        for start, block in zip(starts, blocks, strict=True)
    )
    return RawBlock(
        texts=pl.concat([block.texts for block in blocks], how="diagonal").head(kept),
        records=np.concatenate([block.records for block in blocks])[:kept],
        lines=np.concatenate([block.lines for block in blocks])[:kept],
        faults=states[:kept],
        fault_texts={place: text for place, text in faults if place < kept},
    )


def look_at(head: Head, separator: str | None = None) -> RawColumns:
    """The columns of a file and the texts of its first rows; raises RawFileError."""
    head.stream.seek(0)
    if head.format is RawFormat.CSV:
        return _of_csv(head, separator)
    names, nested = _of_json_lines(head) if head.format is RawFormat.JSON_LINES else _of_parquet(head)
    block = first_rows(head, _table_of([name for name in names if name not in nested]))
    if block is None:
        raise RawFileError("has no row.")
    return RawColumns(head.format, names, block.texts, nested)


def _of_csv(head: Head, separator: str | None) -> RawColumns:
    first = _first_line(head)
    found = [look for mark in ([separator] if separator else _USUAL) if (look := _separated(head, first, mark))]
    found = found or [look for mark in _UNUSUAL if (look := _separated(head, first, mark))]
    if not found:
        # One column, or nothing that fits together: the reader says what is wrong.
        found = [look for mark in (separator or ",",) if (look := _separated(head, first, mark, least=1))]
    if not found:
        _require_csv(head)
        raise RawFileError("has lines that fit together by no separator of columns: tabs, commas, semicolons, bars.")
    mark, block = max(found, key=lambda look: look[1].texts.width)
    texts = block.texts.filter(pl.Series(block.faults == READABLE))
    cells = [name or "" for name in texts.row(0)]
    has_header = not any(map(is_value, cells)) and any(cells)
    if not has_header:
        names = [f"column {number}" for number in range(1, texts.width + 1)]
        return RawColumns(head.format, tuple(names), _named(texts, names), separator=mark, has_header=False)
    is_typed = all(_TYPED_NAME.fullmatch(name) for name in cells)
    if len(texts) == 1:
        raise RawFileError("has a header, and no row below it.")
    names = [(typed_name(name) if is_typed else name).strip() for name in cells]
    return RawColumns(head.format, tuple(names), _named(texts[1:], names), separator=mark, has_typed_names=is_typed)


def _first_line(head: Head) -> str:
    line = without_mark(head.stream.read().partition(b"\n")[0])
    head.stream.seek(0)
    try:
        return line.decode().rstrip("\r")
    except UnicodeDecodeError:
        _require_csv(head)
        raise RawFileError(NOT_UTF_8) from None


def _require_csv(head: Head) -> None:
    """Raise the reader's own error for what is no text, or none that CSV is written in."""
    first_rows(head, _table_of(["1"], ","))


def _separated(head: Head, first: str, mark: str, least: int = 2) -> tuple[str, RawBlock] | None:
    """The rows with this separator, if nearly all have as many columns as the first line, and at least some."""
    try:
        width = len(next(csv.reader([first], delimiter=mark)))
    except (csv.Error, StopIteration):
        return None
    if width < least:
        return None
    if width > MOST_COLUMNS:
        raise RawFileError(f"has {width:,} columns, and at most {MOST_COLUMNS:,} are read.")
    block = first_rows(head, _table_of([f"{number}" for number in range(width)], mark), FIRST_ROWS + 1)
    if block is None or not len(block) or block.faults[0] != READABLE:
        return None
    # A byte that is not UTF-8 says nothing about the separator.
    return (mark, block) if (block.faults != RAGGED).mean() >= _ENOUGH or least == 1 else None


def _named(texts: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Texts under their names; of columns without a name, or with that of another, none can be meant."""
    first = {name: place for place, name in reversed(list(enumerate(names))) if name}
    return pl.DataFrame(
        [texts.to_series(place).alias(name) for name, place in sorted(first.items(), key=lambda one: one[1])]
    )


def _table_of(names: Sequence[str], separator: str | None = None) -> TableSpec:
    """A table of texts with a file's columns; with a separator, of lines without a header."""
    return TableSpec(
        name="raw",
        declared_by=None,
        description="",
        unique_together=False,
        columns=tuple(ColumnSpec(name, pl.String(), nullable=True) for name in names),
        frame_rules=(),
        table="raw",
        unknown_columns=UnknownColumns.IGNORE,
        separator=separator or ",",
        mapping=RawMapping(header=tuple(names) if separator else ()),
    )


def _of_json_lines(head: Head) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names: dict[str, bool] = {}
    for row in _objects(head):
        for name, value in row.items():
            is_odd = not name.isprintable() or not name or any(mark in name for mark in '"\\')
            names[name] = names.get(name, False) or is_odd or isinstance(value, dict | list)
    return tuple(names), tuple(name for name, is_nested in names.items() if is_nested)


def _objects(head: Head) -> Iterator[dict[str, object]]:
    for line in without_mark(head.stream.read()).split(b"\n")[:FIRST_ROWS]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            yield row
    head.stream.seek(0)


def _of_parquet(head: Head) -> tuple[tuple[str, ...], tuple[str, ...]]:
    schema = pq.read_schema(head.stream)
    head.stream.seek(0)
    nested = tuple(column.name for column in schema if not is_readable(column.type))
    return tuple(schema.names), nested
