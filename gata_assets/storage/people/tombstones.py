"""Tombstones of erased people, in the target: below everything that reads rows, which leaves theirs out.

An object for each request, in a folder of the tenant, written before anything is erased and never changed. Readers list
them each time, and read each once.
"""

from __future__ import annotations

import msgspec

from gata_assets.errors import DamagedTableError
from gata_assets.storage.objects import ABSENT, ObjectStore
from gata_assets.tables.erased_people import NO_PRIVACY_KEYS, ErasedPeople, PrivacyKeys, Tombstones


def write_tombstones(store: ObjectStore, folder: str, request: str, stones: Tombstones) -> None:
    """Store the tombstones of a request in the tenant's folder, once: from now on these people's rows are left out.

    Raises ConflictError if the request has other ones, or StoreError.
    """
    key = f"{folder}{request}.json"
    content = msgspec.json.encode(stones)
    if not (store.exists(key) and store.read(key) == content):
        store.write(key, content, expected=ABSENT)


class TombstoneReader:
    """Reads who was erased; for several threads, and as long as a process lasts."""

    def __init__(self, keys: PrivacyKeys = NO_PRIVACY_KEYS) -> None:
        """Without `keys`, tenants of whom nobody was erased can be read."""
        self.keys = keys
        self._known: dict[str, Tombstones] = {}
        self._people: dict[str, tuple[tuple[str, ...], ErasedPeople]] = {}

    def erased(self, store: ObjectStore, tenant: str, folder: str) -> ErasedPeople:
        """Who of a tenant was erased up to now, by the tombstones in a folder.

        Raises PrivacyKeyError if that cannot be known without a key, DamagedTableError or StoreError.
        """
        place, listed = store.uri(folder), tuple(store.list_keys(folder))
        known = self._people.get(place)
        if known is None or known[0] != listed:
            people = ErasedPeople(tenant, self.keys, [self._read(store, key) for key in listed])
            self._people[place] = known = (listed, people)
        return known[1]

    def _read(self, store: ObjectStore, key: str) -> Tombstones:
        place = store.uri(key)
        if place not in self._known:
            try:
                self._known[place] = msgspec.json.decode(store.read(key), type=Tombstones)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise DamagedTableError(
                    f"{place} is no tombstones of this project: restore it from a version or a copy. Nothing of the "
                    "tenant is read until then, since who was erased is not known.",
                    key=key,
                ) from None
        return self._known[place]
