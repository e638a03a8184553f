"""The tables for analysts of a small shop, in plain Python: dicts, loops and Decimal. Slow, and meant to be obvious."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from gata_assets_tests.support.shop_worlds import Row, ShopWorld

_SALES = {"paid", "shipped", "delivered"}
_CENT = Decimal("0.01")


def expected_tables(world: ShopWorld) -> dict[str, list[Row]]:
    """All rows of all tables, in their order."""
    facts = _facts(world)
    return {
        "order_facts": facts,
        "daily_sales": _daily(world, facts),
        "daily_category_sales": _by_category(facts),
        "customer_summary": _customers(world),
        "inventory_status": _inventory(world),
    }


def _order_numbers(world: ShopWorld) -> dict[str, int]:
    seen: dict[str, int] = defaultdict(int)
    numbers = {}
    for order in sorted(world.rows["orders"], key=lambda row: (row["ordered_at"], row["order_id"])):
        seen[order["customer_id"]] += 1
        numbers[order["order_id"]] = seen[order["customer_id"]]
    return numbers


def _facts(world: ShopWorld) -> list[Row]:
    orders = {row["order_id"]: row for row in world.rows["orders"]}
    customers = {row["customer_id"]: row for row in world.rows["customers"]}
    products = {row["product_id"]: row for row in world.rows["products"]}
    numbers = _order_numbers(world)
    found = []
    for item in world.rows["order_items"]:
        order = orders[item["order_id"]]
        customer = customers.get(order["customer_id"], {})
        product = products.get(item["product_id"], {})
        captured = [
            row
            for row in world.rows["payments"]
            if row["order_id"] == order["order_id"] and row["status"] == "captured"
        ]
        first = min(captured, key=lambda row: (row["paid_at"], row["payment_id"]), default=None)
        gross = item["quantity"] * item["unit_price"]
        discount = item["discount_amount"] or Decimal(0)
        cost = None
        if product.get("cost") is not None and product["currency"] == order["currency"]:
            cost = item["quantity"] * product["cost"]
        found.append(
            {
                "order_item_id": item["order_item_id"],
                "order_id": order["order_id"],
                "ordered_at": order["ordered_at"],
                "order_day": order["ordered_at"].date(),
                "order_status": order["status"],
                "is_sale": order["status"] in _SALES,
                "order_currency": order["currency"],
                "order_total_amount": order["total_amount"],
                "customer_id": order["customer_id"],
                **{
                    f"customer_{name}": customer.get(name)
                    for name in ("email", "phone", "city", "country", "created_at")
                },
                "customer_order_number": numbers[order["order_id"]],
                "is_first_order": numbers[order["order_id"]] == 1,
                "product_id": item["product_id"],
                **{f"product_{name}": product.get(name) for name in ("name", "category", "price", "cost", "currency")},
                "quantity": item["quantity"],
                "unit_price": item["unit_price"],
                "gross_amount": gross,
                "discount_amount": discount,
                "net_amount": gross - discount,
                "cost_amount": cost,
                "margin": None if cost is None else gross - discount - cost,
                "payment_method": first["method"] if first else None,
                "first_captured_at": first["paid_at"] if first else None,
                "days_to_pay": (first["paid_at"] - order["ordered_at"]) / timedelta(days=1) if first else None,
            }
        )
    return sorted(found, key=lambda row: (row["ordered_at"], row["order_id"], row["order_item_id"]))


def _sums(facts: Iterable[Row]) -> Row:
    rows = list(facts)
    margins = [row for row in rows if row["margin"] is not None]
    return {
        "items": len(rows),
        "units": sum(row["quantity"] for row in rows),
        **{name: sum((row[name] for row in rows), Decimal(0)) for name in _AMOUNTS},
        "margin": sum(row["margin"] for row in margins) if margins else None,
        "margin_net_amount": sum((row["net_amount"] for row in margins), Decimal(0)),
    }


_AMOUNTS = ("gross_amount", "discount_amount", "net_amount")


def _daily(world: ShopWorld, facts: list[Row]) -> list[Row]:
    numbers = _order_numbers(world)
    groups: dict[tuple[date, str], list[Row]] = defaultdict(list)
    for order in world.rows["orders"]:
        groups[order["ordered_at"].date(), order["currency"]].append(order)
    found = []
    for (day, currency), orders in sorted(groups.items()):
        sales = [order for order in orders if order["status"] in _SALES]
        row = {
            "day": day,
            "currency": currency,
            "orders": len(sales),
            "first_orders": sum(numbers[order["order_id"]] == 1 for order in sales),
            "customers": len({order["customer_id"] for order in sales}),
            **_sums(fact for fact in facts if fact["order_id"] in {order["order_id"] for order in sales}),
        }
        for status in ("pending", "cancelled", "refunded"):
            apart = [order for order in orders if order["status"] == status]
            row[f"{status}_orders"] = len(apart)
            row[f"{status}_amount"] = sum((order["total_amount"] for order in apart), Decimal(0))
        found.append(row)
    return found


def _by_category(facts: list[Row]) -> list[Row]:
    groups: dict[tuple[date, str, bool, str], list[Row]] = defaultdict(list)
    for fact in facts:
        if fact["is_sale"]:
            category = fact["product_category"]
            groups[fact["order_day"], fact["order_currency"], category is None, category or ""].append(fact)
    return [
        {
            "day": day,
            "currency": currency,
            "category": None if is_unknown else category,
            "orders": len({row["order_id"] for row in rows}),
            "customers": len({row["customer_id"] for row in rows}),
            **_sums(rows),
        }
        for (day, currency, is_unknown, category), rows in sorted(groups.items())
    ]


def _newest(world: ShopWorld) -> date | None:
    return max((row["ordered_at"].date() for row in world.rows["orders"]), default=None)


def _customers(world: ShopWorld) -> list[Row]:
    newest = _newest(world)
    customers = {row["customer_id"]: row for row in world.rows["customers"]}
    groups: dict[tuple[str, str | None], list[Row]] = defaultdict(list)
    for order in world.rows["orders"]:
        groups[order["customer_id"], order["currency"]].append(order)
    for customer_id in customers.keys() - {key[0] for key in groups}:
        groups[customer_id, None] = []
    found = []
    for (customer_id, currency), orders in sorted(groups.items()):
        by_status: dict[str, list[Decimal]] = defaultdict(list)
        for order in orders:
            by_status["sale" if order["status"] in _SALES else order["status"]].append(order["total_amount"])
        net = sum(by_status["sale"], Decimal(0))
        instants = [order["ordered_at"] for order in orders]
        first, last = (min(instants), max(instants)) if instants else (None, None)
        attributes: Any = customers.get(customer_id, {})
        found.append(
            {
                "customer_id": customer_id,
                "currency": currency,
                **{
                    f"customer_{name}": attributes.get(name)
                    for name in ("email", "phone", "city", "country", "created_at")
                },
                "orders": len(orders),
                "sales": len(by_status["sale"]),
                "cancelled_orders": len(by_status["cancelled"]),
                "refunded_orders": len(by_status["refunded"]),
                "net_amount": net,
                "refunded_amount": sum(by_status["refunded"], Decimal(0)),
                "average_order_value": (
                    (net / len(by_status["sale"])).quantize(_CENT, ROUND_HALF_UP) if by_status["sale"] else None
                ),
                "first_order_at": first,
                "last_order_at": last,
                "days_since_first_order": (newest - first.date()).days if first and newest else None,
                "days_since_last_order": (newest - last.date()).days if last and newest else None,
                "as_of_day": newest,
            }
        )
    return found


def _inventory(world: ShopWorld) -> list[Row]:
    newest = _newest(world)
    orders = {row["order_id"]: row for row in world.rows["orders"]}
    products = {row["product_id"]: row for row in world.rows["products"]}
    found = []
    for row in world.rows["inventory"]:
        sold = [
            item["quantity"]
            for item in world.rows["order_items"]
            if item["product_id"] == row["product_id"]
            and orders[item["order_id"]]["status"] in _SALES
            and newest is not None
            and (newest - orders[item["order_id"]]["ordered_at"].date()).days < 30
        ]
        of_product = [other for other in world.rows["inventory"] if other["product_id"] == row["product_id"]]
        available = row["quantity"] - (row["reserved"] or 0)
        product = products.get(row["product_id"], {})
        level = row["reorder_level"]
        found.append(
            {
                "product_id": row["product_id"],
                "warehouse_id": row["warehouse_id"],
                "product_name": product.get("name"),
                "product_category": product.get("category"),
                "quantity": row["quantity"],
                "reserved": row["reserved"] or 0,
                "available": available,
                "product_available": sum(other["quantity"] - (other["reserved"] or 0) for other in of_product),
                "reorder_level": level,
                "is_below_reorder_level": None if level is None else available < level,
                "units_sold_30_days": sum(sold),
                "updated_at": row["updated_at"],
                "as_of_day": newest,
            }
        )
    return sorted(found, key=lambda row: (row["product_id"], row["warehouse_id"]))
