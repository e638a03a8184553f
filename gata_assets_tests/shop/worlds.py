"""Small worlds of a shop's changes, drawn by Hypothesis: few keys and instants, so that collisions are frequent.

What happens is drawn as transactions (an order with its items, an item that moves, a deletion, a repair, …), most of
them consistent. The changes are dealt into files at random, and the files arrive in any order, some of them twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from gata_assets_tests.shop.oracle import KEYS, Change, Row, sum_of_items

START = datetime(2026, 1, 1, 22, tzinfo=UTC)
CUSTOMERS, PRODUCTS, ORDERS, ITEMS = ("c1", "c2"), ("p1", "p2"), ("o1", "o2", "o3"), ("i1", "i2", "i3", "i4")
PAYMENTS, WAREHOUSES, CURRENCIES = ("y1", "y2"), ("w1",), ("EUR", "EUR", "EUR", "USD")
# Between two transactions: nothing, so that they tie, or up to days.
GAPS = (timedelta(0), timedelta(0), timedelta(minutes=1), timedelta(hours=1), timedelta(hours=25), timedelta(days=3))
MOST_TRANSACTIONS = 10
MOST_FILES = 3
# Names whose order is neither that of arrival nor that of commit times: L comes after all digits.
FILE_NAMES = ("LOAD00000001", "LOAD0000000A", "20260102-030405678", "20260101-235959999", "20260105-000000000")
_PRICES = (Decimal("10.00"), Decimal("0.10"))


@dataclass(frozen=True)
class RawChange:
    """A row of a raw file, whose number is its place in it."""

    op: str
    committed_at: datetime
    values: Row


@dataclass(frozen=True)
class RawFile:
    """A raw file: `name` is its path below the table's folder, without the format's ending."""

    table: str
    name: str
    rows: tuple[RawChange, ...]

    def changes(self) -> list[Change]:
        """The file's rows as the oracle takes them."""
        return [Change(row.op, row.committed_at, self.name, number, row.values) for number, row in enumerate(self.rows)]


@dataclass(frozen=True)
class World:
    """For each table its files; `now` is after all commit times or between them."""

    files: Mapping[str, Sequence[RawFile]]
    now: datetime
    parked_days: int

    def all_files(self) -> list[RawFile]:
        return [file for files in self.files.values() for file in files]

    def changes(self) -> dict[str, list[Change]]:
        """All changes, as the oracle takes them."""
        return changes_of(self.all_files())


@dataclass(frozen=True)
class Arrival:
    """A file that arrives after the clock has advanced."""

    after: timedelta
    file: RawFile


def changes_of(files: Sequence[RawFile]) -> dict[str, list[Change]]:
    """The changes of files; one that was delivered again under its own name counts once."""
    changes: dict[str, list[Change]] = {table: [] for table in KEYS}
    for table, file in {(file.table, file.name): file for file in files}.items():
        changes[table[0]] += file.changes()
    return changes


@dataclass
class _Script:
    """What was drawn so far: the live orders and items, and all changes of each table."""

    draw: st.DrawFn
    at: datetime = START
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    changes: dict[str, list[RawChange]] = field(default_factory=lambda: {table: [] for table in KEYS})

    def one(self, values: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(values))

    def chance(self) -> bool:
        return self.draw(st.booleans())

    def write(self, table: str, op: str, values: Mapping[str, Any]) -> None:
        if op == "D" and self.one((True, True, False)):
            values = {name: values[name] for name in KEYS[table]}
        self.changes[table].append(RawChange(op, self.at, dict(values)))

    def change_customer(self) -> None:
        values = {"customer_id": self.one(CUSTOMERS), "country": self.one(("DE", "FR")), "created_at": START}
        self.write("customers", self.one("IIUD"), values)

    def change_product(self) -> None:
        values = {"product_id": self.one(PRODUCTS), "name": self.one(("Pan", "Lamp")), "price": _PRICES[0]}
        self.write("products", self.one("IIUD"), {**values, "currency": "EUR"})

    def change_inventory(self) -> None:
        values = {"product_id": self.one(PRODUCTS), "warehouse_id": self.one(WAREHOUSES)}
        self.write("inventory", self.one("IUD"), {**values, "quantity": self.one((0, 7)), "updated_at": self.at})

    def change_payment(self) -> None:
        values = {"payment_id": self.one(PAYMENTS), "order_id": self.one(ORDERS), "method": "cash"}
        values |= {"currency": self.one(CURRENCIES), "amount": _PRICES[0], "status": "captured", "paid_at": self.at}
        self.write("payments", self.one("IIUD"), values)

    def place_order(self) -> None:
        """An order and its items; the items may have been part of another order, which then changes or does not."""
        order_id = self.one(ORDERS)
        for item_id in self.draw(st.lists(st.sampled_from(ITEMS), max_size=2, unique=True)):
            self.place_item(item_id, order_id)
        self.orders[order_id] = {
            "order_id": order_id,
            "customer_id": self.one(CUSTOMERS),
            "ordered_at": self.at - self.one((timedelta(0), timedelta(hours=3), timedelta(days=40))),
            "status": "paid",
            "currency": self.one(CURRENCIES),
        }
        self.write_order(order_id, "I")

    def place_item(self, item_id: str, order_id: str) -> None:
        op = "U" if item_id in self.items else "I"
        self.items[item_id] = {
            "order_item_id": item_id,
            "order_id": order_id,
            "product_id": self.one(PRODUCTS),
            "quantity": self.one((1, 3)),
            "unit_price": self.one(_PRICES),
            "discount_amount": self.one((None, Decimal(0), Decimal("0.05"))),
        }
        self.write("order_items", op, self.items[item_id])

    def write_order(self, order_id: str, op: str = "U", *, is_balanced: bool | None = None) -> None:
        if is_balanced is None:
            is_balanced = self.one((True, True, True, False))
        total = sum_of_items(item for item in self.items.values() if item["order_id"] == order_id)
        self.orders[order_id]["total_amount"] = total if is_balanced else total + Decimal("0.01")
        self.write("orders", op, self.orders[order_id])

    def move_item(self) -> None:
        """To another order; the totals of both follow, or that of one, or none."""
        item_id = self.one(tuple(self.items) or ITEMS)
        before = self.items.get(item_id, {}).get("order_id")
        self.place_item(item_id, self.one(ORDERS))
        for order_id in (before, self.items[item_id]["order_id"]):
            if order_id in self.orders and self.chance():
                self.write_order(order_id)

    def delete_item(self) -> None:
        item_id = self.one(tuple(self.items) or ITEMS)
        row = self.items.pop(item_id, {"order_item_id": item_id})
        self.write("order_items", "D", row if "order_id" in row else {"order_item_id": item_id})
        if row.get("order_id") in self.orders and self.chance():
            self.write_order(row["order_id"])

    def delete_order(self) -> None:
        """With its items, with a part of them, or alone."""
        order_id = self.one(tuple(self.orders) or ORDERS)
        self.orders.pop(order_id, None)
        self.write("orders", "D", {"order_id": order_id})
        for item_id in [key for key, item in self.items.items() if item["order_id"] == order_id]:
            if self.one((True, True, False)):
                self.write("order_items", "D", self.items.pop(item_id))

    def move_order_to_another_day(self) -> None:
        order_id = self.one(tuple(self.orders) or ORDERS)
        if order_id in self.orders:
            self.orders[order_id]["ordered_at"] += self.one((timedelta(hours=1), timedelta(days=1), timedelta(days=-1)))
            self.write("orders", "U", self.orders[order_id])

    def repair_order(self) -> None:
        order_id = self.one(tuple(self.orders) or ORDERS)
        if order_id in self.orders:
            self.write_order(order_id, is_balanced=True)


