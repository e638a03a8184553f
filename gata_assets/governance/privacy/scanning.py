"""Looks for people in everything that exists, by no index: every object is read by its form.

What is searched are haystacks: the target here; what other systems have is in modules of their own. A value is
theirs if it is one of their ids, as a text or a number, in a column, a field of CSV, or a value of JSON. In what has no
such form, an id of at least six characters counts wherever it is a word. Some megabytes are read at a time.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.curation.erasure.raw_rewriting import Mentions
from gata_assets.curation.files.formats import RawSource
from gata_assets.curation.files.open_files import CODECS
from gata_assets.curation.files.raw_objects import opened
from gata_assets.curation.files.signatures import HEAD_BYTES, compression_of, is_parquet
from gata_assets.curation.staged_partitions import read_batches
from gata_assets.curation.validated_files import DAMAGED
from gata_assets.errors import AccessDeniedError, ArchivedError, ObjectNotFoundError
from gata_assets.governance.privacy.locators import People
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parallel import CALLS_AT_ONCE, map_in_order
from gata_assets.storage.scratch import scratch_file

# Ids that texts have letter for letter: nothing writes these characters otherwise, but JSON as such an escape.
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.@:-]+")
_ESCAPED_ASCII = "\\u00"
# What is said of what a role may not see: an object, a tenant's folder, and all that is outside of it.
_DENIED, _OTHERS = "the role may not read it", "what is outside of the tenant's folder"
_PARQUET, _ARROW_STREAM = b"PAR1", b"\xff\xff\xff\xff"
_PIECE_BYTES, _ROWS_AT_ONCE, _SHORTEST_WORD, _LONGEST_WORD = 1 << 23, 10_000, 6, 4_000


@dataclass(frozen=True)
class Finding:
    """An object that has something of theirs, and how many values; `haystack` is empty for the target's objects. With a
    `fault` it is not known, since it could not be searched.
    """

    key: str
    values: int
    haystack: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Scan:
    """What was read, and where something was found."""

    objects: int
    bytes: int
    findings: tuple[Finding, ...]
    damaged: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How much was read, and how many objects could not be taken apart, so that they were searched for words."""
        return {"objects": self.objects, "bytes": self.bytes, "damaged": self.damaged}


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


class Haystack(Protocol):
    """Something that is searched."""

    @property
    def name(self) -> str:
        """What findings in it are shown with; empty for the target's objects."""

    def search(self, search: Search, people: People) -> Iterator[Searched]:
        """Read everything of it that may concern the tenant: the same id elsewhere is another person."""


def scan(haystacks: Iterable[Haystack], people: People) -> Scan:
    """Search haystacks for people; raises StoreError, or another error of the project."""
    search = Search(people.ids)
    objects = size = damaged = 0
    findings = []
    for haystack in haystacks:
        try:
            for found in haystack.search(search, people):
                objects, size, damaged = objects + 1, size + found.size, damaged + found.is_damaged
                if found.values or found.fault:
                    findings.append(Finding(found.key, found.values, haystack.name, found.fault))
        except AccessDeniedError:
            findings.append(Finding("all of it" if haystack.name else _OTHERS, 0, haystack.name, _DENIED))
    # Two may be denied the same.
    return Scan(objects, size, tuple(dict.fromkeys(findings)), damaged)


@dataclass(frozen=True)
class TargetObjects:
    """All objects of a target. Of one that may not be listed, those of the tenant, and a fault for all others.

    Attributes:
        store: the target.
        concerns: whether an object may be about people of a tenant, by its key.
        prefix: what the keys begin with.
    """

    store: ObjectStore
    concerns: Callable[[str, str], bool] = lambda *_: True
    prefix: str = ""
    name: ClassVar[str] = ""

    def search(self, search: Search, people: People) -> Iterator[Searched]:
        """See Haystack."""

        def look(key: str) -> Searched | None:
            try:
                try:
                    with opened(self.store, key) as source:
                        return Searched(key, *search.count(source))
                except DAMAGED:
                    with self.store.open_read(key) as file:
                        return Searched(key, *search.count_words(file), is_damaged=True)
            except ObjectNotFoundError:
                # Deleted since it was listed.
                return None
            except ArchivedError as error:
                return Searched(key, 0, 0, fault=str(error))
            except AccessDeniedError:
                return Searched(key, 0, 0, fault=_DENIED)

        for folder in (self.prefix,) if self.prefix else ("", f"{people.tenant}/"):
            keys = (key for key in self.store.list_keys(folder) if self.concerns(people.tenant, key))
            try:
                yield from filter(None, map_in_order(look, keys, CALLS_AT_ONCE))
            except AccessDeniedError:
                yield Searched(folder or _OTHERS, 0, 0, fault=_DENIED)
            else:
                return


