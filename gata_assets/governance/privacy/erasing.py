"""Carries out a request: tombstones first, then every place, then a scan of everything that exists; all is logged.

From the tombstones on nobody reads what precedes them. A request that was cut off is carried out again with the same
ids: each place removes what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import polars as pl

from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import ConflictError, DataRuleError
from gata_assets.governance.privacy.locators import Cleared, Erasure, Locator
from gata_assets.governance.privacy.scanning import Haystack, Scan, scan
from gata_assets.governance.retention.holds import Holds
from gata_assets.storage.logs.chained_log import ChainedLog
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.people.tombstones import TombstoneReader, write_tombstones
from gata_assets.tables.people.erased_people import digest_people
from gata_assets.tables.people.privacy_keys import Tombstones

_MOST_ATTEMPTS = 5


@dataclass(frozen=True)
class PrivacyPlaces:
    """What a request about people works on.

    Attributes:
        store: the target.
        reader: reads tombstones, and has the keys.
        holds: the legal holds of the target.
        locators: where data of people is.
        haystacks: what is searched at the end.
        known_as: what stands for ids of a tenant's people in tables that mask them, besides the ids.
    """

    store: ObjectStore
    reader: TombstoneReader
    holds: Holds
    locators: tuple[Locator, ...]
    haystacks: tuple[Haystack, ...]
    known_as: Callable[[str, Sequence[str]], Collection[str]] = lambda *_: ()


@dataclass(frozen=True)
class Erased:
    """What became of a request: what was removed at which place, and what the scan found afterwards."""

    request: str
    people: int
    erased_at: datetime
    places: tuple[Cleared, ...]
    scanned: Scan

    @property
    def is_complete(self) -> bool:
        """Whether nothing of theirs is left."""
        return not self.scanned.findings and not any(place.remains for place in self.places)


def log_of(store: ObjectStore, tenant: str, clock: Callable[[], datetime]) -> ChainedLog:
    """The log of what was erased and exported of a tenant."""
    return ChainedLog(store, f"{TenantLayout(tenant).root}privacy/log/", clock=clock)


def erase(
    places: PrivacyPlaces,
    tenant: str,
    ids: Sequence[str],
    request: str,
    *,
    clock: Callable[[], datetime],
    progress: Callable[[Cleared], object] = lambda _: None,
) -> Erased:
    """Erase people of a tenant everywhere.

    Args:
        places: Where.
        tenant: Whose people.
        ids: Who, as tables name them.
        request: Names the request; the same name again goes on with it.
        clock: The present instant in UTC.
        progress: Gets what was removed, place by place.

    Raises:
        DataRuleError: Some of them are under a legal hold; nothing was begun.
        PrivacyKeyError: There is no key for new requests.
        ConflictError: Other commands keep changing what is erased, or the request has other ids.
        StoreError: The target failed; the same request goes on where it was.
    """
    store, reader = places.store, places.reader
    distinct = pl.Series(sorted(set(ids)), dtype=pl.String)
    if held := places.holds.held(tenant, distinct.to_list()):
        raise DataRuleError(
            f"{len(held):,} of {len(distinct):,} people of {tenant} are under a legal hold, and nobody was erased: "
            "ask for the others alone, or remove the hold (`gata retention hold list`)."
        )
    keys, log = reader.keys, log_of(store, tenant, clock)
    folder = TenantLayout(tenant).tombstones
    stones = Tombstones(keys.newest, clock(), tuple(digest_people(keys, tenant, keys.newest, distinct)))
    stones = write_tombstones(store, folder, request, stones)
    log.append("requested", {"request": request, "people": len(distinct), "key_version": stones.key_version})
    erasure = Erasure(tenant, tuple(distinct), request, reader.erased(store, tenant, folder))
    all_cleared = []
    for locator in places.locators:
        for cleared in _persistently(locator, erasure):
            all_cleared.append(cleared)
            progress(cleared)
            log.append("cleared", {"request": request, **asdict(cleared)})
    scanned = scan(places.haystacks, erasure)
    found = Erased(request, len(distinct), stones.erased_at, tuple(all_cleared), scanned)
    log.append("scanned", {"request": request, **scanned.counts, "findings": [asdict(one) for one in scanned.findings]})
    log.append("completed" if found.is_complete else "incomplete", {"request": request})
    return found


def _persistently(locator: Locator, erasure: Erasure) -> Iterator[Cleared]:
    """What a locator has removed, also if another command changes the same data at that moment."""
    for attempt in range(_MOST_ATTEMPTS):
        try:
            yield from list(locator.erase(erasure))
        except ConflictError:
            if attempt == _MOST_ATTEMPTS - 1:
                raise
        else:
            return
