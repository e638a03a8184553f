"""Rows of people as they are read from raw files and from what is stored: all of theirs, and nobody else's.

Real: files in a directory, all of curation, that of the lake too. The oracle is the rows that were written.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gata_assets.curation.erasure.exporting import RAW, TableExporter
from gata_assets.curation.erasure.raw_records import NumberedRow, read_records
from gata_assets.curation.erasure.raw_rewriting import Mentions
from gata_assets.curation.erasure.stored_rows import CURATED, REJECTED, STAGED
from gata_assets.curation.files.formats import parse_format
from gata_assets.errors import ConflictError
from gata_assets.interactions.tables import INTERACTIONS, TABLES
from gata_assets.lake.curator import LakeCurator
from gata_assets.lake.offline.rules import OfflineRules, People
from gata_assets.lake.tables import RAW_TICKETS, TICKETS
from gata_assets.storage.local import LocalStore
from gata_assets.tables.masking.tokens import Tokens
from gata_assets.tables.people.named_people import NamedPeople
from gata_assets.tables.spec import TableSpec, UnknownColumns
from gata_assets_tests.curation.erasure.test_documents import FILES, OTHER, page, ticket
from gata_assets_tests.curation.erasure.test_documents import PERSON as REQUESTER
from gata_assets_tests.curation.erasure.test_raw_rewriting import PERSON, any_row
from gata_assets_tests.curation.erasure.test_tables import world_of
from gata_assets_tests.support.raw_worlds import ENDINGS, NOW, RULES, Row, curator_of, encode, interaction

OF_MANY_COLUMNS = replace(TABLES[INTERACTIONS], unknown_columns=UnknownColumns.IGNORE)


def read(content: bytes, name: str, spec: TableSpec, person: str) -> list[NumberedRow]:
    """The records of a person in a file."""
    form, people = parse_format(name), NamedPeople([person])
    found = read_records(lambda: io.BytesIO(content), form, spec, people, Mentions([person]), max_decoded_bytes=10**9)
    return list(found)


@given(st.lists(any_row, min_size=1, max_size=20), st.sampled_from(ENDINGS))
@settings(max_examples=40, deadline=None)
def test_records_are_read_as_they_were_written(rows: list[Row], ending: str) -> None:
    # A column that the table does not have is theirs too.
    written: list[Row] = [{**row, "note of the sender": f"n{number}"} for number, row in enumerate(rows)]
    found = read(encode(written, ending), f"file.{ending}", OF_MANY_COLUMNS, PERSON)
    is_csv = ending.startswith("csv")
    expected = [
        (number, {name: value or "" if is_csv else value for name, value in row.items()})
        for number, row in enumerate(written, 1)
        if row["user_id"] == PERSON
    ]
    assert [(record, dict(row)) for record, row in found] == expected


def test_what_cannot_be_divided_into_fields_is_a_text() -> None:
    head = b"user_id,item_id,interaction_type,timestamp\n"
    lines = [b"user-77,i1,view", b'"x"user-77,i1,view,2026-01-02T03:04:05Z', b"user-777,i1,view"]
    found = read(head + b"\n".join(lines) + b"\n\n\n", "file.csv", TABLES[INTERACTIONS], PERSON)
    assert found == [(number, {"text": lines[number - 1].decode()}) for number in (1, 2)]


def test_long_files_give_the_same_records() -> None:
    rows = [
        interaction(user_id=PERSON if number % 7 == 0 else f"u{number}", location="x\n" * (number % 5) + "y" * 300)
        for number in range(20_000)
    ]
    found = read(encode(rows, "csv"), "file.csv", TABLES[INTERACTIONS], PERSON)
    assert [record for record, _ in found] == list(range(1, 20_001, 7))
    assert [row["location"] for _, row in found] == [row["location"] for row in rows[::7]]


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_rows_of_documents_come_with_what_is_beside_them(content: bytes) -> None:
    found = read(content, "file.json", RAW_TICKETS, str(REQUESTER))
    assert [(record, row["id"]) for record, row in found if record] == [(1, 1), (3, 3)]
    beside = [row for record, row in found if not record]
    if b'"users"' in content:
        users = [row["users"]["id"] for row in beside if "users" in row]
        assert REQUESTER in users
        assert OTHER not in users
        assert {row["comments"]["ticket_id"] for row in beside if "comments" in row} <= {1, 3}


def test_a_record_about_them_is_theirs_though_others_need_it() -> None:
    content = json.dumps(page([{**ticket(2, OTHER), "assignee_id": REQUESTER}])).encode()
    found = read(content, "file.json", RAW_TICKETS, str(REQUESTER))
    assert found == [(0, {"users": {"id": REQUESTER, "name": f"name of {REQUESTER}"}})]


def rows_of(exporter: TableExporter, spec: TableSpec) -> dict[str, list[Any]]:
    """The rows by kind."""
    found: dict[str, list[Any]] = {}
    for one in exporter.rows(spec):
        found.setdefault(one.kind, []).extend(one.rows)
    return found


def test_all_that_is_stored_of_a_table_is_read(tmp_path: Path) -> None:
    curator = world_of(tmp_path)
    # One that was not validated, one that is damaged, and one that nothing names.
    curator.store.write("acme/raw/interactions/2026-01-09/new.csv", encode([interaction(user_id=PERSON)], "csv"))
    curator.store.write(f"{curator.places.staged(INTERACTIONS)}damaged.arrows", b"\xff\xff\xff\xff cut off")
    content = io.BytesIO()
    pl.DataFrame({"user_id": [PERSON, "u1"]}).write_parquet(content)
    curator.store.write(f"{curator.places.curated(INTERACTIONS)}2026-01-02/left.parquet", content.getvalue())
    exporter = TableExporter(curator, NamedPeople([PERSON]), Mentions([PERSON]))
    found = rows_of(exporter, curator.tables[INTERACTIONS])
    raw = {(record, row.get("timestamp"), row.get("text")) for record, row in found[RAW]}
    assert len(found[RAW]) == 7
    assert (1, None, "user-77,i1") in raw
    assert {row["user_id"] for row in found[STAGED] + found[CURATED]} == {PERSON}
    assert len(found[REJECTED]) == 2
    assert {"user_id": PERSON} in found[CURATED]


class Replaced(LocalStore):
    """A directory in which somebody replaces a raw file whenever it was opened."""

    @contextmanager
    def open_read(self, key: str) -> Iterator[BinaryIO]:
        with super().open_read(key) as file:
            if "/raw/" in key:
                self.write(key, encode([interaction(user_id="u1"), interaction(user_id="u2")], "csv"))
            yield file


def test_a_raw_file_that_is_replaced_meanwhile_gives_no_record_of_others(tmp_path: Path) -> None:
    curator = curator_of(Replaced(str(tmp_path)))
    curator.store.write("acme/raw/interactions/2026-01-09/new.csv", encode([interaction(user_id=PERSON)], "csv"))
    exporter = TableExporter(curator, NamedPeople([PERSON]), Mentions([PERSON]))
    with pytest.raises(ConflictError, match="was changed while it was read"):
        rows_of(exporter, curator.tables[INTERACTIONS])


def test_curated_rows_under_another_name_are_found_by_the_staged_ones(tmp_path: Path) -> None:
    offline = OfflineRules(people=People.PSEUDONYMIZED, tokens=Tokens(b"k" * 32))
    curator = LakeCurator(LocalStore(str(tmp_path)), "acme", RULES, NOW, offline)
    tickets = [ticket(1, REQUESTER), ticket(2, OTHER), ticket(3, REQUESTER, status="closed")]
    curator.store.write("acme/raw/tickets/2026-01-09/page.json", json.dumps(page(tickets)).encode())
    curator.validate_new(TICKETS)
    list(curator.curate(TICKETS, curator.stale(TICKETS)))
    exporter = TableExporter(curator, NamedPeople([str(REQUESTER)]), Mentions([str(REQUESTER)]))
    found = rows_of(exporter, RAW_TICKETS)
    # Versions and current tickets.
    assert sorted(row["id"] for row in found[CURATED]) == [1, 1, 3, 3]
    assert {row["requester"] for row in found[CURATED]} == {offline.tokens.token("person", str(REQUESTER))}


def test_people_are_found_in_any_column_of_the_table_that_names_one() -> None:
    people = NamedPeople(["7", "x"])
    spec = TABLES[INTERACTIONS]
    found = people.rows_of(spec, pl.DataFrame({"user_id": ["7", None, "77", "x"], "item_id": ["x"] * 4}))
    assert np.array_equal(found, [True, False, False, True])  # type: ignore[arg-type]
    assert people.rows_of(spec, pl.DataFrame({"user_id": [7, 8]})) is not None
    assert people.rows_of(spec, pl.DataFrame({"item_id": ["x"]})) is None
