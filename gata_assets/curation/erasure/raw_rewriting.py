"""Copies a raw file without the records of erased people; the bytes of all other records stay as they came.

`raw_finding` finds the records. They are left out by their lines (CSV, JSON Lines) or numbers (Parquet, rows in
documents).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.curation.erasure.documents import copy_documents
from gata_assets.curation.erasure.raw_finding import BETWEEN, NONE, cut_lines, find_records, has_documents
from gata_assets.curation.files.formats import Compression, FileFormat, RawFormat
from gata_assets.curation.files.open_files import CODECS, decompressed
from gata_assets.curation.files.signatures import HEAD_BYTES, compression_of
from gata_assets.curation.readers.json_files.pages import read_documents
from gata_assets.tables.columns.arrays import Int64s
from gata_assets.tables.people.named_people import Subjects
from gata_assets.tables.spec import TableSpec

_WORD = re.compile(r"[\w-]+")


class Mentions:
    """Whether texts contain one of some ids as a word: what is beside it is no letter, digit, `_` or `-`."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._words = frozenset(filter(_WORD.fullmatch, ids))
        others = [one for one in ids if one not in self._words]
        self._others = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, others))})(?![\w-])") if others else None

    def __call__(self, text: str) -> bool:
        """Whether a text does."""
        # Words are looked up, so that many ids take no longer than few.
        if self._words and any(found[0] in self._words for found in _WORD.finditer(text)):
            return True
        return self._others is not None and self._others.search(text) is not None


def copy_without(
    open_source: Callable[[], AbstractContextManager[BinaryIO]],
    to: Path,
    file_format: FileFormat,
    spec: TableSpec,
    people: Subjects,
    is_mention: Callable[[str], bool],
    *,
    max_decoded_bytes: int,
    also: Int64s = NONE,
) -> int:
    """Copy a raw file without the records of erased people; returns how many it lacks. Without any it is of no use.

    Args:
        open_source: Opens the file, which can seek; it is read twice.
        to: Where the copy is written, compressed as the file is.
        file_format: What its name says.
        spec: Its table, as this file has it (`mapped`).
        people: Who was erased.
        is_mention: Whether a record that cannot be read is about one of them.
        max_decoded_bytes: See `read_blocks`.
        also: The numbers of records that are left out too.

    Raises RawFileError if the file cannot be read, or StoreError.
    """
    with open_source() as source, decompressed(source, file_format, max_decoded_bytes) as stream:
        found = find_records(stream, file_format.format, spec, people, is_mention, max_decoded_bytes, also)
    count = len(found.numbers)
    if not count and not has_documents(spec, file_format.format):
        return 0
    with open_source() as source:
        compression = compression_of(source.read(HEAD_BYTES))
    with (
        open_source() as source,
        decompressed(source, file_format, max_decoded_bytes) as stream,
        _compressed(to, compression) as copy,
    ):
        if spec.pages and has_documents(spec, file_format.format):
            # Also records beside rows of others.
            documents = read_documents(stream, spec, max_decoded_bytes)
            count = copy_documents(documents, copy, spec, spec.pages, {*found.numbers.tolist()}, people)
        elif file_format.format is RawFormat.PARQUET:
            _copy_rows(stream, copy, found.numbers)
        else:
            for place, piece in cut_lines(stream, found.lines):
                if place == BETWEEN:
                    copy.write(piece)
    return count


def _copy_rows(stream: BinaryIO, copy: BinaryIO, records: np.ndarray) -> None:
    """Copy a Parquet file without these rows, which are numbered from 1."""
    file = pq.ParquetFile(stream)
    first = 1
    with pq.ParquetWriter(copy, file.schema_arrow, compression="zstd") as writer:
        for batch in file.iter_batches():
            numbers = np.arange(first, first + len(batch))
            writer.write_batch(batch.filter(pa.array(~np.isin(numbers, records))))
            first += len(batch)


@contextmanager
def _compressed(to: Path, compression: Compression | None) -> Iterator[BinaryIO]:
    with to.open("wb") as file:
        if compression is None:
            yield file
            return
        with pa.CompressedOutputStream(pa.PythonFile(file, "wb"), CODECS[compression]) as stream:
            yield cast("BinaryIO", stream)
