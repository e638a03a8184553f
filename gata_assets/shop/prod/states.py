"""What a month passes on to later months and to the tables without a date: a small dataset a month.

    {folder}year=2026/month=01/     customers.parquet: orders and sums of each customer (`transforms.customer_state`)
                                    products.parquet: sold units a day (`transforms.product_days`)

It depends on the curated days of its month alone. The folder's name begins with `_`, which readers of tables skip.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from io import BytesIO

import polars as pl

from gata_assets.errors import DamagedTableError, DeleteDeniedError, ObjectNotFoundError
from gata_assets.shop.prod.partitions import RULES_VERSION
from gata_assets.shop.prod.source import Month
from gata_assets.shop.prod.summaries import window_start
from gata_assets.shop.prod.transforms import NO_PRODUCT_DAYS, NO_STATE, merge_states
from gata_assets.storage.datasets import DatasetWrite, find_manifest, read_files
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import MANIFEST_FILE, Manifest

# The folder of all months, in that of a source.
STATES = "_months/"
_CUSTOMERS, _PRODUCTS = "customers.parquet", "products.parquet"
_KIND = "shop_month"
# Months that the days of `inventory_status` can be in.
_MONTHS_OF_WINDOW = 3


@dataclass(frozen=True)
class MonthState:
    """The frames of a month."""

    customers: pl.DataFrame
    products: pl.DataFrame


@dataclass
class History:
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


class MonthStates:
    """The states of all months."""

    def __init__(self, store: ObjectStore, folder: str, *, code_version: str) -> None:
        """`folder` is the key of the folder of all months, with a slash at its end."""
        self._store, self._folder, self._code_version = store, folder, code_version

    def read(self, month: Month, days: str) -> MonthState | None:
        """The state of a month, if there is one that was built from days with this digest."""
        folder = self._folder_of(month)
        manifest = find_manifest(self._store, folder).manifest
        if manifest is None or (manifest.made_from, manifest.settings) != self._made_from(days):
            return None
        try:
            files = read_files(self._store, folder, [_CUSTOMERS, _PRODUCTS], manifest)
        except (DamagedTableError, ObjectNotFoundError):
            return None
        return MonthState(*(pl.read_parquet(BytesIO(content)) for _, content in files))

    def write(self, month: Month, state: MonthState, days: str) -> int:
        """Store the state of a month; returns how many files of the one before could not be deleted."""
        made_from, settings = self._made_from(days)
        with DatasetWrite(self._store, self._folder_of(month)) as write:
            files = {}
            for name, frame in ((_CUSTOMERS, state.customers), (_PRODUCTS, state.products)):
                content = BytesIO()
                frame.write_parquet(content, compression="zstd", compression_level=1)
                own, files[own] = write.write(name, content.getvalue(), len(frame))
            manifest = Manifest(_KIND, files, settings=settings, made_from=made_from, code_version=self._code_version)
            return write.publish(manifest).files_left

    def remove_others(self, months: set[Month]) -> int:
        """Delete the states of all other months; returns how many files could not be deleted."""
        left = 0
        keep = tuple(self._folder_of(month) for month in months)
        keys = [key for key in self._store.list_keys(self._folder) if not key.startswith(keep)]
        # Manifests first: a state without one counts as missing.
        for key in sorted(keys, key=lambda key: not key.endswith(f"/{MANIFEST_FILE}")):
            try:
                self._store.delete(key)
            except DeleteDeniedError:
                left += 1
        return left

    def _made_from(self, days: str) -> tuple[dict[str, str], dict[str, int]]:
        return {"days": days}, {"rules": RULES_VERSION}

    def _folder_of(self, month: Month) -> str:
        return f"{self._folder}year={month[0]}/month={month[1]}/"
