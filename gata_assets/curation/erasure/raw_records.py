"""Reads the records of people in a raw file as they came: with all columns and fields, also those the table lacks."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import groupby
from operator import itemgetter
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.curation.erasure.documents import read_theirs
from gata_assets.curation.erasure.raw_finding import BETWEEN, FoundRecords, cut_lines, find_records, has_documents
from gata_assets.curation.files.formats import FileFormat, RawFormat
from gata_assets.curation.files.open_files import decompressed
from gata_assets.curation.readers.csv_reader import read_header
from gata_assets.curation.readers.json_files.objects import read_object
from gata_assets.curation.readers.json_files.pages import read_documents
from gata_assets.curation.readers.raw_block import without_mark
from gata_assets.tables.people.named_people import Subjects
from gata_assets.tables.spec import TableSpec

_ROWS_AT_ONCE = 1_000
# The field of what cannot be divided into fields.
_TEXT = "text"


class NumberedRow(NamedTuple):
    """A row with the number of its record in a raw file, from 1; 0 for what is beside the rows of a document."""

    record: int
    row: Mapping[str, Any]


def read_records(
    open_source: Callable[[], AbstractContextManager[BinaryIO]],
    file_format: FileFormat,
    spec: TableSpec,
    people: Subjects,
    is_mention: Callable[[str], bool],
    *,
    max_decoded_bytes: int,
) -> Iterator[NumberedRow]:
    """The records of people in a raw file; arguments and errors as in `copy_without`.

    Fields of CSV are texts. What cannot be divided into fields has one: `text`.
    """
    with open_source() as source, decompressed(source, file_format, max_decoded_bytes) as stream:
        found = find_records(stream, file_format.format, spec, people, is_mention, max_decoded_bytes)
    with open_source() as source, decompressed(source, file_format, max_decoded_bytes) as stream:
        if spec.pages and has_documents(spec, file_format.format):
            documents = read_documents(stream, spec, max_decoded_bytes)
            for name, number, text in read_theirs(documents, spec, spec.pages, {*found.numbers.tolist()}, people):
                yield NumberedRow(number, _of_json(text) if number else {name: _of_json(text)})
        elif not len(found.numbers):
            return
        elif file_format.format is RawFormat.PARQUET:
            yield from _of_parquet(stream, found)
        else:
            yield from _of_lines(stream, found, file_format.format, spec)


def _of_lines(stream: BinaryIO, found: FoundRecords, raw_format: RawFormat, spec: TableSpec) -> Iterator[NumberedRow]:
    names = list(spec.mapping.header)
    has_header = raw_format is RawFormat.CSV and not names
    ranges = [(1, 2)] if has_header else []
    numbers = [0] * len(ranges) + found.numbers.tolist()
    for place, pieces in groupby(cut_lines(stream, [*ranges, *found.lines]), key=itemgetter(0)):
        if place == BETWEEN:
            continue
        # The last record of a file may end with any number of blank lines.
        text = b"".join(piece for _, piece in pieces if piece.strip(b"\r\n"))
        if not numbers[place]:
            names = read_header(without_mark(text).rstrip(b"\r\n"), spec.separator)
        elif raw_format is RawFormat.CSV:
            yield NumberedRow(numbers[place], _of_csv(text, names, spec.separator))
        else:
            yield NumberedRow(numbers[place], _of_json(without_mark(text)))


def _of_csv(text: bytes, names: list[str], separator: str) -> Mapping[str, Any]:
    line = _as_text(text)
    try:
        [fields] = csv.reader([line], delimiter=separator, strict=True)
    except (csv.Error, ValueError):
        fields = []
    return dict(zip(names, fields, strict=True)) if len(fields) == len({*names}) == len(names) else {_TEXT: line}


def _of_json(text: bytes) -> Mapping[str, Any]:
    found = read_object(text)
    return {_TEXT: _as_text(text)} if found is None else found


def _as_text(content: bytes) -> str:
    return content.decode(errors="replace").strip("\r\n")


def _of_parquet(stream: BinaryIO, found: FoundRecords) -> Iterator[NumberedRow]:
    first = 1
    for batch in pq.ParquetFile(stream).iter_batches(_ROWS_AT_ONCE):
        numbers = np.arange(first, first + len(batch))
        places = np.flatnonzero(np.isin(numbers, found.numbers))
        for number, row in zip(numbers[places].tolist(), batch.take(pa.array(places)).to_pylist(), strict=True):
            yield NumberedRow(number, row)
        first += len(batch)
