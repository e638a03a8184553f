"""The verdicts of the shop once more, in plain Python: dicts and loops over changes, written from the design's text.

An oracle for the engine; slow, and with nothing of the package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

Key = tuple[str, ...]
Row = Mapping[str, Any]
KEYS: Mapping[str, tuple[str, ...]] = {
    "customers": ("customer_id",),
    "products": ("product_id",),
    "orders": ("order_id",),
    "order_items": ("order_item_id",),
    "inventory": ("product_id", "warehouse_id"),
    "payments": ("payment_id",),
}
VALID, PARKED, QUARANTINED, REJECTED = "valid", "parked", "quarantined", "rejected"
ORDER_IS_KNOWN = "order_is_known"
ORDER_TOTAL = "order_total_is_sum_of_items"
CUSTOMER_IS_KNOWN = "customer_is_known"
PRODUCT_IS_KNOWN = "product_is_known"
PAYMENT_CURRENCY = "payment_currency_is_that_of_order"


@dataclass(frozen=True)
class Change:
    """An accepted row of a raw file; a D may have the values of the key only."""

    op: str
    committed_at: datetime
    file: str
    row: int
    values: Row


@dataclass(frozen=True)
class Verdict:
    """What holds for a live row, which rules keep it from being valid, and since when it waits."""

    table: str
    key: Key
    verdict: str
    reasons: tuple[str, ...] = ()
    waiting_since: datetime | None = None


@dataclass(frozen=True)
class VisibleRow:
    """A row that is curated, and the day that it is curated under: that of its order, None in other tables."""

    key: Key
    values: Row
    day: date | None = None


@dataclass(frozen=True)
class Outcome:
    """For each table what is visible, and the verdict on each live row; both sorted by key."""

    visible: Mapping[str, Sequence[VisibleRow]]
    verdicts: Mapping[str, Sequence[Verdict]]


@dataclass(frozen=True)
class _State:
    """A unit at an instant: the order's row, None if it is not live, and the rows of its live items by key."""

    order: Row | None
    items: Mapping[Key, Row]


def judge(changes: Mapping[str, Iterable[Change]], now: datetime, parked_days: int) -> Outcome:
    """The visible rows and the verdicts that follow from all accepted changes, in any order, at an instant."""
    return _Judge(changes, now, parked_days).outcome()


def latest(changes: Iterable[Change]) -> Change | None:
    """The change with the greatest (commit time, file, row); None without any."""
    return max(changes, key=_order, default=None)


def _order(change: Change) -> tuple[datetime, bool, str, int]:
    """A full load comes before changes of the same instant."""
    return change.committed_at, "/LOAD" not in change.file, change.file, change.row


def row_of(change: Change | None) -> Row | None:
    """The row that a change leaves: none after a D, nor before any change."""
    return None if change is None or change.op == "D" else change.values


def sum_of_items(items: Iterable[Row]) -> Decimal:
    """What the total of an order with these items has to be."""
    sums = (
        row["quantity"] * row["unit_price"] - (row["discount_amount"] if row.get("discount_amount") is not None else 0)
        for row in items
    )
    return sum(sums, Decimal(0))


