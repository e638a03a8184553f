"""Looks for people in everything that exists, by no index: every object is read, as `searching` does by its form.

What is searched are haystacks: the target here; what other systems have is in modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

from gata_assets.curation.files.raw_objects import opened
from gata_assets.curation.validated_files import DAMAGED
from gata_assets.errors import AccessDeniedError, ArchivedError, ObjectNotFoundError
from gata_assets.governance.privacy.locators import People
from gata_assets.governance.privacy.searching import Search, Searched
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parallel import CALLS_AT_ONCE, map_in_order

# What is said of what a role may not see: an object, a tenant's folder, and all that is outside of it.
_DENIED, _OTHERS = "the role may not read it", "what is outside of the tenant's folder"


@dataclass(frozen=True)
class Finding:
    """An object that has something of theirs, and how many values; `haystack` is empty for the target's objects. With a
    `fault` it is not known, since it could not be searched.
    """

    key: str
    values: int
    haystack: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Scan:
    """What was read, and where something was found."""

    objects: int
    bytes: int
    findings: tuple[Finding, ...]
    damaged: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How much was read, and how many objects could not be taken apart, so that they were searched for words."""
        return {"objects": self.objects, "bytes": self.bytes, "damaged": self.damaged}


class Haystack(Protocol):
    """Something that is searched."""

    @property
    def name(self) -> str:
        """What findings in it are shown with; empty for the target's objects."""

    def search(self, search: Search, people: People) -> Iterator[Searched]:
        """Read everything of it that may concern the tenant: the same id elsewhere is another person."""


def scan(haystacks: Iterable[Haystack], people: People) -> Scan:
    """Search haystacks for people; raises StoreError, or another error of the project."""
    search = Search(people)
    objects = size = damaged = 0
    findings = []
    for haystack in haystacks:
        try:
            for found in haystack.search(search, people):
                objects, size, damaged = objects + 1, size + found.size, damaged + found.is_damaged
                if found.values or found.fault:
                    findings.append(Finding(found.key, found.values, haystack.name, found.fault))
        except AccessDeniedError:
            findings.append(Finding("all of it" if haystack.name else _OTHERS, 0, haystack.name, _DENIED))
    # Two may be denied the same.
    return Scan(objects, size, tuple(dict.fromkeys(findings)), damaged)


@dataclass(frozen=True)
class TargetObjects:
    """All objects of a target. Of one that may not be listed, those of the tenant, and a fault for all others.

    Attributes:
        store: the target.
        concerns: whether an object may be about people of a tenant, by its key.
        prefix: what the keys begin with.
    """

    store: ObjectStore
    concerns: Callable[[str, str], bool] = lambda *_: True
    prefix: str = ""
    name: ClassVar[str] = ""

    def search(self, search: Search, people: People) -> Iterator[Searched]:
        """See Haystack."""

        def look(key: str) -> Searched | None:
            try:
                try:
                    with opened(self.store, key) as source:
                        return Searched(key, *search.count(source))
                except DAMAGED:
                    with self.store.open_read(key) as file:
                        return Searched(key, *search.count_words(file), is_damaged=True)
            except ObjectNotFoundError:
                # Deleted since it was listed.
                return None
            except ArchivedError as error:
                return Searched(key, 0, 0, fault=str(error))
            except AccessDeniedError:
                return Searched(key, 0, 0, fault=_DENIED)

        for folder in (self.prefix,) if self.prefix else ("", f"{people.tenant}/"):
            keys = (key for key in self.store.list_keys(folder) if self.concerns(people.tenant, key))
            try:
                yield from filter(None, map_in_order(look, keys, CALLS_AT_ONCE))
            except AccessDeniedError:
                yield Searched(folder or _OTHERS, 0, 0, fault=_DENIED)
            else:
                return
