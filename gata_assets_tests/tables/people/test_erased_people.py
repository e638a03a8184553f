"""Who was erased, by digests alone. Pure; the oracle keeps ids in a dictionary."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.errors import PrivacyKeyError
from gata_assets.interactions.tables import TABLES
from gata_assets.tables.columns.arrow_buffers import micros
from gata_assets.tables.people.erased_people import NEVER, ErasedPeople, digest_people, nobody
from gata_assets.tables.people.privacy_keys import NO_PRIVACY_KEYS, PrivacyKeys, Tombstones

START = datetime(2026, 1, 10, 12, tzinfo=UTC)
KEYS = PrivacyKeys({1: b"k" * 32, 2: b"l" * 32})
IDS = st.text(min_size=1, max_size=4)
REQUESTS = st.lists(
    st.tuples(st.sampled_from([1, 2]), st.integers(0, 9), st.lists(IDS, min_size=1, max_size=4, unique=True)),
    max_size=4,
)


def stones(keys: PrivacyKeys, version: int, at: datetime, ids: list[str], tenant: str = "acme") -> Tombstones:
    """The tombstones of people."""
    return Tombstones(version, at, tuple(digest_people(keys, tenant, version, pl.Series(ids, dtype=pl.String))))


@given(REQUESTS, st.lists(IDS, max_size=12, unique=True))
def test_each_id_has_the_latest_instant_of_its_requests(
    requests: list[tuple[int, int, list[str]]], ids: list[str]
) -> None:
    people = ErasedPeople("acme", KEYS, [stones(KEYS, v, START + timedelta(days=d), found) for v, d, found in requests])
    expected = [
        max((micros(START + timedelta(days=d)) for _, d, found in requests if one in found), default=NEVER)
        for one in ids
    ]
    assert people.limits(pl.Series(ids, dtype=pl.String)).tolist() == expected
    assert bool(people) == bool(requests)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.none() | st.integers(-3, 3)), max_size=12))
def test_rows_up_to_the_instant_and_rows_without_one_are_erased(rows: list[tuple[str | None, int | None]]) -> None:
    people = ErasedPeople(
        "acme", KEYS, [stones(KEYS, 1, START, ["a"]), stones(KEYS, 2, START + timedelta(hours=2), ["b"])]
    )
    limits = {"a": 0, "b": 2}
    ids = pl.Series([one for one, _ in rows], dtype=pl.String)
    instants = pl.Series(
        [None if hour is None else START + timedelta(hours=hour) for _, hour in rows], dtype=pl.Datetime("us", "UTC")
    )
    found = people.are_erased(ids, instants)
    expected = [one in limits and (hour is None or hour <= limits[one]) for one, hour in rows]
    assert (found.tolist() if found is not None else [False] * len(rows)) == expected
    untimed = people.are_erased(ids, None)
    assert (untimed.tolist() if untimed is not None else [False] * len(rows)) == [one in limits for one, _ in rows]


def test_another_tenant_of_the_same_id_is_another_person() -> None:
    own = digest_people(KEYS, "acme", 1, pl.Series(["a"]))
    assert own != digest_people(KEYS, "globex", 1, pl.Series(["a"]))
    assert own != digest_people(KEYS, "acme", 2, pl.Series(["a"]))
    people = ErasedPeople("globex", KEYS, [stones(KEYS, 1, START, ["a"])])
    assert people.limits(pl.Series(["a"])).tolist() == [NEVER]


def test_columns_of_numbers_name_people_too() -> None:
    people = ErasedPeople("acme", KEYS, [stones(KEYS, 1, START, ["12"])])
    found = people.are_erased(pl.Series([11, 12, None, 12]), None)
    assert found is not None
    assert found.tolist() == [False, True, False, True]


def test_a_row_is_erased_by_any_column_that_names_a_person() -> None:
    people = ErasedPeople("acme", KEYS, [stones(KEYS, 1, START, ["a"])])
    spec = TABLES["interactions"]
    assert spec.subject_columns == ("user_id",)
    rows = pl.DataFrame({"user_id": ["a", "b", "a"], "timestamp": [START, START, START + timedelta(microseconds=1)]})
    found = people.rows_of(spec, rows)
    assert found is not None
    assert found.tolist() == [True, False, False]
    assert people.rows_of(spec, rows.select("timestamp")) is None


def test_without_the_key_of_a_version_nobody_is_taken_for_unknown() -> None:
    with pytest.raises(PrivacyKeyError, match="version 2 of PRIVACY_KEYS"):
        ErasedPeople("acme", PrivacyKeys({1: b"k" * 32}), [stones(KEYS, 2, START, ["a"])])
    with pytest.raises(PrivacyKeyError, match="has no key"):
        _ = NO_PRIVACY_KEYS.newest
    assert not nobody("acme")
    assert KEYS.newest == 2


def test_nothing_shows_a_key() -> None:
    assert "kkk" not in repr(KEYS)
    assert "[1, 2]" in repr(KEYS)


@pytest.mark.parametrize("days", [(0, 5), (5, 0)])
def test_of_two_requests_of_a_person_the_later_instant_counts(days: tuple[int, int]) -> None:
    people = ErasedPeople("acme", KEYS, [stones(KEYS, 1, START + timedelta(days=day), ["a"]) for day in days])
    assert people.limits(pl.Series(["a"])).tolist() == [micros(START + timedelta(days=5))]
