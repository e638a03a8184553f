"""The tables for analysts as values: their declarations, partition keys, and entries in the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandera.polars as pandera

from gata_assets.shop.prod.schema import CustomerSummary, DailyCategorySales, DailySales, InventoryStatus, OrderFacts
from gata_assets.storage.catalog.athena_types import catalog_columns
from gata_assets.storage.catalog.base import CatalogColumn, TableEntry
from gata_assets.tables.declaration import read_model
from gata_assets.tables.spec import TableSpec

YEAR_AND_MONTH = (
    CatalogColumn("year", "string", "The year (UTC), four digits."),
    CatalogColumn("month", "string", "The month (UTC), two digits."),
)


@dataclass(frozen=True)
class ProdTable:
    """A table: its model, its partition keys, and the columns whose values seldom repeat in a file."""

    model: type[pandera.DataFrameModel]
    partition_keys: tuple[CatalogColumn, ...] = ()
    plain: frozenset[str] = frozenset()

    @cached_property
    def spec(self) -> TableSpec:
        """Its declaration."""
        return read_model(self.model)

    @property
    def name(self) -> str:
        """Its name in keys and in the catalog."""
        return self.spec.table

    @cached_property
    def schema_note(self) -> dict[str, Any]:
        """Its columns and types for manifests: another schema makes a partition stale."""
        return {column.name: column.kind for column in catalog_columns(self.spec)}

    def entry(self, database: str, location: str) -> TableEntry:
        """Its entry in a catalog, whose files are below a location."""
        return TableEntry(
            database, self.name, catalog_columns(self.spec), self.partition_keys, location, self.spec.description
        )


ORDER_FACTS = ProdTable(OrderFacts, YEAR_AND_MONTH, frozenset({"order_item_id"}))
DAILY_SALES = ProdTable(DailySales, YEAR_AND_MONTH)
DAILY_CATEGORY_SALES = ProdTable(DailyCategorySales, YEAR_AND_MONTH)
CUSTOMER_SUMMARY = ProdTable(CustomerSummary, (), frozenset({"customer_email", "customer_phone"}))
INVENTORY_STATUS = ProdTable(InventoryStatus)

BY_MONTH = (ORDER_FACTS, DAILY_SALES, DAILY_CATEGORY_SALES)
TABLES = (*BY_MONTH, CUSTOMER_SUMMARY, INVENTORY_STATUS)
