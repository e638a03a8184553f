"""Builds the tables for analysts of one source: finds out which partitions are stale, and builds these alone.

Months are taken in their order, since a customer's orders are numbered from the first month on. What a month passes
on is small and stored, so that a change costs its own month, and those later ones in which a customer of the changed
orders has an order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl

from gata_assets.shop.prod.digests import digest_days, digest_rows
from gata_assets.shop.prod.months import MonthInput, WholeTables, build_month, stale_tables
from gata_assets.shop.prod.partitions import RULES_VERSION, TablePartitions
from gata_assets.shop.prod.parts import PartWriter
from gata_assets.shop.prod.source import CuratedShop, ProdSettings
from gata_assets.shop.prod.states import Month, MonthState, MonthStates
from gata_assets.shop.prod.summaries import customer_summary, inventory_status, window_start
from gata_assets.shop.prod.tables import BY_MONTH, CUSTOMER_SUMMARY, INVENTORY_STATUS, TABLES, ProdTable
from gata_assets.shop.prod.transforms import CURATED_COLUMNS, NO_PRODUCT_DAYS, NO_STATE, merge_states
from gata_assets.storage.catalog.base import Catalog
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.scratch import scratch_directory
from gata_assets.tables.manifests import MANIFEST_FILE, Manifest

_KIND = "shop_prod"
_STATES, _LAST_BUILD = "_months/", "_build/"
_WHOLE_TABLES = ("customers", "products", "inventory")
# Months that the days of `inventory_status` can be in.
_MONTHS_OF_WINDOW = 3


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
        DataRuleError: Curated tables contradict themselves; the partitions before them are built.
        ConflictError: Another command built the same partition from other rows meanwhile.
        StoreError: The store or the catalog failed; run it again, and it goes on with what is missing.
    """
    return _Build(shop, store, catalog, folder, settings, now).run()


def is_built(
    shop: CuratedShop, store: ObjectStore, catalog: Catalog, folder: str, settings: ProdSettings, *, now: datetime
) -> bool:
    """Whether the last complete build was of the present curated tables; as `build_prod` otherwise."""
    return _Build(shop, store, catalog, folder, settings, now).is_done()


@dataclass
class _History:
    """What all months up to one pass on."""

    customers: pl.DataFrame = field(default_factory=lambda: NO_STATE)
    products: list[pl.DataFrame] = field(default_factory=lambda: [NO_PRODUCT_DAYS])

    @property
    def earlier(self) -> pl.DataFrame:
        """The number of orders of each customer."""
        return self.customers.group_by("customer_id").agg(pl.col("orders").sum())

    @property
    def newest(self) -> date | None:
        """The newest day with an order."""
        newest = self.customers["last_order_at"].dt.date().max()
        return newest if isinstance(newest, date) else None

    def add(self, state: MonthState) -> None:
        """Add the next month."""
        self.customers = merge_states([self.customers, state.customers])
        if len(state.products):
            self.products = [*self.products, state.products][-_MONTHS_OF_WINDOW:]

    def sold(self) -> pl.DataFrame:
        """The products of the newest days, with their units."""
        products = pl.concat(self.products)
        newest = self.newest
        return products.filter(pl.col("day") >= window_start(newest)) if newest else products


class _Build:
    """One run of `build_prod`."""

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
        self._states = MonthStates(store, folder + _STATES, code_version=settings.code_version)
        self._report = ProdReport()

    def run(self) -> ProdReport:
        """See build_prod."""
        if self.is_done():
            self._report.up_to_date.update({name: len(table.digests()) for name, table in self._tables.items()})
        else:
            self._bring_up_to_date()
            self._store.write(f"{self._folder}{_LAST_BUILD}{MANIFEST_FILE}", self._done().encode())
        self._report.rows.update({name: table.rows for name, table in self._tables.items()})
        self._report.files_left += sum(table.drop_superseded() for table in self._tables.values())
        return self._report

    def is_done(self) -> bool:
        """Whether the last complete build was of the same rows, and left the partitions that are there."""
        last = find_manifest(self._store, self._folder + _LAST_BUILD).manifest
        return last == self._done() and all(table.are_complete() for table in self._tables.values())

    def _done(self) -> Manifest:
        return Manifest(
            _KIND,
            schema={table.name: table.schema_note for table in TABLES},
            settings={
                "compression": self._settings.compression.value,
                "file_bytes": self._settings.file_bytes,
                "rules": RULES_VERSION,
            },
            made_from={"days": digest_days(self._days), **self._digests},
            details={"partitions": {name: table.digests() for name, table in self._tables.items()}},
        )

    def _bring_up_to_date(self) -> None:
        months: dict[Month, dict[date, str]] = {}
        for day in sorted(self._days):
            months.setdefault((f"{day.year:04}", f"{day.month:02}"), {})[day] = self._days[day]
        whole = WholeTables.read(self._shop)
        history = _History()
        for month, days in months.items():
            history.add(self._month(month, MonthInput(days, whole, history.earlier)))
        for table in BY_MONTH:
            partitions = self._tables[table.name]
            self._report.removed[table.name] += sum(
                partitions.remove(values) for values in sorted(partitions.known - months.keys())
            )
        self._report.files_left += self._states.remove_others(set(months))
        self._customer_summary(history, whole)
        self._inventory_status(history, whole)

    def _month(self, month: Month, given: MonthInput) -> MonthState:
        """Build the stale partitions of a month; returns what it passes on."""
        state = self._states.read(month, given.days_digest)
        stale = list(BY_MONTH) if state is None else stale_tables(self._tables, month, given.made_from(state))
        if state is None or stale:
            with ExitStack() as stack:
                built = build_month(self._shop, given, self._settings, stack)
                if state is None:
                    state = built.state
                    self._report.files_left += self._states.write(month, state, given.days_digest)
                    stale = stale_tables(self._tables, month, given.made_from(state))
                made_from = given.made_from(state)
                for table in stale:
                    self._tables[table.name].publish(month, built.parts[table.name], made_from[table.name])
        for table in BY_MONTH:
            if self._tables[table.name].has_rows(month):
                (self._report.built if table in stale else self._report.up_to_date)[table.name] += 1
        return state

    def _customer_summary(self, history: _History, whole: WholeTables) -> None:
        made_from = {"days": digest_days(self._days), "customers": self._digests["customers"]}
        if self._is_stale(CUSTOMER_SUMMARY, made_from):
            rows = customer_summary(history.customers, whole.customers, history.newest)
            self._publish(CUSTOMER_SUMMARY, rows, made_from)

    def _inventory_status(self, history: _History, whole: WholeTables) -> None:
        sold, newest = history.sold(), history.newest
        made_from = {
            "sold": digest_rows(sold),
            "as_of_day": str(newest),
            **{table: self._digests[table] for table in ("inventory", "products")},
        }
        if self._is_stale(INVENTORY_STATUS, made_from):
            inventory = self._shop.read_table("inventory", CURATED_COLUMNS["inventory"])
            self._publish(INVENTORY_STATUS, inventory_status(inventory, whole.products, sold, newest), made_from)

    def _is_stale(self, table: ProdTable, made_from: Mapping[str, str]) -> bool:
        is_current = self._tables[table.name].is_current((), made_from)
        (self._report.up_to_date if is_current else self._report.built)[table.name] += 1
        return not is_current

    def _publish(self, table: ProdTable, rows: pl.DataFrame, made_from: Mapping[str, str]) -> None:
        with scratch_directory() as place:
            writer = PartWriter(table, place, self._settings)
            writer.write(rows)
            self._tables[table.name].publish((), writer.close(at_least_one=True), made_from)
