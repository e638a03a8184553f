"""The oracle of verdicts by examples written by hand, one for each sentence of the design: they fix what it means.

All real, nothing is faked.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from gata_assets_tests.shop.oracle import (
    CUSTOMER_IS_KNOWN,
    ORDER_IS_KNOWN,
    ORDER_TOTAL,
    PARKED,
    PAYMENT_CURRENCY,
    PRODUCT_IS_KNOWN,
    QUARANTINED,
    REJECTED,
    VALID,
    Change,
    Outcome,
    Verdict,
    judge,
)

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY_COLUMNS = {"customers": "customer_id", "products": "product_id", "orders": "order_id"}
KEY_COLUMNS |= {"order_items": "order_item_id", "payments": "payment_id"}
Said = tuple[str, Change]


def at(hours: float) -> datetime:
    return T0 + timedelta(hours=hours)


def change(table: str, hours: float, op: str = "I", file: str = "f", row: int = 0, **values: Any) -> Said:
    return table, Change(op, at(hours), file, row, values)


def customer(hours: float, op: str = "I", **other: Any) -> Said:
    return change("customers", hours, op, **{"customer_id": "c", **other})


def product(hours: float, op: str = "I", **other: Any) -> Said:
    return change("products", hours, op, **{"product_id": "p", **other})


def order(hours: float, total: str, order_id: str = "o", op: str = "U", **other: Any) -> Said:
    values: Any = {"customer_id": "c", "ordered_at": T0, "currency": "EUR", "total_amount": Decimal(total), **other}
    return change("orders", hours, op, order_id=order_id, **values)


def item(hours: float, price: str, item_id: str = "i", order_id: str = "o", **other: Any) -> Said:
    values = {"product_id": "p", "quantity": 1, "unit_price": Decimal(price), "discount_amount": None, **other}
    return change("order_items", hours, "U", order_item_id=item_id, order_id=order_id, **values)


def payment(hours: float, currency: str = "EUR", order_id: str = "o") -> Said:
    return change("payments", hours, payment_id="y", order_id=order_id, currency=currency)


def deleted(table: str, hours: float, key: str) -> Said:
    return table, Change("D", at(hours), "f", 0, {KEY_COLUMNS[table]: key})


PARENTS = (customer(0), product(0))


def outcome(*said: Said, now: float = 1000, parked_days: int = 2) -> Outcome:
    changes: dict[str, list[Change]] = {}
    for table, one in said:
        changes.setdefault(table, []).append(one)
    return judge(changes, at(now), parked_days)


def verdict_on(table: str, result: Outcome) -> Verdict:
    [verdict] = result.verdicts[table]
    return verdict


def waits(table: str, result: Outcome) -> tuple[str, tuple[str, ...], datetime | None]:
    verdict = verdict_on(table, result)
    return verdict.verdict, verdict.reasons, verdict.waiting_since


def visible(table: str, result: Outcome) -> list[str]:
    return [row.key[0] for row in result.visible[table]]


def totals(result: Outcome) -> list[str]:
    return [str(row.values["total_amount"]) for row in result.visible["orders"]]


def test_the_latest_change_is_that_of_the_greatest_commit_time_then_file_then_row() -> None:
    def city(*said: Said) -> str:
        return str(outcome(*said).visible["customers"][0].values["city"])

    assert city(customer(2, city="late"), customer(1, city="early", file="z", row=9)) == "late"
    assert city(customer(1, city="b", file="b"), customer(1, city="a", file="a", row=9)) == "b"
    assert city(customer(1, city="row 10", row=10), customer(1, city="row 9", row=9)) == "row 10"


def test_a_deleted_customer_is_not_there_until_inserted_again() -> None:
    assert not any(outcome(customer(0), deleted("customers", 1, "c")).verdicts.values())
    assert visible("customers", outcome(customer(0), deleted("customers", 1, "c"), customer(2))) == ["c"]


def test_an_order_whose_items_sum_up_exactly_is_valid_and_visible() -> None:
    result = outcome(*PARENTS, order(1, "2.95"), item(1, "1.00", quantity=3, discount_amount=Decimal("0.05")))
    assert waits("orders", result) == waits("order_items", result) == (VALID, (), None)
    assert visible("orders", result) == ["o"] and visible("order_items", result) == ["i"]


def test_a_cent_too_much_parks_an_order_and_its_items() -> None:
    result = outcome(*PARENTS, order(1, "1.01"), item(1, "1.00"), now=2)
    assert waits("orders", result) == waits("order_items", result) == (PARKED, (ORDER_TOTAL,), at(1))
    assert not visible("orders", result) and not visible("order_items", result)


def test_an_order_without_items_is_balanced_at_zero() -> None:
    assert verdict_on("orders", outcome(*PARENTS, order(1, "0.00"))).verdict == VALID
    assert verdict_on("orders", outcome(*PARENTS, order(1, "0.01"), now=2)).reasons == (ORDER_TOTAL,)


def test_a_unit_is_parked_until_just_before_its_days_are_over() -> None:
    for hours, verdict in ((48.999, PARKED), (49, QUARANTINED)):
        assert verdict_on("orders", outcome(*PARENTS, order(1, "5"), now=hours)).verdict == verdict


def test_items_without_an_order_wait_for_it() -> None:
    result = outcome(*PARENTS, item(1, "1.00"), now=2)
    assert waits("order_items", result) == (PARKED, (ORDER_IS_KNOWN,), at(1))


def test_items_without_order_and_product_have_both_reasons_but_no_total() -> None:
    assert verdict_on("order_items", outcome(item(1, "1.00"))).reasons == (ORDER_IS_KNOWN, PRODUCT_IS_KNOWN)


def test_all_reasons_of_a_unit_are_given_in_their_order() -> None:
    result = outcome(order(1, "5"), item(1, "1.00"))
    assert verdict_on("orders", result).reasons == (ORDER_TOTAL, CUSTOMER_IS_KNOWN, PRODUCT_IS_KNOWN)


def test_rows_that_tie_are_one_transaction_and_rows_that_do_not_tie_are_not() -> None:
    apart = outcome(*PARENTS, order(1, "1.00"), item(2, "1.00"), item(3, "1.00", "j"), now=4)
    assert totals(apart) == ["1.00"] and visible("order_items", apart) == ["i"]
    together = outcome(*PARENTS, order(1, "1.00"), item(2, "1.00"), item(2, "1.00", "j"), now=4)
    assert not visible("orders", together)


def test_the_last_valid_version_stays_visible_while_a_later_one_waits() -> None:
    valid_twice = (order(1, "1.00"), item(1, "1.00"), order(2, "7"), order(3, "1.00"))
    said = (*PARENTS, *valid_twice, order(5, "9.00"), order(6, "8.00"))
    for now, verdict in ((7, PARKED), (1000, QUARANTINED)):
        result = outcome(*said, now=now)
        assert totals(result) == ["1.00"]
        assert waits("orders", result) == (verdict, (ORDER_TOTAL,), at(5))


def test_a_unit_that_was_never_valid_waits_since_its_first_change() -> None:
    assert verdict_on("orders", outcome(*PARENTS, item(3, "1.00"), order(5, "9"), order(6, "8"))).waiting_since == at(3)


def test_a_repair_makes_a_unit_valid_and_visible_even_from_quarantine() -> None:
    result = outcome(*PARENTS, order(1, "9.00"), item(1, "1.00"), order(900, "1.00"))
    assert verdict_on("orders", result).verdict == VALID and totals(result) == ["1.00"]


def test_an_older_valid_state_that_arrives_late_changes_since_when_a_unit_waits() -> None:
    said = (*PARENTS, order(5, "9.00"), item(1, "1.00"))
    assert verdict_on("orders", outcome(*said)).waiting_since == at(1)
    assert verdict_on("orders", outcome(*said, order(2, "1.00"))).waiting_since == at(5)


def test_an_item_that_moves_leaves_one_order_and_joins_the_other() -> None:
    said = (*PARENTS, order(1, "1.00"), item(1, "1.00"), order(1, "0", "q"))
    moved = outcome(*said, item(2, "1.00", order_id="q"), order(2, "0"), order(2, "1.00", "q"))
    assert [verdict.verdict for verdict in moved.verdicts["orders"]] == [VALID, VALID]
    assert [row.values["order_id"] for row in moved.visible["order_items"]] == ["q"]


def test_an_item_that_moved_stays_visible_in_the_order_that_waits_for_its_new_total() -> None:
    said = (*PARENTS, order(1, "1.00"), item(1, "1.00"), order(1, "0", "q"))
    result = outcome(*said, item(2, "1.00", order_id="q"), order(2, "1.00", "q"), now=3)
    assert [verdict.verdict for verdict in result.verdicts["orders"]] == [PARKED, VALID]
    # The text has it in both orders: in the last valid state of one, and in the current state of the other.
    assert [row.values["order_id"] for row in result.visible["order_items"]] == ["o", "q"]


def test_a_change_of_an_item_counts_for_the_order_that_it_has_left() -> None:
    said = (*PARENTS, order(1, "0"), item(1, "1.00"), item(2, "1.00", order_id="q"), item(9, "2.00", order_id="q"))
    result = outcome(*said, deleted("customers", 5, "c"), now=10)
    of_order = next(verdict for verdict in result.verdicts["orders"] if verdict.key == ("o",))
    assert (of_order.reasons, of_order.waiting_since) == ((CUSTOMER_IS_KNOWN,), at(9))


def test_a_deleted_item_is_known_by_its_key_alone() -> None:
    said = (*PARENTS, order(1, "3.00"), item(1, "1.00"), item(1, "2.00", "j"))
    result = outcome(*said, deleted("order_items", 2, "j"), order(2, "1.00"))
    assert visible("order_items", result) == ["i"] and totals(result) == ["1.00"]


def test_a_deletion_of_an_item_that_nobody_knows_is_part_of_no_order() -> None:
    unknown = change("order_items", 1, "D", order_item_id="i", order_id="o")
    assert not any(outcome(deleted("order_items", 1, "j"), unknown).verdicts.values())
    result = outcome(*PARENTS, order(0, "0"), unknown, deleted("customers", 0.5, "c"))
    assert verdict_on("orders", result).waiting_since == at(0.5)


def test_an_order_deleted_with_all_its_items_is_empty_and_nobody_waits() -> None:
    said = (order(1, "1.00"), item(1, "1.00"), deleted("orders", 2, "o"), deleted("order_items", 2, "i"))
    result = outcome(*PARENTS, *said)
    assert not visible("orders", result) and not result.verdicts["orders"] and not result.verdicts["order_items"]


def test_a_deleted_order_whose_items_remain_is_visible_until_it_is_quarantined() -> None:
    said = (*PARENTS, order(1, "1.00"), item(1, "1.00"), deleted("orders", 2, "o"))
    parked, quarantined = outcome(*said, now=3), outcome(*said)
    assert waits("order_items", parked) == (PARKED, (ORDER_IS_KNOWN,), at(2))
    assert visible("orders", parked) == ["o"] and visible("order_items", parked) == ["i"]
    assert verdict_on("order_items", quarantined).verdict == QUARANTINED
    assert not visible("orders", quarantined) and not visible("order_items", quarantined)


def test_an_order_before_its_customer_waits_and_is_valid_once_the_customer_comes() -> None:
    said = (product(0), order(1, "1.00"), item(1, "1.00"))
    assert waits("orders", outcome(*said, now=2)) == (PARKED, (CUSTOMER_IS_KNOWN,), at(1))
    assert waits("orders", outcome(*said, customer(500))) == (VALID, (), None)


def test_an_order_of_a_deleted_customer_waits_since_the_deletion_and_stays_visible() -> None:
    result = outcome(*PARENTS, order(1, "1.00"), item(1, "1.00"), deleted("customers", 5, "c"), now=6)
    assert waits("orders", result) == waits("order_items", result) == (PARKED, (CUSTOMER_IS_KNOWN,), at(5))
    assert visible("orders", result) == ["o"]


def test_of_several_deleted_parents_the_first_deletion_counts() -> None:
    said = (*PARENTS, order(1, "1.00"), item(1, "1.00"), deleted("products", 5, "p"), deleted("customers", 7, "c"))
    assert waits("orders", outcome(*said, now=8)) == (PARKED, (CUSTOMER_IS_KNOWN, PRODUCT_IS_KNOWN), at(5))


def test_an_order_placed_after_its_customer_was_deleted_is_visible_and_waits() -> None:
    result = outcome(*PARENTS, deleted("customers", 1, "c"), order(5, "1.00"), item(5, "1.00"), now=6)
    assert waits("orders", result) == (PARKED, (CUSTOMER_IS_KNOWN,), at(5)) and visible("orders", result) == ["o"]


def test_a_customer_of_whom_there_are_only_deletions_never_existed() -> None:
    result = outcome(product(0), deleted("customers", 0, "c"), order(5, "1.00"), item(5, "1.00"), now=6)
    assert waits("orders", result) == (PARKED, (CUSTOMER_IS_KNOWN,), at(5)) and not visible("orders", result)


def test_a_payment_is_valid_if_its_visible_order_has_its_currency() -> None:
    result = outcome(*PARENTS, order(1, "1.00"), item(1, "1.00"), payment(0))
    assert waits("payments", result) == (VALID, (), None) and visible("payments", result) == ["y"]


def test_a_payment_in_another_currency_is_rejected_at_once() -> None:
    result = outcome(*PARENTS, order(1, "1.00"), item(1, "1.00"), payment(1, "USD"), now=1)
    assert waits("payments", result) == (REJECTED, (PAYMENT_CURRENCY,), None) and not visible("payments", result)


def test_a_payment_is_compared_with_the_visible_version_of_its_order() -> None:
    said = (*PARENTS, order(1, "1.00"), item(1, "1.00"), order(2, "9.00", currency="USD"))
    for currency, verdict in (("EUR", VALID), ("USD", REJECTED)):
        assert verdict_on("payments", outcome(*said, payment(2, currency))).verdict == verdict


def test_a_payment_waits_since_the_last_change_of_its_order_or_of_itself() -> None:
    said = (*PARENTS, order(3, "9.00"), item(1, "1.00"))
    assert waits("payments", outcome(*said, payment(2), now=4)) == (PARKED, (ORDER_IS_KNOWN,), at(3))
    assert waits("payments", outcome(*said, payment(4), now=5)) == (PARKED, (ORDER_IS_KNOWN,), at(4))
    assert waits("payments", outcome(payment(2))) == (QUARANTINED, (ORDER_IS_KNOWN,), at(2))


def test_a_payment_of_a_deleted_order_waits_since_the_deletion() -> None:
    gone = (deleted("orders", 9, "o"), deleted("order_items", 9, "i"))
    result = outcome(*PARENTS, order(1, "1.00"), item(1, "1.00"), payment(1), *gone, now=10)
    assert waits("payments", result) == (PARKED, (ORDER_IS_KNOWN,), at(9)) and not visible("payments", result)


def test_inventory_is_valid_with_its_product_and_waits_without() -> None:
    stock = change("inventory", 2, product_id="p", warehouse_id="w", quantity=1)
    assert waits("inventory", outcome(product(0), stock)) == (VALID, (), None)
    assert waits("inventory", outcome(stock, now=3)) == (PARKED, (PRODUCT_IS_KNOWN,), at(2))
    gone = outcome(product(0), stock, deleted("products", 7, "p"))
    assert waits("inventory", gone) == (QUARANTINED, (PRODUCT_IS_KNOWN,), at(7)) and not visible("inventory", gone)


def test_a_unit_and_its_payments_are_curated_under_the_day_of_the_visible_order() -> None:
    before_midnight = datetime(2026, 1, 5, 23, 59, tzinfo=UTC)
    said = (*PARENTS, order(1, "1.00", ordered_at=before_midnight), item(1, "1.00"), payment(1))
    moved = order(2, "1.00", ordered_at=before_midnight + timedelta(minutes=2))
    unbalanced = order(3, "7.00", ordered_at=before_midnight + timedelta(days=9))
    for more, day in (((), 5), ((moved,), 6), ((moved, unbalanced), 6)):
        result = outcome(*said, *more)
        days = {row.day for table in ("orders", "order_items", "payments") for row in result.visible[table]}
        assert days == {date(2026, 1, day)}
    assert outcome(*PARENTS).visible["customers"][0].day is None
