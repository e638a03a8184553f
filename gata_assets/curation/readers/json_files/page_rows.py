"""The rows of a single document, and what lists beside them have for each. `pages` finds documents in a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from threading import Lock
from types import GenericAlias
from typing import Any, NamedTuple

import msgspec

from gata_assets.curation.readers.json_files.documents import elements_of, fields_of
from gata_assets.curation.readers.json_files.kept import Text, Value
from gata_assets.curation.readers.json_files.objects import NOT_READ
from gata_assets.tables.documents.declared import Pages
from gata_assets.tables.spec import TableSpec


class Joined(NamedTuple):
    """What lists beside rows have for each of them, by column, and how many of their records are in no row."""

    beside: Mapping[str, Sequence[bytes | None]]
    unused: int


class DocumentRows:
    """The rows of a document; what is beside them is joined when it is first asked for, by any thread."""

    def __init__(self, reader: PageReader, rows: Sequence[Text], listed: Text, lists: Mapping[str, Text]) -> None:
        """`rows` are the elements of the array `listed`."""
        self.rows = rows
        self._reader, self._listed, self._lists = reader, listed, lists
        self._lock = Lock()
        self._joined: Joined | None = None

    @property
    def joined(self) -> Joined:
        """What lists beside the rows have for all of them."""
        with self._lock:
            self._joined = self._joined or self._reader.join(self.rows, self._listed, self._lists)
            return self._joined


class PageReader:
    """Finds the rows of a document, and what lists beside them have for each."""

    def __init__(self, spec: TableSpec, pages: Pages) -> None:
        self._pages = pages
        self.columns = [one.column for one in pages.beside]
        self._mark = msgspec.json.encode(pages.rows)
        self._names = {column: spec.names_of(spec.column(column)) for column in self.columns}
        own = [(name, msgspec.Raw) for names in self._names.values() for name in names]
        self._asked = _Fields([*((name, Value) for name in dict.fromkeys(one.of for one in pages.beside)), *own])
        self._keys = {one.key: _Fields([(one.key, Value)]) for one in pages.beside}

    def looks_like_page(self, text: bytes) -> bool:
        """Whether a text that cannot be read may be a page."""
        name, _, after = text.partition(self._mark)
        return bool(name) and after.lstrip()[:1] == b":" and after.lstrip()[1:].lstrip()[:1] == b"["

    def rows_of(self, text: bytes) -> DocumentRows | None:
        """The rows of a document.

        A document that is no page is a row itself. None for one that cannot be read, if it may be a page.
        """
        if self._mark not in text:
            return self.row(text)
        fields = fields_of(text)
        if fields is None:
            return None
        listed = fields.get(self._pages.rows)
        if listed is None or bytes(memoryview(listed)[:1]) != b"[":
            return self.row(text)
        rows = elements_of(listed)
        if rows is None:
            return None
        lists = {one.list: fields[one.list] for one in self._pages.beside if one.list in fields}
        return DocumentRows(self, rows, listed, lists)

    def row(self, text: bytes) -> DocumentRows:
        """A document as a row."""
        return DocumentRows(self, [text], b"", {})

    def join(self, rows: Sequence[Text], listed: Text, lists: Mapping[str, Text]) -> Joined:
        """What lists beside rows have for each of them; `rows` are the elements of the array `listed`."""
        if not lists:
            return Joined({}, 0)
        # Rows may refer to a list in several ways: users ask, answer and write down.
        found = {(one.list, one.key): _Records(self._keys[one.key], lists.get(one.list)) for one in self._pages.beside}
        asked = self._asked.read(rows, listed)
        beside = {}
        for one in self._pages.beside:
            keys = _as_keys(asked[one.of])
            for name in self._names[one.column]:
                keys = _without_own(keys, asked[name])
            beside[one.column] = found[one.list, one.key].of(keys, is_many=one.many)
        return Joined(beside, sum(records.unused for records in found.values()))


class _Records:
    """The records of a list beside the rows, by the key that rows refer to: a number, or a text of its digits."""

    def __init__(self, fields: _Fields, listed: Text | None) -> None:
        self._found: dict[str, list[Text]] = {}
        # By key, how many of its records rows have taken: the last one, or all.
        self._taken: dict[str, int] = {}
        self._others = 0
        if listed is None or bytes(listed) == b"null":
            return
        elements = elements_of(listed)
        elements = [listed] if elements is None else elements
        [keys] = fields.read(elements, listed).values()
        for key, element in zip(_as_keys(keys), elements, strict=True):
            if key is None:
                self._others += 1
            else:
                self._found.setdefault(key, []).append(element)

    def of(self, keys: Sequence[str | None], *, is_many: bool) -> list[bytes | None]:
        """What rows take that refer to keys: the last record of one, or an array of all; None without any."""
        texts: dict[str | None, bytes] = {}
        for key in self._found.keys() & set(keys):
            found = self._found[key]
            self._taken[key] = len(found) if is_many else max(self._taken.get(key, 0), 1)
            texts[key] = b"[" + b",".join(map(bytes, found)) + b"]" if is_many else bytes(found[-1])
        return list(map(texts.get, keys))

    @property
    def unused(self) -> int:
        """How many records no row has taken."""
        return sum(len(found) - self._taken.get(key, 0) for key, found in self._found.items()) + self._others


class _Fields:
    """Reads some fields of objects, by their names and kinds."""

    def __init__(self, fields: Sequence[tuple[str, Any]]) -> None:
        self._names = {f"f{number}": name for number, (name, _) in enumerate(fields)}
        kinds = [(field, kind, None) for field, (_, kind) in zip(self._names, fields, strict=True)]
        self._kind: Any = msgspec.defstruct("Fields", kinds, rename=self._names, gc=False)
        self._decode = msgspec.json.Decoder(self._kind).decode
        self._decode_all = msgspec.json.Decoder(GenericAlias(list, (self._kind,))).decode

    def read(self, elements: Iterable[Text], listed: Text) -> dict[str, list[Any]]:
        """The fields of an array's elements, by name; those of one that cannot be read are None."""
        try:
            # A third of the time of one by one.
            found = self._decode_all(listed)
        except NOT_READ:
            found = list(map(self._read, elements))
        return {name: list(map(attrgetter(field), found)) for field, name in self._names.items()}

    def _read(self, element: Text) -> Any:
        try:
            return self._decode(element)
        except NOT_READ:
            return self._kind()


def _as_keys(values: Iterable[Value]) -> list[str | None]:
    """Values as the keys of records; booleans are none."""
    return [None if value is None or value is True or value is False else str(value) for value in values]


def _without_own(keys: list[str | None], own: Sequence[msgspec.Raw | None]) -> list[str | None]:
    """The keys, but for those of rows that have a value of their own."""
    if not any(own):
        return keys
    return [key if raw is None or bytes(raw) == b"null" else None for key, raw in zip(keys, own, strict=True)]
