"""The API keys of a target: made, found, listed, revoked. Below `ingestion/keys/` is a record for each, under the
SHA-256 of its secret, which is stored nowhere.

Finding costs the store little, whoever asks: a record is read once in `cached_seconds`, so a revoked key stops within
that time; which keys there are is listed at most once in `listed_seconds`, however many secrets are guessed, so a new
key works within that time. A digest is looked up in memory, and what the store says is compared in constant time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from hmac import compare_digest
from threading import Lock

from gata_assets.curation.layout import is_tenant_name
from gata_assets.errors import ApiKeyError, ConflictError, DamagedTableError, ObjectNotFoundError, StoreError
from gata_assets.ingestion.keys.api_keys import ApiKey, decode_key, encode_key, in_order
from gata_assets.ingestion.keys.scopes import SCOPES
from gata_assets.ingestion.keys.secret_text import MARK, digest_of, new_prefix, new_secret, prefix_of
from gata_assets.storage.objects import ABSENT, ObjectStore
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order

KEYS = "ingestion/keys/"
# Of a tenant, with the same scopes: the one in use, and the one that replaces it.
MOST_LIVE = 2
# How long a service goes on with what it has read of a key: so long a revoked one may still work.
CACHED_SECONDS = 5.0
_LISTED_SECONDS = 1.0
_MOST_ATTEMPTS = 5


class KeyStore:
    """The keys below `ingestion/keys/`; safe for several threads."""

    def __init__(
        self,
        store: ObjectStore,
        clock: Callable[[], datetime],
        *,
        cached_seconds: float = CACHED_SECONDS,
        listed_seconds: float = _LISTED_SECONDS,
    ) -> None:
        """`clock` gives the present instant in UTC."""
        self._store, self._clock = store, clock
        self._cached, self._listed = timedelta(seconds=cached_seconds), timedelta(seconds=listed_seconds)
        # By digest, with the instant before it was read; none but those of keys that there are.
        self._found: dict[str, tuple[datetime, ApiKey]] = {}
        # How the last listing ended, and when.
        self._listing: tuple[datetime, frozenset[str] | StoreError] | None = None
        self._listing_lock = Lock()

    def create(self, tenant: str, scopes: Collection[str], lifetime: timedelta | None = None) -> tuple[str, ApiKey]:
        """Store a new key; returns its secret, which nobody can show again, and the key.

        Args:
            tenant: Whose key it is.
            scopes: What it allows: some of `SCOPES`.
            lifetime: After which it expires; None for one that does not.

        Raises:
            ApiKeyError: There is no such scope, tenant or lifetime, or the tenant has two live keys with these scopes.
            DamagedTableError: A record is damaged, so that it is unknown how many there are.
            StoreError: The target failed.
        """
        wanted = _require_sound(tenant, scopes, lifetime)
        now = self._clock()
        before = self.list()
        self._require_room([key for key in before if _is_alike(key, tenant, wanted, now)], MOST_LIVE - 1)
        prefix = new_prefix()
        while prefix in {key.prefix for key in before}:
            prefix = new_prefix()
        secret = new_secret(prefix)
        key = ApiKey(prefix, tenant, wanted, now, now + lifetime if lifetime else None)
        try:
            self._store.write(_place(digest_of(secret)), encode_key(key), expected=ABSENT, is_private=True)
            # Another command may have stored one meanwhile: of two that see each other, neither stays.
            alike = [other for other in self.list() if _is_alike(other, tenant, wanted, now)]
            if len(alike) > MOST_LIVE:
                self.revoke(prefix)
        except StoreError as error:
            raise StoreError(
                f"{error} The key {MARK}{prefix} may be stored, and nobody has its secret: if `gata keys list` shows "
                f"it, revoke it (`gata keys revoke {prefix}`), and create another."
            ) from None
        self._require_room([other for other in alike if other.prefix != prefix], MOST_LIVE - 1)
        self._forget(digest_of(secret))
        return secret, key

    def find(self, secret: str) -> ApiKey | None:
        """The live key with this secret; None if there is none, or it has expired or was revoked.

        Raises:
            DamagedTableError: The key's record is damaged; it opens nothing.
            StoreError: The target failed, and it is unknown whether there is such a key.
        """
        prefix = prefix_of(secret)
        if prefix is None:
            return None
        digest, now = digest_of(secret), self._clock()
        key = self._cached_key(digest, now) or self._read_key(digest, now)
        if key is None or not key.is_live(now):
            return None
        if not compare_digest(key.prefix, prefix):
            raise self._damaged(_place(digest), "the prefix is another")
        return key

    def revoke(self, prefix: str) -> ApiKey:
        """Revoke the key with this prefix, or leave it as it is if it was revoked before; returns it.

        Damaged records of other keys are no hindrance.

        Raises:
            ApiKeyError: There is no such key.
            DamagedTableError: There is no such key, unless it is one whose record is damaged.
            StoreError: The target failed.
        """
        damaged: DamagedTableError | None = None
        for place, found in self._entries():
            if isinstance(found, DamagedTableError):
                damaged = found
            elif found.prefix == prefix:
                return self._revoke_at(place)
        if damaged:
            raise damaged
        raise ApiKeyError(f"There is no such key in {self._store.uri(KEYS)}: `gata keys list` shows their prefixes.")

    def list(self) -> Sequence[ApiKey]:
        """All keys, revoked and expired ones too, by tenant and age.

        Raises:
            DamagedTableError: A record is damaged.
            StoreError: The target failed.
        """
        keys = []
        for _, found in self._entries():
            if isinstance(found, DamagedTableError):
                raise found
            keys.append(found)
        return sorted(keys, key=lambda key: (key.tenant, key.created_at, key.prefix))

    def _revoke_at(self, place: str) -> ApiKey:
        for _ in range(_MOST_ATTEMPTS):
            content, version = self._store.read_versioned(place)
            key = self._decode(place, content)
            if key.revoked_at is None:
                key = replace(key, revoked_at=self._clock())
                try:
                    self._store.write(place, encode_key(key), expected=version, is_private=True)
                except ConflictError:
                    # By another command that revokes it, or by hand.
                    continue
            self._forget(_digest_in(place))
            return key
        raise ConflictError(f"{self._store.uri(place)} is being changed by other commands: run it again.")

    def _cached_key(self, digest: str, now: datetime) -> ApiKey | None:
        read_at, key = self._found.get(digest, (None, None))
        # A clock that was set back makes nothing fresh.
        return key if read_at is not None and timedelta(0) <= now - read_at < self._cached else None

    def _read_key(self, digest: str, now: datetime) -> ApiKey | None:
        if digest not in self._found and digest not in self._digests():
            return None
        place = _place(digest)
        try:
            key = self._decode(place, self._store.read(place))
        except ObjectNotFoundError:
            self._forget(digest)
            return None
        self._found[digest] = now, key
        return key

    def _digests(self) -> frozenset[str]:
        """The digests of all keys, listed now or a moment ago; a listing that failed is not tried again at once."""
        with self._listing_lock:
            if self._listing is None or not timedelta(0) <= self._clock() - self._listing[0] < self._listed:
                outcome: frozenset[str] | StoreError
                try:
                    outcome = frozenset(map(_digest_in, self._places()))
                except StoreError as error:
                    outcome = error
                else:
                    for gone in set(self._found) - outcome:
                        self._found.pop(gone, None)
                self._listing = self._clock(), outcome
            _, outcome = self._listing
        if isinstance(outcome, StoreError):
            raise StoreError(str(outcome))
        return outcome

    def _forget(self, digest: str) -> None:
        """Ask the store about this key when it is looked for next."""
        self._found.pop(digest, None)
        with self._listing_lock:
            self._listing = None

    def _places(self) -> Iterator[str]:
        return (key for key in self._store.list_keys(KEYS) if re.fullmatch(r"[0-9a-f]{64}\.json", key[len(KEYS) :]))

    def _entries(self) -> Iterator[tuple[str, ApiKey | DamagedTableError]]:
        def read(place: str) -> tuple[str, ApiKey | DamagedTableError] | None:
            with suppress(ObjectNotFoundError):
                content = self._store.read(place)
                try:
                    return place, self._decode(place, content)
                except DamagedTableError as error:
                    return place, error
            return None

        return (found for found in map_in_order(read, self._places(), SMALL_CALLS_AT_ONCE) if found)

    def _decode(self, place: str, content: bytes) -> ApiKey:
        try:
            return decode_key(content)
        except ValueError as error:
            raise self._damaged(place, str(error)) from None

    def _damaged(self, place: str, why: str) -> DamagedTableError:
        return DamagedTableError(
            f"{self._store.uri(place)} is damaged ({why}), and its key opens nothing: restore it, or delete it and "
            "create another key.",
            key=place,
        )

    def _require_room(self, alike: Sequence[ApiKey], most: int) -> None:
        if len(alike) <= most:
            return
        shown = ", ".join(f"{MARK}{key.prefix}" for key in alike)
        raise ApiKeyError(
            f"{alike[0].tenant} has {len(alike)} live keys with the scopes {', '.join(in_order(alike[0].scopes))}: "
            f"{shown}. {MOST_LIVE} may live at once, so that one can replace the other: revoke the one that is no "
            "longer used (`gata keys revoke PREFIX`), and create another then."
        )


def _require_sound(tenant: str, scopes: Collection[str], lifetime: timedelta | None) -> frozenset[str]:
    if not is_tenant_name(tenant):
        raise ApiKeyError("No tenant has such a name: 1 to 63 of a-z 0-9 _ are needed, for example acme.")
    wanted = frozenset(scopes)
    if not wanted or wanted - set(SCOPES):
        raise ApiKeyError(f"A key needs at least one scope, and there are {', '.join(SCOPES)}.")
    if lifetime is not None and lifetime <= timedelta(0):
        raise ApiKeyError("A key has to live for some time: a lifetime above 0 is needed, or none.")
    return wanted


def _is_alike(key: ApiKey, tenant: str, scopes: frozenset[str], now: datetime) -> bool:
    return key.tenant == tenant and key.scopes == scopes and key.is_live(now)


def _place(digest: str) -> str:
    return f"{KEYS}{digest}.json"


def _digest_in(place: str) -> str:
    return place.removeprefix(KEYS).removesuffix(".json")
