"""Offline tickets against an oracle in plain Python, and the shapes that exports really have. All real."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gata_assets.lake.days import CLOSED, CURRENT_FILE, RECENT
from gata_assets.lake.offline.merge import offline_merge
from gata_assets.lake.offline.rules import OfflineRules, People, SlaTargets
from gata_assets.lake.offline.schema import OFFLINE
from gata_assets.lake.offline.versions import repeated_versions, unordered_versions
from gata_assets.sandbox.lake.pages import export_pages
from gata_assets.sandbox.lake.stories import LakeParameters, all_versions, versions_of
from gata_assets.tables.masking.tokens import Tokens
from gata_assets.tables.outcomes import broken
from gata_assets_tests.lake.offline import oracle
from gata_assets_tests.lake.offline.stories import (
    CREATED,
    DAY,
    T0,
    TICKETS_FILE,
    merged,
    only,
    rows_of,
    ticket,
    versions,
)
from gata_assets_tests.support.bronze import bronze, bronze_of_page

TARGETS = {"urgent": (60, 480), "high": (240, None)}
RULES = OfflineRules(targets=SlaTargets.parse("urgent=60/480,high=240/-"))
KEY = b"a key of more than sixteen bytes"

MOMENTS = st.integers(0, 20_000).map(lambda minute: (T0 + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ"))
MINUTES = st.integers(0, 1000) | st.none()
TIMES = st.none() | st.fixed_dictionaries({"calendar": MINUTES, "business": MINUTES})
METRIC_SETS = st.fixed_dictionaries(
    {
        "reopens": MINUTES,
        "replies": MINUTES,
        "solved_at": MOMENTS | st.none(),
        "assigned_at": MOMENTS | st.none(),
        "reply_time_in_minutes": TIMES,
        "full_resolution_time_in_minutes": TIMES,
    }
)
COMMENTS = st.lists(
    st.fixed_dictionaries(
        {
            "author_id": st.integers(1, 3) | st.sampled_from(["1", "2"]),
            "created_at": MOMENTS,
            "body": st.just("<p>x</p>"),
        },
        optional={"public": st.booleans()},
    ),
    max_size=4,
)
VALUES = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2)
)
TICKETS = st.fixed_dictionaries(
    {"id": st.integers(1, 4), "created_at": st.just(CREATED)},
    optional={
        "generated_timestamp": st.integers(0, 5).map(lambda hour: int(T0.timestamp()) + hour * 3600) | st.none(),
        "updated_at": MOMENTS | st.none(),
        "solved_at": MOMENTS,
        "closed_at": MOMENTS,
        "status": st.sampled_from(["new", "open", "pending", "hold", "solved", "closed", "deleted"]) | st.none(),
        "priority": st.sampled_from(["low", "high", "urgent"]) | st.none(),
        "requester_id": st.integers(1, 3),
        "subject": st.sampled_from(["Hello", "Bye"]),
        "group_id": st.integers(1, 3),
        "group_name": st.sampled_from(["Billing", "Returns"]),
        "label": st.sampled_from(["7", " 8 ", "07", "Sales", " "]),
        "routed_by": st.just("gata-mapped"),
        "initial_group_id": st.just("5"),
        "via": st.none() | st.just({"channel": "email", "source": {}}) | st.just({"source": None}),
        "tags": st.none() | st.lists(st.text(max_size=4), max_size=3),
        "satisfaction_rating": st.none() | st.just({"score": "good", "comment": "x"}) | st.just({"score": None}),
        "custom_fields": st.none()
        | st.lists(
            st.fixed_dictionaries({"id": st.integers(1, 9), "value": VALUES}), unique_by=lambda field: field["id"]
        ),
        "comments": st.none() | COMMENTS,
        "metric_set": st.none() | METRIC_SETS,
        "unknown": VALUES,
    },
)


@settings(max_examples=80)
@given(st.lists(TICKETS, max_size=8, unique_by=lambda raw: (raw["id"], oracle.version_at(raw))))
def test_offline_tickets_are_those_of_the_oracle(tickets: list[dict[str, Any]]) -> None:
    found = merged(tickets, RULES)
    kept = oracle.kept(tickets)
    expected = [oracle.offline(raw, TARGETS) | ending for raw, ending in zip(kept, oracle.endings(kept), strict=True)]
    rows = rows_of(found, TICKETS_FILE)
    assert [{name: row[name] for name in of} for row, of in zip(rows, expected, strict=True)] == expected
    newest = {row["id"]: row for row in rows}
    current = [row for row in newest.values() if row["status"] != "deleted"]
    assert rows_of(found) == sorted(current, key=lambda row: row["id"])
    assert found.details == {
        "tickets": len(newest),
        "deleted_tickets": len(newest) - len(current),
        "unreadable_values": 0,
        CLOSED: oracle.between(row["ended_at"] for row in current),
        RECENT: oracle.between(row["version_at"] for row in current),
    }
    assert not broken(found.outcomes)


@settings(max_examples=60)
@given(st.lists(TICKETS, max_size=10), st.data())
def test_the_same_rows_in_any_files_and_order_are_the_same_bytes(tickets: list[dict[str, Any]], data: Any) -> None:
    rows = [bronze([raw], f"file-{place % 3}.json") for place, raw in enumerate(tickets)]
    whole = _bytes([pl.concat(rows)] if rows else [])
    shuffled = data.draw(st.permutations(rows))
    size = data.draw(st.integers(1, 4))
    parts = [pl.concat(shuffled[start : start + size]) for start in range(0, len(shuffled), size)]
    assert _bytes(parts) == whole


def _bytes(parts: list[pl.DataFrame]) -> list[bytes]:
    found = offline_merge(RULES)({DAY: [part.to_arrow() for part in parts]})[DAY]
    assert len(pl.concat(parts) if parts else []) == found.rows + found.repeated
    contents = []
    for table in found.files.values():
        content = io.BytesIO()
        pq.write_table(table, content)
        contents.append(content.getvalue())
    return contents


def test_days_that_are_merged_together_are_those_that_are_merged_alone() -> None:
    rows = pl.concat([bronze_of_page(page) for page in export_pages(LakeParameters(tickets=60, days=3), size=50)])
    days = {day: rows.filter(pl.col("created_at").dt.date() == day).to_arrow() for day in _days(rows)}
    together = offline_merge(RULES)({day: [table] for day, table in days.items()})
    assert len(together) == 3
    for day, table in days.items():
        alone = offline_merge(RULES)({day: [table]})[day]
        assert together[day].files == alone.files and together[day].details == alone.details
        assert together[day].repeated == alone.repeated and not broken(alone.outcomes)


def _days(rows: pl.DataFrame) -> list[date]:
    found: list[date] = rows["created_at"].dt.date().unique().sort().to_list()
    return found


def test_an_export_in_pages_becomes_every_version_once() -> None:
    parameters = LakeParameters(tickets=40, days=1)
    pages = [bronze_of_page(page, f"page-{number}") for number, page in enumerate(export_pages(parameters, size=25))]
    found = offline_merge(RULES)({DAY: [page.to_arrow() for page in reversed(pages)]})[DAY]
    expected = sorted((raw["id"], raw["generated_timestamp"]) for raw in all_versions(parameters))
    rows = rows_of(found, TICKETS_FILE)
    assert [(row["id"], int(row["version_at"].timestamp())) for row in rows] == expected
    assert found.repeated == sum(map(len, pages)) - len(expected) > 0
    deleted = {number for number in range(1, 41) if versions_of(parameters, number)[-1]["status"] == "deleted"}
    assert {row["id"] for row in rows_of(found)} == {*range(1, 41)} - deleted and deleted
    assert found.details | {CLOSED: None, RECENT: None} == {
        "tickets": 40,
        "deleted_tickets": len(deleted),
        "unreadable_values": 0,
        CLOSED: None,
        RECENT: None,
    }


def test_a_system_update_that_leaves_updated_at_alone_is_the_newest_version() -> None:
    early = ticket(status="open", priority="low")
    late = ticket(status="open", priority="urgent", generated_timestamp=1767225600 + 60)
    [current] = rows_of(merged([late, early]))
    assert (current["priority"], current["updated_at"]) == ("urgent", T0)


def test_of_two_rows_of_a_version_the_fuller_one_counts() -> None:
    found = merged([ticket(status="open", subject="z"), ticket(status="open", subject="a", tags=["x"])])
    assert [row["subject"] for row in rows_of(found)] == ["a"] and found.repeated == 1


@pytest.mark.parametrize("names", [("a.json", "b.json"), ("b.json", "a.json")])
def test_of_two_equally_full_rows_of_a_version_content_decides_and_no_name_of_a_file(names: tuple[str, str]) -> None:
    parts = [bronze([ticket(subject=of)], name).to_arrow() for of, name in zip(("x", "y"), names, strict=True)]
    [row] = rows_of(offline_merge(RULES)({DAY: parts})[DAY])
    assert (row["subject"], row["source_file"]) == ("y", names[1])


def test_the_same_record_of_two_files_has_the_first_place_by_name() -> None:
    parts = [bronze([ticket()], name).to_arrow() for name in ("b.json", "a.json")]
    [row] = rows_of(offline_merge(RULES)({DAY: parts})[DAY])
    assert row["source_file"] == "a.json"


def test_a_deleted_ticket_is_a_version_and_no_current_ticket() -> None:
    gone = ticket(status="deleted", subject="SCRUBBED", description="SCRUBBED", generated_timestamp=1767229200)
    found = merged([ticket(status="open"), gone])
    assert [row["status"] for row in rows_of(found, TICKETS_FILE)] == ["open", "deleted"]
    assert rows_of(found) == [] and found.details["deleted_tickets"] == 1


def test_a_ticket_that_came_back_is_current_again() -> None:
    found = merged([ticket(status="deleted"), ticket(status="open", generated_timestamp=1767229200)])
    assert [row["status"] for row in rows_of(found)] == ["open"]


def test_a_ticket_without_anything_but_its_id_and_creation_is_a_row() -> None:
    [row] = versions([{"id": 1, "created_at": CREATED}])
    given = {name for name, value in row.items() if value is not None}
    assert given == {"id", "created_at", "version_at", "tags", "followup_ids", "text", "source_file", "source_record"}
    assert (row["version_at"], row["text"], row["tags"]) == (T0, "", [])


def test_a_day_without_rows_has_two_empty_tables() -> None:
    found = offline_merge(RULES)({DAY: []})[DAY]
    assert (found.rows, found.repeated) == (0, 0) and not broken(found.outcomes)
    assert {name: len(table) for name, table in found.files.items()} == {TICKETS_FILE: 0, CURRENT_FILE: 0}


def test_bronze_may_lack_columns_that_may_be_null() -> None:
    rows = bronze([ticket(status="open")]).select("id", "created_at", "status", "source_file", "source_record")
    assert rows_of(offline_merge(RULES)({DAY: [rows.to_arrow()]})[DAY])[0]["status"] == "open"


def test_the_tables_have_the_declared_columns_and_types() -> None:
    for table in merged([ticket()]).files.values():
        assert dict(pl.DataFrame(pl.from_arrow(table)).schema) == OFFLINE.curated_schema


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("tags", '{"a": 1}'),
        ("tags", "[[1]]"),
        ("comments", '"none"'),
        ("comments", '[{"created_at": "yesterday"}]'),
        ("metric_set", '{"reopens": "often"}'),
        ("custom_fields", "[1, 2]"),
        ("custom_fields", "[{"),
        ("via", "[1]x"),
        ("satisfaction", '{"score": [1]}'),
        ("group", '"Billing"'),
        ("tags", '["\\ud800"]'),
    ],
)
def test_a_nested_value_of_another_shape_is_counted_and_gives_nothing(column: str, text: str) -> None:
    rows = bronze([ticket(), ticket(id=2)]).with_columns(
        pl.when(pl.col("id") == 2).then(pl.lit(text)).otherwise(pl.col(column)).alias(column)
    )
    found = offline_merge(OfflineRules(people=People.AS_IS))({DAY: [rows.to_arrow()]})[DAY]
    assert found.details["unreadable_values"] == 1 and found.rows == 2


def test_flat_values_of_other_exports_are_taken_as_they_are() -> None:
    rows = bronze([ticket(channel="phone", group_name="Billing")]).with_columns(
        tags=pl.lit("new b,c"), satisfaction=pl.lit("good"), followup_ids=pl.lit('[12, "13"]')
    )
    [row] = rows_of(offline_merge(RULES)({DAY: [rows.to_arrow()]})[DAY])
    assert (row["channel"], row["group"], row["tags"]) == ("phone", "Billing", ["new", "b", "c"])
    assert (row["satisfaction"], row["followup_ids"]) == ("good", ["12", "13"])


def test_values_of_custom_fields_stay_as_they_came() -> None:
    fields = '[{"id":7,"value":1.50},{"id":"8","value":[1, 2]},{"id":9},{"id":10,"value":1e400}]'
    rows = bronze([ticket()]).with_columns(custom_fields=pl.lit(fields))
    [row] = rows_of(offline_merge(RULES)({DAY: [rows.to_arrow()]})[DAY])
    assert row["custom_fields"] == '{"7":1.50,"8":[1, 2],"9":null,"10":1e400}'


def test_a_comment_that_pages_repeat_counts_once() -> None:
    comment = {"id": 5, "author_id": 2, "created_at": "2026-01-01T01:00:00+01:00"}
    late = {"id": 6, "author_id": 2, "created_at": "2026-01-01T02:30:30+01:00"}
    found = only(requester_id=1, comments=[comment, comment, late])
    assert (found["comments"], found["first_reply_minutes"]) == (2, 90)


def test_an_open_ticket_is_judged_at_the_instant_of_its_version() -> None:
    waiting = {"status": "open", "priority": "urgent", "comments": []}
    in_time, late = int(T0.timestamp()) + 3600, int(T0.timestamp()) + 3660
    found = versions([ticket(**waiting, generated_timestamp=at) for at in (in_time, late)], RULES)
    assert [row["first_reply_breached"] for row in found] == [None, True]
    # Without comments and metrics nobody knows of replies.
    unknown = only(RULES, status="open", priority="urgent", generated_timestamp=late)
    assert unknown["first_reply_breached"] is None


@pytest.mark.parametrize(
    "text", ["urgent", "urgent=1", "urgent=1/2,urgent=3/4", "soon=1/2", "urgent=-1/2", "urgent=1/2;low=1/2"]
)
def test_targets_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"target|priority"):
        SlaTargets.parse(text)


def test_the_minute_of_the_target_is_in_time_and_the_next_is_not() -> None:
    solved = [only(RULES, status="solved", priority="urgent", solved_at=at) for at in _minutes(480, 481)]
    assert [row["resolution_breached"] for row in solved] == [False, True]


def test_a_solving_before_the_creation_gives_no_minutes() -> None:
    [before] = _minutes(-5)
    assert only(RULES, status="solved", priority="urgent", solved_at=before)["full_resolution_minutes"] is None


def _minutes(*after: int) -> list[str]:
    return [(T0 + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ") for minute in after]


def test_targets_are_read_with_spaces_and_gaps() -> None:
    assert SlaTargets.parse(" urgent=60/480, low=-/10080 ,") == SlaTargets(
        {"urgent": 60}, {"urgent": 480, "low": 10080}
    )
    assert SlaTargets.parse("") == SlaTargets()


PEOPLE = {"requester_id": 11, "submitter_id": 11, "assignee_id": 12, "organization_id": 13}


def test_a_person_has_one_token_in_every_role() -> None:
    row = only(OfflineRules(tokens=Tokens(KEY)), **PEOPLE, collaborator_ids=[11], form=4)
    assert row["requester"] == row["submitter"] == Tokens(KEY).token("person", "11")
    assert row["assignee"] == Tokens(KEY).token("person", "12")
    assert row["organization_id"] == Tokens(KEY).token("organization", "13")
    assert json.loads(row["more"]) == {"form": 4}


def test_people_are_left_out_or_stay_as_the_setting_says() -> None:
    gone = only(OfflineRules(people=People.LEFT_OUT), **PEOPLE, follower_ids=[11])
    assert {gone[name] for name in ("requester", "submitter", "assignee", "organization_id", "more")} == {None}
    kept = only(OfflineRules(people=People.AS_IS), **PEOPLE, follower_ids=[11])
    assert (kept["requester"], kept["assignee"], kept["organization_id"]) == ("11", "12", "13")
    assert json.loads(kept["more"]) == {"follower_ids": [11]}
    assert only(**PEOPLE)["requester"] == "***"


def test_ids_are_texts_whether_they_came_as_numbers_or_texts() -> None:
    number, text = (only(OfflineRules(people=People.AS_IS), group_id=of, brand_id=of) for of in (5, "5"))
    assert number == text and number["group_id"] == "5"


def test_versions_out_of_order_and_twice_are_counted() -> None:
    rows = pl.DataFrame({"id": [1, 1, 3, 2], "version_at": [T0, T0, T0, T0]})
    assert rows.select(repeated=repeated_versions(), unordered=unordered_versions()).row(0) == (1, 1)


def test_a_row_of_another_day_breaks_the_check() -> None:
    found = offline_merge(RULES)({date(2026, 1, 2): [bronze([ticket()]).to_arrow()]})[date(2026, 1, 2)]
    assert [str(outcome.rule) for outcome in broken(found.outcomes)] == ["created_at is of the day"]


def test_a_status_that_is_none_breaks_the_check() -> None:
    rows = bronze([ticket()]).with_columns(status=pl.lit("gone"))
    [failed] = broken(offline_merge(RULES)({DAY: [rows.to_arrow()]})[DAY].outcomes[:1])
    assert failed.failed == 1 and "status" in failed.rule


def test_the_instant_of_bronze_keeps_its_microseconds() -> None:
    at = datetime(2026, 1, 1, 1, 2, 3, 456789, tzinfo=UTC)
    rows = bronze([ticket()]).with_columns(generated_timestamp=pl.lit(at).cast(pl.Datetime("us", "UTC")))
    table = offline_merge(RULES)({DAY: [rows.to_arrow()]})[DAY].files[TICKETS_FILE]
    assert table["version_at"].to_pylist() == [at] and table["version_at"].type == pa.timestamp("us", "UTC")


def test_only_what_repeats_is_read_once_and_each_unreadable_value_counts() -> None:
    tickets = [
        ticket(id=number, subject=None, description=text, tags=tags)
        for number, text, tags in (
            (1, None, {}),
            (2, None, {}),
            (3, "Hi", ["a"]),
            (4, "Hi", ["a"]),
            (5, None, {}),
            (6, "<b>Hi</b>", None),
        )
    ]
    found = merged(tickets)
    assert [(row["body"], row["tags"]) for row in rows_of(found)] == [
        (None, []),
        (None, []),
        ("Hi", ["a"]),
        ("Hi", ["a"]),
        (None, []),
        ("Hi", []),
    ]
    assert found.details["unreadable_values"] == 3
