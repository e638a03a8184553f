"""Looks for people in everything that exists in a target, by no index: every object is read by its form.

A value is theirs if it is one of their ids, as a text or a number, in a column, a field of CSV, or a value of JSON. In
what has no such form, an id of at least six characters counts wherever it is a word.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.curation.erasure.raw_rewriting import Mentions
from gata_assets.curation.files.signatures import compression_of
from gata_assets.errors import ObjectNotFoundError
from gata_assets.governance.privacy.locators import Erasure
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parallel import CALLS_AT_ONCE, map_in_order

_SHORTEST_WORD = 6
_PARQUET, _ARROW_STREAM = b"PAR1", b"\xff\xff\xff\xff"
_CSV_FIELD = 1 << 24


@dataclass(frozen=True)
class Finding:
    """An object that has something of theirs, and how many values."""

    key: str
    values: int


@dataclass(frozen=True)
class Scan:
    """What was read, and where something was found."""

    objects: int
    bytes: int
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How much was read."""
        return {"objects": self.objects, "bytes": self.bytes}


def scan(store: ObjectStore, erasure: Erasure) -> Scan:
    """Read every object of a target but those of its privacy logs, which have digests; raises StoreError."""
    search = _Search(erasure.ids)
    objects = size = 0
    findings = []

    def look(key: str) -> tuple[str, int, int] | None:
        try:
            content = store.read(key)
        except ObjectNotFoundError:
            # Deleted since it was listed.
            return None
        return key, len(content), search.count(content)

    for found in map_in_order(look, store.list_keys(""), CALLS_AT_ONCE):
        if found is None:
            continue
        key, length, values = found
        objects, size = objects + 1, size + length
        if values:
            findings.append(Finding(key, values))
    return Scan(objects, size, tuple(findings))


class _Search:
    """Counts the values of an object that are ids of theirs."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = frozenset(ids)
        self._words = Mentions([found for found in self._ids if len(found) >= _SHORTEST_WORD])
        self._in_order = pl.Series(sorted(self._ids), dtype=pl.String).implode()

    def count(self, content: bytes) -> int:
        """How many values are theirs."""
        if compression := compression_of(content):
            content = pa.CompressedInputStream(pa.BufferReader(content), _CODECS[compression.value]).read()
        if content.startswith(_PARQUET):
            file = pq.ParquetFile(pa.BufferReader(content))
            return sum(self._of_batch(batch) for batch in file.iter_batches())
        if content.startswith(_ARROW_STREAM):
            return sum(map(self._of_batch, _batches(content)))
        return self._of_text(content.decode(errors="replace"))

    def _of_batch(self, batch: pa.RecordBatch) -> int:
        return sum(map(self._of_column, pl.DataFrame(batch)))

    def _of_column(self, column: pl.Series) -> int:
        if column.dtype.is_nested():
            return self._of_json(column.to_list())
        if column.dtype == pl.Binary():
            return sum(self._of_text(value.decode(errors="replace")) for value in column.drop_nulls().to_list())
        if column.dtype.is_integer() or column.dtype in (pl.String, pl.Categorical, pl.Enum):
            texts = column.cast(pl.String)
            count = int(texts.is_in(self._in_order).sum())
            may_be_json = texts.filter(texts.str.starts_with("{") | texts.str.starts_with("["))
            return count + sum(map(self._of_text, may_be_json.to_list()))
        return 0

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


_CODECS = {"gz": "gzip", "zst": "zstd"}


def _document(text: str) -> Iterator[Any]:
    yield json.loads(text)


def _lines(text: str) -> Iterator[Any]:
    return map(json.loads, filter(None, text.splitlines()))


def _batches(content: bytes) -> Iterator[pa.RecordBatch]:
    file = pa.BufferReader(content)
    while file.tell() < len(content):
        yield from pa.ipc.open_stream(file)
