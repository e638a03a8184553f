"""People erased from the tables of a tenant: nothing of theirs is anywhere, and everything of others is.

Real: files in a directory, all of curation. The oracle is the same world without the people's rows.
"""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gata_assets.curation.erasure.raw_rewriting import Mentions
from gata_assets.curation.erasure.tables import ErasedTable, TableEraser
from gata_assets.errors import RawFileError, StoreError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.curated.status import CuratedLayer
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.people.tombstones import TombstoneReader
from gata_assets_tests.curation.erasure.test_left_out import (
    FIRST,
    KEYS,
    NAMESAKE,
    PERSON,
    USERS,
    counts,
    curator_of,
    erase,
    files,
)
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore
from gata_assets_tests.support.raw_worlds import NOW, RULES, curate_day, curated_bytes, encode, interaction, item, send

DAYS = [(FIRST + timedelta(days=number)).date() for number in range(3)]


def eraser_of(curator: Curator, request: str = "request-1") -> TableEraser:
    return TableEraser(curator, curator.erased(), Mentions([PERSON]), request)


def remove(curator: Curator) -> ErasedTable:
    """Erase the person from the interactions."""
    return eraser_of(curator).erase(curator.tables[INTERACTIONS])


def contents(store: ObjectStore) -> dict[str, bytes]:
    """All objects, decoded as far as their kind says."""
    found = {}
    for key in store.list_keys(""):
        content = store.read(key)
        if key.endswith(".parquet"):
            content = repr(pl.read_parquet(io.BytesIO(content)).to_dicts()).encode()
        elif key.endswith(".arrows"):
            stream, rows = pa.BufferReader(content), []
            while stream.tell() < len(content):
                rows += pa.ipc.open_stream(stream).read_all().to_pylist()
            content = repr(rows).encode()
        found[key] = content
    return found


def traces(store: ObjectStore, person: str = PERSON) -> list[str]:
    """The keys of objects that mention a person."""
    is_mention = Mentions([person])
    return [key for key, content in contents(store).items() if is_mention(content.decode(errors="replace"))]


@given(files, st.integers(0, 4), st.sampled_from(["csv", "jsonl", "parquet", "csv.gz"]))
@settings(max_examples=12, deadline=None)
def test_nothing_of_theirs_is_left_and_everything_of_others_is(worlds: list, before: int, ending: str) -> None:
    with TemporaryDirectory() as folder:
        own, other = curator_of(Path(folder, "own")), curator_of(Path(folder, "other"))
        for curator in (own, other):
            send(curator, [item()], Path(folder, "i"), data="items", name="items.csv")
        for number, world in enumerate(worlds):
            if number == before:
                for day in DAYS:
                    curate_day(own, day)
                erase(own, PERSON)
            send(own, world, Path(folder, "a"), name=f"f{number}.{ending}")
            if kept := list(filter(counts, world)):
                send(other, kept, Path(folder, "b"), name=f"f{number}.{ending}")
        if before >= len(worlds):
            erase(own, PERSON)
        gone = sum(
            not counts(row) for world in {tuple(map(str, world)): world for world in worlds}.values() for row in world
        )
        assert remove(own).removed.records == gone
        late = any(row["user_id"] == PERSON and counts(row) for world in worlds for row in world)
        assert bool(traces(own.store)) == late
        again = remove(own)
        assert (again.files, again.partitions) == ({}, ())
        for curator in (own, other):
            for day in DAYS:
                assert curate_day(curator, day).is_written
        assert curated_bytes(own) == curated_bytes(other)
        own_reports, other_reports = ([*map(_figures, curator.reports(INTERACTIONS))] for curator in (own, other))
        assert sorted(found for found in own_reports if found[0]) == sorted(other_reports)


def _figures(report: object) -> tuple[int, int, int, list[tuple[str, int]]]:
    return report.rows, report.valid, report.rejected, sorted(report.rejected_by_rule.items())  # type: ignore[attr-defined]


def world_of(tmp_path: Path) -> Curator:
    """A tenant in a directory: see `fill`."""
    curator = curator_of(tmp_path / "own")
    fill(curator, tmp_path)
    return curator


