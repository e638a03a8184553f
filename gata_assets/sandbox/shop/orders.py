"""The sample shop's orders with their items and payments, a batch at a time: their rows, with faults. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from gata_assets.sandbox.sample_data import SHOP
from gata_assets.sandbox.shop.catalog import CURRENCIES, Catalog
from gata_assets.sandbox.shop.order_changes import DrawnOrders
from gata_assets.sandbox.shop.parameters import ShopParameters
from gata_assets.sandbox.shop.plan import Batch, Faulty, FaultyOrders, rank_of, zipf
from gata_assets.sandbox.shop.tables import SECOND, Ints, numbered, only, pick

_PAYMENTS: Mapping[str, list[str]] = SHOP["payments"]
_ORDERS, _RANKS = range(30, 32)
_CUSTOMER_SHIFT, _PRODUCT_SHIFT = 30, 12
# Of 1, 2, … items: 2.25 on average. Of 1, 2, … pieces of an item.
_CUMULATIVE_ITEMS = np.cumsum([0.36, 0.28, 0.18, 0.11])
_CUMULATIVE_PIECES = np.cumsum([0.78, 0.15, 0.05])
_DISCOUNTED_SHARE, _LEAST_DISCOUNT, _MOST_DISCOUNT = 0.15, 5, 25  # percent
_NOTE_SHARE, _PAID_SHARE, _CANCELLED_SHARE = 0.04, 0.92, 0.4  # the last of those that are not paid
_METHODS = ("card", "paypal", "bank_transfer", "voucher", "cash")
_CUMULATIVE_METHODS = np.cumsum([0.60, 0.25, 0.08, 0.04])
# Of paid orders in the full load.
_LOADED_STATUSES = ("paid", "shipped", "delivered", "refunded")
_CUMULATIVE_STATUSES = np.cumsum([0.10, 0.12, 0.75])
_MISMATCHES = (1, 100, -1, 1_999)  # cents
_LEAST_MICROS_TO_COMMIT, _MOST_MICROS_TO_COMMIT = 1_000, 60_000
_LEAST_SECONDS_TO_PAY, _MOST_SECONDS_TO_PAY = 40, 1_200
_UNPAID_FAULTS = ("total_mismatch", "customer_never", "card_in_note")
_PAID_FAULTS = ("other_currency", "missing_payment_id")


class Orders:
    """Draws batches of orders."""

    def __init__(self, parameters: ShopParameters, catalog: Catalog) -> None:
        self._parameters = parameters
        self._catalog = catalog
        self._faulty = FaultyOrders(parameters)
        rng = default_rng([parameters.seed, _RANKS])
        self._customers = rng.permutation(parameters.ordinary_customers)
        self._products = rng.permutation(parameters.ordinary_products)
        self._customer_shares = zipf(parameters.ordinary_customers, _CUSTOMER_SHIFT)
        self._product_shares = zipf(parameters.ordinary_products, _PRODUCT_SHIFT)

    def draw(self, batch: Batch) -> DrawnOrders:
        """A batch's orders, items and payments."""
        rng = default_rng([self._parameters.seed, _ORDERS, batch.day.toordinal(), batch.number])
        count = len(batch.placed)
        faulty = self._faulty.of_batch(batch)
        customer = self._customers[rank_of(self._customer_shares, rng.random(count))]
        first_of = {
            "customer_deleted": self._catalog.first_deleted,
            "customer_late": self._catalog.first_late,
            "customer_never": self._catalog.first_unknown,
        }
        for fault, first in first_of.items():
            customer[faulty[fault].places] = first + faulty[fault].ranks
        number = batch.first_order + np.arange(count)
        items, place_of_item, total = self._items(rng, number, faulty)
        wrong = faulty["total_mismatch"]
        total[wrong.places] += np.array(_MISMATCHES)[wrong.ranks % len(_MISMATCHES)]
        is_paid = rng.random(count) < _PAID_SHARE
        for fault in (*_UNPAID_FAULTS, *_PAID_FAULTS):
            is_paid[faulty[fault].places] = fault in _PAID_FAULTS
        committed = batch.placed + rng.integers(_LEAST_MICROS_TO_COMMIT, _MOST_MICROS_TO_COMMIT, count)
        seconds = rng.integers(_LEAST_SECONDS_TO_PAY, _MOST_SECONDS_TO_PAY, count)
        paid = batch.placed + seconds * SECOND
        status = self._statuses(rng, is_paid, is_loaded=batch.day <= self._parameters.load_day)
        currency = self._catalog.currency[customer]
        orders = pl.DataFrame(
            {
                "order_id": numbered("ord", number),
                "customer_id": numbered("cus", customer),
                "ordered_at": batch.placed,
                "status": status,
                "currency": pick(CURRENCIES, currency),
                "total_amount": total,
                "note": _notes(rng, count, faulty["card_in_note"]),
            }
        )
        payments = _payments(rng, orders, currency, paid, faulty).filter(pl.Series(is_paid))
        has_fault = np.zeros(count, np.bool_)
        for one in faulty.values():
            has_fault[one.places] = True
        # The payment is committed a moment after it was made.
        return DrawnOrders(
            orders,
            items,
            payments,
            place_of_item,
            np.flatnonzero(is_paid),
            committed,
            paid + rng.integers(_LEAST_MICROS_TO_COMMIT, _MOST_MICROS_TO_COMMIT, count),
            is_paid,
            has_fault,
        )

    def _items(self, rng: Generator, number: Ints, faulty: Mapping[str, Faulty]) -> tuple[pl.DataFrame, Ints, Ints]:
        """The items of orders, the place of each one's order, and the orders' totals."""
        count = len(number)
        # Behind the items that an order has: one with the quantity 0, or one of an order that never comes.
        sizes = 1 + np.searchsorted(_CUMULATIVE_ITEMS, rng.random(count), side="right")
        zero, lost = faulty["zero_quantity"], faulty["item_without_order"]
        more = np.zeros(count, np.int64)
        more[zero.places] = more[lost.places] = 1
        place = np.repeat(np.arange(count), sizes + more)
        ends = np.cumsum(sizes + more)
        line = 1 + np.arange(len(place)) - np.repeat(ends - sizes - more, sizes + more)
        product = self._products[rank_of(self._product_shares, rng.random(len(place)))]
        quantity = 1 + np.searchsorted(_CUMULATIVE_PIECES, rng.random(len(place)), side="right")
        quantity[ends[zero.places] - 1] = 0
        price = self._catalog.price_cents[product]
        has_discount = rng.random(len(place)) < _DISCOUNTED_SHARE
        percent = rng.integers(_LEAST_DISCOUNT, _MOST_DISCOUNT + 1, len(place))
        discount = np.where(has_discount, quantity * price * percent // 100, 0)
        net = quantity * price - discount
        order = number[place]
        is_lost = np.zeros(len(place), np.bool_)
        is_lost[ends[lost.places] - 1] = True
        order[is_lost] = self._parameters.orders + lost.ranks
        net[is_lost] = 0
        total = np.add.reduceat(net, ends - sizes - more)
        order_id = numbered("ord", order)
        items = pl.DataFrame(
            {
                "order_item_id": order_id.str.replace("ord", "itm", literal=True)
                + "-"
                + pl.Series(line).cast(pl.String),
                "order_id": order_id,
                "product_id": numbered("prd", product),
                "quantity": quantity.astype(np.int32),
                "unit_price": price,
                "discount_amount": only(pl.Series(discount), has_discount),
            }
        )
        return items, place, total

    def _statuses(self, rng: Generator, is_paid: NDArray[np.bool_], *, is_loaded: bool) -> pl.Series:
        """The status at the end of the day; orders of the full load are older."""
        count = len(is_paid)
        later = pick(_LOADED_STATUSES, np.searchsorted(_CUMULATIVE_STATUSES, rng.random(count), side="right"))
        is_cancelled = rng.random(count) < _CANCELLED_SHARE
        if not is_loaded:
            return pick(("pending", "paid"), is_paid.astype(np.int64))
        unpaid = pick(("pending", "cancelled"), is_cancelled.astype(np.int64))  # codespell:ignore cancelled
        return later.zip_with(pl.Series(is_paid), unpaid)


def _payments(
    rng: Generator, orders: pl.DataFrame, currency: Ints, paid: Ints, faulty: Mapping[str, Faulty]
) -> pl.DataFrame:
    """A payment of each order, whether it is paid or not."""
    count = len(orders)
    method = np.searchsorted(_CUMULATIVE_METHODS, rng.random(count), side="right")
    cards = _PAYMENTS["card_numbers"]
    card = rng.integers(0, len(cards), count)
    has_id = np.ones(count, np.bool_)
    has_id[faulty["missing_payment_id"].places] = False
    currency = currency.copy()
    currency[faulty["other_currency"].places] += 1
    return pl.DataFrame(
        {
            "payment_id": only(orders["order_id"].str.replace("ord", "pay", literal=True), has_id),
            "order_id": orders["order_id"],
            "method": pick(_METHODS, method),
            "card_number": only(pick(cards, card), method == _METHODS.index("card")),
            "amount": orders["total_amount"],
            "currency": pick(CURRENCIES, currency % len(CURRENCIES)),
            "status": pick(("captured", "refunded"), (orders["status"] == "refunded").to_numpy().astype(np.int64)),
            "paid_at": paid,
        }
    )


def _notes(rng: Generator, count: int, with_card: Faulty) -> pl.Series:
    """Notes of few orders; those of some have a card number, in groups of four digits."""
    notes = _PAYMENTS["notes"]
    has_note = rng.random(count) < _NOTE_SHARE
    values = only(pick(notes, rng.integers(0, len(notes), count)), has_note)
    cards = [" ".join(card[at : at + 4] for at in range(0, len(card), 4)) for card in _PAYMENTS["card_numbers"]]
    texts = _PAYMENTS["notes_with_card"]
    rank = with_card.ranks.tolist()
    return values.scatter(with_card.places, [texts[one % len(texts)].format(cards[one % len(cards)]) for one in rank])
