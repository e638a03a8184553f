"""Erased tickets: an erasure that is cut off at any call of the store, and one that meets a batch being prepared.

Real: a batch of Dagster's job, SQLite, objects and manifests. Faked: the target's storage, in memory, with a call that
fails; a directory that is told of erased tickets between the reading and the writing of a batch.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from gata_assets.curation.files.formats import parse_format
from gata_assets.definitions import build_definitions
from gata_assets.errors import StoreError
from gata_assets.governance.privacy.locators import Cleared, Erasure, People
from gata_assets.settings.model import parse_settings
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.people.tombstones import TombstoneReader
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tables.mapped_table import mapped
from gata_assets.tables.people.erased_people import ErasedPeople, digest_people
from gata_assets.tables.people.privacy_keys import PrivacyKeys, Tombstones
from gata_assets.ticket_contract.source import TicketSource
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS
from gata_assets.tickets.erasure.locator import TicketLocator, TicketPlaces
from gata_assets.tickets.erasure.tombstones import TicketTombstones, subject_of
from gata_assets.tickets.raw_files.raw_tickets import DECIMALS, raw_ticket_table
from gata_assets.tickets.raw_files.ticket_files import ingest_ticket_file
from gata_assets_tests.conftest import sqlite_of
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore
from gata_assets_tests.support.scenario import BATCH_ID, FALLBACK_LABEL, world

KEY = "k" * 32
KEYS = PrivacyKeys({1: KEY.encode()})
AT = datetime(2026, 6, 1, tzinfo=UTC)
SETTINGS = {
    "LOW_VOLUME_THRESHOLD": "0.1",
    "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL),
    "PRIVACY_KEYS": f"1:{KEY}",
}
# Of labels that stay, that are relabeled, and of the older window.
THEIRS, OTHERS = (1, 2, 600, 941, 956, 973), (5, 961)


def tombstones() -> TicketTombstones:
    return TicketTombstones(TombstoneReader(KEYS), "default")


def prepare(source: TicketSource, store: LocalStoreResource) -> None:
    """Run the job of tickets."""
    definitions = build_definitions(parse_settings(SETTINGS), ticket_source=source, object_store=store, tenants=())
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_job_def(PREPARE_TICKETS)
        assert job.execute_in_process(partition_key=BATCH_ID, instance=instance).success


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[TicketSource, dict[str, bytes]]:
    """A source, and the objects of the batch that was prepared from it."""
    directory = tmp_path_factory.mktemp("prepared")
    rows = world()
    # Others have written the same.
    source = sqlite_of(directory, [*rows, *(rows[one - 1] for one in THEIRS)])
    store = LocalStoreResource(directory=str(directory / "target"))
    prepare(source, store)
    return source, {key: store.read(key) for key in store.list_keys("") if not key.startswith(".")}


def stored(objects: dict[str, bytes]) -> MemoryStore:
    store = MemoryStore()
    for key, content in objects.items():
        store.write(key, content)
    return store


def erase(source: TicketSource, store: ObjectStore, tickets: tuple[int, ...], request: str = "letter") -> list[Cleared]:
    ids = tuple(map(subject_of, tickets))
    stones = Tombstones(1, AT, tuple(digest_people(KEYS, "default", 1, pl.Series(sorted(set(ids))))))
    erasure = Erasure("default", ids, request, ErasedPeople("default", KEYS, [stones]))
    return list(TicketLocator(TicketPlaces(store, source, tombstones())).erase(erasure))


def content_of(store: ObjectStore) -> dict[str, Any]:
    """The files of datasets, the manifests without notes of writers and requests, and the ids in tables."""
    found: dict[str, Any] = {}
    for key in store.list_keys(""):
        content = store.read(key)
        if key.endswith("manifest.json"):
            fields = json.loads(content)
            found[key] = {name: fields.get(name) for name in ("files", "labels", "tickets", "made_from", "is_made")}
            found[key]["made_from"] = sorted(fields["made_from"])
        elif key.endswith("data.json"):
            found[key] = content
        elif key.endswith(".parquet"):
            rows = pl.read_parquet(BytesIO(content))
            found[key] = rows["id"].to_list() if "id" in rows.columns else rows.to_dicts()
    return found


def test_an_erasure_that_is_cut_off_is_completed_by_the_next(prepared: tuple[TicketSource, dict[str, bytes]]) -> None:
    _cut_off(prepared, lambda number: number % 5 == 1)


@pytest.mark.soak
def test_an_erasure_is_completed_wherever_it_was_cut_off(prepared: tuple[TicketSource, dict[str, bytes]]) -> None:
    _cut_off(prepared, lambda _: True)


def _cut_off(prepared: tuple[TicketSource, dict[str, bytes]], is_tried: Callable[[int], bool]) -> None:
    source, objects = prepared
    expected, both = stored(objects), stored(objects)
    erase(source, expected, THEIRS)
    erase(source, both, THEIRS + OTHERS)
    assert not any(key.startswith("intermediate/erasures/") for key in expected.list_keys(""))
    for is_carried_out in (False, True):
        for number in filter(is_tried, count(1)):
            store = stored(objects)
            try:
                erase(source, FailingStore(store, number, is_carried_out=is_carried_out), THEIRS)
            except StoreError:
                pass
            else:
                break
            later = stored({key: store.read(key) for key in store.list_keys("")})
            erase(source, store, THEIRS)
            assert content_of(store) == content_of(expected), number
            # By a request of more people, too.
            erase(source, later, THEIRS + OTHERS, "another")
            assert content_of(later) == content_of(both), number


class DirectoryThatLearns(LocalStoreResource):
    """Gets tombstones of tickets at the first write of a table: after all were read."""

    def write(self, key: str, content: Any, **conditions: Any) -> Any:
        """Note what was erased, then write."""
        if key.startswith("intermediate/tickets/"):
            tombstones().add(LocalStore(self.directory), THEIRS, "meanwhile", AT)
        return super().write(key, content, **conditions)


def test_what_is_erased_while_a_batch_is_prepared_is_removed_from_it(
    prepared: tuple[TicketSource, dict[str, bytes]], tmp_path: Path
) -> None:
    source, objects = prepared
    store = DirectoryThatLearns(directory=str(tmp_path))
    prepare(source, store)
    expected = stored(objects)
    erase(source, expected, THEIRS)
    assert content_of(LocalStore(str(tmp_path))) == content_of(expected)


def test_lines_whose_table_is_gone_are_said_to_remain(prepared: tuple[TicketSource, dict[str, bytes]]) -> None:
    source, objects = prepared
    store = stored({key: content for key, content in objects.items() if not key.startswith("intermediate/tickets/")})
    before = content_of(store)
    said = [cleared.remains for cleared in erase(source, store, THEIRS) if cleared.remains]
    assert len(said) == 1
    assert "1 datasets are incomplete, or the tables that they were built from are gone" in said[0]
    assert content_of(store) == before


def test_an_export_has_the_rows_and_the_lines_of_tickets(prepared: tuple[TicketSource, dict[str, bytes]]) -> None:
    source, objects = prepared
    locator = TicketLocator(TicketPlaces(stored(objects), source, tombstones()))
    exported = locator.export(People("default", tuple(map(subject_of, THEIRS))))
    rows = {one.key: [*one.rows] for one in exported}
    ids = {key: sorted(row["id"] for row in found) for key, found in rows.items() if not key.startswith("training/")}
    assert ids == {
        "ticket": sorted(THEIRS),
        f"intermediate/tickets/{BATCH_ID}.parquet": [1, 2, 600, 941, 973],
        f"intermediate/low_volume_tickets/{BATCH_ID}.parquet": [941, 956, 973],
    }
    lines = [(key.split("/")[1], row["label"]) for key, found in rows.items() if key not in ids for row in found]
    assert Counter(lines) == {
        ("gata-general", 101): 2,
        ("gata-general", 102): 1,
        ("gata-general", FALLBACK_LABEL): 2,
        ("gata-low-vol", 201): 2,
        ("gata-low-vol", 203): 1,
    }
    assert not list(locator.export(People("acme", (subject_of(1),))))


def test_a_file_that_comes_again_brings_no_ticket_back(tmp_path: Path) -> None:
    target, embedded = LocalStore(str(tmp_path / "target")), tmp_path / "tickets.sqlite"
    lines = [
        {"id": number, "processed_data": "a text", "closed": closed, "closed_group_id_mapped": label}
        for number, closed, label in ((1, 1_767_323_045, 5), (1, 1_767_323_046, None), (2, 1_767_323_045, 5))
    ]
    (tmp_path / "t.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    tombstones().add(target, [1], "letter", AT)
    spec = mapped(raw_ticket_table(), DECIMALS)
    erased = tombstones().erased(target)
    file = tmp_path / "t.jsonl"
    found = ingest_ticket_file(embedded, file, parse_format("jsonl"), spec, "t.jsonl", erased=erased)
    assert (found.rows, found.valid, found.rejected, found.erased, found.quarantine) == (1, 1, 0, 2, None)
