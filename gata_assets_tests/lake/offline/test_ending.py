"""When tickets ended, in which group, and what the manifest of their day says of it. All real."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from gata_assets.curation.curated.merge import MergedRows
from gata_assets.lake.days import CLOSED, RECENT, VERSIONS_FILE
from gata_assets.lake.offline.ending import ENDING
from gata_assets.lake.offline.merge import offline_merge
from gata_assets.lake.offline.rules import OfflineRules
from gata_assets_tests.lake.offline.stories import CREATED, DAY, T0, merged, rows_of, ticket, versions
from gata_assets_tests.support.bronze import bronze

NOTHING = (None, None, None)


def at(hour: float) -> datetime:
    return T0 + timedelta(hours=hour)


def version(hour: float, status: str | None, group: int | None = 1, **values: Any) -> dict[str, Any]:
    name = None if group is None else f"Group {group}"
    made = int(at(hour).timestamp())
    return ticket(generated_timestamp=made, status=status, group_id=group, group_name=name, **values)


def endings(*tickets: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in ENDING) for row in versions(tickets)]


def ended(hour: float, group: int = 1) -> tuple[datetime, str, str]:
    return at(hour), str(group), f"Group {group}"


def test_a_ticket_has_ended_since_the_first_version_that_is_solved() -> None:
    found = endings(version(0, "open"), version(1, "solved"), version(2, "solved"), version(3, "closed"))
    assert found == [NOTHING, ended(1), ended(1), ended(1)]


def test_what_happened_before_a_ticket_was_opened_again_does_not_count() -> None:
    found = endings(version(1, "solved", 1), version(2, "open", 2), version(3, "solved", 2), version(4, "closed", 2))
    assert found == [ended(1), NOTHING, ended(3, 2), ended(3, 2)]


@pytest.mark.parametrize("status", ["new", "open", "pending", "hold", "deleted"])
def test_a_ticket_that_is_open_or_deleted_has_not_ended_whatever_its_instants_say(status: str) -> None:
    assert endings(version(1, "closed"), version(2, status, solved_at=CREATED, closed_at=CREATED))[1] == NOTHING


def test_a_group_that_changes_after_the_solving_is_not_that_of_the_ending() -> None:
    assert endings(version(1, "solved", 1), version(2, "closed", 2), version(3, "closed", 3)) == [ended(1)] * 3


def test_a_group_that_is_unknown_at_the_solving_stays_unknown() -> None:
    assert endings(version(1, "solved", None), version(2, "closed", 2)) == [(at(1), None, None)] * 2


def test_the_export_says_when_a_ticket_was_closed_and_else_when_it_was_solved() -> None:
    solved, closed = (at(hour).isoformat() for hour in (0.5, 0.75))
    metrics = {"solved_at": at(0.25).isoformat()}
    [of_metrics, of_column, of_both] = endings(
        version(1, "solved", metric_set=metrics),
        version(2, "solved", metric_set=metrics, solved_at=solved),
        version(3, "closed", solved_at=solved, closed_at=closed),
    )
    assert (of_metrics, of_column, of_both) == (ended(0.25), ended(0.5), ended(0.75))


def test_an_export_without_states_has_ended_where_it_says_when() -> None:
    closed = at(5).isoformat()
    assert endings(version(1, None)) == [NOTHING]
    assert endings(version(1, None, closed_at=closed)) == [ended(5)]
    assert endings(version(1, None, solved_at=closed)) == [ended(5)]
    # Once there is a state, it counts.
    found = endings(version(1, None, closed_at=closed), version(2, "open"), version(3, None, closed_at=closed))
    assert found == [ended(5), NOTHING, ended(5)]


def test_late_versions_end_in_the_same_rows() -> None:
    story = [version(1, "solved", 1), version(2, "open", 2), version(3, "solved", 3), version(4, "closed", 4)]
    expected = [ended(1), NOTHING, ended(3, 3), ended(3, 3)]
    parts = [bronze([raw]).to_arrow() for raw in story]
    files = offline_merge(OfflineRules())({DAY: parts})[DAY].files
    assert [tuple(row[name] for name in ENDING) for row in files[VERSIONS_FILE].to_pylist()] == expected
    for order in permutations(parts):
        assert offline_merge(OfflineRules())({DAY: order})[DAY].files == files
    # A version that comes late, between others, opens the ticket again.
    assert endings(*story[::2])[1] == ended(1, 1)
    assert endings(*story)[2] == ended(3, 3)


def test_tickets_do_not_end_with_one_another() -> None:
    others = [{**version(hour, "closed", 2), "id": 2} for hour in (0, 9)]
    assert endings(version(1, "solved"), *others) == [ended(1), ended(0, 2), ended(0, 2)]


def test_a_number_that_two_days_have_is_two_tickets() -> None:
    later = DAY + timedelta(days=1)
    days = {
        DAY: [version(1, "solved", 1)],
        later: [version(30, "closed", 2, created_at=at(24).isoformat())],
    }
    tables: dict[date | None, list[pa.Table]] = {day: [bronze(rows).to_arrow()] for day, rows in days.items()}
    together = offline_merge(OfflineRules())(tables)
    for day, found in together.items():
        assert isinstance(day, date)
        alone = offline_merge(OfflineRules())({day: tables[day]})[day]
        assert found.files == alone.files and found.details == alone.details
    assert [row["ended_at"] for row in rows_of(together[later])] == [at(30)]


@pytest.mark.parametrize(
    ("given", "number", "name"),
    [
        ({"label": "12"}, "12", "12"),
        ({"label": " Sales "}, None, "Sales"),
        ({"label": "012"}, None, "012"),
        ({"label": "  "}, None, None),
        ({"label": "12", "group_id": 5}, "5", "12"),
        ({"label": "12", "group_name": "Billing"}, "12", "Billing"),
    ],
)
def test_a_label_is_a_group_where_the_export_has_none(given: dict[str, Any], number: str, name: str) -> None:
    [row] = versions([ticket(closed_at=CREATED, **given)])
    assert (row["group_id"], row["group"]) == (row["ended_group_id"], row["ended_group"]) == (number, name)


def details(*tickets: dict[str, Any]) -> tuple[Any, Any]:
    found: MergedRows = merged(tickets)
    return found.details[CLOSED], found.details[RECENT]


def seconds(*hours: float) -> list[int]:
    return [int(at(hour).timestamp()) for hour in hours]


def test_a_manifest_says_when_the_current_tickets_ended_and_how_recent_they_are() -> None:
    second = {"id": 2}
    found = details(version(1, "solved"), version(3, "closed"), version(2, "solved") | second)
    assert found == (seconds(1, 2), seconds(2, 3))
    # An open ticket has not ended; one that was deleted, and an earlier version, are no current tickets.
    assert details(version(1, "solved"), version(2, "open")) == (None, seconds(2, 2))
    assert details(version(1, "solved"), version(2, "deleted")) == (None, None)
    assert details() == (None, None)


def test_seconds_of_a_manifest_have_all_fractions_between_them() -> None:
    parts = [
        bronze([{**version(1, "solved"), "id": number}]).with_columns(
            generated_timestamp=pl.lit(datetime(2026, 1, 1, 5, 0, second, micros, tzinfo=UTC)).cast(
                pl.Datetime("us", "UTC")
            )
        )
        for number, second, micros in ((1, 3, 999_999), (2, 7, 1))
    ]
    found = offline_merge(OfflineRules())({DAY: [part.to_arrow() for part in parts]})[DAY]
    whole = int(datetime(2026, 1, 1, 5, 0, tzinfo=UTC).timestamp())
    assert found.details[CLOSED] == found.details[RECENT] == [whole + 3, whole + 8]
