"""Small shops: curated rows as dicts, and the protocol that the tables for analysts are built from, over them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from random import Random
from typing import Any

import polars as pl

Row = dict[str, Any]

_MONEY = pl.Decimal(18, 2)
_INSTANT = pl.Datetime("us", "UTC")
SCHEMAS: Mapping[str, Mapping[str, pl.DataType]] = {
    "customers": {
        **dict.fromkeys(("customer_id", "email", "phone", "name", "city", "country"), pl.String()),
        "created_at": _INSTANT,
        "notes": pl.String(),
    },
    "products": {
        **dict.fromkeys(("product_id", "name", "category"), pl.String()),
        **dict.fromkeys(("price", "cost"), _MONEY),
        "currency": pl.String(),
    },
    "orders": {
        **dict.fromkeys(("order_id", "customer_id"), pl.String()),
        "ordered_at": _INSTANT,
        **dict.fromkeys(("status", "currency"), pl.String()),
        "total_amount": _MONEY,
        "note": pl.String(),
    },
    "order_items": {
        **dict.fromkeys(("order_item_id", "order_id", "product_id"), pl.String()),
        "quantity": pl.Int32(),
        **dict.fromkeys(("unit_price", "discount_amount"), _MONEY),
    },
    "inventory": {
        **dict.fromkeys(("product_id", "warehouse_id"), pl.String()),
        **dict.fromkeys(("quantity", "reserved", "reorder_level"), pl.Int64()),
        "updated_at": _INSTANT,
    },
    "payments": {
        **dict.fromkeys(("payment_id", "order_id", "method", "card_number"), pl.String()),
        "amount": _MONEY,
        **dict.fromkeys(("currency", "status"), pl.String()),
        "paid_at": _INSTANT,
    },
}
_OF_DAYS = ("orders", "order_items", "payments")
STATUSES = ("pending", "paid", "shipped", "delivered", "cancelled", "refunded")


@dataclass
class ShopWorld:
    """Curated rows by table. As a `CuratedShop` it returns them shuffled by `order_seed`, and counts what is read."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in SCHEMAS})
    order_seed: int = 0
    reads: list[str] = field(default_factory=list)

    def days(self) -> Mapping[date, str]:
        """The days of orders, with a digest of their rows."""
        by_day: dict[date, list[str]] = {}
        for table in _OF_DAYS:
            for row in self.rows[table]:
                by_day.setdefault(self._day(row), []).append(f"{table}{sorted(row.items())}")
        return {day: _digest(texts) for day, texts in by_day.items()}

    def read_days(self, table: str, days: Sequence[date], columns: Sequence[str]) -> pl.DataFrame:
        """See CuratedShop."""
        self.reads.append(table)
        return self._frame(table, [row for row in self.rows[table] if self._day(row) in set(days)], columns)

    def count_rows(self, table: str, days: Collection[date]) -> int:
        """See CuratedShop."""
        return sum(self._day(row) in days for row in self.rows[table])

    def table_digest(self, table: str) -> str:
        """See CuratedShop."""
        return _digest([str(sorted(row.items())) for row in self.rows[table]])

    def read_table(self, table: str, columns: Sequence[str]) -> pl.DataFrame:
        """See CuratedShop."""
        self.reads.append(table)
        return self._frame(table, self.rows[table], columns)

    def frame(self, table: str) -> pl.DataFrame:
        """All rows of a table."""
        return self._frame(table, self.rows[table], list(SCHEMAS[table]))

    def order_day(self, order_id: str) -> date:
        """The day of an order."""
        found: datetime = next(row["ordered_at"] for row in self.rows["orders"] if row["order_id"] == order_id)
        return found.date()

    def _day(self, row: Row) -> date:
        return self.order_day(row["order_id"])

    def _frame(self, table: str, rows: list[Row], columns: Sequence[str]) -> pl.DataFrame:
        shuffled = Random(self.order_seed).sample(rows, len(rows))
        return pl.DataFrame(shuffled, schema=dict(SCHEMAS[table]), orient="row").select(columns)


def small_world(seed: int, *, orders: int = 40, months: int = 3) -> ShopWorld:
    """A shop whose orders have every status, several currencies, unknown costs and products that are gone."""
    rng = Random(seed)
    world = ShopWorld()
    start = datetime(2025, 12, 15, tzinfo=UTC)
    instants = [start + timedelta(seconds=rng.randrange(months * 30 * 86_400 // 3) * 3) for _ in range(orders)]

    def maybe(value: Any) -> Any:
        return rng.choice((value, value, None))

    def money(most: int) -> Decimal:
        return Decimal(rng.randrange(1, most)) / 100

    for number in range(8):
        of_customer = {"email": maybe(f"token{number}"), "phone": maybe(f"phone{number}"), "city": maybe("Köln")}
        more = {"country": maybe("DE"), "created_at": start - timedelta(days=number), "name": "***", "notes": None}
        world.rows["customers"].append({"customer_id": f"c{number}"} | of_customer | more)
    for number in range(6):
        kept = {"name": f"Product {number}", "category": maybe(rng.choice("AB")), "price": money(9_999)}
        more = {"cost": maybe(money(5_000)), "currency": rng.choice(("EUR", "EUR", "USD"))}
        world.rows["products"].append({"product_id": f"p{number}"} | kept | more)
    for number, ordered_at in enumerate(instants):
        order = {"order_id": f"o{number:03}", "customer_id": f"c{rng.randrange(10)}", "ordered_at": ordered_at}
        total = Decimal(0)
        for item in range(rng.choice((0, 1, 1, 2, 3))):
            quantity, unit_price = rng.randrange(1, 5), money(9_999)
            discount = maybe(money(100))
            total += quantity * unit_price - (discount or 0)
            key = {"order_item_id": f"i{number:03}-{item}", "order_id": order["order_id"]}
            product = {"product_id": f"p{rng.randrange(8)}", "quantity": quantity}
            world.rows["order_items"].append(key | product | {"unit_price": unit_price, "discount_amount": discount})
        status = {"status": rng.choice(STATUSES), "currency": rng.choice(("EUR", "EUR", "USD"))}
        world.rows["orders"].append(order | status | {"total_amount": max(total, Decimal(0)), "note": None})
        for payment in range(rng.choice((0, 1, 1, 2))):
            paid = {"payment_id": f"y{number:03}-{payment}", "order_id": order["order_id"], "card_number": None}
            kind = {"method": rng.choice(("card", "cash")), "amount": money(9_999), "currency": status["currency"]}
            at = {"paid_at": ordered_at + timedelta(seconds=rng.randrange(-3_600, 900_000))}
            world.rows["payments"].append(
                paid | kind | at | {"status": rng.choice(("authorized", "captured", "captured", "failed"))}
            )
    for number in range(6):
        for warehouse in ("north", "south"):
            stock = {"quantity": rng.randrange(50), "reserved": maybe(rng.randrange(60))}
            more = {"reorder_level": maybe(rng.randrange(40)), "updated_at": start}
            world.rows["inventory"].append({"product_id": f"p{number}", "warehouse_id": warehouse} | stock | more)
    return world


def _digest(texts: list[str]) -> str:
    return sha256("\n".join(sorted(texts)).encode()).hexdigest()
