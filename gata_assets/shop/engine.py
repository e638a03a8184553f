"""The engine of a shop by events: a raw file to curated tables, these to tables for analysts, rows that waited in vain.

What it consists of are arguments; commands and definitions put it together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from gata_assets.curation.changes.lease import Lease
from gata_assets.curation.changes.units import Curated
from gata_assets.curation.policy import CurationRules
from gata_assets.errors import EventError
from gata_assets.shop.curated import CuratedTables, ShopCurator
from gata_assets.shop.events.routing import Work
from gata_assets.shop.events.stages import StageOutcome
from gata_assets.shop.places import ShopLayout
from gata_assets.shop.prod.build import ProdReport, build_partitions, build_prod, is_built
from gata_assets.shop.prod.builds import PublishedPartition
from gata_assets.shop.prod.source import EVERYTHING, ProdSettings, Scope
from gata_assets.storage.catalog.base import Catalog
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.spec import TableSpec


@dataclass(frozen=True)
class ShopEngine:
    """The stages of all sources of a shop; see `events.stages.Stages`.

    Attributes:
        store: The store of raw files, curated and prod tables.
        tables: Its tables by name, referenced ones first.
        rules: What makes a raw row valid, and its masks.
        parked: How long rows wait for others.
        catalog: Opens the catalog of the tables for analysts.
        prod: How they are written.
        clock: Gives the present instant.
        pause: Waits for seconds, while another command curates.
    """

    store: ObjectStore
    tables: Mapping[str, TableSpec]
    rules: CurationRules
    parked: timedelta
    catalog: Callable[[], Catalog]
    prod: ProdSettings
    clock: Callable[[], datetime]
    pause: Callable[[float], object]

    def curator(self, source: str) -> ShopCurator:
        """The curator of a source, as of now."""
        curator = ShopCurator(self.store, source, self.rules, self.clock(), self.tables)
        curator.parked = self.parked
        return curator

    def lease(self, source: str) -> Lease:
        """The lease of whoever curates a source."""
        return Lease(self.store, f"{ShopLayout(source).root}lease.json", clock=self.clock, pause=self.pause)

    def curate(self, work: Work) -> StageOutcome:
        """See Stages; while another command curates the same source, it is waited for.

        Raises EventError for a table that the shop does not have, and StoreError.
        """
        if work.table not in self.tables:
            names = ", ".join(self.tables)
            raise EventError(f"The shop has no table {work.table}, only {names} and what TABLE_SPECS adds.")
        curator = self.curator(work.source)
        report = curator.validate(work.key, even_if_same=False)
        with self.lease(work.source).held(lambda: curator.is_folded(work.table)) as is_held:
            written = _outcome(curator.curate() if is_held else ())
        return replace(
            written,
            rows=report.rows,
            rejected=report.rejected,
            rejected_by_rule=dict(report.rejected_by_rule),
            is_refused=report.refused is not None,
        )

    def expire(self, work: Work) -> StageOutcome:
        """See Stages; while another command curates the same source, it is waited for.

        While no row has waited long enough, only manifests of curated tables are read. Raises StoreError.
        """
        curator = self.curator(work.source)
        if not curator.is_expired():
            return StageOutcome()
        with self.lease(work.source).held(lambda: not curator.is_expired()) as is_held:
            return _outcome(curator.curate() if is_held else ())

    def publish(self, work: Work) -> StageOutcome:
        """See Stages; while another command builds tables of the same source, it is waited for."""
        for _ in self.build(work.source, EVERYTHING):
            pass
        return StageOutcome()

    def prod_folder(self, source: str) -> str:
        """The folder of a source's tables for analysts."""
        return ShopLayout(source).prod

    def build(self, source: str, scope: Scope) -> Iterator[PublishedPartition]:
        """Bring tables for analysts of a source up to date, see `build_partitions`; raises as `build_prod`."""
        with self._prod_lease(source).held(lambda: False):
            yield from build_partitions(*self._prod_of(source), now=self.clock(), scope=scope)

    def build_without(self, source: str, request: str) -> ProdReport:
        """Build the tables for analysts of a source again, from which a request has erased people, and delete all
        superseded files at once; raises as `build_prod`.
        """
        with self._prod_lease(source).held(lambda: False):
            return build_prod(*self._prod_of(source, erased_by=request, grace=timedelta(0)), now=self.clock())

    def is_built(self, source: str) -> bool:
        """Whether the tables for analysts of a source are of its present curated tables; raises as `build_prod`."""
        return is_built(*self._prod_of(source), now=self.clock())

    def _prod_lease(self, source: str) -> Lease:
        """The lease of whoever builds tables for analysts of a source."""
        return Lease(self.store, f"{self.prod_folder(source)}lease.json", clock=self.clock, pause=self.pause)

    def _prod_of(self, source: str, **changes: Any) -> tuple[CuratedTables, ObjectStore, Catalog, str, ProdSettings]:
        """What a build takes, with changes to its settings."""
        settings = replace(self.prod, database=self.prod.database or source, **changes)
        return CuratedTables(self.curator(source)), self.store, self.catalog(), self.prod_folder(source), settings


def _outcome(written: Iterable[Curated]) -> StageOutcome:
    """What came of the tables and partitions that were written."""
    superseded, quarantined = 0, Counter[str]()
    for curated in written:
        superseded += curated.superseded
        quarantined.update(curated.quarantined)
    return StageOutcome(duplicates=superseded, quarantined=dict(sorted(quarantined.items())))
