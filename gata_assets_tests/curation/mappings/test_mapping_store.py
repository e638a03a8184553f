"""Saved mappings of a tenant, and which file has which.

Real: files below a directory. Nothing is faked.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.mappings.mapping_store import MappingChoice, MappingStore, SavedMapping
from gata_assets.errors import DamagedTableError, MappingError
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.storage.local import LocalStore
from gata_assets.tables.raw_mapping import RawMapping

LIKES = RawMapping(constants={"interaction_type": "like"})
CLICKS = RawMapping(constants={"interaction_type": "click"})


def store_of(directory: Path, tenant: str = "acme") -> MappingStore:
    """As another command sees them, which has read nothing yet."""
    return MappingStore(LocalStore(str(directory)), TenantLayout(tenant))


def test_a_saved_mapping_is_found_by_its_tenant_and_table_alone(tmp_path: Path) -> None:
    assert store_of(tmp_path).save(INTERACTIONS, SavedMapping("likes", LIKES, "ratings*"))
    assert store_of(tmp_path).saved(INTERACTIONS) == [SavedMapping("likes", LIKES, "ratings*")]
    assert store_of(tmp_path).find(INTERACTIONS, "likes") == MappingChoice(LIKES, "likes")
    assert store_of(tmp_path).saved(ITEMS) == store_of(tmp_path, "other").saved(INTERACTIONS) == []
    with pytest.raises(MappingError, match="there is no mapping likes of items; saved: none"):
        store_of(tmp_path).find(ITEMS, "likes")


def test_saving_says_whether_anything_changed(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    saved = [
        SavedMapping("m", LIKES),
        SavedMapping("m", LIKES),
        SavedMapping("m", LIKES, "a*"),
        SavedMapping("m", CLICKS),
    ]
    assert [store.save(INTERACTIONS, one) for one in saved] == [True, False, True, True]
    assert store.saved(INTERACTIONS) == [saved[-1]]


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("Clicks 2026.csv", "clicks"),
        ("acme/raw/interactions/2026-01-10/clicks-2026-170e83ac07d6fe3d79609c0f292d6cf0.csv.gz", "clicks"),
        ("acme/raw/interactions/clicks.dat", "clicks"),
        ("clicks-eu-1.jsonl", "clicks-eu"),
        ("purchases.csv", "others"),
    ],
)
def test_the_longest_pattern_that_a_plain_name_matches_counts(name: str, chosen: str, tmp_path: Path) -> None:
    store = store_of(tmp_path)
    for saved in (
        SavedMapping("others", LIKES),
        SavedMapping("clicks", CLICKS, "clicks*"),
        SavedMapping("clicks-eu", CLICKS, "clicks-eu*"),
    ):
        store.save(INTERACTIONS, saved)
    assert store_of(tmp_path).choose(INTERACTIONS, name).name == chosen


def test_a_file_that_no_pattern_matches_has_no_mapping(tmp_path: Path) -> None:
    store_of(tmp_path).save(INTERACTIONS, SavedMapping("clicks", CLICKS, "clicks*"))
    assert store_of(tmp_path).choose(INTERACTIONS, "ratings.csv") == MappingChoice()


@pytest.mark.parametrize("name", ["", "Likes", "a b", "../up", "-likes", "l" * 64, "likes/all"])
def test_a_name_that_is_no_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="a mapping's name is of a-z"):
        store_of(tmp_path).save(INTERACTIONS, SavedMapping(name, LIKES))


@pytest.mark.parametrize("files", ["Clicks*", "clicks_2024*", "r.csv", "a b", ""])
def test_a_pattern_that_no_plain_name_can_match_is_refused(files: str, tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="matches no file: names are compared in lower case"):
        store_of(tmp_path).save(INTERACTIONS, SavedMapping("likes", LIKES, files))


def test_two_mappings_are_not_for_the_same_pattern(tmp_path: Path) -> None:
    store_of(tmp_path).save(INTERACTIONS, SavedMapping("likes", LIKES))
    with pytest.raises(MappingError, match=r"the mapping likes is for the files \* too"):
        store_of(tmp_path).save(INTERACTIONS, SavedMapping("clicks", CLICKS))


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"[]",
        b"no JSON",
        b'{"mapping_version": 9, "mapping": {}}',
        b'{"mapping_version": 1, "mapping": {"a": 1}}',
    ],
)
def test_an_object_that_is_no_mapping_is_named(content: bytes, tmp_path: Path) -> None:
    LocalStore(str(tmp_path)).write("acme/mappings/interactions/likes.json", content)
    with pytest.raises(DamagedTableError, match=r"mappings/interactions/likes\.json is"):
        store_of(tmp_path).saved(INTERACTIONS)


def test_what_a_single_file_is_read_by_is_kept_beside_it(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    assert store.of_file(INTERACTIONS, "a") is None
    store.keep_for_file(INTERACTIONS, "a", MappingChoice(LIKES))
    store.keep_for_file(INTERACTIONS, "b", MappingChoice(CLICKS, "clicks"))
    for seen in (store, store_of(tmp_path)):
        assert seen.of_file(INTERACTIONS, "a") == MappingChoice(LIKES)
        assert seen.of_file(INTERACTIONS, "b") == MappingChoice(CLICKS, "clicks")
        assert seen.of_file(ITEMS, "a") is None
