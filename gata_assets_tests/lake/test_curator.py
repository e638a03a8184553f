"""Raw files of tickets to days of offline tickets, and to batches for training: against an oracle in plain Python.

Real: landing, validation, curation and the ticket source, on a directory. Nothing is faked.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from gata_assets.batches import Window
from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.landing import Landing
from gata_assets.curation.layout import TenantLayout
from gata_assets.lake.curator import LakeCurator
from gata_assets.lake.days import CURRENT_FILE, VERSIONS_FILE
from gata_assets.lake.offline.rules import OfflineRules
from gata_assets.lake.tables import TICKETS
from gata_assets.lake.ticket_source import LakeTickets
from gata_assets.sandbox.lake.stories import GROUPS, LakeParameters, all_versions
from gata_assets.storage.datasets import read_files, read_manifest
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.lake.offline import oracle
from gata_assets_tests.support.raw_worlds import RULES

TENANT = "acme"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
FOLDER = TenantLayout(TENANT).curated(TICKETS)
PLACES = ("source_file", "source_record")
Ticket = dict[str, Any]


def plain(ticket: Ticket) -> Ticket:
    """A ticket whose texts are normalized by lower case alone."""
    number, status = ticket["id"], ticket["status"]
    return {**ticket, "subject": f"Ticket {number}", "raw_subject": None, "description": f"it is {status}"}


VERSIONS = [plain(ticket) for ticket in all_versions(LakeParameters(tickets=20, days=3))]


def page(tickets: Sequence[Ticket]) -> bytes:
    users = [{"id": number, "name": "A user"} for number in {ticket["requester_id"] for ticket in tickets}]
    groups = [{"id": number, "name": name} for number, name in GROUPS.items()]
    found = {"tickets": tickets, "users": users, "groups": groups, "count": len(tickets)}
    return json.dumps(found, separators=(",", ":")).encode()


def lines(tickets: Sequence[Ticket]) -> bytes:
    """Tickets without lists beside them, which have a group's name themselves."""
    named = [{**ticket, "group": {"id": ticket["group_id"], "name": GROUPS[ticket["group_id"]]}} for ticket in tickets]
    return "".join(json.dumps(ticket, separators=(",", ":")) + "\n" for ticket in named).encode()


def encode(tickets: Sequence[Ticket], name: str) -> bytes:
    """Tickets as a file of this name has them."""
    content = lines(tickets) if "jsonl" in name else page(tickets)
    if name.endswith(".gz"):
        return gzip.compress(content, mtime=0)
    return pa.compress(content, codec="zstd", asbytes=True) if name.endswith(".zst") else content


def lake(directory: Path, files: Iterable[tuple[str, bytes]], *, curates_each: bool = False) -> LocalStoreResource:
    """A lake that files landed in, in this order; its days are written at the end, or after each file."""
    store = LocalStoreResource(directory=str(directory / "store"))
    curator = LakeCurator(store, TENANT, RULES, NOW, OfflineRules())
    for name, content in files:
        path = directory / name
        path.write_bytes(content)
        report = Landing(curator).land(TICKETS, name, path, parse_format(name)).report
        assert report.refused is None and report.rejected == 0
        if curates_each:
            write(curator)
    write(curator)
    return store


def write(curator: LakeCurator) -> None:
    assert all(day.is_written for day in curator.curate(TICKETS, curator.stale(TICKETS)))
    assert not curator.stale(TICKETS)


def days(store: LocalStoreResource, *files: str) -> dict[str, list[bytes]]:
    """The files of each day, by its folder; a writer chooses their names."""
    folders = sorted({key.rpartition("/")[0] + "/" for key in store.list_keys(FOLDER)})
    found: dict[str, list[bytes]] = {}
    for folder in folders:
        manifest = read_manifest(store, folder).manifest
        assert manifest
        found[folder] = [content for _, content in read_files(store, folder, files, manifest)]
    return found


def rows(store: LocalStoreResource, file: str) -> pl.DataFrame:
    """The rows of a file of all days, but for the places that they came from."""
    return pl.concat([pl.read_parquet(content) for [content] in days(store, file).values()]).drop(PLACES)


NAMES = st.sampled_from(["page.json", "page.json.gz", "page.json.zst", "rows.jsonl", "rows.jsonl.gz"])


@st.composite
def divisions(draw: Any) -> list[tuple[str, list[int]]]:
    """The places of versions in any order, divided into files of any kind that repeat some at their borders."""
    places = draw(st.permutations(range(len(VERSIONS))))
    cuts = sorted(draw(st.sets(st.integers(1, len(places) - 1), max_size=4)))
    bounds = zip([0, *cuts], [*cuts, len(places)], strict=True)
    return [
        (f"{number}-{draw(NAMES)}", list(places[max(start - draw(st.integers(0, 3)), 0) : stop]))
        for number, (start, stop) in enumerate(bounds)
    ]


