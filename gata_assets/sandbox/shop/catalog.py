"""The sample shop's customers, products and inventory: the rows of the full load, and what changes later. Pure.

Customers are numbered: those without a fault, those who are deleted on the last day, those with a fault; behind them
those who come on the last day, and those who never come. Of products, those with a fault are the last.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
from numpy.random import Generator, default_rng

from gata_assets.sandbox.sample_data import SHOP
from gata_assets.sandbox.shop.parameters import ShopParameters, counts
from gata_assets.sandbox.shop.people import COUNTRIES, People, with_faults
from gata_assets.sandbox.shop.tables import (
    AT,
    HOUR,
    MINUTE,
    SECOND,
    Ints,
    as_changes,
    as_deletions,
    midnight,
    numbered,
    only,
    pick,
)

CURRENCIES = ("EUR", "GBP", "USD")
_CURRENCY_OF_COUNTRY = np.array([CURRENCIES.index(country["currency"]) for country in COUNTRIES])
_WAREHOUSES = ("wh-north", "wh-south")
# Random streams, by numbers that no other sample begins its own with.
_CUSTOMERS, _PRODUCTS, _INVENTORY, _CHANGES, _LAST_CHANGES = range(10, 15)
_WORDS_PER_CATEGORY = 4
_LEAST_PRICE_PERCENT, _MOST_PRICE_PERCENT = 50, 200  # of the category's mean
_LEAST_COST_PERCENT, _MOST_COST_PERCENT, _NO_COST_SHARE = 40, 80, 0.1
# Of a day: how many customers and products change, and of how many products the inventory does at most.
_CHANGED_CUSTOMER_SHARE, _CHANGED_PRODUCT_SHARE, _MOST_STOCKED = 0.005, 0.02, 500
_CHANGES_AT, _LAST_CHANGES_AT = 6 * HOUR, 23 * HOUR + 52 * MINUTE
_BETWEEN_CHANGES = SECOND // 20


class Catalog:
    """Who orders what: the numbers of customers and products, their currencies and prices."""

    def __init__(self, parameters: ShopParameters) -> None:
        self.parameters = parameters
        of_orders = counts(parameters.order_faults, parameters.orders)
        self.first_deleted = parameters.ordinary_customers
        self.first_faulty = self.first_deleted + of_orders["customer_deleted"]
        self.first_late = parameters.customers
        self.first_unknown = self.first_late + of_orders["customer_late"]
        rng = default_rng([parameters.seed, _CUSTOMERS])
        total = self.first_unknown + of_orders["customer_never"]
        self._people = People(rng, total, midnight(parameters.first_day))
        # The place in CURRENCIES in which a customer pays, also of those who come late or never.
        self.currency: Ints = _CURRENCY_OF_COUNTRY[self._people.country]
        rng = default_rng([parameters.seed, _PRODUCTS])
        means = [entry["price"] for entry in SHOP["categories"].values()]
        mean = np.array(means)[np.arange(parameters.products) % len(means)]
        self.price_cents = mean * rng.integers(_LEAST_PRICE_PERCENT, _MOST_PRICE_PERCENT + 1, parameters.products)

    def customers(self) -> pl.DataFrame:
        """All customers of the full load, some with a fault."""
        parameters = self.parameters
        rng = default_rng([parameters.seed, _CUSTOMERS, 1])
        return with_faults(
            self._people.draw_rows(rng, np.arange(parameters.customers)),
            self.first_faulty,
            counts(parameters.customer_faults, parameters.customers),
        )

    def products(self) -> pl.DataFrame:
        """All products, some with a negative price."""
        prices = self.price_cents.copy()
        prices[self.parameters.ordinary_products :] *= -1
        return self._products(np.arange(self.parameters.products), prices)

    def inventory(self) -> pl.DataFrame:
        """Each product without a fault, in each warehouse."""
        parameters = self.parameters
        product = np.repeat(np.arange(parameters.ordinary_products), len(_WAREHOUSES))
        warehouse = np.arange(len(product)) % len(_WAREHOUSES)
        updated = np.full(len(product), midnight(parameters.load_day))
        return _inventory(default_rng([parameters.seed, _INVENTORY]), product, warehouse, updated)

    def changes(self, day: date) -> dict[str, pl.DataFrame]:
        """A day's updates in the morning, each a transaction of its own."""
        parameters = self.parameters
        rng = default_rng([parameters.seed, _CHANGES, day.toordinal()])
        customer = _choose(rng, parameters.ordinary_customers, _CHANGED_CUSTOMER_SHARE)
        product = _choose(rng, parameters.ordinary_products, _CHANGED_PRODUCT_SHARE)
        stocked = rng.permutation(parameters.ordinary_products)[:_MOST_STOCKED]
        warehouse = rng.integers(0, len(_WAREHOUSES), len(stocked))
        prices = self.price_cents[product] * rng.integers(90, 111, len(product)) // 100
        starts_at = midnight(day) + _CHANGES_AT
        inventory = _inventory(rng, stocked, warehouse, _ticks(starts_at, len(stocked)))
        rows = {"customers": self._people.draw_rows(rng, customer), "products": self._products(product, prices)}
        return {
            table: as_changes(frame, "U", _ticks(starts_at, len(frame)))
            for table, frame in {**rows, "inventory": inventory}.items()
        }

    def last_changes(self) -> pl.DataFrame:
        """What happens to customers late on the last day: some come, and some are deleted."""
        rng = default_rng([self.parameters.seed, _LAST_CHANGES])
        come = self._people.draw_rows(rng, np.arange(self.first_late, self.first_unknown))
        leave = self._people.draw_rows(rng, np.arange(self.first_deleted, self.first_faulty))
        at = _ticks(midnight(self.parameters.last_day) + _LAST_CHANGES_AT, len(come) + len(leave))
        rows = [as_changes(come, "I", at[: len(come)]), as_deletions("customers", leave, at[len(come) :])]
        return pl.concat(rows).sort(AT, maintain_order=True)

    def _products(self, numbers: Ints, prices: Ints) -> pl.DataFrame:
        """Rows of products: the same at each call, but for their prices."""
        rng = default_rng([self.parameters.seed, _PRODUCTS, 1])
        count = self.parameters.products
        word, quality, brand = (
            rng.integers(0, size, count)[numbers]
            for size in (_WORDS_PER_CATEGORY, len(SHOP["qualities"]), len(SHOP["brands"]))
        )
        cost = self.price_cents * rng.integers(_LEAST_COST_PERCENT, _MOST_COST_PERCENT + 1, count) // 100
        has_cost = rng.random(count) >= _NO_COST_SHARE
        category = numbers % len(SHOP["categories"])
        words = [word for entry in SHOP["categories"].values() for word in entry["words"]]
        qualities, brands = pick(SHOP["qualities"], quality), pick(SHOP["brands"], brand)
        return pl.DataFrame(
            {
                "product_id": numbered("prd", numbers),
                "name": brands + " " + qualities + " " + pick(words, category * _WORDS_PER_CATEGORY + word),
                "category": pick(list(SHOP["categories"]), category),
                "price": prices,
                "cost": only(pl.Series(cost[numbers]), has_cost[numbers]),
                "currency": pick(CURRENCIES[:1], np.zeros(len(numbers), np.int64)),
            }
        )


def _inventory(rng: Generator, product: Ints, warehouse: Ints, updated: Ints) -> pl.DataFrame:
    quantity = rng.integers(0, 500, len(product))
    return pl.DataFrame(
        {
            "product_id": numbered("prd", product),
            "warehouse_id": pick(_WAREHOUSES, warehouse),
            "quantity": quantity,
            "reserved": only(pl.Series(quantity // 10), rng.random(len(product)) < 0.8),
            "reorder_level": only(pl.Series(rng.integers(5, 50, len(product))), rng.random(len(product)) < 0.9),
            "updated_at": updated,
        }
    )


def _choose(rng: Generator, count: int, share: float) -> Ints:
    """A share of the numbers below a count, at least one, ascending."""
    return np.sort(rng.permutation(count)[: max(1, int(count * share))])


def _ticks(starts_at: int, count: int) -> Ints:
    return starts_at + np.arange(count, dtype=np.int64) * _BETWEEN_CHANGES
