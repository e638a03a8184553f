"""What new, late, rewritten and deleted tickets ask for. Pure: censuses are made from small tables of values, the
present is an argument, and nothing is read or started.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.ticket_contract.census import SECONDS_PER_DAY, DayCensus
from gata_assets.tickets.arrivals.decision import (
    ArrivalRules,
    Decision,
    decide,
    is_recent,
    next_poll_at,
    record_failed_poll,
    watched_window,
)

RULES = ArrivalRules(
    training_period_days=90,
    low_volume_period_days=365,
    recent_batch_days=3,
    min_new_tickets=1,
    first_batch_id="2024010100",
)
HOUR = timedelta(hours=1)
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
TODAY = int(NOON.timestamp()) // SECONDS_PER_DAY
Table = dict[int, tuple[int, str]]


class Watch:
    """A sensor that is asked again and again: a table (tickets and content by day before today), a clock, a cursor."""

    def __init__(self, table: Table, rules: ArrivalRules = RULES) -> None:
        self.table, self.rules = dict(table), rules
        self.now = NOON
        self.cursor: str | None = None
        self.existing: set[str] = set()
        self.run_keys: list[str] = []

    def look(self, *, is_prepared: bool = True) -> list[str]:
        """One look; gives the batches that are asked for, which are then prepared."""
        self.decision = self.decide()
        self.cursor = self.decision.cursor
        asked = [one.batch_id for one in self.decision.requests]
        self.run_keys += [one.run_key for one in self.decision.requests]
        self.existing |= set(asked) if is_prepared else set()
        return asked

    def decide(self) -> Decision:
        window = watched_window(self.now, self.rules)
        first, end = window.start // SECONDS_PER_DAY, window.end // SECONDS_PER_DAY
        census = [DayCensus(d, n, content) for d, (n, content) in sorted(self.table.items()) if first <= d < end and n]
        return decide(self.cursor, census, self.existing, self.now, self.rules)

    def later(self, delta: timedelta = HOUR) -> Watch:
        self.now += delta
        return self

    def change(self, day: int, more: int, content: str) -> Watch:
        """Add tickets to a day (days are counted from the first today), and give it other content."""
        self.table[TODAY + day] = (self.table.get(TODAY + day, (0, ""))[0] + more, content)
        return self


def steady_table(days: Iterable[int] = range(-400, 10)) -> Table:
    return {TODAY + day: (10, f"content of {day}") for day in days}


def test_the_first_look_asks_for_the_newest_complete_batch_and_for_no_other() -> None:
    watch = Watch(steady_table())
    watch.existing = {"2026010900"}
    assert watch.look() == ["2026011000"]
    assert "Baseline: 3,680 tickets on 368 days, the last 2026-01-09" in watch.decision.message
    assert "Requested: 2026011000 (the newest complete batch, with 900 tickets)" in watch.decision.message


def test_the_first_look_asks_for_nothing_when_the_newest_batch_is_there() -> None:
    watch = Watch(steady_table())
    watch.existing = {"2026011000"}
    assert watch.look() == []


def test_the_first_look_at_an_empty_table_asks_for_nothing_and_waits_for_rows() -> None:
    watch = Watch({}, replace(RULES, min_new_tickets=10))
    assert watch.look() == []
    assert watch.later().change(-1, 6, "a").look() == []
    assert watch.later().change(-2, 4, "b").look() == ["2026011000"]


def test_nothing_is_asked_for_while_nothing_changes() -> None:
    watch = Watch(steady_table())
    watch.look()
    assert [watch.later().look() for _ in range(11)] == [[]] * 11
    assert "nothing has changed. No batch requested." in watch.decision.message


def test_a_day_that_is_over_completes_the_batch_of_its_midnight_once() -> None:
    watch = Watch(steady_table())
    watch.look()
    assert watch.later(timedelta(hours=11, minutes=59)).look() == []
    assert watch.later(timedelta(minutes=1)).look() == ["2026011100"]
    assert "at least 10 tickets new or changed on 1 day" in watch.decision.message
    assert watch.later().look() == []


def test_days_that_ended_while_nobody_looked_complete_a_batch_each() -> None:
    watch = Watch(steady_table())
    watch.look()
    assert watch.later(timedelta(days=3)).look() == ["2026011300", "2026011200", "2026011100"]


def test_after_a_long_pause_only_recent_batches_are_asked_for() -> None:
    watch = Watch(steady_table(range(-400, 100)))
    watch.look()
    assert watch.later(timedelta(days=50)).look() == ["2026030100", "2026022800", "2026022700", "2026022600"]


@pytest.mark.parametrize(
    ("day", "more", "content"), [(-2, 1, "a late ticket"), (-2, 0, "a ticket written again"), (-2, -1, "one is gone")]
)
def test_a_late_a_rewritten_and_a_deleted_ticket_change_the_recent_batches_that_read_its_day(
    day: int, more: int, content: str
) -> None:
    watch = Watch(steady_table())
    watch.existing = {"2026010603", "2026010700", "2026010800", "2026010906"}
    watch.look()
    assert watch.later().change(day, more, content).look() == ["2026011000", "2026010906"]
    assert "(at least 1 ticket in its window arrived late, changed or disappeared)" in watch.decision.message
    assert watch.later().look() == []


def test_a_recent_batch_that_nobody_prepared_is_not_asked_for_because_of_a_late_ticket() -> None:
    watch = Watch(steady_table())
    watch.existing = {"2026011000"}
    watch.look()
    assert watch.later().change(-5, 1, "late").look() == ["2026011000"]


def test_a_change_beyond_what_any_recent_batch_reads_asks_for_nothing() -> None:
    watch = Watch(steady_table())
    watch.look()
    assert watch.later().change(-390, 5, "old").look() == []
    assert watch.later().change(-365, 1, "the first day of the low-volume window").look() == ["2026011000"]


def test_all_tickets_of_a_day_that_go_are_counted() -> None:
    watch = Watch(steady_table(), replace(RULES, min_new_tickets=10))
    watch.look()
    assert watch.later().change(-4, -10, "").look() == ["2026011000"]


def test_tickets_that_trickle_in_are_counted_until_there_are_enough() -> None:
    watch = Watch(steady_table(), replace(RULES, min_new_tickets=25))
    assert watch.look() == ["2026011000"]
    assert watch.later().change(-1, 8, "a").look() == []
    assert "8 of MIN_NEW_TICKETS=25 are pending." in watch.decision.message
    assert watch.later(timedelta(hours=12)).look() == []  # 8 and the 10 of the day that ended
    assert watch.later().change(-3, 7, "b").look() == ["2026011100"]  # 25 for the newest, 15 for the one before
    assert watch.later().change(-3, 10, "c").look() == ["2026011000"]
    assert watch.later().look() == []


def test_too_few_new_tickets_of_one_day_are_carried_to_the_batch_of_the_next() -> None:
    watch = Watch(steady_table(), replace(RULES, min_new_tickets=15))
    watch.look()
    assert watch.later(timedelta(days=1)).look() == []
    assert watch.later(timedelta(days=1)).look() == ["2026011200"]
    assert watch.later(timedelta(days=1)).look() == []


def test_content_that_comes_back_is_prepared_again_under_another_run_key() -> None:
    watch = Watch(steady_table())
    watch.look()
    for content in ("B", "content of -1", "B", "content of -1"):
        assert watch.later().change(-1, 0, content).look() == ["2026011000"]
    batches, digests, numbers = zip(*(key.split(":") for key in watch.run_keys), strict=True)
    assert set(batches) == {"2026011000"}
    assert digests[0] == digests[2] == digests[4] != digests[1] == digests[3]
    assert len(set(numbers)) == 5


def test_a_batch_is_not_prepared_again_with_the_content_that_it_was_prepared_with() -> None:
    watch = Watch(steady_table(), replace(RULES, min_new_tickets=2))
    watch.look()
    assert watch.later().change(-1, 0, "B").look() == []
    assert watch.later().change(-1, 0, "content of -1").look() == []
    assert watch.later().change(-1, 0, "B").look() == []
    assert watch.later().change(-1, 1, "C").look() == ["2026011000"]


def test_a_tick_that_is_repeated_with_the_same_cursor_gives_the_same_run_keys() -> None:
    watch = Watch(steady_table())
    watch.look()
    watch.later().change(-1, 3, "late")
    assert watch.decide() == watch.decide()
    first = watch.decide().requests
    watch.later(timedelta(minutes=1))
    assert watch.decide().requests == first


def test_a_batch_that_others_are_preparing_counts_the_changes_seen_meanwhile() -> None:
    watch = Watch(steady_table())
    watch.look()
    watch.existing |= {"2026011003"}  # its run goes on, and had perhaps read before the ticket came
    assert watch.later().change(-1, 1, "late").look() == ["2026011003", "2026011000"]
    assert watch.later().look() == []


def test_a_batch_whose_run_failed_is_asked_for_again_when_its_tickets_change() -> None:
    watch = Watch(steady_table())
    assert watch.look(is_prepared=False) == ["2026011000"]
    assert watch.later().look() == []
    assert watch.later().change(-1, 0, "put right").look() == ["2026011000"]


def test_no_batch_before_the_first_is_asked_for() -> None:
    watch = Watch(steady_table(), replace(RULES, first_batch_id="2026011101"))
    assert watch.look() == []
    assert watch.later(timedelta(days=1)).look() == []
    assert watch.later(timedelta(days=1)).look() == ["2026011200"]


def test_other_periods_keep_what_was_seen_and_count_newly_watched_days_from_then_on() -> None:
    watch = Watch(steady_table())
    watch.existing = {"2026010600"}
    watch.look()
    watch.rules = replace(RULES, recent_batch_days=5, low_volume_period_days=370)
    assert watch.later().look() == []
    assert watch.later().change(-374, 1, "late").look() == ["2026010600"]
    watch.rules = RULES
    assert watch.later().change(-1, 1, "late").look() == ["2026011000"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[:-5], "The cursor is damaged: changes since the last poll are unknown"),
        (lambda text: text.replace('"2026011000"', '"soon"'), "The cursor is damaged"),
        (lambda text: "[]", "The cursor is damaged"),
        (lambda text: json.dumps(json.loads(text) | {"days": "1:2"}), "The cursor is damaged"),
        (lambda text: json.dumps(json.loads(text) | {"version": 2}), "The cursor's version is not 1"),
    ],
)
def test_a_cursor_that_cannot_be_used_is_reported_and_watching_starts_again(damage: object, said: str) -> None:
    watch = Watch(steady_table())
    watch.look()
    watch.cursor = damage(watch.cursor)  # type: ignore[operator]
    assert watch.later().look() == []
    assert said in watch.decision.message
    assert watch.later().change(-1, 1, "late").look() == ["2026011000"]
    assert len(set(watch.run_keys)) == 2


def test_a_clock_that_was_put_back_compares_nothing_and_loses_nothing() -> None:
    watch = Watch(steady_table())
    watch.look()
    watch.later(timedelta(days=1)).look()
    before = watch.cursor
    assert watch.later(timedelta(days=-2)).look() == []
    assert "The clock was set back" in watch.decision.message
    assert watch.cursor == before
    assert watch.later(timedelta(days=2)).change(-1, 1, "late").look() == ["2026011100", "2026011000"]


def test_the_table_is_looked_at_once_an_interval() -> None:
    watch = Watch(steady_table())
    assert next_poll_at(None, NOON, HOUR) is None
    watch.look()
    assert next_poll_at(watch.cursor, NOON + timedelta(minutes=59), HOUR) == NOON + HOUR
    assert next_poll_at(watch.cursor, NOON + HOUR, HOUR) is None
    assert next_poll_at(watch.cursor, NOON - HOUR, HOUR) is None


def test_a_read_that_failed_moves_the_next_look_and_keeps_all_that_was_seen() -> None:
    watch = Watch(steady_table())
    watch.look()
    watch.cursor = record_failed_poll(watch.cursor, watch.later().now)
    assert next_poll_at(watch.cursor, watch.now + timedelta(minutes=1), HOUR) == watch.now + HOUR
    assert watch.later().change(-1, 1, "late").look() == ["2026011000"]
    only_failed = record_failed_poll(None, NOON)
    assert next_poll_at(only_failed, NOON, HOUR) == NOON + HOUR
    watch = Watch(steady_table())
    watch.cursor = only_failed
    assert watch.later().look() == ["2026011000"]


def test_the_cursor_of_the_longest_periods_stays_small() -> None:
    watch = Watch({TODAY - day: (123_456, f"{day}") for day in range(4_000)})
    watch.existing = {f"202601{day:02}{hour:02}" for day in range(7, 11) for hour in range(24)}
    watch.look()
    assert len(watch.cursor or "") < 8_000
    watch.rules = replace(RULES, low_volume_period_days=3_660, recent_batch_days=31)
    watch.look()
    assert len(watch.cursor or "") < 70_000


def test_a_batch_is_recent_by_its_day() -> None:
    days = ["2026010623", "2026010700", "2026011023", "2026011100"]
    assert [is_recent(one, NOON, RULES) for one in days] == [False, True, True, False]


STEPS = st.lists(
    st.tuples(
        st.sampled_from([timedelta(0), HOUR, timedelta(hours=7), timedelta(days=1), timedelta(days=2)]),
        st.lists(st.tuples(st.integers(-12, 6), st.integers(0, 3), st.sampled_from("AB")), max_size=3),
    ),
    max_size=12,
)


@given(steps=STEPS)
def test_every_batch_asked_for_holds_the_latest_content_and_none_is_asked_for_twice_with_it(
    steps: list[tuple[timedelta, list[tuple[int, int, str]]]],
) -> None:
    """With one ticket being enough: whatever changes when, the files of recent batches are those of the table."""
    rules = replace(RULES, training_period_days=5, low_volume_period_days=8, recent_batch_days=2)
    watch = Watch({TODAY + day: (1, "A") for day in range(-12, 7)}, rules)
    prepared: dict[str, list[tuple[int, tuple[int, str]]]] = {}

    def content(batch_id: str) -> list[tuple[int, tuple[int, str]]]:
        end = int(datetime.strptime(batch_id + "+0000", "%Y%m%d%H%z").timestamp()) // SECONDS_PER_DAY
        return [(day, one) for day, one in sorted(watch.table.items()) if end - 8 <= day < end and one[0]]

    def look() -> None:
        for one in watch.look():
            assert prepared.get(one) != content(one), "asked for twice with the same content"
            prepared[one] = content(one)

    look()
    for delta, changes in steps:
        watch.later(delta)
        for day, tickets, letter in changes:
            watch.table[TODAY + day] = (tickets, letter if tickets else "")
        look()
        newest = f"{watch.now:%Y%m%d}00"
        if newest not in prepared:
            in_the_last = content(max(prepared)) if prepared else []
            assert [one for one in content(newest) if one not in in_the_last] == []
        for batch_id in prepared:
            if is_recent(batch_id, watch.now, rules):
                assert prepared[batch_id] == content(batch_id)
    assert len(set(watch.run_keys)) == len(watch.run_keys)
