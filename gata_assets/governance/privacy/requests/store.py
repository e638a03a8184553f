"""The requests of a target to erase people: taken so that none is forgotten, found, and noted as carried out.

First the tombstones, from which on nobody reads what precedes them; then the request with the ids, sealed, by which it
is carried out even if whoever asked is gone. One that was cut off between the two is found too, without its ids.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from gata_assets.curation.layout import TenantLayout, is_tenant_name
from gata_assets.errors import ConflictError, DamagedTableError, DataRuleError, HeldPeopleError, ObjectNotFoundError
from gata_assets.governance.privacy.actors import Actor
from gata_assets.governance.privacy.privacy_log import log_of
from gata_assets.governance.privacy.requests.record import StoredRequest
from gata_assets.governance.privacy.requests.sealing import seal, unseal
from gata_assets.governance.retention.holds import Holds
from gata_assets.storage.objects import ABSENT, ObjectStore, Version
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.storage.people.tombstones import TombstoneReader, find_tombstones, write_tombstones
from gata_assets.tables.people.privacy_keys import PrivacyKeys, Tombstones

# Each time means that another process has changed the record.
_MOST_ATTEMPTS = 20
_ENDING = ".json"


@dataclass(frozen=True)
class ReadRequests:
    """The requests of a tenant, and why others could not be read."""

    requests: tuple[StoredRequest, ...]
    damaged: tuple[DamagedTableError, ...]

    @property
    def open(self) -> tuple[StoredRequest, ...]:
        """Those that are not complete, the most urgent first."""
        return tuple(
            sorted((one for one in self.requests if one.completed_at is None), key=lambda one: one.deadline_at)
        )


def tenants_in(store: ObjectStore) -> Iterable[str]:
    """The tenants of a target, by its folders; raises StoreError."""
    return filter(is_tenant_name, store.list_folders(""))


class ErasureRequests:
    """The requests of a target; safe for several threads and processes."""

    def __init__(
        self,
        store: ObjectStore,
        keys: PrivacyKeys,
        holds: Holds,
        deadline: timedelta,
        clock: Callable[[], datetime],
        known_as: Callable[[str, Sequence[str]], Collection[str]] = lambda *_: (),
        *,
        layout: Callable[[str], TenantLayout] = TenantLayout,
        owners: Callable[[ObjectStore], Iterable[str]] = tenants_in,
    ) -> None:
        """Use a store.

        Args:
            store: The target.
            keys: By which people are known, and ids sealed.
            holds: Of the target.
            deadline: Within which a request is to be carried out.
            clock: Gives the present instant in UTC.
            known_as: What stands for ids of a tenant's people in tables that mask them, besides the ids.
            layout: The keys of a tenant's data.
            owners: Lists the tenants of a store.
        """
        self.layout, self._owners = layout, owners
        self.known_as = known_as
        self.store, self._keys, self._holds = store, keys, holds
        self._deadline, self._clock = deadline, clock
        self._known: dict[str, tuple[Version, StoredRequest]] = {}

    def ask(self, tenant: str, ids: Sequence[str], request: str, by: Actor) -> StoredRequest:
        """Take a request: its people's rows count no more, and it will be carried out, once this returns.

        Args:
            tenant: Whose people.
            ids: Who, as tables name them.
            request: Its name; the same name and ids again are the same request, however far it has come.
            by: Who asks.

        Raises:
            HeldPeopleError: Some of them are under a legal hold; nothing was begun.
            OtherPeopleError: The name is that of a request of other people.
            PrivacyKeyError: There is no key.
            StoreError: The target failed; the same request can be asked for again.
        """
        distinct = sorted(set(ids))
        self.require_free(tenant, distinct)
        stones = self._write_tombstones(tenant, distinct, request)
        if found := self.find(tenant, request):
            return found
        sealed = seal(self._keys, stones.key_version, tenant, request, distinct)
        asked = self._request(tenant, request, stones, by=by, sealed=sealed)
        # Before the request is stored: one without an entry there could not be found later.
        content = {"request": request, "people": asked.people, "key_version": asked.key_version, "by": by}
        log_of(self.store, self.layout(tenant), self._clock).append("requested", content)
        try:
            self.store.write(self._key(tenant, request), msgspec.json.encode(asked), expected=ABSENT, is_private=True)
        except ConflictError:
            return self._read(tenant, request)[0]
        return asked

    def require_free(self, tenant: str, ids: Sequence[str]) -> None:
        """Raise HeldPeopleError if some of these people are under a legal hold; raises StoreError too."""
        if held := self._holds.held(tenant, ids):
            raise HeldPeopleError(
                f"{len(held):,} of {len(ids):,} people of {tenant} are under a legal hold, and nobody was erased: "
                "ask for the others alone, or remove the hold (`gata retention hold list`)."
            )

    def find(self, tenant: str, request: str) -> StoredRequest | None:
        """A request; None if there is none of this name. Raises DamagedTableError or StoreError."""
        try:
            return self._read(tenant, request)[0]
        except ObjectNotFoundError:
            return None

    def ids_of(self, asked: StoredRequest) -> tuple[str, ...]:
        """Who is to be erased.

        Raises:
            DataRuleError: The request has no ids.
            PrivacyKeyError: The key is missing.
            DamagedTableError: They are damaged.
        """
        if asked.sealed is None:
            raise DataRuleError(
                f"The request {asked.request} of {asked.tenant} is complete: nobody's ids are stored any more."
            )
        try:
            return unseal(self._keys, asked.key_version, asked.tenant, asked.request, asked.sealed)
        except ValueError:
            raise self._damaged(self._key(asked.tenant, asked.request)) from None

    def note_completed(self, asked: StoredRequest) -> None:
        """Remove the ids from a request, of whose people nothing is left; raises StoreError."""
        self._change(asked, lambda known: known.completed(self._clock()))

    def note_failed(self, asked: StoredRequest, kind: str) -> None:
        """Keep that an attempt left something, and why, in a word; raises StoreError."""
        self._change(asked, lambda known: known.failed(kind))

    def tenants(self) -> list[str]:
        """Whose requests there may be; raises StoreError."""
        return list(self._owners(self.store))

    def read_all(self, tenant: str) -> ReadRequests:
        """All requests of a tenant by their names, with as much of the ids as says whether they are stored.

        What was read before and has not changed is not read again. Raises StoreError.
        """
        places = self.layout(tenant)
        stored = {_name(key): version for key, version in self.store.list_versions(places.erasure_requests)}
        noted = (key.removeprefix(places.tombstones) for key in self.store.list_keys(places.tombstones))
        # In folders below are those of rows.
        names = sorted({*stored, *(_name(key) for key in noted if "/" not in key)})

        def read(name: str) -> StoredRequest | DamagedTableError:
            try:
                return self._light(tenant, name, stored.get(name))
            except DamagedTableError as error:
                return error

        found = list(map_in_order(read, names, SMALL_CALLS_AT_ONCE))
        return ReadRequests(
            tuple(one for one in found if isinstance(one, StoredRequest)),
            tuple(one for one in found if isinstance(one, DamagedTableError)),
        )

    def _light(self, tenant: str, name: str, version: Version | None) -> StoredRequest:
        """A request, or what its tombstones say of it, if it has nothing else."""
        key = self._key(tenant, name)
        known = self._known.get(key)
        if known and known[0] == version:
            return known[1]
        try:
            found, version = self._read(tenant, name)
        except ObjectNotFoundError:
            stones = find_tombstones(self.store, self.layout(tenant).tombstones, name)
            if stones is None:
                raise self._damaged(key) from None
            return self._request(tenant, name, stones, by="", sealed=None)
        light = found.without_sealed()
        self._known[key] = version, light
        return light

    def _write_tombstones(self, tenant: str, ids: Sequence[str], request: str) -> Tombstones:
        """The tombstones of a request, by the key by which they were written first."""
        # NumPy and Arrow, which who only shows requests does without.
        import polars as pl

        from gata_assets.tables.people.erased_people import digest_people

        folder = self.layout(tenant).tombstones
        known = find_tombstones(self.store, folder, request)
        version = known.key_version if known else self._keys.newest
        # Without the key of an earlier request nothing is begun.
        TombstoneReader(self._keys).erased(self.store, tenant, folder)
        people, tokens = (
            tuple(digest_people(self._keys, tenant, version, pl.Series(names, dtype=pl.String)))
            for names in (ids, sorted(self.known_as(tenant, ids)))
        )
        return write_tombstones(self.store, folder, request, Tombstones(version, self._clock(), people, tokens))

    def _request(
        self, tenant: str, request: str, stones: Tombstones, *, by: str, sealed: bytes | None
    ) -> StoredRequest:
        return StoredRequest(
            tenant=tenant,
            request=request,
            by=by,
            asked_at=stones.erased_at,
            deadline_at=stones.erased_at + self._deadline,
            people=len(stones.people),
            key_version=stones.key_version,
            sealed=sealed,
        )

    def _change(self, asked: StoredRequest, changed: Callable[[StoredRequest], StoredRequest]) -> None:
        """Change a request that is not complete."""
        key = self._key(asked.tenant, asked.request)
        for _ in range(_MOST_ATTEMPTS):
            known, version = self._read(asked.tenant, asked.request)
            if known.completed_at is not None:
                return
            with suppress(ConflictError):
                self.store.write(key, msgspec.json.encode(changed(known)), expected=version, is_private=True)
                return
        raise ConflictError(f"{self.store.uri(key)} is being changed by other commands: give the same command again.")

    def _read(self, tenant: str, request: str) -> tuple[StoredRequest, Version]:
        key = self._key(tenant, request)
        content, version = self.store.read_versioned(key)
        try:
            found = msgspec.json.decode(content, type=StoredRequest)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise self._damaged(key) from None
        if (found.tenant, found.request) != (tenant, request):
            raise self._damaged(key)
        return found, version

    def _key(self, tenant: str, request: str) -> str:
        return f"{self.layout(tenant).erasure_requests}{request}{_ENDING}"

    def _damaged(self, key: str) -> DamagedTableError:
        return DamagedTableError(
            f"{self.store.uri(key)} is not the request that was stored there: restore it from a version or a copy, or "
            "remove it, and ask again with the same name and ids. Until then nobody knows whom it is about.",
            key=key,
        )


def _name(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(_ENDING)
