"""Tombstones of erased people, in the target: below everything that reads rows, which leaves theirs out.

An object for each request, in a folder of the tenant, written before anything is erased and never changed; in a folder
below it for each table, those of the keys of rows that were theirs, to which rows of other tables belong. Readers list
them each time, and read each once.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from gata_assets.errors import ConflictError, DamagedTableError, ObjectNotFoundError, OtherPeopleError
from gata_assets.storage.objects import ABSENT, ObjectStore
from gata_assets.tables.people.privacy_keys import NO_PRIVACY_KEYS, PrivacyKeys, Tombstones

if TYPE_CHECKING:
    from gata_assets.tables.people.erased_people import ErasedPeople

_DIGITS = 16


def write_tombstones(store: ObjectStore, folder: str, request: str, stones: Tombstones) -> Tombstones:
    """Store the tombstones of a request in the tenant's folder, once: from now on these people's rows are left out.

    Returns:
        Those of the request: if it was made before, as of then.

    Raises OtherPeopleError if the request is of other people, DamagedTableError or StoreError.
    """
    key = _key(folder, request)
    try:
        store.write(key, msgspec.json.encode(stones), expected=ABSENT)
    except ConflictError:
        known = _decode(store.read(key), store, key)
        if (known.key_version, known.people) != (stones.key_version, stones.people):
            raise OtherPeopleError(
                f"The request {request} is of other people: give it another name, or the ids of its beginning."
            ) from None
        return known
    return stones


def write_row_tombstones(store: ObjectStore, folder: str, table: str, request: str, stones: Tombstones) -> None:
    """Store the tombstones of the keys of rows of a table; a request may have several. Raises StoreError."""
    content = msgspec.json.encode(stones)
    store.write(f"{folder}{table}/{request}-{sha256(content).hexdigest()[:_DIGITS]}.json", content)


def find_tombstones(store: ObjectStore, folder: str, request: str) -> Tombstones | None:
    """The tombstones of a request; None if there are none. Raises DamagedTableError or StoreError."""
    key = _key(folder, request)
    try:
        return _decode(store.read(key), store, key)
    except ObjectNotFoundError:
        return None


def _key(folder: str, request: str) -> str:
    return f"{folder}{request}.json"


def _decode(content: bytes, store: ObjectStore, key: str) -> Tombstones:
    try:
        return msgspec.json.decode(content, type=Tombstones)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DamagedTableError(
            f"{store.uri(key)} is no tombstones of this project: restore it from a version or a copy. Nothing of the "
            "tenant is read until then, since who was erased is not known.",
            key=key,
        ) from None


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
        # NumPy and Arrow, which who only receives does without.
        from gata_assets.tables.people.erased_people import ErasedPeople

        place, listed = store.uri(folder), tuple(store.list_keys(folder))
        known = self._people.get(place)
        if known is None or known[0] != listed:
            by_table: dict[str, list[Tombstones]] = {"": []}
            for key in listed:
                table = key.removeprefix(folder).rpartition("/")[0]
                by_table.setdefault(table, []).append(self._read(store, key))
            people = ErasedPeople(tenant, self.keys, by_table.pop(""), by_table)
            self._people[place] = known = (listed, people)
        return known[1]

    def _read(self, store: ObjectStore, key: str) -> Tombstones:
        place = store.uri(key)
        if place not in self._known:
            self._known[place] = _decode(store.read(key), store, key)
        return self._known[place]
