"""What happens to the sample shop's orders: the changes of a batch's own day and of the next one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.random import default_rng
from numpy.typing import NDArray

from gata_assets.sandbox.shop.plan import Batch
from gata_assets.sandbox.shop.tables import AT, HOUR, MINUTE, Ints, as_changes, as_deletions, midnight

# What happens on the next day to orders without a fault: one of these, or nothing.
_CUMULATIVE_FOLLOW_UPS = np.cumsum([0.25, 0.02, 0.01])
_SHIPPED, _AMENDED, _DELETED, _UNCHANGED = range(4)
_FOLLOW_UPS = 40  # the random stream
_FOLLOW_UPS_AT, _FOLLOW_UPS_LAST = 23 * HOUR, 45 * MINUTE

Frames = dict[str, pl.DataFrame]


@dataclass(frozen=True)
class DrawnOrders:
    """A batch as the database has it at the end of its day, and what its changes are derived from.

    `place` is the place of an item's or a payment's order in the batch. `committed` and `paid` are microseconds.
    """

    orders: pl.DataFrame
    items: pl.DataFrame
    payments: pl.DataFrame
    place_of_item: Ints
    place_of_payment: Ints
    committed: Ints
    paid: Ints
    is_paid: NDArray[np.bool_]
    has_fault: NDArray[np.bool_]

    def load(self) -> Frames:
        """The rows of a full load."""
        return {"orders": self.orders, "order_items": self.items, "payments": self.payments}

    def changes(self) -> Frames:
        """The changes of the day: an order and its items commit together, so do its payment and its new status."""
        pending = self.orders.with_columns(pl.lit("pending").alias("status"))
        paid = self.orders.filter(pl.Series(self.is_paid))
        orders = [as_changes(pending, "I", self.committed), as_changes(paid, "U", self.paid[self.is_paid])]
        return by_time(
            {
                "orders": pl.concat(orders),
                "order_items": as_changes(self.items, "I", self.committed[self.place_of_item]),
                "payments": as_changes(self.payments, "I", self.paid[self.place_of_payment]),
            }
        )

    def follow_ups(self, batch: Batch, seed: int) -> Frames:
        """What happens on the next day, each in a transaction of its own.

        Some orders are shipped; of some a piece more of the first item is ordered, and the total follows; some are
        deleted with all that belongs to them.
        """
        rng = default_rng([seed, _FOLLOW_UPS, batch.day.toordinal(), batch.number])
        count = len(batch.placed)
        kind = np.searchsorted(_CUMULATIVE_FOLLOW_UPS, rng.random(count), side="right")
        kind[self.has_fault | ((kind == _SHIPPED) & ~self.is_paid)] = _UNCHANGED
        starts_at = midnight(batch.day + timedelta(days=1)) + _FOLLOW_UPS_AT
        at = starts_at + rng.permutation(count) * (_FOLLOW_UPS_LAST // count)
        of_item, of_payment = self.place_of_item, self.place_of_payment
        shipped, amended, deleted = (kind == one for one in (_SHIPPED, _AMENDED, _DELETED))
        more = (np.diff(of_item, prepend=-1) > 0) & amended[of_item]
        gone, unpaid = deleted[of_item], deleted[of_payment]
        price = pl.Series(self.items["unit_price"].to_numpy()[more])
        to_ship = self.orders.filter(pl.Series(shipped)).with_columns(pl.lit("shipped").alias("status"))
        to_amend = self.orders.filter(pl.Series(amended)).with_columns(pl.col("total_amount") + price)
        items = self.items.filter(pl.Series(more)).with_columns(pl.col("quantity") + 1)
        orders = [
            as_changes(to_ship, "U", at[shipped]),
            as_changes(to_amend, "U", at[amended]),
            as_deletions("orders", self.orders.filter(pl.Series(deleted)), at[deleted]),
        ]
        order_items = [
            as_changes(items, "U", at[of_item[more]]),
            as_deletions("order_items", self.items.filter(pl.Series(gone)), at[of_item[gone]]),
        ]
        payments = as_deletions("payments", self.payments.filter(pl.Series(unpaid)), at[of_payment[unpaid]])
        return by_time({"orders": pl.concat(orders), "order_items": pl.concat(order_items), "payments": payments})


def by_time(frames: Frames) -> Frames:
    """The rows of each frame by their commit times."""
    return {table: frame.sort(AT, maintain_order=True) for table, frame in frames.items()}
