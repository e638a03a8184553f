"""People erased from the tickets in Redis: the next version is without them, older ones go, and all keys are searched.

Real: Redis without and with the JSON module, Valkey, and days of a lake in a directory. Nothing is faked.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import OnlineError, VersionGoneError
from gata_assets.governance.privacy.locators import Cleared, Erasure
from gata_assets.governance.privacy.scanning import scan
from gata_assets.lake.days import CURRENT_FILE, RECENT
from gata_assets.lake.offline.rules import OfflineRules, People
from gata_assets.lake.offline.schema import OFFLINE
from gata_assets.lake.online.erasure import OnlinePlace
from gata_assets.lake.online.updating import publish_slice
from gata_assets.lake.tables import TICKETS
from gata_assets.online import OnlineReader
from gata_assets.online.keys import OnlineKeys
from gata_assets.online.rights import ERASER_COMMANDS, PUBLISHER_COMMANDS, READER_COMMANDS
from gata_assets.storage.datasets import DatasetWrite
from gata_assets.storage.local import LocalStore
from gata_assets.storage.people.tombstones import TombstoneReader
from gata_assets.tables.manifests import Manifest
from gata_assets.tables.masking.tokens import Tokens
from gata_assets.tables.people.erased_people import ErasedPeople
from gata_assets.tables.people.privacy_keys import PrivacyKeys
from gata_assets_tests.lake.online.test_faults import allowed, user_of
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.online_worlds import START, TENANT, keys_in, rules
from gata_assets_tests.support.redis_servers import RedisServer, Target

PERSON = f"user-{canary('who is erased from Redis')}"
NAMESAKE = f"{PERSON}-2"
ERASURE = Erasure(TENANT, (PERSON,), "request-1", ErasedPeople(TENANT, PrivacyKeys({}), []))
KEYS = OnlineKeys(TENANT)
REPORT = TenantLayout(TENANT).report(TICKETS, "a")
AS_IS = OfflineRules(People.AS_IS)
TOKENS = Tokens(canary("a masking key").encode())
# Who asked, by ticket: as many tickets as take several blocks.
REQUESTERS = {number: PERSON if number % 5 == 0 else NAMESAKE for number in range(1, 31)}
THEIRS = {number for number, requester in REQUESTERS.items() if requester == PERSON}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "lake"))


def write_lake(store: LocalStore, requesters: dict[int, str]) -> None:
    """Write a day of current tickets."""
    rows: list[dict[str, Any]] = [
        {"id": number, "version_at": START + timedelta(seconds=number), "created_at": START, "requester": requester}
        for number, requester in requesters.items()
    ]
    content = BytesIO()
    pl.DataFrame(rows, schema=OFFLINE.curated_schema).write_parquet(content)
    recent = [int(START.timestamp()), int(START.timestamp()) + 60] if rows else None
    with DatasetWrite(store, TenantLayout(TENANT).curated(TICKETS, START.date())) as write:
        name, entry = write.write(CURRENT_FILE, content.getvalue(), len(rows))
        write.publish(Manifest("curated_tickets", {name: entry}, details={RECENT: recent}))
    store.write(REPORT, b"of a raw file that was read")


def place_of(store: LocalStore, target: Target, offline: OfflineRules = AS_IS, url: str = "") -> OnlinePlace:
    chosen = rules(format=target.format, patience_seconds=0.0)
    return OnlinePlace(
        store, url or target.server.url, chosen, offline, TombstoneReader(), 10, clock=lambda: datetime.now(UTC)
    )


def publish(store: LocalStore, place: OnlinePlace) -> None:
    publish_slice(store, TENANT, place.url, place.rules, timeout_seconds=10, tombstones=TombstoneReader())


def found_in(place: OnlinePlace) -> set[str]:
    return {finding.key for finding in scan([place], ERASURE).findings}


def documents_of(version: str) -> set[str]:
    return set(KEYS.documents(version, THEIRS))


def test_their_tickets_go_with_all_older_versions(store: LocalStore, redis_target: Target) -> None:
    place, client = place_of(store, redis_target), redis_target.server.client()
    # The user has the documented rights alone.
    commands = (*allowed((*PUBLISHER_COMMANDS, *READER_COMMANDS), redis_target), *ERASER_COMMANDS, "MGET")
    user_of(client, "eraser", commands, "gata:{acme}:tickets*").close()
    place = place_of(store, redis_target, url=f"unix://eraser:secret@{redis_target.server.path}")
    assert list(place.erase(ERASURE)) == [Cleared("tickets in Redis", 0)]
    assert keys_in(client) == set()
    write_lake(store, REQUESTERS)
    publish(store, place)
    pinned = OnlineReader(client, TENANT, decode=bytes).pinned()
    # A publisher was killed: its version is listed, and expires some day.
    other = "20250102T030405.000000Z-0000aaaa"
    client.zadd(KEYS.versions, {other: 0})
    client.zadd(KEYS.ids(other), {"5": 1})
    (abandoned,) = KEYS.documents(other, [5])
    client.set(abandoned, f'{{"requester": "{PERSON}"}}')
    assert found_in(place) == documents_of(pinned.name) | {abandoned}
    exported = {one.key: next(iter(one.rows)) for one in place.export(ERASURE)}
    assert set(exported) == documents_of(pinned.name)
    assert {row["requester"] for row in exported.values()} == {PERSON}

    write_lake(store, {number: name for number, name in REQUESTERS.items() if name != PERSON})
    assert list(place.erase(ERASURE)) == [Cleared("tickets in Redis", 2, {"versions": 2})]
    assert found_in(place) == set()
    assert list(place.export(ERASURE)) == []
    with pytest.raises(VersionGoneError):
        pinned.count()
    left = {ticket.id for ticket in OnlineReader(client, TENANT)}
    assert left == set(REQUESTERS) - THEIRS
    assert len(keys_in(client)) == len(left) + 4
    assert list(place.erase(ERASURE)) == [Cleared("tickets in Redis", 0, {"versions": 0})]


def test_nothing_is_left_of_a_lake_that_was_only_theirs(store: LocalStore, valkey: RedisServer) -> None:
    place = place_of(store, Target(valkey, rules().format))
    write_lake(store, dict.fromkeys(THEIRS, PERSON))
    publish(store, place)
    for key in list(store.list_keys(TenantLayout(TENANT).curated(TICKETS))):
        store.delete(key)
    assert [cleared.objects for cleared in place.erase(ERASURE)] == [1]
    assert found_in(place) == set()
    assert OnlineReader(valkey.client(), TENANT).count() == 0


def test_the_slice_of_another_targets_lake_is_not_replaced(
    store: LocalStore, tmp_path: Path, valkey: RedisServer
) -> None:
    write_lake(store, REQUESTERS)
    publish(store, place_of(store, Target(valkey, rules().format)))
    other = place_of(LocalStore(str(tmp_path / "other")), Target(valkey, rules().format))
    (cleared,) = other.erase(ERASURE)
    assert "erase where their lake is" in cleared.remains
    assert OnlineReader(valkey.client(), TENANT).count() == len(REQUESTERS)


@pytest.mark.parametrize(
    ("people", "tokens", "is_known"),
    [
        (People.PSEUDONYMIZED, TOKENS, True),
        (People.PSEUDONYMIZED, Tokens(None), False),
        # Of days that were rebuilt under other rules.
        (People.LEFT_OUT, TOKENS, True),
    ],
)
def test_requesters_are_known_by_what_stands_for_them(
    people: People, tokens: Tokens, is_known: bool, store: LocalStore, valkey: RedisServer
) -> None:
    place = place_of(store, Target(valkey, rules().format), OfflineRules(people, tokens))
    write_lake(store, {number: tokens.token("person", name) for number, name in REQUESTERS.items()})
    publish(store, place)
    version = OnlineReader(valkey.client(), TENANT).info().version
    assert found_in(place) == (documents_of(version) if is_known else set())
    assert {one.key for one in place.export(ERASURE)} == found_in(place)


def test_every_value_of_every_type_is_searched(store: LocalStore, valkey: RedisServer) -> None:
    client, start = valkey.client(), f"{KEYS.pointer}:other:"
    # More than Redis gives at once.
    many = [f"{NAMESAKE}{number}" for number in range(3_000)]
    client.hset(f"{start}hash", mapping={**dict.fromkeys(many, "a"), PERSON: "b"})
    client.sadd(f"{start}set", *many, PERSON)
    client.zadd(f"{start}sorted", {**dict.fromkeys(many, 1), PERSON: 2})
    client.rpush(f"{start}list", *many, PERSON)
    client.xadd(f"{start}stream", {"d": PERSON})
    client.mset({f"{start}{number}": PERSON for number in range(500)})
    client.set(f"{start}namesake", NAMESAKE)
    client.set("gata:{globex}:tickets:other:text", PERSON)
    place = place_of(store, Target(valkey, rules().format))
    assert found_in(place) == {f"{start}{name}" for name in ("hash", "set", "sorted", "list", "stream", *range(500))}


def test_a_redis_that_is_away_is_an_error_and_no_empty_one(store: LocalStore, valkey: RedisServer) -> None:
    place = place_of(store, Target(valkey, rules().format), url=f"unix://{valkey.directory}/none.sock")
    for ask in (place.erase, place.export, lambda people: [scan([place], people)]):
        with pytest.raises(OnlineError, match="it cannot be reached"):
            list(ask(ERASURE))
