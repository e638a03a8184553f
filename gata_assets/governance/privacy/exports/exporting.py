"""Exports all that there is of a person, and says whether it is all: by the scan that proves an erasure.

Each object in which the scan finds something of theirs must be among those that rows came from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, groupby

from gata_assets.errors import OwnStoreError
from gata_assets.governance.privacy.actors import Actor
from gata_assets.governance.privacy.erasing import PrivacyPlaces
from gata_assets.governance.privacy.exports.archive import Archive
from gata_assets.governance.privacy.exports.lines import line_of
from gata_assets.governance.privacy.exports.outcome import MANIFEST, README, PersonExport, PlaceFile
from gata_assets.governance.privacy.exports.readme import describe_export
from gata_assets.governance.privacy.locators import Exported, People
from gata_assets.governance.privacy.privacy_log import log_of
from gata_assets.governance.privacy.scanning import Finding, scan


def export_person(
    places: PrivacyPlaces,
    tenant: str,
    ids: Sequence[str],
    request: str,
    archive: Archive,
    *,
    by: Actor,
    clock: Callable[[], datetime],
    progress: Callable[[PlaceFile], object] = lambda _: None,
) -> PersonExport:
    """Write all that there is of a person to an archive.

    Args:
        places: Where.
        tenant: Whose person.
        ids: Who, as tables name them: all ids of one person.
        request: Names the request.
        archive: Gets a file for each place, a manifest, and a text for the person.
        by: Who asks.
        clock: The present instant in UTC.
        progress: Gets each file once it is written.

    Raises:
        ConflictError: An object was changed while it was read; nothing is wrong, ask again.
        StoreError: The target failed.
    """
    began, distinct = clock(), sorted(set(ids))
    known_as = places.requests.known_as(tenant, distinct)
    people = People(tenant, tuple(sorted({*distinct, *known_as})), columns=places.columns)
    covered, failed, files = set[str](), list[Finding](), list[PlaceFile]()
    names = _Names()
    found = chain.from_iterable(locator.export(people) for locator in places.locators)
    for place, of_place in groupby(found, key=lambda one: one.place):
        before = len(covered)
        lines = _lines(of_place, covered, failed)
        first = next(lines, None)
        if first is not None:
            file = archive.add_lines(names.of(place), chain([first], lines))
            files.append(PlaceFile(place, len(covered) - before, file))
            progress(files[-1])
    scanned = scan(places.haystacks, people)
    left = [finding for finding in scanned.findings if finding.key not in covered]
    done = PersonExport(request, tenant, len(distinct), began, tuple(files), scanned, (*failed, *left))
    archive.add_text(MANIFEST, done.manifest())
    archive.add_text(README, describe_export(done))
    # Before the archive is there: one that could not be written then is logged, and none is there that is not.
    counts = {"ids": done.ids, "files": len(files), "rows": done.rows, "not_exported": len(done.not_exported)}
    log_of(places.store, places.requests.layout(tenant), clock).append(
        "exported", {"request": request, "by": by, **counts}
    )
    return done


def _lines(found: Iterable[Exported], covered: set[str], failed: list[Finding]) -> Iterator[bytes]:
    """The rows of a place as lines; also gives the keys that they came from, and what could not be asked."""
    for one in found:
        try:
            for row in one.rows:
                covered.add(one.key)
                yield line_of(one.key, row)
        except OwnStoreError as error:
            failed.append(Finding(one.key, 0, one.place, str(error)))


class _Names:
    """The names of files by their places: `interactions: raw files` is `interactions/raw_files.jsonl`."""

    def __init__(self) -> None:
        self._count: dict[str, int] = {}

    def of(self, place: str) -> str:
        """A name that no file has."""
        parts = (re.sub(r"[^a-z0-9_]+", "_", part.strip().lower()).strip("_") for part in place.split(": "))
        name = "/".join(filter(None, parts))
        number = self._count[name] = self._count.get(name, 0) + 1
        return f"{name}.jsonl" if number == 1 else f"{name}-{number}.jsonl"
