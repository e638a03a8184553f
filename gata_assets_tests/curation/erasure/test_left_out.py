"""Rows of erased people in raw files, staged parts and curated days: as if they had never been there.

Real: files in a directory, all of curation. The oracle is the same world without the people's rows.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gata_assets.batches import Window
from gata_assets.curation.landing import Landing
from gata_assets.errors import PrivacyKeyError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.curated.reader import read_catalog, read_events
from gata_assets.storage.local import LocalStore
from gata_assets.storage.people.tombstones import TombstoneReader, write_tombstones
from gata_assets.tables.people.erased_people import digest_people
from gata_assets.tables.people.privacy_keys import PrivacyKeys, Tombstones
from gata_assets_tests.support.raw_worlds import (
    NOW,
    RULES,
    Row,
    curate_day,
    curated_bytes,
    encode,
    interaction,
    item,
    send,
)

KEYS = PrivacyKeys({1: b"k" * 32})
FIRST = datetime(2026, 1, 2, tzinfo=UTC)
ERASED_AT = FIRST + timedelta(hours=30)
PERSON, NAMESAKE = "user-77", "user-777"
USERS = (PERSON, NAMESAKE, "u1", "ü")


def curator_of(directory: Path, keys: PrivacyKeys = KEYS) -> Curator:
    """A curator that knows who was erased."""
    return Curator(LocalStore(str(directory)), "acme", replace(RULES, tombstones=TombstoneReader(keys)), NOW)


def erase(curator: Curator, *ids: str, at: datetime = ERASED_AT) -> None:
    """Write the tombstones of people."""
    stones = Tombstones(1, at, tuple(digest_people(KEYS, "acme", 1, pl.Series(list(ids)))))
    write_tombstones(curator.store, curator.places.tombstones, "-".join(sorted(ids)), stones)


def counts(row: Row) -> bool:
    """Whether a row counts: the oracle."""
    at = row["timestamp"]
    instant = datetime.fromisoformat(at) if at and at[0].isdigit() else None
    return row["user_id"] != PERSON or (instant is not None and instant > ERASED_AT)


rows = st.builds(
    lambda user, hours, which, kind: interaction(
        user_id=user,
        item_id=which,
        interaction_type=kind,
        timestamp=None if hours is None else f"{FIRST + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}",
    ),
    st.sampled_from(USERS),
    st.none() | st.integers(0, 60),
    st.sampled_from(["i1", "i2", "i3"]),
    # One that is rejected.
    st.sampled_from(["view", "click", "view", "stare"]),
)
files = st.lists(st.lists(rows, min_size=1, max_size=12), min_size=1, max_size=4)


def events_of(curator: Curator) -> tuple[object, ...]:
    """What features and samples are made of."""
    curator.refresh("items")
    window = Window(FIRST, FIRST + timedelta(days=3))
    catalog = read_catalog(curator.places, curator.store)
    found = read_events(curator.places, window, catalog, curator.store, erased=curator.erased())
    columns = (found.user, found.item, found.timestamp, found.type_code, found.users.keys, found.items.keys)
    return *(column.tolist() for column in columns), found.users.ids.to_list(), found.items.ids.to_list()


@given(files, st.integers(0, 4), st.sampled_from(["csv", "jsonl", "parquet"]))
@settings(max_examples=15, deadline=None)
def test_curated_days_reports_and_batches_are_as_if_they_had_never_come(
    worlds: list[list[Row]], before: int, ending: str
) -> None:
    with TemporaryDirectory() as folder:
        own, other = curator_of(Path(folder, "own")), curator_of(Path(folder, "other"))
        days = [(FIRST + timedelta(days=number)).date() for number in range(3)]
        for curator in (own, other):
            send(curator, [item()], Path(folder, "i"), data="items", name="items.csv")
        for number, world in enumerate(worlds):
            if number == before:
                erase(own, PERSON)
            report = send(own, world, Path(folder, "a"), name=f"f{number}.{ending}")
            kept = list(filter(counts, world))
            if number >= before:
                assert report.erased == len(world) - len(kept)
                assert report.valid + report.rejected == report.rows == len(kept)
        if before >= len(worlds):
            erase(own, PERSON)
        for number, world in enumerate(worlds):
            if kept := list(filter(counts, world)):
                report = send(other, kept, Path(folder, "b"), name=f"f{number}.{ending}")
        # Days that were curated before are read without them, and rebuilt without them.
        for curator in (own, other):
            for day in days:
                assert curate_day(curator, day).is_written
        assert curated_bytes(own) == curated_bytes(other)
        assert events_of(own) == events_of(other)


def test_days_that_were_curated_before_are_read_without_them(tmp_path: Path) -> None:
    own, other = curator_of(tmp_path / "own"), curator_of(tmp_path / "other")
    world = [
        interaction(user_id=user, item_id=f"of {user}", timestamp=f"2026-01-0{day}T01:00:00Z")
        for user in USERS
        for day in (2, 3, 4)
    ]
    for curator, found in ((own, world), (other, list(filter(counts, world)))):
        send(curator, [item()], tmp_path / "i", data="items", name="items.csv")
        send(curator, found, tmp_path / "f")
        for day in (2, 3, 4):
            curate_day(curator, datetime(2026, 1, day, tzinfo=UTC).date())
    assert events_of(own) != events_of(other)
    erase(own, PERSON)
    assert events_of(own) == events_of(other)


def test_replay_and_another_delivery_bring_nobody_back(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "own")
    world = [interaction(user_id=user) for user in USERS]
    first = send(curator, world, tmp_path / "f")
    assert (first.valid, first.erased) == (4, 0)
    erase(curator, PERSON)
    again = Landing(curator).validate_again(first).report
    assert (again.valid, again.rows, again.erased) == (3, 3, 1)
    assert again.parts[0].key != first.parts[0].key
    late = send(curator, [interaction(user_id=PERSON), interaction(user_id="u9")], tmp_path / "f", name="late.jsonl")
    assert (late.valid, late.erased) == (1, 1)
    written = json.loads(curator.store.read(curator.places.report("interactions", late.file_id)))
    assert written["erased"] == 1
    assert PERSON not in json.dumps(written)


def test_a_tenant_of_whom_people_were_erased_is_not_read_without_the_key(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "own")
    erase(curator, PERSON)
    keyless = curator_of(tmp_path / "own", PrivacyKeys({}))
    with pytest.raises(PrivacyKeyError):
        send(keyless, [interaction()], tmp_path / "f")
    assert list(keyless.store.list_keys("acme/reports/interactions/")) == []


def test_rejected_rows_of_theirs_are_not_kept_in_quarantine(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "own")
    erase(curator, PERSON)
    row = interaction(user_id=PERSON, interaction_type="stare")
    report = send(curator, encode([row, interaction(interaction_type="stare")], "csv"), tmp_path / "f")
    assert (report.rejected, report.erased, report.rejected_by_rule) == (1, 1, {"interaction_type_is_known": 1})
