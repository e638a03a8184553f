"""A log that is only appended to, as one object per entry: each names the SHA-256 of the one before.

Who changes, removes, swaps or adds an entry breaks the chain, and `read` says where. An end that was cut off is found
by whoever noted a head elsewhere. An entry is written only if its number is free, so of two writers one comes behind.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from typing import Any, NamedTuple

from gata_assets.errors import ConflictError, DamagedTableError, ObjectNotFoundError
from gata_assets.storage.objects import ABSENT, ObjectStore
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order

_DIGITS, _ENDING = 20, ".json"
# What the first entry has in place of the digest of one before it.
NOTHING_BEFORE = "0" * 64


@dataclass(frozen=True)
class Entry:
    """An entry: its number, from 1 on; when it was appended; what it is about; and the digest of the one before."""

    number: int
    at: datetime
    kind: str
    content: Mapping[str, Any]
    previous: str

    def encode(self) -> bytes:
        """Its bytes, whose SHA-256 the next entry has; the same for the same entry."""
        fields = {**vars(self), "at": self.at.isoformat()}
        return (json.dumps(fields, allow_nan=False, ensure_ascii=False) + "\n").encode()

    @classmethod
    def decode(cls, content: bytes) -> Entry:
        """An entry from its bytes; raises ValueError for any others."""
        found = json.loads(content)
        try:
            entry = cls(**{**found, "at": datetime.fromisoformat(found["at"])})
            is_same = entry.encode() == content
        except (TypeError, KeyError):
            is_same = False
        if not is_same:
            raise ValueError("other bytes than an entry has")
        return entry


class Head(NamedTuple):
    """The end of a log: how many entries it has, and the SHA-256 of the last one. Noted elsewhere, it shows later that
    all entries up to there are those that were there.
    """

    number: int
    digest: str


EMPTY = Head(0, NOTHING_BEFORE)


@dataclass(frozen=True)
class _Stored:
    """An entry as it was read, and the digest of its bytes."""

    entry: Entry
    digest: str

    @property
    def head(self) -> Head:
        return Head(self.entry.number, self.digest)


class ChainedLog:
    """A log in a folder of its own, for one thread of any number of writers.

    A store without conditional writes (`has_conditions`) has one writer at a time: two may overwrite each other there.
    """

    def __init__(
        self, store: ObjectStore, folder: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Set up without reading anything; `folder` ends with a slash, and has nothing else in it."""
        self._store, self._folder, self._clock = store, folder, clock
        # The end as this writer knows it: others may have appended since.
        self._end: Head | None = None

    def append(self, kind: str, content: Mapping[str, Any]) -> Entry:
        """Append an entry behind all that are there; after a StoreError it may be there or not, which `read` shows.

        Args:
            kind: What it is about, in a word.
            content: A JSON object: counts, keys, digests; never ids or texts of people, since no entry is ever removed.

        Raises:
            ValueError: The content is no JSON, or would not be the same once it is read.
            DamagedTableError: The last entry is damaged: nothing is appended behind it.
            StoreError: The target failed.
        """
        text = json.dumps(content, allow_nan=False, ensure_ascii=False)
        if json.loads(text) != content or len(kind.split()) != 1:
            raise ValueError("An entry has a kind of one word, and a JSON object whose names are texts.")
        end = self._last_stored() if self._end is None else self._end
        while True:
            entry = Entry(end.number + 1, self._clock(), kind, json.loads(text), end.digest)
            encoded = entry.encode()
            try:
                self._store.write(self._key(entry.number), encoded, expected=ABSENT)
            except ConflictError:
                # Another writer was faster: the entry comes behind its entry.
                end = self._read(entry.number).head
                continue
            self._end = Head(entry.number, sha256(encoded).hexdigest())
            return entry

    def read(self, known: Head | None = None) -> tuple[Entry, ...]:
        """All entries, once the whole chain is verified.

        Args:
            known: A head that was noted earlier, elsewhere: the log must still have it.

        Raises:
            DamagedTableError: The chain is broken; `key` and the message have the first place where it is.
            StoreError: The target failed.
        """
        return tuple(stored.entry for stored in self._verified(known))

    def head(self) -> Head:
        """The end of the log, once the whole chain is verified, to be noted elsewhere; raises as `read`."""
        head = EMPTY
        for stored in self._verified(None):
            head = stored.head
        return head

    def _verified(self, known: Head | None) -> Iterator[_Stored]:
        before = EMPTY
        for number, stored in self._read_all():
            if stored is None:
                raise self._broken(number, f"is missing, and there are later ones: entry {number:,} was removed")
            if stored.entry.previous != before.digest:
                raise self._broken(
                    number,
                    f"was not appended behind the entry {before.number:,} that is there: either was changed, or the "
                    "log was forked"
                    if before.number
                    else "is the first, and names one before it: the log was cut off at its beginning, or changed",
                )
            before = stored.head
            if known is not None and number == known.number and stored.digest != known.digest:
                raise self._broken(number, f"is not the entry {number:,} of the known head: the log was changed")
            yield stored
        if known is not None and before.number < known.number:
            raise self._broken(
                before.number + 1, f"is missing: the log ends with {before.number:,}, and had {known.number:,} entries"
            )

    def _read_all(self) -> Iterator[tuple[int, _Stored | None]]:
        """The entries in order, None for one that is missing before others; also those that are appended meanwhile."""
        last = max(self._numbers(), default=0)
        yield from zip(
            range(1, last + 1), map_in_order(self._find, range(1, last + 1), SMALL_CALLS_AT_ONCE), strict=True
        )
        for number in count(last + 1):
            stored = self._find(number)
            if stored is None:
                return
            yield number, stored

    def _last_stored(self) -> Head:
        last = max(self._numbers(), default=0)
        return self._read(last).head if last else EMPTY

    def _numbers(self) -> Iterator[int]:
        """The numbers of the entries that are listed; raises DamagedTableError for any other object in the folder."""
        for key in self._store.list_keys(self._folder):
            name = key.removeprefix(self._folder)
            digits = name.removesuffix(_ENDING)
            if key != self._folder + digits + _ENDING or not (digits.isdecimal() and digits.isascii()):
                raise self._no_entry(key)
            if len(digits) != _DIGITS or not int(digits):
                raise self._no_entry(key)
            yield int(digits)

    def _find(self, number: int) -> _Stored | None:
        try:
            return self._read(number)
        except ObjectNotFoundError:
            return None

    def _read(self, number: int) -> _Stored:
        content = self._store.read(self._key(number))
        try:
            entry = Entry.decode(content)
        except (ValueError, RecursionError):
            raise self._broken(number, "is no entry as it was written: it was changed") from None
        if entry.number != number:
            raise self._broken(number, f"is the entry {entry.number:,}: entries were reordered")
        return _Stored(entry, sha256(content).hexdigest())

    def _key(self, number: int) -> str:
        return f"{self._folder}{number:0{_DIGITS}d}{_ENDING}"

    def _broken(self, number: int, what: str) -> DamagedTableError:
        key = self._key(number)
        return DamagedTableError(
            f"The log {self._store.uri(self._folder)} is broken at entry {number:,}: {self._store.uri(key)} {what}. "
            "Find out who did it, and restore the log from a version or a copy.",
            key=key,
        )

    def _no_entry(self, key: str) -> DamagedTableError:
        return DamagedTableError(
            f"The log {self._store.uri(self._folder)} has an object that is no entry: {self._store.uri(key)}. Nothing "
            "but entries belongs there: find out who put it there, and move it away.",
            key=key,
        )