class _Judge:
    def __init__(self, changes: Mapping[str, Iterable[Change]], now: datetime, parked_days: int) -> None:
        self.now = now
        self.parked_for = timedelta(days=parked_days)
        # table → key → its changes
        self.of: dict[str, dict[Key, list[Change]]] = {table: {} for table in KEYS}
        for table, names in KEYS.items():
            for change in changes.get(table, ()):
                key = tuple(change.values[name] for name in names)
                self.of[table].setdefault(key, []).append(change)
        self.visible: dict[str, list[VisibleRow]] = {table: [] for table in KEYS}
        self.verdicts: dict[str, list[Verdict]] = {table: [] for table in KEYS}
        self.visible_orders: dict[str, Row] = {}

    def outcome(self) -> Outcome:
        for table in ("customers", "products"):
            for key in self.of[table]:
                if (row := self.row(table, key)) is not None:
                    self.add(table, key, row, VALID)
        for order_id in sorted(self.order_ids()):
            self.judge_unit(order_id)
        for key in self.of["payments"]:
            self.judge_payment(key)
        for key in self.of["inventory"]:
            self.judge_inventory(key)
        for rows in self.visible.values():
            rows.sort(key=lambda row: (row.key, str(row.values.get("order_id"))))
        for verdicts in self.verdicts.values():
            verdicts.sort(key=lambda verdict: verdict.key)
        return Outcome(self.visible, self.verdicts)

    # Whole tables

    def row(self, table: str, key: Key) -> Row | None:
        return row_of(latest(self.of[table].get(key, [])))

    def is_present(self, table: str, parent: str) -> bool:
        return self.row(table, (parent,)) is not None

    def ever_existed(self, table: str, parent: str) -> bool:
        return any(change.op != "D" for change in self.of[table].get((parent,), []))

    # Units

    def order_ids(self) -> set[str]:
        named = {
            change.values["order_id"]
            for changes in self.of["order_items"].values()
            for change in changes
            if change.op != "D"
        }
        return named | {order_id for (order_id,) in self.of["orders"]}

    def changes_of_items(self, order_id: str) -> dict[Key, list[Change]]:
        """All changes of each item that any change names as part of the order."""
        return {
            key: changes
            for key, changes in self.of["order_items"].items()
            if any(change.op != "D" and change.values["order_id"] == order_id for change in changes)
        }

    def times(self, order_id: str) -> list[datetime]:
        """T: the distinct commit times of the unit, ascending."""
        times = {change.committed_at for change in self.of["orders"].get((order_id,), [])}
        for changes in self.changes_of_items(order_id).values():
            times |= {change.committed_at for change in changes}
        return sorted(times)

    def state(self, order_id: str, at: datetime) -> _State:
        def until(changes: Iterable[Change]) -> Row | None:
            return row_of(latest(change for change in changes if change.committed_at <= at))

        items = {key: until(changes) for key, changes in self.changes_of_items(order_id).items()}
        return _State(
            until(self.of["orders"].get((order_id,), [])),
            {key: row for key, row in items.items() if row is not None and row["order_id"] == order_id},
        )

    def parents(self, state: _State) -> set[tuple[str, str]]:
        """The customer and the products that a state names, as (table, id)."""
        products = {("products", row["product_id"]) for row in state.items.values()}
        return products | ({("customers", state.order["customer_id"])} if state.order is not None else set())

    def is_valid(self, state: _State) -> bool:
        return is_empty(state) or (
            is_balanced(state) and all(self.ever_existed(table, parent) for table, parent in self.parents(state))
        )

    def judge_unit(self, order_id: str) -> None:
        times = self.times(order_id)
        states = {at: self.state(order_id, at) for at in times}
        valid_times = [at for at in times if self.is_valid(states[at])]
        current = states[times[-1]]
        absent = {(table, parent) for table, parent in self.parents(current) if not self.is_present(table, parent)}

        since = None
        if not self.is_valid(current):
            since = min(at for at in times if not valid_times or at > valid_times[-1])
        elif absent:
            since = max(times[-1], min(self.deleted_at(table, parent) for table, parent in absent))
        verdict = self.waiting(since)
        reasons = tuple(self.unit_reasons(current, absent)) if since else ()
        if current.order is not None:
            self.verdicts["orders"].append(Verdict("orders", (order_id,), verdict, reasons, since))
        for key in current.items:
            self.verdicts["order_items"].append(Verdict("order_items", key, verdict, reasons, since))

        last_change = latest(self.of["orders"].get((order_id,), []))
        is_withdrawn = verdict == QUARANTINED and last_change is not None and last_change.op == "D"
        if valid_times and not is_withdrawn:
            self.show_unit(order_id, states[valid_times[-1]])

    def unit_reasons(self, state: _State, absent: set[tuple[str, str]]) -> Iterable[str]:
        if state.order is None:
            yield ORDER_IS_KNOWN
        elif not is_balanced(state):
            yield ORDER_TOTAL
        if any(table == "customers" for table, _ in absent):
            yield CUSTOMER_IS_KNOWN
        if any(table == "products" for table, _ in absent):
            yield PRODUCT_IS_KNOWN

    def show_unit(self, order_id: str, state: _State) -> None:
        if state.order is None:
            return
        self.visible_orders[order_id] = state.order
        day = day_of(state.order)
        self.visible["orders"].append(VisibleRow((order_id,), state.order, day))
        self.visible["order_items"] += [VisibleRow(key, row, day) for key, row in state.items.items()]

    def deleted_at(self, table: str, parent: str) -> datetime:
        """When a parent that is absent, but ever existed, was deleted."""
        deletion = latest(self.of[table][(parent,)])
        assert deletion is not None and deletion.op == "D"
        return deletion.committed_at

    # Children

    def judge_payment(self, key: Key) -> None:
        change = latest(self.of["payments"][key])
        if (row := row_of(change)) is None or change is None:
            return
        order = self.visible_orders.get(row["order_id"])
        if order is None:
            since = max([change.committed_at, *self.times(row["order_id"])[-1:]])
            self.add("payments", key, row, self.waiting(since), (ORDER_IS_KNOWN,), since)
        elif order["currency"] == row["currency"]:
            self.add("payments", key, row, VALID, day=day_of(order))
        else:
            self.add("payments", key, row, REJECTED, (PAYMENT_CURRENCY,))

    def judge_inventory(self, key: Key) -> None:
        change = latest(self.of["inventory"][key])
        if (row := row_of(change)) is None or change is None:
            return
        product = row["product_id"]
        if self.is_present("products", product):
            self.add("inventory", key, row, VALID)
            return
        deletion = latest(self.of["products"].get((product,), []))
        since = max([change.committed_at, *([deletion.committed_at] if deletion else [])])
        self.add("inventory", key, row, self.waiting(since), (PRODUCT_IS_KNOWN,), since)

    def waiting(self, since: datetime | None) -> str:
        if since is None:
            return VALID
        return PARKED if self.now < since + self.parked_for else QUARANTINED

    def add(
        self,
        table: str,
        key: Key,
        row: Row,
        verdict: str,
        reasons: tuple[str, ...] = (),
        since: datetime | None = None,
        day: date | None = None,
    ) -> None:
        """A row that is visible if it is valid."""
        self.verdicts[table].append(Verdict(table, key, verdict, reasons, since))
        if verdict == VALID:
            self.visible[table].append(VisibleRow(key, row, day))


def is_empty(state: _State) -> bool:
    """Neither the order nor an item is live."""
    return state.order is None and not state.items


def is_balanced(state: _State) -> bool:
    """The order is live, and its total is that of its items."""
    return state.order is not None and bool(state.order["total_amount"] == sum_of_items(state.items.values()))


def day_of(order: Row) -> date:
    """The day (UTC) that an order, its items and its payments are curated under."""
    at: datetime = order["ordered_at"]
    return at.astimezone(UTC).date()
