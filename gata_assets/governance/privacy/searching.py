"""Looks for people in an object, by its form: what a scan does with each, wherever it is.

A value is theirs if it is one of their ids, as a text or a number, in a column, a field of CSV, or a value of JSON. An
id of fewer than six characters, which many a number is too, counts only in fields with a name of people's columns. In
what has no such form, an id counts wherever it is a word, but not one so short. Some megabytes are read at a time.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.curation.erasure.raw_rewriting import Mentions
from gata_assets.curation.files.formats import RawSource
from gata_assets.curation.files.open_files import CODECS
from gata_assets.curation.files.signatures import HEAD_BYTES, compression_of, is_parquet
from gata_assets.curation.staged_partitions import read_batches
from gata_assets.curation.validated_files import DAMAGED
from gata_assets.governance.privacy.locators import People
from gata_assets.storage.scratch import scratch_file

SHORTEST_WORD = 6
# Ids that texts have letter for letter: nothing writes these characters otherwise, but JSON as such an escape.
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.@:-]+")
_ESCAPED_ASCII = "\\u00"
_PARQUET, _ARROW_STREAM = b"PAR1", b"\xff\xff\xff\xff"
_PIECE_BYTES, _LONGEST_WORD, _ROWS_AT_ONCE = 1 << 23, 4_000, 10_000


@dataclass(frozen=True)
class Searched:
    """What was found in an object of a haystack.

    Attributes:
        key: names it.
        size: its bytes, as they are stored.
        values: how many of its values are theirs.
        is_damaged: whether it could not be taken apart, so that it was searched for words.
        fault: why it could not be searched; empty if it was.
    """

    key: str
    size: int
    values: int
    is_damaged: bool = False
    fault: str = ""


class Search:
    """Counts the values of an object, or of a value, that are ids of theirs."""

    def __init__(self, people: People) -> None:
        self._ids, self._columns = frozenset(people.ids), people.columns
        self._long = frozenset(found for found in self._ids if len(found) >= SHORTEST_WORD)
        self._words = Mentions(sorted(self._long))
        self._looked_for = [*self._ids, _ESCAPED_ASCII] if all(map(_PLAIN_ID.fullmatch, self._ids)) else []

    def count(self, source: RawSource) -> tuple[int, int]:
        """The size of an object, and how many of its values are theirs."""
        if isinstance(source, Path):
            batches = pq.ParquetFile(source).iter_batches(_ROWS_AT_ONCE)
            return source.stat().st_size, sum(map(self._of_batch, batches))
        size = source.seek(0, SEEK_END)
        source.seek(0)
        head = source.read(HEAD_BYTES)
        source.seek(0)
        if compression := compression_of(head):
            # Closing it would close the source.
            plain = pa.CompressedInputStream(pa.PythonFile(source, "rb"), CODECS[compression])
            if plain.read(len(_PARQUET)) != _PARQUET:
                source.seek(0)
                return size, self._of_stream(pa.CompressedInputStream(pa.PythonFile(source, "rb"), CODECS[compression]))
            with scratch_file() as decompressed:
                decompressed.write(_PARQUET)
                while piece := plain.read(_PIECE_BYTES):
                    decompressed.write(piece)
                batches = pq.ParquetFile(decompressed).iter_batches(_ROWS_AT_ONCE)
                return size, sum(map(self._of_batch, batches))
        if is_parquet(head):
            return size, sum(map(self._of_batch, pq.ParquetFile(source).iter_batches(_ROWS_AT_ONCE)))
        if head.startswith(_ARROW_STREAM):
            return size, sum(map(self._of_batch, read_batches(source, size)))
        return size, self._of_stream(source)

    def count_words(self, file: BinaryIO) -> tuple[int, int]:
        """As `count`, of what cannot be taken apart."""
        return file.seek(0, SEEK_END), self._of_stream(_from_start(file))

    def count_value(self, value: Any) -> int:
        """As `count`, of a value as JSON has it, or of bytes, which may have any form."""
        if isinstance(value, bytes):
            return self.search_file("", io.BytesIO(value)).values
        return self._of_json(value)

    def search_file(self, key: str, file: BinaryIO) -> Searched:
        """A file that can seek, by its form or, if it cannot be taken apart, by words; `key` names it."""
        try:
            return Searched(key, *self.count(file))
        except DAMAGED:
            return Searched(key, *self.count_words(file), is_damaged=True)

    def count_mentions(self, file: BinaryIO) -> int:
        """How many pieces of a file, whatever its form, have an id of at least six characters as a word."""
        looked_for = [*self._ids]
        texts = (pl.Series([text]) for text in _pieces(_from_start(file)))
        return sum(sum(map(self._words, one.filter(one.str.contains_any(looked_for)).to_list())) for one in texts)

    def _of_stream(self, stream: BinaryIO) -> int:
        count, header = 0, None
        for text in _pieces(stream):
            header = text.partition("\n")[0].strip("\ufeff\r") if header is None else header
            count += self._of_texts(pl.Series([text]), header)
        return count

    def _of_batch(self, batch: pa.RecordBatch) -> int:
        return sum(map(self._of_column, pl.DataFrame(batch)))

    def _of_column(self, column: pl.Series) -> int:
        if column.dtype.is_nested():
            return self._of_json(column.to_list(), column.name)
        if column.dtype == pl.Binary():
            decoded = [value.decode(errors="replace") for value in column.drop_nulls().to_list()]
            return self._of_texts(pl.Series(decoded, dtype=pl.String))
        if column.dtype.is_integer() or column.dtype in (pl.String, pl.Categorical, pl.Enum):
            texts = column.cast(pl.String)
            count = int(texts.is_in(pl.Series([*self._of_field(column.name)], dtype=pl.String).implode()).sum())
            may_be_json = texts.filter(texts.str.starts_with("{") | texts.str.starts_with("["))
            return count + self._of_texts(may_be_json)
        return 0

    def _of_field(self, name: str) -> frozenset[str]:
        """The ids that are looked for in a column or field with a name, or with none."""
        return self._ids if not self._columns or name.lower() in self._columns else self._long

    def _of_texts(self, texts: pl.Series, header: str = "") -> int:
        """Of texts of any form, those of CSV with a header. Only what may have an id is taken apart: of a gigabyte this
        takes 15 s, not 60.
        """
        if self._looked_for:
            texts = texts.filter(texts.str.contains_any(self._looked_for))
        return sum(self._of_text(text, header) for text in texts.to_list())

    def _of_text(self, text: str, header: str = "") -> int:
        """A document or lines of JSON, fields of CSV, or else words."""
        start = text.lstrip()[:1]
        if start in ("{", "["):
            for parse in (_document, _lines):
                try:
                    return self._of_json(list(parse(text)))
                except (ValueError, RecursionError):
                    continue
        count = 0
        # Of what is no CSV, such as a picture, a field may be longer than any.
        with suppress(csv.Error):
            named = dict(enumerate(map(self._of_field, next(csv.reader([header]), ()))))
            others = self._of_field("")
            for line in csv.reader(io.StringIO(text, newline="")) if "," in text else ():
                count += sum(field in named.get(place, others) for place, field in enumerate(line))
        return max(count, int(self._words(text)))

    def _of_json(self, value: Any, name: str = "") -> int:
        """Of a value of a field with a name; the name itself may be an id too."""
        if isinstance(value, dict):
            return sum(self._of_json(own, name) + self._of_json(found, own) for own, found in value.items())
        if isinstance(value, list):
            return sum(self._of_json(found, name) for found in value)
        if isinstance(value, str):
            return int(value in self._of_field(name)) or (self._of_text(value) if value[:1] in ("{", "[") else 0)
        return int(isinstance(value, int) and str(value) in self._of_field(name))


def _pieces(stream: BinaryIO) -> Iterator[str]:
    """A text, some megabytes at a time: whole lines, unless one is longer."""
    rest = b""
    while piece := stream.read(_PIECE_BYTES):
        rest += piece
        end = rest.rfind(b"\n") + 1
        if len(rest) >= _PIECE_BYTES and not end:
            # A part of an id may be at the end.
            end = len(rest) - _LONGEST_WORD
        if len(rest) >= _PIECE_BYTES:
            yield rest[:end].decode(errors="replace")
            rest = rest[end:]
    yield rest.decode(errors="replace")


def _from_start(file: BinaryIO) -> BinaryIO:
    file.seek(0)
    return file


def _document(text: str) -> Iterator[Any]:
    yield json.loads(text)


def _lines(text: str) -> Iterator[Any]:
    return map(json.loads, filter(None, text.splitlines()))
