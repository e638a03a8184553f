"""The declared tables of a tenant as places of people's data: raw files, staged and rejected rows, curated tables.

By what tables say of their columns alone: a table that a user declares needs no code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.erasure.exporting import TableExporter
from gata_assets.curation.erasure.files import RecordOrigins
from gata_assets.curation.erasure.stored_rows import subject_tables
from gata_assets.curation.erasure.tables import TableEraser
from gata_assets.governance.privacy.locators import Cleared, Erasure, Exported, People
from gata_assets.tables.people.named_people import NamedPeople


class TableLocator:
    """The tables of a tenant whose rows name a person."""

    def __init__(
        self,
        curator_of: Callable[[str], TableCurator],
        origins_of: Callable[[str], RecordOrigins] | None = None,
    ) -> None:
        """`curator_of` gives the curator of a tenant, with the tables that it has; `origins_of` as `FileEraser`."""
        self._curator_of, self._origins_of = curator_of, origins_of

    def erase(self, erasure: Erasure) -> Iterator[Cleared]:
        """See Locator."""
        curator = self._curator_of(erasure.tenant)
        origins = self._origins_of(erasure.tenant) if self._origins_of else None
        eraser = TableEraser(curator, erasure.erased, erasure.mentions, erasure.request, origins)
        for spec in eraser.tables():
            found = eraser.erase(spec)
            removed = found.removed
            counts = {"records": removed.records, "rows": removed.valid, "rejected_rows": removed.rejected}
            yield Cleared(f"{spec.table}: raw files, staged and rejected rows", len(found.files), counts)
            yield Cleared(f"{spec.table}: curated", len(found.partitions))
            yield Cleared(f"{spec.table}: what nothing names any more", found.leftovers, {"objects": found.leftovers})

    def export(self, people: People) -> Iterator[Exported]:
        """See Locator."""
        curator = self._curator_of(people.tenant)
        exporter = TableExporter(curator, NamedPeople(people.ids), people.mentions)
        for spec in subject_tables(curator):
            for kind, key, rows in exporter.rows(spec):
                yield Exported(f"{spec.table}: {kind}", key, rows)
