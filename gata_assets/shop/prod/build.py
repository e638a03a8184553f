"""Builds the tables for analysts of one source: finds out which partitions are stale, and builds these alone.

Months are taken in their order, since a customer's orders are numbered from the first month on. What a month passes
on is small and stored, so that a change costs its own month, and those later ones in which a customer of the changed
orders has an order. Of months outside of a build's scope, only what they pass on is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import polars as pl

from gata_assets.shop.prod.builds import Change, PublishedPartition
from gata_assets.shop.prod.digests import digest_days, digest_rows
from gata_assets.shop.prod.months import MonthInput, WholeTables, build_month, read_state, stale_tables
from gata_assets.shop.prod.partitions import RULES_VERSION, TablePartitions
from gata_assets.shop.prod.parts import PartWriter
from gata_assets.shop.prod.source import EVERYTHING, CuratedShop, Month, ProdSettings, Scope
from gata_assets.shop.prod.states import STATES, History, MonthState, MonthStates
from gata_assets.shop.prod.summaries import customer_summary, inventory_status
from gata_assets.shop.prod.tables import BY_MONTH, CUSTOMER_SUMMARY, INVENTORY_STATUS, TABLES, WHOLE, ProdTable
from gata_assets.shop.prod.transforms import CURATED_COLUMNS
from gata_assets.shop.prod_checks import (
    ROWS_ARE_VALID_AND_IN_ORDER,
    Outcomes,
    check_stock,
    check_summary,
    require_passed,
)
from gata_assets.storage.catalog.base import Catalog, Values
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.scratch import scratch_directory
from gata_assets.tables.manifests import MANIFEST_FILE, Manifest

_KIND = "shop_prod"
_LAST_BUILD = "_build/"
_WHOLE_TABLES = ("customers", "products", "inventory")


@dataclass
class ProdReport:
    """What a build did: partitions with rows by table, all rows of each table, and files that wait for somebody who may
    delete them.
    """

    built: Counter[str] = field(default_factory=Counter)
    up_to_date: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    files_left: int = 0


def build_prod(
    shop: CuratedShop, store: ObjectStore, catalog: Catalog, folder: str, settings: ProdSettings, *, now: datetime
) -> ProdReport:
    """Bring the tables for analysts of a source up to date.

    Args:
        shop: Its curated tables.
        store: The store of the files.
        catalog: The catalog of the tables' readers.
        folder: The key of the source's folder, with a slash at its end.
        settings: How files are written, and how long superseded ones stay.
        now: The present instant, for the time of grace alone: no row depends on it.

    Raises:
        DataRuleError: Curated tables contradict themselves, or a check failed; the partitions before them are built.
        ConflictError: Another command built the same partition from other rows meanwhile.
        StoreError: The store or the catalog failed; run it again, and it goes on with what is missing.
    """
    build = _Build(shop, store, catalog, folder, settings, now)
    for _ in build.run(EVERYTHING):
        pass
    return build.report


def build_partitions(
    shop: CuratedShop,
    store: ObjectStore,
    catalog: Catalog,
    folder: str,
    settings: ProdSettings,
    *,
    now: datetime,
    scope: Scope,
) -> Iterator[PublishedPartition]:
    """As `build_prod`, of a scope alone: yields each of its partitions as soon as readers see it, changed or not."""
    yield from _Build(shop, store, catalog, folder, settings, now).run(scope)


def is_built(
    shop: CuratedShop, store: ObjectStore, catalog: Catalog, folder: str, settings: ProdSettings, *, now: datetime
) -> bool:
    """Whether the last complete build was of the present curated tables; as `build_prod` otherwise."""
    return _Build(shop, store, catalog, folder, settings, now).is_done()


class _Build:
    """One run of `build_partitions`."""

    def __init__(
        self,
        shop: CuratedShop,
        store: ObjectStore,
        catalog: Catalog,
        folder: str,
        settings: ProdSettings,
        now: datetime,
    ) -> None:
        # Digests first: rows that change from here on are found to have changed by the next build.
        self._days = dict(shop.days())
        self._digests = {table: shop.table_digest(table) for table in _WHOLE_TABLES}
        self._shop, self._store, self._folder, self._settings = shop, store, folder, settings
        self._tables = {
            table.name: TablePartitions(table, store, catalog, f"{folder}{table.name}/", settings, now=now)
            for table in TABLES
        }
        self._states = MonthStates(store, folder + STATES, code_version=settings.code_version)
        self.report = ProdReport()
        self._is_complete = True

    def run(self, scope: Scope) -> Iterator[PublishedPartition]:
        """See build_partitions."""
        if self.is_done():
            yield from self._unchanged(scope)
        else:
            yield from self._bring_up_to_date(scope)
            if self._is_complete:
                self._store.write(f"{self._folder}{_LAST_BUILD}{MANIFEST_FILE}", self._done().encode())
        self.report.rows.update({name: table.rows for name, table in self._tables.items()})
        self.report.files_left += sum(table.drop_superseded() for table in self._tables.values())

    def is_done(self) -> bool:
        """Whether the last complete build was of the same rows, and left the partitions that are there."""
        last = find_manifest(self._store, self._folder + _LAST_BUILD).manifest
        return last == self._done() and all(table.are_complete() for table in self._tables.values())

    def _done(self) -> Manifest:
        return Manifest(
            _KIND,
            schema={table.name: table.schema_note for table in TABLES},
            settings={**self._settings.format, "rules": RULES_VERSION},
            made_from={"days": digest_days(self._days), **self._digests},
            details={"partitions": {name: table.digests() for name, table in self._tables.items()}},
        )

    def _unchanged(self, scope: Scope) -> Iterator[PublishedPartition]:
        for table in BY_MONTH:
            for month in sorted({*scope.months, *filter(scope.has, self._tables[table.name].known)}):
                yield self._published(table, month, Change.UNCHANGED)
        for table in WHOLE if scope.has_whole_tables else ():
            yield self._published(table, (), Change.UNCHANGED)

    def _bring_up_to_date(self, scope: Scope) -> Iterator[PublishedPartition]:
        months: dict[Month, dict[date, str]] = {}
        for day in sorted(self._days):
            months.setdefault((f"{day.year:04}", f"{day.month:02}"), {})[day] = self._days[day]
        whole = WholeTables.read(self._shop)
        history = History()
        # Months after those of the scope matter to tables without a date alone.
        is_up_to = None if scope.has_whole_tables or scope.has_all_months else max(scope.months, default=("", ""))
        self._is_complete = is_up_to is None or is_up_to >= max(months, default=("", ""))
        for month, days in months.items():
            if is_up_to is not None and month > is_up_to:
                break
            given = MonthInput(days, whole, history.earlier)
            history.add((yield from self._month(month, given)) if scope.has(month) else self._state(month, given))
        yield from self._remove_others(scope, set(months))
        if self._is_complete or scope.has_whole_tables:
            yield from self._whole_tables(history, whole, is_built=scope.has_whole_tables)

    def _month(self, month: Month, given: MonthInput) -> Generator[PublishedPartition, None, MonthState]:
        """Build the stale partitions of a month; returns what it passes on."""
        state = self._states.read(month, given.days_digest)
        stale = list(BY_MONTH) if state is None else stale_tables(self._tables, month, given.made_from(state))
        outcomes: Mapping[str, Outcomes] = {}
        if state is None or stale:
            with ExitStack() as stack:
                built = build_month(self._shop, given, self._settings, stack)
                outcomes = built.outcomes
                if state is None:
                    state = built.state
                    self._write_state(month, state, given)
                    stale = stale_tables(self._tables, month, given.made_from(state))
                made_from = given.made_from(state)
                for table in stale:
                    self._tables[table.name].publish(month, built.parts[table.name], made_from[table.name])
        for table in BY_MONTH:
            yield self._brought_up_to_date(table, month, outcomes[table.name] if table in stale else None)
        return state

    def _state(self, month: Month, given: MonthInput) -> MonthState:
        """What a month passes on that is not in the scope, whose partitions stay as they are."""
        state = self._states.read(month, given.days_digest)
        if state is None:
            state = read_state(self._shop, sorted(given.days))
            self._write_state(month, state, given)
        self._is_complete = self._is_complete and not stale_tables(self._tables, month, given.made_from(state))
        return state

    def _write_state(self, month: Month, state: MonthState, given: MonthInput) -> None:
        self.report.files_left += self._states.write(month, state, given.days_digest)

    def _remove_others(self, scope: Scope, months: set[Month]) -> Iterator[PublishedPartition]:
        """Remove the scope's months that have no order any more."""
        for table in BY_MONTH:
            partitions = self._tables[table.name]
            for values in sorted({*partitions.known, *scope.months} - months):
                if scope.has(values):
                    is_removed = partitions.remove(values)
                    yield self._published(table, values, Change.REMOVED if is_removed else Change.UNCHANGED)
                elif partitions.is_visible(values):
                    self._is_complete = False
        if scope.has_all_months:
            self.report.files_left += self._states.remove_others(months)

    def _whole_tables(self, history: History, whole: WholeTables, *, is_built: bool) -> Iterator[PublishedPartition]:
        """Build the tables without a date that are stale; or only find out whether any is."""
        sold, newest = history.sold(), history.newest
        made_from = {
            CUSTOMER_SUMMARY: {"days": digest_days(self._days), "customers": self._digests["customers"]},
            INVENTORY_STATUS: {
                "sold": digest_rows(sold),
                "as_of_day": str(newest),
                **{table: self._digests[table] for table in ("inventory", "products")},
            },
        }
        stale = [table for table in WHOLE if not self._tables[table.name].is_current((), made_from[table])]
        if not is_built:
            self._is_complete = self._is_complete and not stale
            return
        outcomes: dict[ProdTable, Outcomes] = {}
        if CUSTOMER_SUMMARY in stale:
            rows = customer_summary(history.customers, whole.customers, newest)
            of_rows = check_summary(rows, self._shop.count_rows("orders", self._days))
            outcomes[CUSTOMER_SUMMARY] = self._publish(CUSTOMER_SUMMARY, rows, made_from[CUSTOMER_SUMMARY], of_rows)
        if INVENTORY_STATUS in stale:
            inventory = self._shop.read_table("inventory", CURATED_COLUMNS["inventory"])
            rows = inventory_status(inventory, whole.products, sold, newest)
            of_rows = check_stock(len(rows), len(inventory))
            outcomes[INVENTORY_STATUS] = self._publish(INVENTORY_STATUS, rows, made_from[INVENTORY_STATUS], of_rows)
        for table in WHOLE:
            yield self._brought_up_to_date(table, (), outcomes.get(table))

    def _brought_up_to_date(self, table: ProdTable, values: Values, built: Outcomes | None) -> PublishedPartition:
        """A partition with the outcomes of its checks, if it was built."""
        change = Change.UNCHANGED if built is None else Change.BUILT
        return replace(self._published(table, values, change), outcomes=built or {})

    def _published(self, table: ProdTable, values: Values, change: Change) -> PublishedPartition:
        """A partition as it is now, counted in the report."""
        partitions = self._tables[table.name]
        stored = partitions.stored(values)
        if change is Change.REMOVED:
            self.report.removed[table.name] += 1
        elif stored.has_rows:
            (self.report.built if change is Change.BUILT else self.report.up_to_date)[table.name] += 1
        digest = stored.manifest.digest if stored.manifest else ""
        return PublishedPartition(table.name, values, change, stored.rows, digest, partitions.folder(values))

    def _publish(
        self, table: ProdTable, rows: pl.DataFrame, made_from: Mapping[str, str], of_rows: Outcomes
    ) -> Outcomes:
        with scratch_directory() as place:
            writer = PartWriter(table, place, self._settings)
            writer.write(rows)
            parts = writer.close(at_least_one=True)
            outcomes = {ROWS_ARE_VALID_AND_IN_ORDER: writer.check.outcomes(), **of_rows}
            require_passed(table, "", outcomes)
            self._tables[table.name].publish((), parts, made_from)
        return outcomes
