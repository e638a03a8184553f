"""The account of tickets: every one in a window is kept or excluded for a reason. Plain values; nothing is faked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.batches import Window
from gata_assets.tables.outcomes import broken
from gata_assets.ticket_contract.accounting import HourlyCounts, TextCounts, TicketAccount

MIDNIGHT = datetime(2026, 1, 2, tzinfo=UTC)
HOUR = int(MIDNIGHT.timestamp()) // 3_600
REASONS = ("routed_by_api", "routed_by_mapping", None)

hourly = st.lists(st.tuples(st.integers(-30, 30), st.sampled_from(REASONS), st.integers(1, 9)), max_size=20)


@given(rows=hourly, start=st.integers(-30, 30), hours=st.integers(0, 40))
def test_a_window_counts_its_hours_and_no_others(
    rows: list[tuple[int, str | None, int]], start: int, hours: int
) -> None:
    counts = HourlyCounts.of({"hour": HOUR + at, "reason": reason, "tickets": n} for at, reason, n in rows)
    start_at = MIDNIGHT + timedelta(hours=start)
    account = counts.cut(Window(start_at, start_at + timedelta(hours=hours))).account()
    inside = [(reason, n) for at, reason, n in rows if start <= at < start + hours]
    assert account.in_window == sum(n for _, n in inside)
    assert account.kept == sum(n for reason, n in inside if reason is None)
    assert dict(account.excluded) == {
        reason: sum(n for found, n in inside if found == reason) for reason, _ in inside if reason
    }
    assert broken(account.check(account.kept)) == []


def test_tickets_excluded_later_move_from_kept_to_their_reason() -> None:
    account = TicketAccount(10, 7, {"routed_by_api": 3}).exclude({"low_volume": 2, "no_label": 0})
    assert account == TicketAccount(10, 5, {"low_volume": 2, "routed_by_api": 3})
    assert account.plus(TicketAccount(4, 1, {"routed_by_api": 1, "other_labels": 2})) == TicketAccount(
        14, 6, {"low_volume": 2, "other_labels": 2, "routed_by_api": 4}
    )


def test_emptied_texts_are_excluded_and_the_counts_of_texts_go_along() -> None:
    account = TicketAccount(10, 7, {"routed_by_api": 3}).normalized(TextCounts(5, 12, 2))
    assert account == TicketAccount(
        10, 5, {"emptied_by_normalization": 2, "routed_by_api": 3}, TextCounts(changed=5, characters_lost=12, emptied=2)
    )
    assert account.exclude({"low_volume": 1}).texts == account.texts
    older = TicketAccount(4, 4).normalized(TextCounts(1, 0, 1))
    assert account.plus(older).texts == TextCounts(6, 12, 3)
    assert account.plus(TicketAccount(1, 1)).texts == TicketAccount(1, 1).plus(account).texts == account.texts
    assert TextCounts.from_json(TextCounts(5, 12, 2).as_json()) == TextCounts(5, 12, 2)
    assert "texts" not in account.as_json()


def test_an_account_survives_json_and_nothing_else_is_one() -> None:
    account = TicketAccount(10, 7, {"routed_by_api": 3})
    assert TicketAccount.from_json(account.as_json()) == account
    for found in ({}, {"in_window": 1, "kept": "1", "excluded": {}}, {"in_window": 1, "kept": 1, "excluded": None}):
        with pytest.raises((KeyError, TypeError)):
            TicketAccount.from_json(found)


@pytest.mark.parametrize(
    ("account", "rows", "rule"),
    [
        (TicketAccount(10, 7, {"routed_by_api": 2}), 7, "kept + excluded = in the window"),
        (TicketAccount(35, 36, {"other_labels": -1}), 36, "the rows are the tickets that are kept"),
        (TicketAccount(10, 7, {"routed_by_api": 3}), 8, "the rows are the tickets that are kept"),
    ],
)
def test_a_ticket_without_a_reason_and_a_row_too_many_are_found(account: TicketAccount, rows: int, rule: str) -> None:
    [outcome] = broken(account.check(rows))
    assert (outcome.rule, outcome.failed) == (rule, 1)
