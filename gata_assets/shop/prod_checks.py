"""The checks of tables for analysts: their names, descriptions and outcomes.

They are evaluated on what a build is about to publish: on rows as they are written, on counts of curated manifests,
and on sums of stored columns. If one fails, nothing of the month, or of the table without a date, is published.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import polars as pl
import pyarrow as pa

from gata_assets.errors import ChecksFailedError
from gata_assets.shop.prod.tables import (
    CUSTOMER_SUMMARY,
    DAILY_CATEGORY_SALES,
    DAILY_SALES,
    INVENTORY_STATUS,
    ORDER_FACTS,
    ProdTable,
)
from gata_assets.tables.arrow_checks import check_arrow_tables
from gata_assets.tables.outcomes import Outcome, broken

ROWS_ARE_VALID_AND_IN_ORDER = "rows_are_valid_and_in_order"
EVERY_ITEM_IS_THERE_ONCE = "every_item_is_there_once"
EVERY_ORDER_IS_COUNTED_ONCE = "every_order_is_counted_once"
SUMS_ARE_THOSE_OF_ORDER_FACTS = "sums_are_those_of_order_facts"
CATEGORIES_ADD_UP = "categories_add_up_to_daily_sales"
EVERY_STOCK_IS_THERE_ONCE = "every_stock_is_there_once"

Outcomes = Mapping[str, Sequence[Outcome]]

_ADVICE = "This is a defect of the build; please report it."
# What `sums_are_those_of_order_facts` compares, from columns of stored facts.
_SUMS_OF_FACTS = {
    "items": pl.len(),
    "units": pl.col("quantity").cast(pl.Int64).sum(),
    "net_amount": pl.col("net_amount").sum(),
}
_ADDITIVE = ("items", "units", "gross_amount", "discount_amount", "net_amount", "margin_net_amount")
_STATUS_COUNTS = ("orders", "pending_orders", "cancelled_orders", "refunded_orders")


def descriptions(table: ProdTable) -> Mapping[str, str]:
    """The description of each check of a table, by its name."""
    return {ROWS_ARE_VALID_AND_IN_ORDER: _valid(table), **_OTHERS[table.name]}


def _valid(table: ProdTable) -> str:
    return f"Types, required columns and all rules hold, rows are by {', '.join(table.key)}, and no two have the same."


_OTHERS: Mapping[str, Mapping[str, str]] = {
    ORDER_FACTS.name: {
        EVERY_ITEM_IS_THERE_ONCE: "Rows are as many as the curated days of the month have visible order items."
    },
    DAILY_SALES.name: {
        EVERY_ORDER_IS_COUNTED_ONCE: "Sales, pending, cancelled and refunded orders together are as many as the "
        "curated days of the month have visible orders.",
        SUMS_ARE_THOSE_OF_ORDER_FACTS: "Items, units and net amount of each day and currency are, to the cent, those "
        "of the stored order facts that are sales.",
    },
    DAILY_CATEGORY_SALES.name: {
        CATEGORIES_ADD_UP: "Items, units and amounts of all categories of a day and currency are, to the cent, those "
        "of daily_sales."
    },
    CUSTOMER_SUMMARY.name: {
        EVERY_ORDER_IS_COUNTED_ONCE: "The orders of all customers are as many as all curated days have visible orders."
    },
    INVENTORY_STATUS.name: {EVERY_STOCK_IS_THERE_ONCE: "Rows are as many as were read of the curated stock."},
}


class ProdChecksFailedError(ChecksFailedError):
    """Checks of a table's month, or of a table without a date, failed; `outcomes` are those of all of its checks."""

    def __init__(self, table: str, month: str, outcomes: Outcomes) -> None:
        failed = {name: found for name, of_check in outcomes.items() if (found := broken(of_check))}
        super().__init__(
            f"prod {table}{month and f' of {month}'} breaks rules, and was not published: readers see what they saw "
            f"before. {' | '.join(str(outcome) for found in failed.values() for outcome in found)}",
            tuple(failed),
        )
        self.table, self.month, self.outcomes = table, month, outcomes


class RowCheck:
    """Checks the rows of a partition as they are written, piece by piece."""

    def __init__(self, table: ProdTable) -> None:
        self._table, self._rows, self._unordered = table, 0, 0
        self._rules: dict[str, Outcome] = {}
        self._last = pl.DataFrame()

    def add(self, rows: pa.Table, keys: pl.DataFrame) -> None:
        """Check the next rows, in the types that are stored, and the columns of the table's key."""
        for outcome in check_arrow_tables(self._table.spec, [rows]):
            before = self._rules.get(outcome.rule, replace(outcome, failed=0, checked=0))
            failed, checked = before.failed + outcome.failed, before.checked + outcome.checked
            self._rules[outcome.rule] = replace(outcome, failed=failed, checked=checked)
        edge = keys.head(1) if self._last.is_empty() else pl.concat([self._last, keys.head(1)])
        self._unordered += count_unordered(keys) + count_unordered(edge)
        self._rows, self._last = self._rows + len(keys), keys.tail(1)

    def outcomes(self) -> Sequence[Outcome]:
        """The outcomes of all rows up to now."""
        in_order = Outcome("rows follow their order, each once", self._unordered, self._rows, _ADVICE)
        return [*self._rules.values(), in_order]


