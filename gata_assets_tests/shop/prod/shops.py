"""A shop's tables for analysts in a store in memory: built again and again, and read by the catalog."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from gata_assets.shop.prod.build import ProdReport, build_prod
from gata_assets.shop.prod.source import ProdSettings
from gata_assets.storage.catalog.base import Values
from gata_assets.storage.catalog.local_file import FileCatalog
from gata_assets_tests.support.memory_store import MemoryStore
from gata_assets_tests.support.shop_readers import DATABASE, read_bytes
from gata_assets_tests.support.shop_worlds import Row, ShopWorld

NOW = datetime(2026, 4, 1, tzinfo=UTC)
GRACE = timedelta(days=1)
FOLDER = "prod/"
Contents = dict[tuple[str, Values], list[bytes]]


class ProdShop:
    """The target of builds: a store in memory, and the catalog in it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.now = NOW

    @property
    def catalog(self) -> FileCatalog:
        """The catalog as its readers see it, for whom nothing fails."""
        return FileCatalog(MemoryStore(self.store.objects), "catalog.json")

    def build(self, world: ShopWorld, store: Any = None, **settings: Any) -> ProdReport:
        """Build all tables at the present instant."""
        place = store or self.store
        chosen = ProdSettings(DATABASE, grace=GRACE, **settings)
        return build_prod(world, place, FileCatalog(place, "catalog.json"), FOLDER, chosen, now=self.now)

    def contents(self) -> Contents:
        """What a reader finds."""
        return read_bytes(self.catalog, self.store)


def contents_of(world: ShopWorld, **settings: Any) -> Contents:
    """What a reader finds after the only build of a shop."""
    shop = ProdShop()
    shop.build(world, **settings)
    return shop.contents()


def order_of(customer: str, number: int, at: datetime) -> Row:
    """A paid order without items."""
    key: Row = {"order_id": f"late{number}", "customer_id": customer, "ordered_at": at}
    return key | {"status": "paid", "currency": "EUR", "total_amount": 0, "note": None}


def built(report: ProdReport) -> dict[str, int]:
    """How many partitions of each table were built."""
    return {table: count for table, count in report.built.items() if count}