def fill(curator: Curator, tmp_path: Path) -> None:
    """Land files, one of which another superseded, with rejected rows and some that cannot be read, and curate days."""
    send(curator, [item()], tmp_path / "f", data="items", name="items.csv")
    rows = [interaction(user_id=user, timestamp=f"2026-01-0{day}T01:00:00Z") for user in USERS for day in (2, 3)]
    first = send(curator, [*rows, interaction(user_id=PERSON, rating="9")], tmp_path / "f", name="a.csv")
    send(curator, rows[::2], tmp_path / "f", name="b.jsonl.zst")
    send(curator, rows[::3], tmp_path / "f", name="c.parquet", replaces=[first.file_id])
    head = encode([interaction()], "csv").splitlines(keepends=True)[0]
    send(curator, head + b"user-77,i1\n" + b"user-777,i1\n", tmp_path / "f", name="d.csv")
    for day in DAYS:
        curate_day(curator, day)


def test_every_place_of_a_file_is_cleared(tmp_path: Path) -> None:
    curator = world_of(tmp_path)
    assert {key.split("/")[1] for key in traces(curator.store)} == {"raw", "staged", "quarantine", "curated"}
    others = traces(curator.store, NAMESAKE)
    erase(curator, PERSON, at=NOW)
    cut_off = f"{curator.places.staged(INTERACTIONS)}left-by-somebody.arrows"
    curator.store.write(cut_off, b"\xff\xff\xff\xff cut off")
    found = remove(curator)
    assert not curator.store.exists(cut_off)
    assert (found.removed.records, found.removed.valid, found.removed.rejected) == (6, 4, 2)
    assert traces(curator.store) == []
    assert len(traces(curator.store, NAMESAKE)) == len(others)
    assert found.partitions == tuple(DAYS[:2])


def test_what_was_built_from_the_days_before_is_not_stale(tmp_path: Path) -> None:
    curator = world_of(tmp_path)
    before = CuratedLayer(curator).look(DAYS).digest()
    erase(curator, PERSON, at=NOW)
    remove(curator)
    fresh = curator_of(tmp_path / "own")
    assert CuratedLayer(fresh).look(DAYS).digest() == before
    send(fresh, [interaction(user_id="u9", timestamp="2026-01-02T09:00:00Z")], tmp_path / "f", name="late.csv")
    for day in DAYS:
        curate_day(fresh, day)
    assert CuratedLayer(curator_of(tmp_path / "own")).look(DAYS).digest() != before


def test_the_erased_content_never_lands_again(tmp_path: Path) -> None:
    curator = world_of(tmp_path)
    content = (tmp_path / "f" / "b.jsonl.zst").read_bytes()
    erase(curator, PERSON, at=NOW)
    remove(curator)
    with pytest.raises(RawFileError, match="rows of people who were erased"):
        send(curator_of(tmp_path / "own"), content, tmp_path / "g", name="other-name.jsonl.zst")
    assert traces(curator.store) == []


def test_files_that_come_again_keep_their_landing(tmp_path: Path) -> None:
    curator = world_of(tmp_path)
    landed = {report.file_id: report.landed_at for report in curator.reports(INTERACTIONS)}
    erase(curator, PERSON, at=NOW)
    remove(curator)
    later = Curator(curator.store, "acme", replace(RULES, tombstones=TombstoneReader(KEYS)), NOW + timedelta(days=9))
    assert later.validate_new(INTERACTIONS) == []
    assert {report.file_id: report.landed_at for report in later.reports(INTERACTIONS)} == landed


@pytest.mark.parametrize("is_carried_out", [False, True])
@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.soak)])
def test_whoever_is_killed_is_completed_by_the_next(tmp_path: Path, step: int, is_carried_out: bool) -> None:
    start = MemoryStore()
    fill(curator_in(start), tmp_path)
    erase(curator_in(start), PERSON, at=NOW)
    undisturbed = copy_of(start)
    remove(curator_in(undisturbed))
    expected = curated_bytes(curator_in(undisturbed))
    for number in count(1, step):
        store = copy_of(start)
        try:
            remove(curator_in(FailingStore(store, number, is_carried_out=is_carried_out)))
        except StoreError:
            remove(curator_in(store))
            assert traces(store) == []
            assert curated_bytes(curator_in(store)) == expected
        else:
            break
    assert number > step


def curator_in(store: ObjectStore) -> Curator:
    """A curator of a store, as another command would have it."""
    return Curator(store, "acme", replace(RULES, tombstones=TombstoneReader(KEYS)), NOW)


def copy_of(store: MemoryStore) -> MemoryStore:
    """Another store with the same objects."""
    copy = MemoryStore()
    for key in store.list_keys(""):
        copy.write(key, store.read(key))
    return copy
