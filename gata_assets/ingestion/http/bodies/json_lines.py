"""Rows of a JSON body as JSON Lines, without reading their values: an array's objects, or lines as they came.

The bytes of each object stay as they came, but for line breaks between its values; so the same rows are the same file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from gata_assets.ingestion.http.problems import Problem, too_large
from gata_assets.ingestion.segments.lines import line_of
from gata_assets.tables.spec import TableSpec

_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_ONE = msgspec.json.Decoder(msgspec.Raw)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LINE_TYPES = ("ndjson", "jsonl", "json-lines", "jsonlines")
TOO_DEEP = "The body is no JSON that is taken: it is nested too deeply."
_BLANKS = b" \t\r\n"


@dataclass(frozen=True)
class Rows:
    """Rows as JSON Lines, and how many at most: blank lines count here."""

    lines: bytes
    count: int


def rows_of(body: bytes, content_type: str, most_rows: int) -> Rows:
    """The rows of a body: a JSON array of objects, or JSON Lines; raises Problem for anything else, or too many."""
    if body.lstrip(_BLANKS)[:1] == b"[" and not _is_of_lines(content_type):
        objects = objects_of(body)
        _require_few(len(objects), most_rows)
        if b"\n" in body or b"\r" in body:
            objects = [line_of(found)[0] for found in objects]
        return Rows(b"\n".join([*objects, b""]), len(objects))
    count = body.count(b"\n") + (not body.endswith(b"\n"))
    _require_few(count, most_rows)
    return Rows(body, count)


def objects_of(body: bytes) -> list[bytes]:
    """The objects of a JSON array, or a single one, as they came; raises Problem for anything else."""
    try:
        is_array = body.lstrip(_BLANKS)[:1] == b"["
        found = list(map(bytes, _ARRAY.decode(body))) if is_array else [bytes(_ONE.decode(body))]
    except msgspec.DecodeError as error:
        raise Problem(400, "malformed", not_json(error)) from None
    except RecursionError:
        raise Problem(400, "malformed", TOO_DEEP) from None
    for number, text in enumerate(found, start=1):
        if text[:1] != b"{":
            raise Problem(422, "no-object", f"Record {number:,} is no JSON object: rows and events are objects.")
    return found


def require_no_page(spec: TableSpec, objects: Iterable[bytes]) -> None:
    """Raise Problem for a page of rows: an event is one row, and a page would end in quarantine whole."""
    if spec.pages is None:
        return
    mark = msgspec.json.encode(spec.pages.rows)
    for number, text in enumerate(objects, start=1):
        if mark in text and _has_list(text, spec.pages.rows):
            raise Problem(
                422,
                "page",
                f"Event {number:,} is a page with the list {spec.pages.rows}, and an event is one row: send pages to "
                f"/internal/data/{spec.table}, or each row as an event.",
            )


def _has_list(text: bytes, name: str) -> bool:
    """Whether a field of an object is a list; an object that cannot be read is for quarantine."""
    try:
        # Not what reads pages of files, which is slow to load.
        found = _FIELDS.decode(text).get(name)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return found is not None and bytes(found)[:1] == b"["


def not_json(error: msgspec.DecodeError | UnicodeDecodeError) -> str:
    """What is wrong with a body that is no JSON, and where; it quotes nothing of it."""
    where = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
    return f"The body is no JSON: {where}."


def _is_of_lines(content_type: str) -> bool:
    kind = content_type.partition(";")[0].lower()
    return any(name in kind for name in _LINE_TYPES)


def _require_few(count: int, most: int) -> None:
    if count > most:
        raise too_large(f"{count:,} rows", f"{most:,} rows in a body")