def files_of(division: Iterable[tuple[str, list[int]]]) -> list[tuple[str, bytes]]:
    return [(name, encode([VERSIONS[place] for place in places], name)) for name, places in division]


@settings(max_examples=8)
@given(divisions(), st.data())
def test_the_same_files_in_any_order_are_the_same_bytes(division: list[tuple[str, list[int]]], data: Any) -> None:
    files, shuffled = files_of(division), files_of(data.draw(st.permutations(division)))
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        at_once = lake(Path(first), files)
        one_by_one = lake(Path(second), shuffled, curates_each=True)
        both = [days(store, VERSIONS_FILE, CURRENT_FILE) for store in (at_once, one_by_one)]
    assert both[0] == both[1]
    assert len(both[0]) == 3


@settings(max_examples=8)
@given(divisions())
def test_versions_are_the_same_rows_in_whatever_files_they_come(division: list[tuple[str, list[int]]]) -> None:
    with TemporaryDirectory() as directory:
        store = lake(Path(directory), files_of(division))
        versions, current = rows(store, VERSIONS_FILE), rows(store, CURRENT_FILE)
    expected = expected_versions()
    found = versions.sort("id", "version_at").select(*expected[0]).to_dicts()
    assert found == expected
    assert current.sort("id").select(*expected[0]).to_dicts() == expected_current()


def expected_versions() -> list[Ticket]:
    kept = oracle.kept(VERSIONS)
    named = [{**raw, "group_name": GROUPS[raw["group_id"]]} for raw in kept]
    return [
        oracle.offline(raw, {}) | ending | {"text": f"ticket {raw['id']} it is {raw['status']}"}
        for raw, ending in zip(named, oracle.endings(named), strict=True)
    ]


def expected_current() -> list[Ticket]:
    newest = {row["id"]: row for row in expected_versions()}
    return [row for row in newest.values() if row["status"] != "deleted"]


def test_batches_are_read_from_what_the_curator_wrote(tmp_path: Path) -> None:
    pages = [VERSIONS[start : start + 15] for start in range(0, len(VERSIONS), 15)]
    store = lake(tmp_path, [(f"page-{number}.json", page(tickets)) for number, tickets in enumerate(pages)])
    source = LakeTickets(store=store, tenant=TENANT)
    names = LakeTickets(store=store, tenant=TENANT, label_field="group")
    ended = [row for row in expected_current() if row["ended_at"]]
    assert 5 < len(ended) < 20
    first = min(row["ended_at"] for row in ended).replace(minute=0, second=0)
    for start in range(0, 24 * 10, 24):
        window = Window(first + timedelta(hours=start), first + timedelta(hours=start + 36))
        inside = [row for row in ended if window.start_at <= row["ended_at"] < window.end_at]
        expected = sorted((int(row["ended_at"].timestamp()), row["id"]) for row in inside)
        found = source.read_tickets(window)
        assert list(zip(found["closed"], found["id"], strict=True)) == expected
        by_id: Mapping[int, Ticket] = {row["id"]: row for row in inside}
        assert list(found["label"]) == [int(by_id[number]["ended_group_id"]) for number in found["id"]]
        assert list(found["text"]) == [by_id[number]["text"] for number in found["id"]]
        assert list(names.read_tickets(window)["label"]) == [by_id[number]["ended_group"] for number in found["id"]]
    assert source.probe().closed_tickets == len(ended)


def test_a_late_version_changes_its_day_alone(tmp_path: Path) -> None:
    late = max(VERSIONS, key=lambda ticket: int(ticket["generated_timestamp"]))
    before = lake(tmp_path, [("early.json", page([ticket for ticket in VERSIONS if ticket is not late]))])
    first = days(before, VERSIONS_FILE, CURRENT_FILE)
    after = days(lake(tmp_path, [("late.json", page([late]))]), VERSIONS_FILE, CURRENT_FILE)
    changed = {folder for folder in first if first[folder] != after[folder]}
    assert first.keys() == after.keys() and changed == {f"{FOLDER}{late['created_at'][:10]}/"}


def test_a_ticket_is_of_whom_its_newest_version_names(tmp_path: Path) -> None:
    last = max(VERSIONS, key=lambda version: version["generated_timestamp"])
    moved = {**last, "generated_timestamp": last["generated_timestamp"] + 60, "requester_id": 77}
    store = lake(tmp_path, [("a.jsonl", lines([moved])), ("b.jsonl", lines(VERSIONS))])
    source = LakeTickets(store=store, tenant=TENANT)
    newest = {version["id"]: version["requester_id"] for version in (*VERSIONS, moved)}
    for people in (["77"], [str(last["requester_id"]), "no-one"], []):
        assert source.find_tickets(people) == {one for one, asked in newest.items() if str(asked) in people}
