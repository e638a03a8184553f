"""Legal holds: small objects in the target that keep the data of a tenant, or of a subject, from being deleted.

A subject is stored as a digest (HMAC), which only those with the key can work out. Which files have rows of a subject
cannot be known without reading them all, so that a hold on a subject keeps all of its tenant from retention, and the
subject alone from erasure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from gata_assets.errors import ConflictError, DamagedTableError, DataRuleError, ObjectNotFoundError
from gata_assets.storage.objects import ABSENT, ObjectStore

HOLDS = "governance/holds/"
# In place of a subject's digest, of a hold on all of a tenant.
_ALL = "all"
# The digests of a subject by the tenant and the id: by the newest key first, and by those of before.
SubjectDigests = Callable[[str, str], Sequence[str]]


@dataclass(frozen=True)
class Hold:
    """A hold on all of a scope, or (`subject` is a digest) on one subject of it."""

    scope: str
    reason: str
    added_at: datetime
    subject: str | None = None

    @property
    def key(self) -> str:
        """Where it is stored."""
        return f"{HOLDS}{self.scope}/{self.subject or _ALL}.json"

    def describe(self) -> str:
        """Why data stays, for people."""
        of = "one of its subjects" if self.subject else f"all of {self.scope}"
        return f"legal hold on {of} since {self.added_at:%Y-%m-%d}: {self.reason}"


class Holds:
    """The holds of a target; `digests` is needed for holds on subjects."""

    def __init__(self, store: ObjectStore, digests: SubjectDigests | None = None) -> None:
        self._store, self._digests = store, digests

    def add(self, scope: str, subject: str | None, reason: str, now: datetime) -> Hold:
        """Add a hold, and return it; raises DataRuleError if it exists, or StoreError."""
        keys = self._keys(scope, subject)
        hold = Hold(scope, reason, now, None if subject is None else self._of(scope, subject)[0])
        try:
            if any(map(self._store.exists, keys)):
                raise ConflictError(f"{scope} is held.")
            self._store.write(hold.key, msgspec.json.encode(hold), expected=ABSENT)
        except ConflictError:
            raise DataRuleError(f"There is such a hold on {scope} already: `gata retention hold list`.") from None
        return hold

    def remove(self, scope: str, subject: str | None) -> None:
        """Remove a hold; raises DataRuleError if there is none, or StoreError."""
        keys = list(filter(self._store.exists, self._keys(scope, subject)))
        if not keys:
            raise DataRuleError(f"There is no such hold on {scope}: `gata retention hold list`.")
        for key in keys:
            self._store.delete(key)

    def held(self, scope: str, subjects: Sequence[str]) -> Sequence[str]:
        """Those of these subjects who are held, by a hold of their own or on all of the scope; raises StoreError."""
        found = {hold.subject for hold in self.list(scope)}
        return [one for one in subjects if found and (None in found or not found.isdisjoint(self._of(scope, one)))]

    def list(self, scope: str | None = None) -> Iterator[Hold]:
        """The holds of the target, or of a scope; raises DamagedTableError or StoreError."""
        for key in self._store.list_keys(f"{HOLDS}{scope}/" if scope else HOLDS):
            try:
                yield msgspec.json.decode(self._store.read(key), type=Hold)
            except ObjectNotFoundError:
                continue
            except msgspec.MsgspecError:
                raise DamagedTableError(
                    f"{self._store.uri(key)} is not a hold that can be read. While it is there, nothing is deleted: "
                    "remove it, and add the hold again."
                ) from None

    def find(self, scope: str) -> Hold | None:
        """A hold on a scope, or on one of its subjects; raises DamagedTableError or StoreError."""
        return next(self.list(scope), None)

    def _keys(self, scope: str, subject: str | None) -> Sequence[str]:
        names = [_ALL] if subject is None else self._of(scope, subject)
        return [f"{HOLDS}{scope}/{name}.json" for name in names]

    def _of(self, scope: str, subject: str) -> Sequence[str]:
        if self._digests is None:
            raise DataRuleError("A hold on a subject needs the key of digests.")
        return self._digests(scope, subject)
