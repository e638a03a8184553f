"""Copies JSON documents without the rows of erased people, and without the records beside them that nobody else needs.

Every other row and record stays as it came; documents are written one after another. A record beside the rows is left
out if only rows of theirs refer to it, or if it is about one of them and no row that stays refers to it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any, BinaryIO

import msgspec
import polars as pl

from gata_assets.curation.readers.json_files.documents import Document, elements_of, fields_of
from gata_assets.curation.readers.json_files.kept import Text
from gata_assets.curation.readers.json_files.objects import NOT_READ
from gata_assets.tables.documents.declared import Beside, Pages
from gata_assets.tables.people.erased_people import NEVER, ErasedPeople
from gata_assets.tables.spec import TableSpec

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def copy_documents(
    documents: Iterable[Document],
    copy: BinaryIO,
    spec: TableSpec,
    pages: Pages,
    records: Container[int],
    people: ErasedPeople,
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
    number = left_out = 0
    for document in documents:
        fields = fields_of(document.text) or {}
        listed = fields.get(pages.rows)
        rows = elements_of(listed) if listed is not None else None
        if rows is None:
            number += 1
            if number in records:
                left_out += 1
            else:
                copy.write(document.text + b"\n")
            continue
        is_kept = [place not in records for place in range(number + 1, number + 1 + len(rows))]
        number += len(rows)
        text, fewer = _page(document.text, fields, rows, is_kept, spec, pages, people)
        copy.write(text + b"\n")
        left_out += fewer
    return left_out


def _page(
    text: bytes,
    fields: Mapping[str, Text],
    rows: list[Text],
    is_kept: list[bool],
    spec: TableSpec,
    pages: Pages,
    people: ErasedPeople,
) -> tuple[bytes, int]:
    """A page without some rows, and how many rows and records it lacks; as it came if these are none."""
    left = {pages.rows: [row for row, kept in zip(rows, is_kept, strict=True) if kept]}
    found = [(_object(row), kept) for row, kept in zip(rows, is_kept, strict=True)]
    fewer = len(rows) - len(left[pages.rows])
    for name in dict.fromkeys(one.list for one in pages.beside if one.list in fields):
        records = elements_of(fields[name])
        if records is None:
            continue
        asked = {one: _asked(one, found) for one in pages.beside if one.list == name}
        left[name] = [one for one in records if not _is_theirs(_object(one), asked, spec, people)]
        fewer += len(records) - len(left[name])
    if not fewer:
        return text, 0
    parts = {
        name: b"[" + b",".join(map(bytes, left[name])) + b"]" if name in left else bytes(whole)
        for name, whole in fields.items()
    }
    return b"{" + b",".join(msgspec.json.encode(name) + b":" + part for name, part in parts.items()) + b"}", fewer


def _asked(one: Beside, rows: list[tuple[Mapping[str, Any], bool]]) -> dict[str, bool]:
    """The keys that rows ask a list for, each with whether a row that stays does."""
    found: dict[str, bool] = {}
    for row, kept in rows:
        if (key := row.get(one.of)) is not None:
            found[str(key)] = found.get(str(key), False) or kept
    return found


def _is_theirs(
    record: Mapping[str, Any], asked: Mapping[Beside, Mapping[str, bool]], spec: TableSpec, people: ErasedPeople
) -> bool:
    """Whether a record beside the rows is to go."""
    is_asked = is_named = False
    for one, keys in asked.items():
        key = record.get(one.key)
        if key is None:
            continue
        if keys.get(str(key)):
            return False
        is_asked |= str(key) in keys
        is_named |= spec.sources.get(one.of) in spec.subject_columns and _was_erased(str(key), people)
    return is_asked or is_named


def _was_erased(one: str, people: ErasedPeople) -> bool:
    return bool(people.limits(pl.Series([one], dtype=pl.String))[0] != NEVER)


def _object(text: Text) -> Mapping[str, Any]:
    """The fields of an object; none of what is no object."""
    try:
        return _decode(text)
    except NOT_READ:
        return {}
