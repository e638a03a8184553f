"""Tombstones in a store: written once, read once, and never ignored. Real: a directory and S3 over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from gata_assets.errors import DamagedTableError, OtherPeopleError, PrivacyKeyError
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.people.tombstones import TombstoneReader, write_tombstones
from gata_assets.tables.columns.arrow_buffers import micros
from gata_assets.tables.people.erased_people import NEVER, digest_people
from gata_assets.tables.people.privacy_keys import PrivacyKeys, Tombstones

AT = datetime(2026, 1, 10, 12, tzinfo=UTC)
KEYS = PrivacyKeys({1: b"k" * 32})
FOLDER = "acme/privacy/tombstones/"


def stones(*ids: str) -> Tombstones:
    return Tombstones(1, AT, tuple(digest_people(KEYS, "acme", 1, pl.Series(list(ids)))))


def limits(reader: TombstoneReader, store: ObjectStore, *ids: str) -> list[int]:
    found: list[int] = reader.erased(store, "acme", FOLDER).limits(pl.Series(list(ids))).tolist()
    return found


def test_who_was_erased_is_known_to_every_reader_from_then_on(any_store: ObjectStore) -> None:
    reader = TombstoneReader(KEYS)
    assert not reader.erased(any_store, "acme", FOLDER)
    write_tombstones(any_store, FOLDER, "one", stones("a"))
    assert limits(reader, any_store, "a", "b") == [micros(AT), NEVER]
    write_tombstones(any_store, FOLDER, "two", stones("b"))
    assert limits(reader, any_store, "a", "b") == [micros(AT), micros(AT)]
    assert limits(TombstoneReader(KEYS), any_store, "a", "b") == [micros(AT), micros(AT)]


def test_a_request_is_written_once(any_store: ObjectStore) -> None:
    write_tombstones(any_store, FOLDER, "one", stones("a"))
    write_tombstones(any_store, FOLDER, "one", stones("a"))
    with pytest.raises(OtherPeopleError):
        write_tombstones(any_store, FOLDER, "one", stones("b"))


def test_no_id_is_stored(any_store: ObjectStore) -> None:
    person = "person-5f0e93c1a7d24b6c"
    write_tombstones(any_store, FOLDER, "one", stones(person))
    assert person.encode() not in any_store.read(f"{FOLDER}one.json")


def test_what_cannot_be_read_is_never_nobody(any_store: ObjectStore) -> None:
    write_tombstones(any_store, FOLDER, "one", stones("a"))
    with pytest.raises(PrivacyKeyError):
        TombstoneReader().erased(any_store, "acme", FOLDER)
    any_store.write(f"{FOLDER}two.json", b"{")
    with pytest.raises(DamagedTableError, match=r"two\.json is no tombstones"):
        TombstoneReader(KEYS).erased(any_store, "acme", FOLDER)
