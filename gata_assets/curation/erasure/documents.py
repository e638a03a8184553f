"""The rows of people in JSON documents, and the records beside the rows that are about them: to leave out, or to read.

A copy has every other row and record as it came; documents are written one after another. It lacks a record beside the
rows if only rows of theirs refer to it, or if it is about one of them and no row that stays refers to it. Who reads
what is theirs gets also those that are about one of them and that other rows refer to.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import msgspec

from gata_assets.curation.readers.json_files.documents import Document, elements_of, fields_of
from gata_assets.curation.readers.json_files.kept import Text
from gata_assets.curation.readers.json_files.objects import NOT_READ
from gata_assets.tables.documents.declared import Beside, Pages
from gata_assets.tables.people.named_people import Subjects
from gata_assets.tables.spec import TableSpec

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class _Part(NamedTuple):
    """A row of a document with its number, or a record of a list beside the rows (number 0): whether it is theirs, and
    whether a row of others needs it.
    """

    text: Text
    number: int
    is_theirs: bool
    is_needed: bool = False


# The parts of a page by its lists, that of the rows first; a document that is no page is a single row, without fields.
class _Parts(NamedTuple):
    fields: Mapping[str, Text] | None
    lists: Mapping[str, list[_Part]]


def copy_documents(
    documents: Iterable[Document],
    copy: BinaryIO,
    spec: TableSpec,
    pages: Pages,
    records: Container[int],
    people: Subjects,
) -> int:
    """Copy documents without some of their rows; returns how many rows and records beside them were left out.

    Args:
        documents: All documents of a file.
        copy: Where they are written.
        spec: Their table.
        pages: How a document contains rows.
        records: The numbers of the rows that are left out, counted over all documents from 1.
        people: Who was erased.
    """
    left_out = 0
    for document, parts in _divided(documents, spec, pages, records, people):
        kept = {
            name: [part.text for part in found if part.is_needed or not part.is_theirs]
            for name, found in parts.lists.items()
        }
        fewer = sum(len(found) - len(kept[name]) for name, found in parts.lists.items())
        left_out += fewer
        if parts.fields is None and fewer:
            continue
        copy.write((_encode(parts.fields, kept) if parts.fields and fewer else document.text) + b"\n")
    return left_out


def read_theirs(
    documents: Iterable[Document], spec: TableSpec, pages: Pages, records: Container[int], people: Subjects
) -> Iterator[tuple[str, int, bytes]]:
    """The rows with these numbers and the records that are theirs: the list of each, its number (0 for a record beside
    the rows), and it as it came; arguments as in `copy_documents`.
    """
    for _, parts in _divided(documents, spec, pages, records, people):
        for name, found in parts.lists.items():
            yield from ((name, part.number, bytes(part.text)) for part in found if part.is_theirs)


def _divided(
    documents: Iterable[Document], spec: TableSpec, pages: Pages, records: Container[int], people: Subjects
) -> Iterator[tuple[Document, _Parts]]:
    number = 0
    for document in documents:
        fields = fields_of(document.text) or {}
        listed = fields.get(pages.rows)
        texts = elements_of(listed) if listed is not None else None
        numbered = enumerate([document.text] if texts is None else texts, number + 1)
        rows = [_Part(text, place, place in records) for place, text in numbered]
        number += len(rows)
        beside = {} if texts is None else dict(_beside(fields, rows, spec, pages, people))
        yield document, _Parts(None if texts is None else fields, {pages.rows: rows, **beside})


def _beside(
    fields: Mapping[str, Text], rows: list[_Part], spec: TableSpec, pages: Pages, people: Subjects
) -> Iterator[tuple[str, list[_Part]]]:
    """The records of the lists beside the rows."""
    found = [(_object(row.text), not row.is_theirs) for row in rows]
    for name in dict.fromkeys(one.list for one in pages.beside if one.list in fields):
        records = elements_of(fields[name])
        if records is not None:
            asked = {one: _asked(one, found) for one in pages.beside if one.list == name}
            yield name, [_record(text, asked, spec, people) for text in records]


def _asked(one: Beside, rows: list[tuple[Mapping[str, Any], bool]]) -> dict[str, bool]:
    """The keys that rows ask a list for, each with whether a row that stays does."""
    found: dict[str, bool] = {}
    for row, kept in rows:
        if (key := row.get(one.of)) is not None:
            found[str(key)] = found.get(str(key), False) or kept
    return found


def _record(text: Text, asked: Mapping[Beside, Mapping[str, bool]], spec: TableSpec, people: Subjects) -> _Part:
    """A record beside the rows: theirs if they alone ask for it, or if it is about one of them."""
    record = _object(text)
    is_asked = is_named = is_needed = False
    for one, keys in asked.items():
        key = record.get(one.key)
        if key is None:
            continue
        is_needed |= keys.get(str(key), False)
        is_asked |= str(key) in keys
        is_named |= spec.sources.get(one.of) in spec.subject_columns and people.includes(str(key))
    return _Part(text, 0, is_named or (is_asked and not is_needed), is_needed)


def _encode(fields: Mapping[str, Text], lists: Mapping[str, list[Text]]) -> bytes:
    """A page with other lists."""
    parts = {
        name: b"[" + b",".join(map(bytes, lists[name])) + b"]" if name in lists else bytes(whole)
        for name, whole in fields.items()
    }
    return b"{" + b",".join(msgspec.json.encode(name) + b":" + part for name, part in parts.items()) + b"}"


def _object(text: Text) -> Mapping[str, Any]:
    """The fields of an object; none of what is no object."""
    try:
        return _decode(text)
    except NOT_READ:
        return {}
