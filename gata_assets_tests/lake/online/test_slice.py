"""The newest tickets of a lake, held against all of its tickets in plain Python. Real: days in a directory."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import SourceError
from gata_assets.lake.days import CURRENT_FILE, RECENT
from gata_assets.lake.offline.schema import OFFLINE
from gata_assets.lake.online.slice import LakeSlice, choose_newest, with_slice
from gata_assets.lake.online.tickets import OnlineRules, OnlineTicket, newest_first
from gata_assets.lake.snapshot import LakeSnapshots
from gata_assets.lake.tables import TICKETS
from gata_assets.online.ticket import Ticket
from gata_assets.storage.datasets import DatasetWrite
from gata_assets.storage.local import LocalStore
from gata_assets.storage.people.tombstones import TombstoneReader
from gata_assets.tables.manifests import Manifest
from gata_assets.tables.people.erased_people import nobody

TENANT, START = "acme", datetime(2026, 1, 1, tzinfo=UTC)
# A ticket by the day of its creation, the second of its newest version from START on, and its status.
Row = tuple[int, float, str]


def write(store: LocalStore, day: int, rows: list[tuple[int, float, str]]) -> None:
    """Write a day's current tickets: id, second and status of each."""
    created_at = START + timedelta(days=day)
    given = [
        {"id": id_, "version_at": START + timedelta(seconds=second), "created_at": created_at, "status": status}
        for id_, second, status in rows
    ]
    tickets = pl.DataFrame(given, schema=OFFLINE.curated_schema)
    instants, content = tickets["version_at"].dt.epoch("us").to_list(), BytesIO()
    tickets.write_parquet(content)
    recent = [min(instants) // 1_000_000, -(-max(instants) // 1_000_000)] if instants else None
    with DatasetWrite(store, TenantLayout(TENANT).curated(TICKETS, created_at.date())) as writing:
        name, entry = writing.write(CURRENT_FILE, content.getvalue(), len(tickets))
        writing.publish(Manifest("curated_tickets", {name: entry}, details={RECENT: recent}))


def look(store: LocalStore, rules: OnlineRules) -> tuple[list[tuple[int, float]], list[OnlineTicket], str]:
    def use(found: LakeSlice) -> tuple[list[tuple[int, float]], list[OnlineTicket], str]:
        return found.instants, list(found.tickets()), found.digest

    return with_slice(store, TENANT, rules, lambda: START, use, tombstones=TombstoneReader())


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12), st.sampled_from(["open", "solved"])), max_size=25),
    st.integers(1, 8),
    st.sampled_from([(), ("open",)]),
)
def test_the_newest_of_all_days_are_chosen_in_the_order_of_redis(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], limit: int, statuses: tuple[str, ...]
) -> None:
    store = LocalStore(str(tmp_path_factory.mktemp("lake")))
    write(store, 9, [])
    numbered = [(day, (number * 7, second / 4, status)) for number, (day, second, status) in enumerate(rows)]
    for day in {day for day, _ in numbered}:
        write(store, day, [row for of, row in numbered if of == day])
    wanted = [row for _, row in numbered if not statuses or row[2] in statuses]
    wanted.sort(key=lambda row: (row[1], str(row[0])), reverse=True)
    instants, tickets, _ = look(store, OnlineRules(limit=limit, statuses=statuses))
    assert instants == [(id_, START.timestamp() + second) for id_, second, _ in wanted[:limit]]
    assert [(ticket.id, ticket.version_at) for ticket in newest_first(tickets)] == instants


def test_a_document_has_all_fields_and_instants_with_a_z(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    write(store, 0, [(7, 1.5, "open")])
    (ticket,) = look(store, OnlineRules())[1]
    document = json.loads(ticket.document)
    assert list(document) == list(Ticket.model_fields)
    assert (document["version_at"], document["created_at"]) == ("2026-01-01T00:00:01.500000Z", "2026-01-01T00:00:00Z")
    assert (document["solved_at"], document["tags"], document["text"]) == (None, [], "")


def test_days_without_recent_tickets_are_not_read(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    write(store, 0, [(1, 10, "open")])
    write(store, 1, [(2, 100, "open"), (3, 101, "open")])
    (damaged,) = (tmp_path / TenantLayout(TENANT).curated(TICKETS, START.date())).glob("current*.parquet")
    damaged.write_bytes(b"PAR1")
    days = LakeSnapshots(store, TENANT).days()
    assert choose_newest(days, store, OnlineRules(limit=2), nobody(TENANT))["id"].to_list() == [3, 2]
    with pytest.raises(SourceError, match="materialize the day"):
        choose_newest(days, store, OnlineRules(limit=3), nobody(TENANT))


def test_a_day_that_is_written_meanwhile_is_looked_at_again(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    write(store, 0, [(1, 10, "open")])
    attempts = []

    def use(found: LakeSlice) -> list[int]:
        attempts.append(found.digest)
        if len(attempts) == 1:
            for old in tmp_path.rglob("current*.parquet"):
                old.unlink()
            write(store, 0, [(1, 12, "open"), (2, 11, "open")])
        return [ticket.id for ticket in found.tickets()]

    assert sorted(with_slice(store, TENANT, OnlineRules(), lambda: START, use, tombstones=TombstoneReader())) == [1, 2]
    assert len(set(attempts)) == 2


def test_the_digest_is_of_the_files_and_changes_with_them(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    write(store, 0, [(1, 10, "open")])
    first = look(store, OnlineRules())[2]
    write(store, 0, [(1, 10, "open")])
    assert look(store, OnlineRules())[2] == first
    write(store, 1, [(2, 10, "open")])
    assert look(store, OnlineRules())[2] != first


def test_a_lake_without_days_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="The lake of acme has no offline tickets: materialize"):
        look(LocalStore(str(tmp_path)), OnlineRules())
