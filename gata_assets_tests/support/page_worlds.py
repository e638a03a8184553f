"""A small table whose raw files are pages of rows, as tests of it declare, write and read them; and what to expect.

`expected` is an oracle in plain Python: documents as `json` reads them, row by row. Nothing is faked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Annotated, Any

import pandera.polars as pa
import polars as pl

from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.readers.raw_block import BLOCK_BYTES, READABLE
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.declaration import spec_of
from gata_assets.tables.spec import TableSpec
from gata_assets_tests.support.raw_worlds import NOW, RULES


def _json(**metadata: object) -> Any:
    return pa.Field(nullable=True, description="JSON.", metadata={"json": True, **metadata})


class Cases(pa.DataFrameModel):
    """Cases of a help desk: rows of pages, with lists beside them."""

    case_id: int = pa.Field(ge=1, description="The case.", metadata={"aliases": ["id"]})
    opened_at: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(description="When it was opened.")
    subject: str = pa.Field(nullable=True, description="What it is about.")
    person_id: str = pa.Field(nullable=True, description="Who opened it.")
    channel: str = pa.Field(nullable=True, description="How it came.", metadata={"within": "via"})
    via: str = _json()
    tags: str = _json(aliases=["labels"])
    person: str = _json()
    notes: str = _json()
    more: str = _json()

    class Config:
        strict = True
        ordered = True
        metadata = {  # noqa: RUF012
            "table": "cases",
            "event_time": "opened_at",
            "partition_by": "day",
            "more": "more",
            "staged_as": "parquet",
            "pages": {
                "rows": "cases",
                "beside": [
                    {"list": "people", "key": "id", "of": "person_id", "column": "person"},
                    {"list": "notes", "key": "case_id", "of": "id", "column": "notes", "many": True},
                ],
            },
        }


CASES = spec_of(Cases)
OPENED = "2026-01-02T03:04:05Z"
KEPT = ("via", "tags", "person", "notes", "more")


def case(number: object = 1, **values: object) -> dict[str, object]:
    """A valid row, but for the values given."""
    return {"id": number, "opened_at": OPENED, **values}


def curator_of_cases(store: ObjectStore, spec: TableSpec = CASES, now: datetime = NOW) -> TableCurator:
    """A curator of the tenant acme that has this table alone."""
    return TableCurator(store, "acme", RULES, now, {spec.table: spec})


@dataclass
class ReadRows:
    """The rows of a file: None for one that cannot be read, which has a text; and records in no row."""

    rows: list[dict[str, Any] | None] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    unused: int = 0


def read(
    content: bytes, spec: TableSpec = CASES, block_bytes: int = BLOCK_BYTES, *, keeps_types: bool = True
) -> ReadRows:
    """The rows of a file of JSON; raises RawFileError."""
    found = ReadRows()
    for pending in read_blocks(
        BytesIO(content), RawFormat.JSON_LINES, spec, block_bytes=block_bytes, keeps_types=keeps_types
    ):
        block = pending()
        assert block.records.tolist() == list(range(len(found.rows) + 1, len(found.rows) + len(block) + 1))
        known = {name: column.values for name, column in block.known.items()}
        frame = block.texts.with_columns(pl.Series(values).alias(name) for name, values in known.items())
        for place, row in enumerate(frame.iter_rows(named=True) if frame.width else ()):
            is_read = block.faults[place] == READABLE
            if not is_read:
                found.texts[len(found.rows) + 1] = block.fault_texts[place]
            found.rows.append(row if is_read else None)
        found.unused += block.unused
    return found


def expected(documents: Sequence[Any]) -> tuple[list[dict[str, Any] | None], int]:
    """The rows of documents by column, JSON as its values, None for one at fault; and how many records are in none."""
    rows: list[dict[str, Any] | None] = []
    unused = 0
    for document in _flat(documents):
        if isinstance(document, dict) and isinstance(document.get("cases"), list):
            page = document
        else:
            page = {"cases": [document]}
        people, notes = page.get("people") or [], page.get("notes") or []
        taken: set[int] = set()
        rows += [_row(row, page, people, notes, taken) for row in page["cases"]]
        unused += sum(id(record) not in taken for record in (*people, *notes))
    return rows, unused


def _flat(documents: Sequence[Any]) -> Iterator[Any]:
    for document in documents:
        yield from document if isinstance(document, list) else [document]


def _row(row: Any, page: dict[str, Any], people: list[Any], notes: list[Any], taken: set[int]) -> dict[str, Any] | None:
    if not isinstance(row, dict):
        return None
    known = {
        "case_id",
        "id",
        "opened_at",
        "subject",
        "person_id",
        "channel",
        "via",
        "tags",
        "labels",
        "person",
        "notes",
    }
    plain = {name: row.get(name) for name in ("opened_at", "subject", "person_id", "channel")}
    both = row.get("id") is not None and row.get("case_id") is not None
    twice = row.get("tags") is not None and row.get("labels") is not None
    number = row.get("id") if row.get("id") is not None else row.get("case_id")
    is_nested = any(isinstance(value, dict | list) for value in (*plain.values(), row.get("id"), row.get("case_id")))
    found = {name: _text(value) for name, value in (plain | {"case_id": number}).items()}
    for name in ("via", "person", "notes"):
        found[name] = row.get(name)
    found["tags"] = row.get("tags") if row.get("tags") is not None else row.get("labels")
    # A row that cannot be read takes no record.
    is_of_fields = not any(isinstance(row.get(name), dict | list) for name in ("id", "person_id"))
    if is_of_fields and "people" in page and found["person"] is None:
        matching = [one for one in people if _key(one, "id") == _asked(row.get("person_id"))]
        found["person"] = matching[-1] if matching else None
        taken |= {id(matching[-1])} if matching else set()
    if is_of_fields and "notes" in page and found["notes"] is None:
        matching = [one for one in notes if _key(one, "case_id") == _asked(row.get("id"))]
        found["notes"] = matching or None
        taken |= set(map(id, matching))
    if both or twice or is_nested:
        return None
    inner = row.get("via")
    if found["channel"] is None and isinstance(inner, dict) and not isinstance(inner.get("channel"), dict | list):
        found["channel"] = _text(inner.get("channel"))
    own = [*plain.values(), number, found["tags"], inner]
    found["more"] = {name: value for name, value in row.items() if name not in known} or None
    return found if any(value is not None for value in own) else None


def _key(record: Any, name: str) -> str:
    value = record.get(name) if isinstance(record, dict) else None
    return "no key" if value is None or isinstance(value, bool | dict | list) else str(value)


def _asked(value: Any) -> str | None:
    return None if value is None or isinstance(value, bool) else str(value)


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else json.dumps(value)


def instant(text: str) -> datetime:
    """An instant of a row."""
    return datetime.fromisoformat(text).astimezone(UTC)
