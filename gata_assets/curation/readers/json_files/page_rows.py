"""The rows of a single document, and what lists beside them have for each. `pages` finds documents in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from gata_assets.curation.readers.json_files.documents import elements_of, fields_of
from gata_assets.curation.readers.json_files.kept import Text, Value
from gata_assets.curation.readers.json_files.objects import NOT_READ
from gata_assets.tables.documents.declared import Pages
from gata_assets.tables.spec import TableSpec


class PageReader:
    """Finds the rows of a document, and what lists beside them have for each."""

    def __init__(self, spec: TableSpec, pages: Pages) -> None:
        self._pages = pages
        self.columns = [one.column for one in pages.beside]
        self._mark = msgspec.json.encode(pages.rows)
        of = {f"o{number}": name for number, name in enumerate(dict.fromkeys(one.of for one in pages.beside))}
        own = {
            f"c{number}_{place}": name
            for number, one in enumerate(pages.beside)
            for place, name in enumerate(spec.names_of(spec.column(one.column)))
        }
        self._row = _fields({**dict.fromkeys(of, Value), **dict.fromkeys(own, msgspec.Raw)}, {**of, **own})
        fields = {name: field for field, name in of.items()}
        self._asks = [
            (fields[one.of], [name for name in own if name.startswith(f"c{number}_")])
            for number, one in enumerate(pages.beside)
        ]
        self._nothing = self._row(b"{}")
        self._key = {one.key: _fields({"key": Value}, {"key": one.key}) for one in pages.beside}

    def looks_like_page(self, text: bytes) -> bool:
        """Whether a text that cannot be read may be a page."""
        name, _, after = text.partition(self._mark)
        return bool(name) and after.lstrip()[:1] == b":" and after.lstrip()[1:].lstrip()[:1] == b"["

    def rows_of(self, text: bytes) -> tuple[Sequence[Text], Mapping[str, Sequence[bytes | None]], int] | None:
        """The rows of a document, what is beside them by column, and how many records there are in no row.

        A document that is no page is a row itself. None for one that cannot be read, if it may be a page.
        """
        if self._mark not in text:
            return [text], {}, 0
        fields = fields_of(text)
        if fields is None:
            return None
        listed = fields.get(self._pages.rows)
        if listed is None or bytes(memoryview(listed)[:1]) != b"[":
            return [text], {}, 0
        rows = elements_of(listed)
        if rows is None:
            return None
        lists = {one.list: fields[one.list] for one in self._pages.beside if one.list in fields}
        if not lists:
            return rows, {}, 0
        # Rows may refer to a list in several ways: users ask, answer and write down.
        found = {(one.list, one.key): _Records(self._key[one.key], lists.get(one.list)) for one in self._pages.beside}
        asked = list(map(self._asked, rows))
        beside = {
            one.column: [found[one.list, one.key].of(value, is_many=one.many) for value in self._values(asked, number)]
            for number, one in enumerate(self._pages.beside)
        }
        return rows, beside, sum(records.unused for records in found.values())

    def _asked(self, row: Text) -> Any:
        """What a row refers to and has itself; nothing for one that cannot be read."""
        try:
            return self._row(row)
        except NOT_READ:
            return self._nothing

    def _values(self, asked: Sequence[Any], number: int) -> Iterator[Value]:
        """What each row refers to in a list; None for one that has the column itself."""
        of, own = self._asks[number]
        values: Iterable[Value] = map(attrgetter(of), asked)
        for name in own:
            given = map(attrgetter(name), asked)
            values = [
                value if raw is None or bytes(raw) == b"null" else None
                for value, raw in zip(values, given, strict=True)
            ]
        return iter(values)


class _Records:
    """The records of a list beside the rows, by the key that rows refer to: a number, or a text of its digits."""

    def __init__(self, decode: Any, listed: Text | None) -> None:
        self._found: dict[str, list[Any]] = {}
        # By key, how many of its records rows have taken: the last one, or all.
        self._taken: dict[str, int] = {}
        self._others = 0
        elements = [] if listed is None or bytes(listed) == b"null" else elements_of(listed)
        for element in [listed] if elements is None else elements:
            try:
                key = decode(element).key
            except NOT_READ:
                key = None
            if key is None or isinstance(key, bool):
                self._others += 1
            else:
                self._found.setdefault(str(key), []).append(element)

    def of(self, value: Value, *, is_many: bool) -> bytes | None:
        """What a row takes that refers to a value: the last record of it, or an array of all; None without any."""
        if value is None or isinstance(value, bool):
            return None
        key = str(value)
        found = self._found.get(key)
        if found is None:
            return None
        self._taken[key] = len(found) if is_many else max(self._taken.get(key, 0), 1)
        return b"[" + b",".join(map(bytes, found)) + b"]" if is_many else bytes(found[-1])

    @property
    def unused(self) -> int:
        """How many records no row has taken."""
        return sum(len(found) - self._taken.get(key, 0) for key, found in self._found.items()) + self._others


def _fields(kinds: Mapping[str, Any], names: Mapping[str, str]) -> Any:
    """A decoder of some fields of an object."""
    kind = msgspec.defstruct("Fields", [(name, of, None) for name, of in kinds.items()], rename=dict(names), gc=False)
    return msgspec.json.Decoder(kind).decode