_TRANSACTIONS: Sequence[Callable[[_Script], None]] = (
    _Script.place_order,
    _Script.place_order,
    _Script.move_item,
    _Script.delete_item,
    _Script.delete_order,
    _Script.move_order_to_another_day,
    _Script.repair_order,
    _Script.change_customer,
    _Script.change_product,
    _Script.change_payment,
    _Script.change_inventory,
)


@st.composite
def worlds(draw: st.DrawFn, most_transactions: int = MOST_TRANSACTIONS) -> World:
    """What happened in a shop, in files, and the instant at which it is judged.

    In half of the worlds all parents are inserted at some time, so that orders become visible.
    """
    script = _Script(draw)
    transactions = draw(st.lists(st.sampled_from(_TRANSACTIONS), min_size=1, max_size=most_transactions))
    # None: some parents never come, or are rejected; else where in the story they all do.
    parents_at = draw(st.none() | st.integers(0, len(transactions)))
    for number, transaction in enumerate([*transactions, None]):
        script.at += script.one(GAPS)
        if number == parents_at:
            for customer_id in CUSTOMERS:
                script.write("customers", "I", {"customer_id": customer_id, "country": "AT", "created_at": START})
            for product_id in PRODUCTS:
                values = {"product_id": product_id, "name": "Pan", "price": _PRICES[0], "currency": "EUR"}
                script.write("products", "I", values)
        if transaction:
            transaction(script)
    parked_days = draw(st.integers(1, 3))
    last_hours = int((script.at - START) / timedelta(hours=1)) + 24 * (parked_days + 1)
    now = START + timedelta(hours=draw(st.integers(0, last_hours)), microseconds=draw(st.integers(0, 1)))
    return World({table: draw(_files(table, changes)) for table, changes in script.changes.items()}, now, parked_days)


@st.composite
def _files(draw: st.DrawFn, table: str, changes: Sequence[RawChange]) -> list[RawFile]:
    """The changes dealt into files, in any order within a file; one of them may come once more under a new name."""
    *names, spare = draw(st.lists(st.sampled_from(FILE_NAMES), min_size=2, max_size=MOST_FILES, unique=True))
    dealt: dict[str, list[RawChange]] = {name: [] for name in names}
    for change in draw(st.permutations(changes)):
        dealt[draw(st.sampled_from(names))].append(change)
    files = [RawFile(table, _path(name), tuple(rows)) for name, rows in dealt.items() if rows]
    if draw(st.booleans()) and files:
        files.append(RawFile(table, _path(spare), draw(st.sampled_from(files)).rows))
    return files


def _path(name: str) -> str:
    """All in the folder of one day: then the order of paths is that of names."""
    return f"year=2026/month=01/day=02/{name}"


@st.composite
def arrivals(draw: st.DrawFn, files: Sequence[RawFile]) -> list[Arrival]:
    """The files in any order, some of them twice, and how far the clock advances before each."""
    again = draw(st.lists(st.sampled_from(files), max_size=2)) if files else []
    gaps = st.sampled_from((timedelta(0), timedelta(hours=1), timedelta(days=1), timedelta(days=4)))
    return [Arrival(draw(gaps), file) for file in draw(st.permutations([*files, *again]))]
