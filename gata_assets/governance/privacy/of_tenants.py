"""Places that have data of some tenants alone, by their names: the same id of another tenant is another person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gata_assets.governance.privacy.locators import Cleared, Erasure, Exported, Locator, People
from gata_assets.governance.privacy.scanning import Haystack
from gata_assets.governance.privacy.searching import Search, Searched


@dataclass(frozen=True)
class LocatorOfTenants:
    """A locator of the tenants that `has` is true of."""

    locator: Locator
    has: Callable[[str], bool]

    def erase(self, erasure: Erasure) -> Iterator[Cleared]:
        """See Locator."""
        return self.locator.erase(erasure) if self.has(erasure.tenant) else iter(())

    def export(self, people: People) -> Iterator[Exported]:
        """See Locator."""
        return self.locator.export(people) if self.has(people.tenant) else iter(())


@dataclass(frozen=True)
class HaystackOfTenants:
    """A haystack of the tenants that `has` is true of."""

    haystack: Haystack
    has: Callable[[str], bool]

    @property
    def name(self) -> str:
        """See Haystack."""
        return self.haystack.name

    def search(self, search: Search, people: People) -> Iterator[Searched]:
        """See Haystack."""
        return self.haystack.search(search, people) if self.has(people.tenant) else iter(())