def count_unordered(keys: pl.DataFrame) -> int:
    """How many rows are not greater than the row before, by the columns in their order; null is the greatest."""
    *others, last = keys.columns
    is_greater = _exceeds(last)
    for name in reversed(others):
        is_greater = _exceeds(name) | (pl.col(name).eq_missing(pl.col(name).shift()) & is_greater)
    return int(keys.select(is_greater.not_().slice(1).sum()).item())


def _exceeds(name: str) -> pl.Expr:
    now, before = pl.col(name), pl.col(name).shift()
    return (now > before).fill_null(now.is_null() & before.is_not_null())


def check_facts(rows: int, items: int) -> Outcomes:
    """Of order facts: their rows and the visible curated items of the month."""
    return {EVERY_ITEM_IS_THERE_ONCE: [_same_count("each visible item has one row", rows, items)]}


def check_sales(sales: pl.DataFrame, facts: Iterable[pl.LazyFrame], orders: int) -> Outcomes:
    """Of daily sales: their rows, each file of the facts, and the number of visible curated orders of the month."""
    counted = sum(int(sales[name].sum()) for name in _STATUS_COUNTS)
    days = (pl.col("order_day").alias("day"), pl.col("order_currency").alias("currency"))
    # File by file, so that memory stays small.
    of_files = [file.filter("is_sale").group_by(*days).agg(**_SUMS_OF_FACTS).collect() for file in facts]
    of_facts = pl.concat(of_files).group_by("day", "currency").agg(pl.col(*_SUMS_OF_FACTS).sum())
    return {
        EVERY_ORDER_IS_COUNTED_ONCE: [_same_count("each visible order is counted once", counted, orders, "orders")],
        SUMS_ARE_THOSE_OF_ORDER_FACTS: [_same_sums("sums are those of order facts", sales, of_facts)],
    }


def check_categories(categories: pl.DataFrame, sales: pl.DataFrame) -> Outcomes:
    """Of daily sales by category, and of all."""
    added = categories.group_by("day", "currency").agg(pl.col(_ADDITIVE).sum())
    return {CATEGORIES_ADD_UP: [_same_sums("categories add up to daily sales", sales, added)]}


def check_summary(summary: pl.DataFrame, orders: int) -> Outcomes:
    """Of the summary of customers, and the number of visible curated orders of all days."""
    counted = int(summary["orders"].sum())
    return {EVERY_ORDER_IS_COUNTED_ONCE: [_same_count("each visible order is counted once", counted, orders, "orders")]}


def check_stock(rows: int, inventory: int) -> Outcomes:
    """Of the stock: its rows and those of the curated one."""
    return {EVERY_STOCK_IS_THERE_ONCE: [_same_count("each row of the stock is there once", rows, inventory)]}


def require_passed(table: ProdTable, month: str, outcomes: Outcomes) -> None:
    """Raise ProdChecksFailedError if a check of a month ("2026-01"), or of a table without a date (""), has failed."""
    if any(map(broken, outcomes.values())):
        raise ProdChecksFailedError(table.name, month, outcomes)


def by_month(outcomes: Mapping[str, Outcomes]) -> Outcomes:
    """The outcomes of a table's months together, each rule with its month."""
    found: dict[str, list[Outcome]] = {}
    for month, of_month in outcomes.items():
        for name, of_check in of_month.items():
            found.setdefault(name, []).extend(
                replace(outcome, rule=f"{month} {outcome.rule}".strip()) for outcome in of_check
            )
    return found


def _same_count(rule: str, found: int, expected: int, unit: str = "rows") -> Outcome:
    return Outcome(rule, abs(found - expected), expected, _ADVICE, unit)


def _same_sums(rule: str, sales: pl.DataFrame, others: pl.DataFrame) -> Outcome:
    """Compare the sums of days and currencies; those without a sold item have none."""
    keys = ["day", "currency"]
    sums = [name for name in others.columns if name not in keys]
    joined = sales.filter(pl.col("items") > 0).select(*keys, *sums).join(others, on=keys, how="full", suffix="_other")
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_other")) for name in sums)
    return Outcome(
        rule, int(joined.select(differs.sum()).item()), len(joined), _ADVICE, unit="sums of a day and currency"
    )
