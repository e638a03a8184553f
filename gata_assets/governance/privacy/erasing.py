"""Carries out a request that was taken: every place, then a scan of everything that exists; all is logged.

`requests.store` takes it, and has its ids until nothing of theirs is left. Whoever was cut off is followed by another:
each place removes what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime

from gata_assets.errors import AccessDeniedError, ArchivedError, ConflictError, StoreError
from gata_assets.governance.privacy.actors import Actor
from gata_assets.governance.privacy.locators import Cleared, Erasure, Locator
from gata_assets.governance.privacy.privacy_log import log_of
from gata_assets.governance.privacy.requests.record import StoredRequest
from gata_assets.governance.privacy.requests.store import ErasureRequests
from gata_assets.governance.privacy.scanning import Haystack, Scan, scan
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.people.tombstones import TombstoneReader

_MOST_ATTEMPTS = 5


@dataclass(frozen=True)
class PrivacyPlaces:
    """What a request about people works on.

    Attributes:
        store: the target.
        reader: reads tombstones, and has the keys.
        requests: what was asked for, and becomes of it.
        locators: where data of people is.
        haystacks: what is searched at the end.
        columns: the names, in lower case, that columns of people have.
    """

    store: ObjectStore
    reader: TombstoneReader
    requests: ErasureRequests
    locators: tuple[Locator, ...]
    haystacks: tuple[Haystack, ...]
    columns: frozenset[str] = frozenset()


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


def erase(
    places: PrivacyPlaces,
    asked: StoredRequest,
    ids: Sequence[str] | None = None,
    *,
    by: Actor,
    clock: Callable[[], datetime],
    progress: Callable[[Cleared], object] = lambda _: None,
) -> Erased:
    """Erase the people of a request everywhere; the request keeps what became of it.

    Args:
        places: Where.
        asked: The request, which `places.requests` has taken.
        ids: Its people, as tables name them; None for those that are stored with it.
        by: Who carries it out.
        clock: The present instant in UTC.
        progress: Gets what was removed, place by place.

    Raises:
        HeldPeopleError: Some of them are under a legal hold; nothing was removed.
        DataRuleError: The request is complete, so that no ids are stored with it.
        PrivacyKeyError: There is no key.
        ConflictError: Other commands keep changing what is erased.
        StoreError: The target failed; the same request goes on where it was.
    """
    try:
        found = _erase(places, asked, places.requests.ids_of(asked) if ids is None else ids, by, clock, progress)
    except Exception as error:
        # What was wrong first is what is to be seen.
        with suppress(StoreError):
            places.requests.note_failed(asked, type(error).__name__)
        raise
    if found.is_complete:
        places.requests.note_completed(asked)
    else:
        places.requests.note_failed(asked, "incomplete")
    return found


def _erase(
    places: PrivacyPlaces,
    asked: StoredRequest,
    ids: Sequence[str],
    by: Actor,
    clock: Callable[[], datetime],
    progress: Callable[[Cleared], object],
) -> Erased:
    store, tenant, request = places.store, asked.tenant, asked.request
    distinct = tuple(sorted(set(ids)))
    # One may have been added since it was asked for.
    places.requests.require_free(tenant, distinct)
    layout = places.requests.layout(tenant)
    log, erased = log_of(store, layout, clock), places.reader.erased(store, tenant, layout.tombstones)
    names = (*distinct, *sorted(places.requests.known_as(tenant, distinct)))
    erasure = Erasure(tenant, names, request, erased, columns=places.columns)
    all_cleared = []
    for locator in places.locators:
        for cleared in _persistently(locator, erasure):
            all_cleared.append(cleared)
            progress(cleared)
            log.append("cleared", {"request": request, **asdict(cleared)})
    scanned = scan(places.haystacks, erasure)
    found = Erased(request, len(distinct), asked.asked_at, tuple(all_cleared), scanned)
    log.append("scanned", {"request": request, **scanned.counts, "findings": [asdict(one) for one in scanned.findings]})
    log.append("completed" if found.is_complete else "incomplete", {"request": request, "by": by})
    return found


def _persistently(locator: Locator, erasure: Erasure) -> Iterator[Cleared]:
    """What a locator has removed, also if another command changes the same data at that moment. Others go on without
    what is in an archive, and without what the role may not do.
    """
    for attempt in range(_MOST_ATTEMPTS):
        try:
            yield from list(locator.erase(erasure))
        except ConflictError:
            if attempt == _MOST_ATTEMPTS - 1:
                raise
        except ArchivedError as error:
            yield Cleared("archived objects", 1, remains=str(error))
            return
        except AccessDeniedError as error:
            # Who may do more goes on with the request.
            yield Cleared("what the role may not touch", 0, remains=str(error))
            return
        else:
            return
