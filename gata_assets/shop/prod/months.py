"""Builds the partitions of one month from its curated days, some days at a time, so that memory stays small."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date

import polars as pl

from gata_assets.shop.prod.digests import digest_concerned, digest_days, digest_earlier, hash_rows
from gata_assets.shop.prod.partitions import TablePartitions
from gata_assets.shop.prod.parts import Part, PartWriter
from gata_assets.shop.prod.source import CuratedShop, Month, ProdSettings
from gata_assets.shop.prod.states import MonthState
from gata_assets.shop.prod.tables import BY_MONTH, DAILY_CATEGORY_SALES, DAILY_SALES, ORDER_FACTS, ProdTable
from gata_assets.shop.prod.transforms import (
    CURATED_COLUMNS,
    FACTS,
    NO_STATE,
    customer_state,
    daily_category_sales,
    daily_sales,
    number_orders,
    order_facts,
    product_days,
)
from gata_assets.shop.prod_checks import (
    ROWS_ARE_VALID_AND_IN_ORDER,
    Outcomes,
    check_categories,
    check_facts,
    check_sales,
    require_passed,
)
from gata_assets.storage.scratch import scratch_directory

# Orders whose items are joined at once: days are taken until there are as many.
_ORDERS_AT_ONCE = 100_000


@dataclass(frozen=True)
class WholeTables:
    """Customers and products, and a hash of each row."""

    customers: pl.DataFrame
    products: pl.DataFrame
    customer_hashes: pl.DataFrame
    product_hashes: pl.DataFrame

    @classmethod
    def read(cls, shop: CuratedShop) -> WholeTables:
        """Read both."""
        frames, hashes = [], []
        for table in ("customers", "products"):
            columns = CURATED_COLUMNS[table]
            frames.append(shop.read_table(table, columns))
            hashes.append(hash_rows(frames[-1], columns[0], columns))
        return cls(*frames, *hashes)


@dataclass(frozen=True)
class MonthInput:
    """What the partitions of a month are built from, apart from its state."""

    days: Mapping[date, str]
    whole: WholeTables
    earlier: pl.DataFrame

    @property
    def days_digest(self) -> str:
        """The digest of the month's days."""
        return digest_days(self.days)

    def made_from(self, state: MonthState) -> dict[str, dict[str, str]]:
        """What each table's partition is built from, by the table's name; other rows than these do not concern it."""
        customers, products = (
            frame[key].unique() for frame, key in ((state.customers, "customer_id"), (state.products, "product_id"))
        )
        of_products = {
            "days": self.days_digest,
            "products": digest_concerned(products, self.whole.product_hashes),
        }
        with_numbers = of_products | {"earlier_orders": digest_earlier(customers, self.earlier)}
        return {
            DAILY_CATEGORY_SALES.name: of_products,
            DAILY_SALES.name: with_numbers,
            ORDER_FACTS.name: with_numbers | {"customers": digest_concerned(customers, self.whole.customer_hashes)},
        }


@dataclass(frozen=True)
class BuiltMonth:
    """A month's state, and its files and the outcomes of its checks by table."""

    state: MonthState
    parts: Mapping[str, list[Part]]
    outcomes: Mapping[str, Outcomes]


def build_month(shop: CuratedShop, given: MonthInput, settings: ProdSettings, stack: ExitStack) -> BuiltMonth:
    """Build a month's files in a scratch directory, which is removed when the stack is closed.

    Raises DataRuleError if curated tables contradict themselves, or ChecksFailedError.
    """
    days = sorted(given.days)
    orders = number_orders(shop.read_days("orders", days, CURATED_COLUMNS["orders"]), given.earlier)
    writers: dict[str, PartWriter] = {}
    for table in BY_MONTH:
        writers[table.name] = PartWriter(table, stack.enter_context(scratch_directory()), settings)
    sums: dict[str, list[pl.DataFrame]] = {DAILY_SALES.name: [], DAILY_CATEGORY_SALES.name: []}
    products = []
    for some_days in _divided(days, orders):
        of_days = orders.filter(pl.col("day").is_between(some_days[0], some_days[-1]))
        items, payments = (
            shop.read_days(table, some_days, CURATED_COLUMNS[table]) for table in ("order_items", "payments")
        )
        facts = order_facts(of_days, items, payments, given.whole.customers, given.whole.products)
        writers[ORDER_FACTS.name].write(facts)
        sums[DAILY_SALES.name].append(daily_sales(of_days, facts))
        sums[DAILY_CATEGORY_SALES.name].append(daily_category_sales(facts))
        products.append(product_days(facts))
    summed = {name: pl.concat(frames) for name, frames in sums.items()}
    for name, frame in summed.items():
        writers[name].write(frame)
    state = MonthState(customer_state(orders), pl.concat(products).sort("product_id", "day"))
    parts = {name: writer.close() for name, writer in writers.items()}
    visible_orders, visible_items = (shop.count_rows(table, days) for table in ("orders", "order_items"))
    sales, files = summed[DAILY_SALES.name], parts[ORDER_FACTS.name]
    found = {
        ORDER_FACTS: check_facts(sum(part.rows for part in files), visible_items),
        DAILY_SALES: check_sales(sales, _read(files), visible_orders),
        DAILY_CATEGORY_SALES: check_categories(summed[DAILY_CATEGORY_SALES.name], sales),
    }
    outcomes = {}
    for table, of_table in found.items():
        outcomes[table.name] = {ROWS_ARE_VALID_AND_IN_ORDER: writers[table.name].check.outcomes(), **of_table}
        require_passed(table, f"{days[0]:%Y-%m}", outcomes[table.name])
    return BuiltMonth(state, parts, outcomes)


def _read(facts: Sequence[Part]) -> list[pl.LazyFrame]:
    """The facts of each file, after none: a month without an item has no file."""
    return [pl.LazyFrame(schema=FACTS), *(pl.scan_parquet(part.path) for part in facts)]


def read_state(shop: CuratedShop, days: Sequence[date]) -> MonthState:
    """The state of a month whose partitions are not built: the same as `build_month` returns, from fewer columns."""
    orders = number_orders(shop.read_days("orders", days, CURATED_COLUMNS["orders"]), NO_STATE)
    items = shop.read_days("order_items", days, ("order_id", "product_id", "quantity"))
    of_items = items.join(orders.select("order_id", "is_sale", order_day="day"), on="order_id")
    return MonthState(customer_state(orders), product_days(of_items))


def stale_tables(
    tables: Mapping[str, TablePartitions], month: Month, made_from: Mapping[str, Mapping[str, str]]
) -> list[ProdTable]:
    """The tables whose partition of a month was built from something else, or is missing."""
    return [table for table in BY_MONTH if not tables[table.name].is_current(month, made_from[table.name])]


def _divided(days: list[date], orders: pl.DataFrame) -> Iterator[list[date]]:
    """Days in their order, divided by the number of their orders alone, so that row groups depend on the rows alone."""
    counts = dict(orders.group_by("day").len().iter_rows())
    some: list[date] = []
    count = 0
    for day in days:
        some.append(day)
        count += counts.get(day, 0)
        if count >= _ORDERS_AT_ONCE:
            yield some
            some, count = [], 0
    if some:
        yield some
