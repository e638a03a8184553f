"""What can be chosen about the sample shop, and what is counted of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from typing import Any

DAYS = 14
_SHARES_PER_ONE = 1_000_000


@dataclass(frozen=True)
class CustomerFaults:
    """Shares of the customers in the full load; each breaks one rule of its own, and nobody orders as such a one."""

    invalid_email: float = 0.02
    invalid_phone: float = 0.02
    unknown_country: float = 0.02
    missing_customer_id: float = 0.02
    date_out_of_reason: float = 0.02
    """created_at is centuries away."""


@dataclass(frozen=True)
class ProductFaults:
    """Shares of the products; no item and no inventory names such a product."""

    negative_price: float = 0.02


@dataclass(frozen=True)
class OrderFaults:
    """Shares of the orders; an order has at most one of them, and does not change after its day."""

    total_mismatch: float = 0.01
    """The total is not that of the items; the order has no payment."""
    customer_late: float = 0.01
    """The customer comes in the last file of all: valid in the end."""
    customer_never: float = 0.01
    """There is no such customer; the order has no payment."""
    customer_deleted: float = 0.01
    """The customer is deleted on the last day; each of them has one order."""
    item_without_order: float = 0.01
    """Beside the order there is an item of an order that never comes: one for each."""
    zero_quantity: float = 0.01
    """The order has one item more, which has the quantity 0; without it the total is right."""
    other_currency: float = 0.01
    """The order's payment has another currency."""
    missing_payment_id: float = 0.01
    card_in_note: float = 0.01
    """The order's note has a card number; the order is valid and is written once, without a payment."""


@dataclass(frozen=True)
class FileFaults:
    """Shares of the files of changes, in the order in which they are written."""

    duplicate_delivery: float = 0.05
    """The same bytes again under a later name; only of files without a row that breaks a rule of its own."""
    late_file: float = 0.05
    """Named, and in the folder, a day later than its commit times."""


@dataclass(frozen=True)
class RawShopFiles:
    """How raw files are written."""

    timestamp_column: str | None = "dms_timestamp"
    """The text column of commit times, and of transfer times in full loads; None leaves it out."""
    has_op_in_full_load: bool = False
    """In files of changes the column `Op` is always the first."""
    rows_per_load_file: int = 250_000
    files_per_day: int = 2
    """Of changes, for orders, items and payments; more on days with many orders."""
    csv_days: int = 0
    """The first days of changes are written as CSV, the next as JSON Lines, the others as Parquet."""
    json_lines_days: int = 0


@dataclass(frozen=True)
class ShopParameters:
    """The sizes of the shop, its days, and the seed of all random streams.

    Orders of the first `loaded_days` come in a full load, at the end of the last of these days; later ones as changes.
    """

    source: str = "ecommerce"
    orders: int = 400
    customers: int = 150
    products: int = 60
    first_day: date = date(2026, 1, 3) - timedelta(days=DAYS)
    days: int = DAYS
    loaded_days: int = DAYS // 2
    seed: int = 0
    customer_faults: CustomerFaults = field(default_factory=CustomerFaults)
    product_faults: ProductFaults = field(default_factory=ProductFaults)
    order_faults: OrderFaults = field(default_factory=OrderFaults)
    file_faults: FileFaults = field(default_factory=FileFaults)
    files: RawShopFiles = field(default_factory=RawShopFiles)

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot be generated."""
        for name in ("orders", "customers", "products", "days", "loaded_days", "seed"):
            least = 0 if name in ("orders", "loaded_days", "seed") else 1
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}")
        if self.loaded_days > self.days:
            raise ValueError(f"loaded_days {self.loaded_days} must be at most days {self.days}")
        if min(self.files.rows_per_load_file, self.files.files_per_day) < 1:
            raise ValueError("rows_per_load_file and files_per_day must be at least 1")
        if self.file_faults.late_file and self.files.timestamp_column is None:
            raise ValueError("Without a timestamp_column a late file has other commit times: set late_file to 0")
        for faults in (self.customer_faults, self.product_faults, self.order_faults, self.file_faults):
            shares = [getattr(faults, one.name) for one in fields(faults)]
            if min(shares) < 0 or sum(shares) > 1:
                raise ValueError(f"The shares of {type(faults).__name__} must be at least 0, and at most 1 together")
        if self.ordinary_customers < 1 or self.ordinary_products < 1:
            raise ValueError("There must be customers and products without a fault: set more of them, or lower shares")

    @property
    def load_day(self) -> date:
        """The day of the full load, after its last order."""
        return self.first_day + timedelta(days=self.loaded_days - 1)

    @property
    def last_day(self) -> date:
        """The last day with commit times: that of the last orders, or the one after the full load."""
        return max(self.first_day + timedelta(days=self.days - 1), self.load_day + timedelta(days=1))

    @property
    def ordinary_customers(self) -> int:
        """How many customers of the full load have no fault and are not deleted."""
        faulty = sum(counts(self.customer_faults, self.customers).values())
        return self.customers - faulty - counts(self.order_faults, self.orders)["customer_deleted"]

    @property
    def ordinary_products(self) -> int:
        """How many products have no fault."""
        return self.products - sum(counts(self.product_faults, self.products).values())


@dataclass
class ShopCounts:
    """What was written: rows and files of each table, and how often each fault was put in.

    A file that is delivered twice, and its rows, count once.
    """

    rows: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The counts for people."""
        tables = [f"{table}: {rows:,} rows in {self.files[table]:,} files" for table, rows in self.rows.items()]
        return tables + [f"{name}: {count:,}" for name, count in self.faults.items()]


def counts(
    faults: CustomerFaults | ProductFaults | OrderFaults | FileFaults, total: int, before: int = 0
) -> Mapping[str, int]:
    """How many of the things numbered from `before` to `total` have each fault: exactly its share, rounded down."""
    millionths = {one.name: round(getattr(faults, one.name) * _SHARES_PER_ONE) for one in fields(faults)}
    return {
        name: total * share // _SHARES_PER_ONE - before * share // _SHARES_PER_ONE for name, share in millionths.items()
    }


def parameters_of(source: str, *, orders: int, share: float, seed: int, first_day: date) -> ShopParameters:
    """A shop of a number of orders, with customers and products in proportion, and a share of every fault."""

    def faults(kind: type[Any]) -> Any:
        return kind(**{one.name: share for one in fields(kind)})

    return ShopParameters(
        source,
        orders=orders,
        customers=max(orders // 3, 50),
        products=max(min(orders // 6, 5_000), 20),
        first_day=first_day,
        seed=seed,
        customer_faults=faults(CustomerFaults),
        product_faults=faults(ProductFaults),
        order_faults=faults(OrderFaults),
        file_faults=faults(FileFaults),
    )
