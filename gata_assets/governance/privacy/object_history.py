"""What a bucket keeps beside its present objects, as places of people's data: old versions, and what is in an archive.

Old versions that have something of theirs are deleted for good, whatever else they have: nothing reads them. What is in
an archive is restored, so that the same request can read it later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from shutil import copyfileobj
from typing import BinaryIO, ClassVar

from gata_assets.curation.files.signatures import HEAD_BYTES, is_parquet
from gata_assets.errors import AccessDeniedError, ArchivedError, DeleteDeniedError, ObjectNotFoundError
from gata_assets.governance.privacy.locators import Cleared, Erasure, Exported, People
from gata_assets.governance.privacy.searching import Search, Searched
from gata_assets.storage.objects import KeptVersion, ObjectHistory
from gata_assets.storage.parallel import CALLS_AT_ONCE, SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.storage.scratch import scratch_file

Concerns = Callable[[str, str], bool]


@dataclass(frozen=True)
class OldVersions:
    """The versions of objects that were superseded or deleted: a place, and a haystack.

    Attributes:
        history: of the target.
        concerns: whether an object may be about people of a tenant, by its key.
        prefix: what keys begin with that a bucket of its own has without it.
    """

    history: ObjectHistory
    concerns: Concerns
    prefix: str = ""
    name: ClassVar[str] = "old versions of objects"

    def erase(self, erasure: Erasure) -> Iterator[Cleared]:
        """See Locator."""
        removed = denied = 0
        first = ""
        for kept, found in self._search(Search(erasure), erasure):
            if not found.values:
                continue
            try:
                self.history.delete(kept)
                removed += 1
            except DeleteDeniedError as error:
                denied += 1
                first = first or str(error)
        remains = f"{denied:,} may not be deleted. The first: {first}" if denied else ""
        yield Cleared(self.name, removed, {"versions": removed}, remains)

    def export(self, people: People) -> Iterator[Exported]:
        """See Locator. Only which there are: each has what its object had at a time, and is deleted some days later."""
        for kept, found in self._search(Search(people), people):
            if found.values:
                note = {
                    "object": self.prefix + kept.key,
                    "version": kept.name,
                    "bytes": kept.size,
                    "values": found.values,
                }
                yield Exported(self.name, found.key, (note,))

    def search(self, search: Search, people: People) -> Iterator[Searched]:
        """See Haystack."""
        return (found for _, found in self._search(search, people))

    def _search(self, search: Search, people: People) -> Iterator[tuple[KeptVersion, Searched]]:
        def look(kept: KeptVersion) -> tuple[KeptVersion, Searched] | None:
            key = f"{self.prefix}{kept.key}?versionId={kept.name}"
            try:
                with _opened(self.history, kept) as file:
                    return kept, search.search_file(key, file)
            except ObjectNotFoundError:
                # Deleted since it was listed, as an expired version.
                return None
            except ArchivedError as error:
                return kept, Searched(key, 0, 0, fault=str(error))

        found = self.history.old_versions()
        versions = (kept for kept in found if self.concerns(people.tenant, self.prefix + kept.key))
        yield from filter(None, map_in_order(look, versions, CALLS_AT_ONCE))


@dataclass(frozen=True)
class Archives:
    """The objects and old versions in an archive: their restore begins at once, before anything else is erased.

    Attributes:
        history: of the target.
        concerns: whether an object may be about people of a tenant, by its key.
        clock: the present instant in UTC.
        prefix: as that of OldVersions.
    """

    history: ObjectHistory
    concerns: Concerns
    clock: Callable[[], datetime]
    prefix: str = ""

    def erase(self, erasure: Erasure) -> Iterator[Cleared]:
        """See Locator."""
        waiting: Counter[str] = Counter()
        hours = count = 0
        remains = ""
        kept = (one for one in self.history.archived() if self.concerns(erasure.tenant, self.prefix + one.key))
        try:
            for one, after in map_in_order(lambda one: (one, self.history.restore(one)), kept, SMALL_CALLS_AT_ONCE):
                count += 1
                hours = max(hours, after)
                waiting[one.archive] += after > 0
        except AccessDeniedError as error:
            remains = str(error)
        if hours:
            by_class = ", ".join(f"{number:,} in {archive}" for archive, number in sorted(waiting.items()) if number)
            remains = (
                f"{waiting.total():,} objects cannot be read before they are restored ({by_class}). Go on with the "
                f"same request from {self.clock() + timedelta(hours=hours):%Y-%m-%d %H:%M} UTC on. {remains}"
            ).rstrip()
        yield Cleared("archived objects", count, remains=remains)

    def export(self, people: People) -> Iterator[Exported]:  # noqa: ARG002
        """See Locator. What is in an archive is exported by whose object it is, once it is restored."""
        return iter(())


@contextmanager
def _opened(history: ObjectHistory, kept: KeptVersion) -> Iterator[BinaryIO]:
    """A version; Parquet, whose many small parts are read from anywhere, as a copy on this machine."""
    with history.open_read(kept) as file:
        is_copied = is_parquet(file.read(HEAD_BYTES))
        file.seek(0)
        if not is_copied:
            yield file
            return
        with scratch_file() as copy:
            copyfileobj(file, copy)
            yield copy