class Search:
    """Counts the values of an object, or of a value, that are ids of theirs."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = frozenset(ids)
        self._words = Mentions([found for found in self._ids if len(found) >= _SHORTEST_WORD])
        self._in_order = pl.Series(sorted(self._ids), dtype=pl.String).implode()
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

        def of_texts(texts: pl.Series) -> int:
            return sum(map(self._words, texts.filter(texts.str.contains_any(looked_for)).to_list()))

        return self._of_stream(_from_start(file), of_texts)

    def _of_stream(self, stream: BinaryIO, of_texts: Callable[[pl.Series], int] | None = None) -> int:
        """Of texts, some megabytes at a time: a document that is longer is searched for words."""
        of_texts = of_texts or self._of_texts
        count, rest = 0, b""
        while piece := stream.read(_PIECE_BYTES):
            rest += piece
            end = rest.rfind(b"\n") + 1
            if len(rest) >= _PIECE_BYTES and not end:
                # A part of an id may be at the end.
                end = len(rest) - _LONGEST_WORD
            if len(rest) >= _PIECE_BYTES:
                count += of_texts(pl.Series([rest[:end].decode(errors="replace")]))
                rest = rest[end:]
        return count + of_texts(pl.Series([rest.decode(errors="replace")]))

    def _of_batch(self, batch: pa.RecordBatch) -> int:
        return sum(map(self._of_column, pl.DataFrame(batch)))

    def _of_column(self, column: pl.Series) -> int:
        if column.dtype.is_nested():
            return self._of_json(column.to_list())
        if column.dtype == pl.Binary():
            decoded = [value.decode(errors="replace") for value in column.drop_nulls().to_list()]
            return self._of_texts(pl.Series(decoded, dtype=pl.String))
        if column.dtype.is_integer() or column.dtype in (pl.String, pl.Categorical, pl.Enum):
            texts = column.cast(pl.String)
            count = int(texts.is_in(self._in_order).sum())
            may_be_json = texts.filter(texts.str.starts_with("{") | texts.str.starts_with("["))
            return count + self._of_texts(may_be_json)
        return 0

    def _of_texts(self, texts: pl.Series) -> int:
        """Of texts of any form. Only those are taken apart that may have an id: of a gigabyte 15 s, not 60."""
        if self._looked_for:
            texts = texts.filter(texts.str.contains_any(self._looked_for))
        return sum(map(self._of_text, texts.to_list()))

    def _of_text(self, text: str) -> int:
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
            for line in csv.reader(io.StringIO(text, newline="")) if "," in text else ():
                count += sum(field in self._ids for field in line)
        return max(count, int(self._words(text)))

    def _of_json(self, value: Any) -> int:
        if isinstance(value, dict):
            return sum(self._of_json(found) for pair in value.items() for found in pair)
        if isinstance(value, list):
            return sum(map(self._of_json, value))
        if isinstance(value, str):
            return int(value in self._ids) or (self._of_text(value) if value[:1] in ("{", "[") else 0)
        return int(isinstance(value, int) and str(value) in self._ids)


def _from_start(file: BinaryIO) -> BinaryIO:
    file.seek(0)
    return file


def _document(text: str) -> Iterator[Any]:
    yield json.loads(text)


def _lines(text: str) -> Iterator[Any]:
    return map(json.loads, filter(None, text.splitlines()))
