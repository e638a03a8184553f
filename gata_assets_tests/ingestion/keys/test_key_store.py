"""API keys in a store: made, found, listed, revoked, expired; and what finding costs.

Real: a directory, S3 over HTTP on loopback (moto). Faked: in tests of calls and of faults a store in memory, that
counts, fails or waits. The clock is moved by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gata_assets.errors import ApiKeyError, DamagedTableError, StoreError
from gata_assets.ingestion.keys.api_keys import ApiKey
from gata_assets.ingestion.keys.key_store import KEYS, KeyStore
from gata_assets.ingestion.keys.secret_text import PATTERN, digest_of, new_secret
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore, Version
from gata_assets_tests.support.interleaving import run_in_turns
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore
from gata_assets_tests.support.moved_clock import BEGIN, MovedClock


class CountingStore(MemoryStore):
    """Counts listings and reads."""

    def __init__(self) -> None:
        super().__init__()
        self.listings = self.reads = 0

    def list_versions(self, prefix: str) -> Iterator[tuple[str, Version]]:
        self.listings += 1
        return super().list_versions(prefix)

    def read_versioned(self, key: str) -> tuple[bytes, Version]:
        self.reads += 1
        return super().read_versioned(key)

    def costs(self) -> tuple[int, int]:
        """Listings and reads since the last call."""
        counts, self.listings, self.reads = (self.listings, self.reads), 0, 0
        return counts


def test_a_new_key_is_found_by_its_secret_which_is_stored_nowhere(any_store: ObjectStore) -> None:
    keys = KeyStore(any_store, MovedClock())
    secret, key = keys.create("acme", ["validate", "ingest"], timedelta(days=90))
    assert key == ApiKey(
        secret[5:13], "acme", frozenset({"ingest", "validate"}), BEGIN, BEGIN + timedelta(days=90), None
    )
    assert keys.find(secret) == key == KeyStore(any_store, MovedClock()).find(secret)
    [place] = any_store.list_keys("")
    assert place == f"ingestion/keys/{digest_of(secret)}.json"
    stored = any_store.read(place).decode()
    assert json.loads(stored) == {
        "version": 1,
        "prefix": key.prefix,
        "tenant": "acme",
        "scopes": ["ingest", "validate"],
        "created_at": "2026-01-03T12:00:00+00:00",
        "expires_at": "2026-04-03T12:00:00+00:00",
        "revoked_at": None,
    }
    assert secret[14:] not in stored


def test_keys_are_listed_by_tenant_and_age_whatever_became_of_them(any_store: ObjectStore) -> None:
    clock = MovedClock()
    keys = KeyStore(any_store, clock)
    made = []
    for tenant in ("beta", "acme", "acme"):
        clock.move(1)
        made.append(keys.create(tenant, ["ingest"], timedelta(hours=1))[1])
    revoked = keys.revoke(made[1].prefix)
    clock.move(7200)
    any_store.write(f"{KEYS}notes.txt", b"not a key")
    assert list(keys.list()) == [revoked, made[2], made[0]]
    assert [key.state(clock()) for key in keys.list()] == ["revoked", "expired", "expired"]


def test_a_revoked_key_is_refused_by_others_within_the_seconds_it_is_cached(any_store: ObjectStore) -> None:
    clock = MovedClock()
    keys, service = KeyStore(any_store, clock), KeyStore(any_store, clock, cached_seconds=5)
    secret, key = keys.create("acme", ["ingest"])
    assert service.find(secret) == key
    clock.move(4.9)
    revoked = keys.revoke(key.prefix)
    assert revoked.revoked_at == clock()
    assert keys.find(secret) is None
    assert service.find(secret) == key
    clock.move(0.1)
    assert service.find(secret) is None
    assert KeyStore(any_store, clock).find(secret) is None


def test_a_key_that_is_revoked_again_stays_as_it_is(any_store: ObjectStore) -> None:
    clock = MovedClock()
    keys = KeyStore(any_store, clock)
    _, key = keys.create("acme", ["ingest"])
    once = keys.revoke(key.prefix)
    clock.move(60)
    assert keys.revoke(key.prefix) == once
    assert list(keys.list()) == [once]
    with pytest.raises(ApiKeyError, match=r"There is no such key in .*keys"):
        keys.revoke("aaaaaaaa")


def test_a_tenant_has_two_live_keys_with_the_same_scopes_and_no_third(any_store: ObjectStore) -> None:
    clock = MovedClock()
    keys = KeyStore(any_store, clock)
    _, old = keys.create("acme", ["ingest"], timedelta(days=30))
    clock.move(1)
    _, new = keys.create("acme", ["ingest"])
    for other in (("acme", ["ingest", "read"]), ("beta", ["ingest"])):
        keys.create(*other)
    with pytest.raises(ApiKeyError) as refused:
        keys.create("acme", ["ingest"])
    assert f"acme has 2 live keys with the scopes ingest: gata_{old.prefix}, gata_{new.prefix}." in str(refused.value)
    assert "`gata keys revoke PREFIX`" in str(refused.value)
    assert len(keys.list()) == 4
    keys.revoke(new.prefix)
    keys.create("acme", ["ingest"])
    clock.move(30 * 86400)
    keys.create("acme", ["ingest"])
    with pytest.raises(ApiKeyError):
        keys.create("acme", ["ingest"])


@pytest.mark.parametrize("pause", range(1, 9))
def test_of_two_commands_that_create_the_last_key_never_both_have_one(pause: int) -> None:
    store = MemoryStore()
    KeyStore(store, MovedClock()).create("acme", ["ingest"])
    secrets: list[str] = []

    def create(own: ObjectStore) -> None:
        try:
            secrets.append(KeyStore(own, MovedClock()).create("acme", ["ingest"])[0])
        except ApiKeyError:
            return

    run_in_turns(store, create, create, pause_first=pause, after_each=lambda ends: None)
    keys = KeyStore(store, MovedClock())
    live = [key for key in keys.list() if key.is_live(BEGIN)]
    # Where both saw each other, both gave up.
    assert len(secrets) <= 1
    assert len(live) == 1 + len(secrets)
    assert all(keys.find(secret) for secret in secrets)


def test_a_key_expires_at_its_instant_also_where_it_is_cached() -> None:
    clock = MovedClock()
    keys = KeyStore(MemoryStore(), clock, cached_seconds=10**6)
    secret, key = keys.create("acme", ["ingest"], timedelta(seconds=10))
    clock.move(9.999)
    assert keys.find(secret) == key
    clock.move(0.001)
    assert keys.find(secret) is None


def test_finding_a_key_costs_one_read_while_it_is_cached() -> None:
    clock, store = MovedClock(), CountingStore()
    secret, _ = KeyStore(store, clock).create("acme", ["ingest"])
    service = KeyStore(store, clock, cached_seconds=5)
    store.costs()
    for _ in range(100):
        assert service.find(secret)
    assert store.costs() == (1, 1)
    clock.move(5)
    for _ in range(100):
        assert service.find(secret)
    assert store.costs() == (0, 1)
    # A clock that was set back would keep a revoked key for as long.
    clock.move(-3600)
    assert service.find(secret)
    assert store.costs() == (0, 1)


def test_guessing_costs_one_listing_a_second_and_no_memory() -> None:
    clock, store = MovedClock(), CountingStore()
    service = KeyStore(store, clock, listed_seconds=1)
    guesses = [new_secret(f"abcd{number:04}") for number in range(300)]
    assert {service.find(guess) for guess in guesses} == {None}
    assert store.costs() == (1, 0)
    clock.move(1)
    assert {service.find(guess) for guess in guesses} == {None}
    assert store.costs() == (1, 0)
    held = [len(value) for value in vars(service).values() if isinstance(value, dict | list | set | tuple)]
    assert max(held) <= 2
    clock.move(1)
    assert {service.find(guess[:-1] + "!") for guess in guesses} == {None}
    assert {service.find(guess[:20] + "00" + guess[22:]) for guess in guesses[:1]} == {None}
    assert store.costs() == (0, 0)


def test_many_guessers_at_once_cause_one_listing() -> None:
    store = CountingStore()
    service = KeyStore(store, MovedClock())
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(service.find, [new_secret("abcd1234") for _ in range(200)])) == {None}
    assert store.costs() == (1, 0)


def test_a_key_that_another_process_made_works_once_keys_are_listed_again() -> None:
    clock, store = MovedClock(), MemoryStore()
    service = KeyStore(store, clock, listed_seconds=1)
    assert service.find(new_secret("abcd1234")) is None
    secret, key = KeyStore(store, clock).create("acme", ["ingest"])
    assert service.find(secret) is None
    clock.move(1)
    assert service.find(secret) == key


def test_a_key_works_at_once_where_it_was_made() -> None:
    keys = KeyStore(MemoryStore(), MovedClock())
    assert keys.find(new_secret("abcd1234")) is None
    secret, key = keys.create("acme", ["ingest"])
    assert keys.find(secret) == key


def test_a_key_whose_record_was_deleted_is_gone() -> None:
    clock, store = MovedClock(), MemoryStore()
    keys = KeyStore(store, clock)
    secret, _ = keys.create("acme", ["ingest"])
    assert keys.find(secret)
    store.delete(f"{KEYS}{digest_of(secret)}.json")
    clock.move(5)
    assert keys.find(secret) is None
    assert list(keys.list()) == []


def test_a_store_that_is_away_refuses_nobody_as_unknown() -> None:
    clock, store = MovedClock(), MemoryStore()
    secret, key = KeyStore(store, clock).create("acme", ["ingest"])
    away = FailingStore(store, float("inf"))
    service = KeyStore(away, clock)
    assert service.find(secret) == key
    away._fails_at = 0
    assert service.find(secret) == key
    clock.move(5)
    for asked in (secret, *(new_secret("abcd1234") for _ in range(50))):
        with pytest.raises(StoreError, match="The target is away"):
            service.find(asked)
    # A read of the key, and one listing for all others.
    assert away.calls == 4
    away._fails_at = float("inf")
    clock.move(1)
    assert service.find(secret) == key
    assert service.find(new_secret("abcd1234")) is None


RECORD = {
    "version": 1,
    "prefix": "abcd1234",
    "tenant": "acme",
    "scopes": ["ingest"],
    "created_at": "2026-01-03T12:00:00+00:00",
    "expires_at": None,
    "revoked_at": None,
}
CANARY = "canaryqwzuxkfhvnplrtb"
DAMAGED = {
    "empty": b"",
    "cut off": json.dumps(RECORD).encode()[:-1],
    "not UTF-8": b'{"tenant": "\xff"}',
    "a list": b"[]",
    "a later version": {"version": 2},
    "a missing revocation": {"revoked_at": ...},
    "a missing expiry": {"expires_at": ...},
    "a field too many": {"note": CANARY},
    "no scopes": {"scopes": []},
    "an unknown scope": {"scopes": ["ingest", CANARY]},
    "a tenant that is a path": {"tenant": f"../{CANARY}"},
    "a tenant that is reserved": {"tenant": "training"},
    "an instant without a zone": {"created_at": "2026-01-03T12:00:00"},
    "a number as an instant": {"revoked_at": 0},
    "a prefix with a line's end": {"prefix": "abcd1234\n"},
    "the record of another key": {"prefix": "zzzz1234"},
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_record_is_an_error_and_opens_nothing(damage: str, tmp_path: Path) -> None:
    store, clock = LocalStore(str(tmp_path)), MovedClock()
    secret = new_secret("abcd1234")
    changed = DAMAGED[damage]
    if isinstance(changed, dict):
        record = {name: value for name, value in (RECORD | changed).items() if value is not ...}
        changed = json.dumps(record).encode()
    store.write(f"{KEYS}{digest_of(secret)}.json", json.dumps(RECORD).encode())
    assert KeyStore(store, clock).find(secret)
    store.write(f"{KEYS}{digest_of(secret)}.json", changed)
    keys = KeyStore(store, clock)
    with pytest.raises(DamagedTableError, match=r"is damaged .*, and its key opens nothing: restore it") as raised:
        keys.find(secret)
    assert raised.value.key == f"{KEYS}{digest_of(secret)}.json"
    assert CANARY not in str(raised.value)
    if damage == "the record of another key":
        return
    for call in (keys.list, lambda: keys.create("acme", ["ingest"]), lambda: keys.revoke("abcd1234")):
        with pytest.raises(StoreError, match="is damaged"):
            call()


def test_a_damaged_record_does_not_keep_another_key_from_being_revoked() -> None:
    store, clock = MemoryStore(), MovedClock()
    keys = KeyStore(store, clock)
    secret, key = keys.create("acme", ["ingest"])
    for digest in ("0" * 64, "f" * 64):
        store.write(f"{KEYS}{digest}.json", b"{")
    keys.revoke(key.prefix)
    assert keys.find(secret) is None


@pytest.mark.parametrize(
    ("tenant", "scopes", "lifetime", "shown"),
    [
        ("Acme!", ["ingest"], None, "No tenant has such a name"),
        ("ingestion", ["ingest"], None, "No tenant has such a name"),
        ("acme", [], None, "needs at least one scope, and there are ingest, validate, read, privacy, admin"),
        ("acme", ["ingest", "write"], None, "needs at least one scope"),
        ("acme", ["ingest"], timedelta(0), "a lifetime above 0"),
    ],
)
def test_a_key_that_would_open_nothing_is_refused(
    tenant: str, scopes: list[str], lifetime: timedelta | None, shown: str
) -> None:
    store = MemoryStore()
    with pytest.raises(ApiKeyError, match=shown):
        KeyStore(store, MovedClock()).create(tenant, scopes, lifetime)
    assert list(store.list_keys("")) == []


def test_admin_allows_everything_and_the_others_themselves_alone() -> None:
    now = datetime(2026, 1, 3, tzinfo=UTC)
    admin, other = (ApiKey("abcd1234", "acme", frozenset({scope}), now) for scope in ("admin", "read"))
    scopes = ("ingest", "validate", "read", "admin")
    assert [admin.allows(scope) for scope in scopes] == [True] * 4
    assert [other.allows(scope) for scope in scopes] == [False, False, True, False]


def test_in_a_directory_only_its_owner_may_read_the_records(tmp_path: Path) -> None:
    keys = KeyStore(LocalStore(str(tmp_path)), MovedClock())
    _, key = keys.create("acme", ["ingest"])
    for _ in range(2):
        [record] = (tmp_path / "ingestion" / "keys").iterdir()
        assert (record.stat().st_mode & 0o777, record.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        keys.revoke(key.prefix)


@pytest.mark.parametrize("fails_at", [*range(1, 7)])
@pytest.mark.parametrize("is_carried_out", [False, True])
def test_no_error_log_or_repr_shows_a_secret(
    fails_at: int, is_carried_out: bool, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    store, clock = MemoryStore(), MovedClock()
    secret, key = KeyStore(store, clock).create("acme", ["ingest"])
    keys = KeyStore(FailingStore(store, fails_at, is_carried_out=is_carried_out), clock)
    shown = [repr(keys), repr(vars(keys)), repr(key), str(key)]
    calls = (
        lambda: keys.find(secret),
        keys.list,
        lambda: keys.create("acme", ["read"]),
        lambda: keys.find(secret[:-1] + "!"),
        lambda: keys.revoke(key.prefix),
        lambda: keys.revoke(secret),
        lambda: keys.find(secret),
    )
    for call in calls:
        try:
            found = call()
        except (StoreError, ApiKeyError) as error:
            shown += [str(error), repr(error), repr(error.__dict__)]
        else:
            shown += [] if isinstance(found, tuple) else [repr(found)]
    shown += [repr(vars(keys)), caplog.text, *capsys.readouterr()]
    assert secret[14:-1] not in " ".join(shown)
    # Nor that of the key that was created here.
    assert not re.search(PATTERN, " ".join(shown))


@pytest.mark.parametrize("fails_at", [2, 3])
def test_a_key_whose_secret_was_lost_is_named_so_that_it_can_be_revoked(fails_at: int) -> None:
    store = MemoryStore()
    with pytest.raises(StoreError, match=r"The target is away\. The key gata_\w{8} may be stored, and nobody has"):
        KeyStore(FailingStore(store, fails_at), MovedClock()).create("acme", ["ingest"])
