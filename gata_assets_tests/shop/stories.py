"""Rows and files of a shop that tests write by hand: changes of one table, an hour of the story apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from gata_assets_tests.shop.engine import curated_bytes, deliver, run
from gata_assets_tests.shop.oracle import KEYS
from gata_assets_tests.shop.worlds import RawChange, RawFile
from gata_assets_tests.support.memory_store import MemoryStore

DAY_1 = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAYS = tuple(DAY_1 + timedelta(days=number) for number in range(10))
PARKED_DAYS = 3
_NUMBERS = ("LOAD00000001", *(f"202601{number:02}-120000000" for number in range(2, 30)))


def at(hours: float) -> datetime:
    return DAY_1 + timedelta(hours=hours)


def customer(key: str, hours: float, op: str = "I", **values: Any) -> RawChange:
    return _change("customers", op, hours, {"customer_id": key, "created_at": DAY_1, **values})


def product(key: str, hours: float, op: str = "I", **values: Any) -> RawChange:
    given = {"product_id": key, "name": "Pan", "price": Decimal(10), "currency": "EUR", **values}
    return _change("products", op, hours, given)


def order(key: str, hours: float, total: int, op: str = "I", **values: Any) -> RawChange:
    given = {"order_id": key, "customer_id": "c1", "ordered_at": DAY_1, "status": "paid", "currency": "EUR"}
    return _change("orders", op, hours, {**given, "total_amount": Decimal(total), **values})


def item(key: str, of: str, hours: float, op: str = "I", **values: Any) -> RawChange:
    given = {"order_item_id": key, "order_id": of, "product_id": "p1", "quantity": 1, "unit_price": Decimal(10)}
    return _change("order_items", op, hours, {**given, **values})


def payment(key: str, of: str, hours: float, op: str = "I", **values: Any) -> RawChange:
    given = {"payment_id": key, "order_id": of, "method": "cash", "amount": Decimal(10), "currency": "EUR"}
    return _change("payments", op, hours, {**given, "status": "captured", "paid_at": at(hours), **values})


def stock(of: str, hours: float, op: str = "I", **values: Any) -> RawChange:
    given = {"product_id": of, "warehouse_id": "w1", "quantity": 7, "updated_at": at(hours)}
    return _change("inventory", op, hours, {**given, **values})


def _change(table: str, op: str, hours: float, values: Mapping[str, Any]) -> RawChange:
    kept = {name: values[name] for name in KEYS[table]} if op == "D" else values
    return RawChange(op, at(hours), kept)


def table_of(change: RawChange) -> str:
    """The table whose key a change has first: a payment and an item name an order too."""
    ids = {"payment_id": "payments", "order_item_id": "order_items", "warehouse_id": "inventory"}
    ids |= {"order_id": "orders", "customer_id": "customers", "product_id": "products"}
    return next(table for name, table in ids.items() if name in change.values)


def files_of(number: int, *changes: RawChange) -> list[RawFile]:
    """The changes in a file for each table, the `number`-th of each."""
    found: dict[str, list[RawChange]] = {}
    for change in changes:
        found.setdefault(table_of(change), []).append(change)
    path = f"year=2026/month=01/day=02/{_NUMBERS[number]}"
    return [RawFile(table, path, tuple(rows)) for table, rows in found.items()]


def arrive(store: MemoryStore, files: Sequence[RawFile], now: datetime, parked_days: int = PARKED_DAYS) -> None:
    """Deliver files and curate."""
    for file in files:
        deliver(store, file)
    run(store, now, parked_days)


def at_once(files: Sequence[RawFile], now: datetime, parked_days: int = PARKED_DAYS) -> dict[str, bytes]:
    """What is curated if all files arrive together."""
    store = MemoryStore()
    arrive(store, files, now, parked_days)
    return curated_bytes(store)
