"""Curated rows traced to the records of their raw files: repetitions, mappings, files that changed, rows that are none.

Real: validation, curation and tracing, on a directory and on S3 over HTTP. Nothing is faked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import pandera.polars as pa
import polars as pl
import pytest

from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.landing import Landing
from gata_assets.curation.mappings.mapping_store import MappingChoice
from gata_assets.curation.readers.raw_block import BLOCK_BYTES
from gata_assets.curation.tracing.absence import explain_absence
from gata_assets.curation.tracing.curated_rows import MOST_ROWS
from gata_assets.curation.tracing.key_values import KeyValues, key_values
from gata_assets.curation.tracing.places import Place, trace_rows
from gata_assets.errors import DamagedTableError, DataRuleError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.declaration import spec_of, tables_by_name
from gata_assets.tables.raw_mapping import mapping_from
from gata_assets_tests.support.raw_worlds import (
    ENDINGS,
    NOW,
    RULES,
    STRICT,
    Row,
    curator_of,
    encode,
    interaction,
    item,
    send,
)


class Visits(pa.DataFrameModel):
    """Visits, of which the latest row of each counts on each day."""

    visit_id: str = pa.Field(str_length={"min_value": 1}, description="The visit.")
    purpose: str = pa.Field(isin=("buy", "look"), description="Why.")
    entered_at: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(description="When.", metadata={"instants": ["epoch_s"]})
    purpose_code: pl.UInt8 = pa.Field(lt=2, description="The purpose as a number.", metadata={"code_of": "purpose"})

    class Config:
        strict = True
        ordered = True
        metadata = {  # noqa: RUF012
            "table": "visits",
            "key": ["visit_id", "purpose"],
            "event_time": "entered_at",
            "partition_by": "day",
            "repetitions": "latest",
        }


DAY, NEXT = date(2026, 1, 2), date(2026, 1, 3)
OTHER_DAY = {"timestamp": "2026-01-03T00:00:00Z"}


def curate(curator: Curator, *days: date) -> None:
    curator.refresh(ITEMS)
    list(curator.curate(INTERACTIONS, days or [DAY]))


def key_of(curator: TableCurator, table: str, **values: str) -> KeyValues:
    return key_values(curator.tables[table], values)


def places(curator: TableCurator, table: str, **values: str) -> list[Place]:
    return [place for found in trace_rows(curator, key_of(curator, table, **values)) for place in found.places]


def shown(found: Sequence[Place], names: Mapping[str, str]) -> list[tuple[int | None, str, int | None, bool]]:
    """Row, file, record, and whether it counts, of each place."""
    return [(place.row, names[place.report.file_id], place.record, place.counts) for place in found]


def send_two(
    curator: Curator, directory: Path, first: Sequence[Row], second: Sequence[Row], data: str, ending: str = "csv"
) -> dict[str, str]:
    """Two files by their ids: the second lands a minute later, and is the first by its name."""
    found = {send(curator, first, directory, data=data, name=f"z.{ending}").file_id: "first"}
    curator.now += timedelta(minutes=1)
    return found | {send(curator, second, directory, data=data, name=f"a.{ending}").file_id: "second"}


def test_equal_rows_are_one_row_with_all_its_records(any_store: ObjectStore, tmp_path: Path) -> None:
    curator = curator_of(any_store)
    row, other = interaction(), interaction(user_id="u2")
    twice = interaction(rating="4")
    names = send_two(curator, tmp_path, [other, row, other | OTHER_DAY, row], [twice, row], INTERACTIONS)
    curate(curator, DAY, NEXT)
    found = places(curator, INTERACTIONS, user_id="u1", item_id="i1", timestamp="2026-01-02T03:04:05Z")
    expected = [(1, "first", 2, True), (1, "first", 4, False), (1, "second", 2, False), (2, "second", 1, True)]
    # Rows of one day are in the order of all columns: nothing comes first.
    assert shown(found, names) == expected
    assert [place.report.file_id for place in places(curator, INTERACTIONS, user_id="u1", rating="4")] == [
        name for name, title in names.items() if title == "second"
    ]
    by_day = list(trace_rows(curator, key_of(curator, INTERACTIONS, user_id="u2")))
    assert [(one.first, one.partition, shown(one.places, names)) for one in by_day] == [
        (1, str(DAY), [(1, "first", 1, True)]),
        (2, str(NEXT), [(2, "first", 3, True)]),
    ]


@pytest.mark.parametrize("ending", ENDINGS)
def test_of_a_key_the_latest_record_counts(ending: str, tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    first = [item(title="a"), item(item_id="i2"), item(price="-1"), item(title="b")]
    names = send_two(curator, tmp_path, first, [item(item_id="i3"), item(title="a")], ITEMS, ending)
    curate(curator)
    assert shown(places(curator, ITEMS, item_id="i1"), names) == [
        (1, "first", 1, False),
        (1, "first", 4, False),
        (1, "second", 2, True),
    ]
    assert shown(places(curator, ITEMS, item_id="i2"), names) == [(1, "first", 2, True)]


def test_a_file_is_read_by_its_mapping(tmp_path: Path) -> None:
    curator, path = curator_of(tmp_path / "store"), tmp_path / "ratings.csv"
    path.write_text("userId,movieId,ts\nu1,31.0,1767323045\nu2,31.0,1767323046\n")
    mapping = {
        "columns": {"user_id": "userId", "item_id": "movieId", "timestamp": "ts"},
        "constants": {"interaction_type": "like"},
        "instants": {"timestamp": "epoch_s"},
        "whole_numbers": ["item_id"],
    }
    choice = MappingChoice(mapping_from(mapping), "movies")
    Landing(curator).land(INTERACTIONS, path.name, path, parse_format(path.name), mapping=choice)
    curate(curator)
    [found] = places(curator, INTERACTIONS, user_id="u2", item_id="31", interaction_type="like")
    assert (found.record, found.counts, found.report.mapping_name) == (2, True, "movies")


def test_a_raw_file_that_is_gone_or_has_other_content_is_named(any_store: ObjectStore, tmp_path: Path) -> None:
    curator = curator_of(any_store)
    report = send(curator, [interaction()], tmp_path)
    curate(curator)
    any_store.write(report.raw_key, b"user_id,item_id,interaction_type,timestamp\n")
    [found] = places(curator, INTERACTIONS, user_id="u1")
    assert (found.row, found.record, found.counts) == (None, None, False)
    assert found.problem and "other content" in found.problem
    any_store.delete(report.raw_key)
    [found] = places(curator, INTERACTIONS, user_id="u1")
    assert found.problem == "its raw file was removed"


def test_rows_are_traced_to_the_files_that_they_were_built_from(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    old = send(curator, [interaction()], tmp_path)
    curate(curator)
    new = send(curator, [interaction(), interaction(user_id="u2")], tmp_path, name="new.csv", replaces=[old.file_id])
    key = key_of(curator, INTERACTIONS, user_id="u1")
    [found] = trace_rows(curator, key)
    assert (found.is_current, [place.report.file_id for place in found.places]) == (False, [old.file_id])
    curate(curator)
    [found] = trace_rows(curator, key)
    assert (found.is_current, [place.report.file_id for place in found.places]) == (True, [new.file_id])


def test_files_without_the_key_are_not_read(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    report, other = (send(curator, [interaction(user_id=name)], tmp_path, name=f"{name}.csv") for name in ("u1", "u2"))
    curate(curator)
    # Its removal would be said.
    curator.store.delete(other.raw_key)
    assert [place.report.file_id for place in places(curator, INTERACTIONS, user_id="u1")] == [report.file_id]


def test_why_there_is_no_such_row_is_said(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    rows = [interaction(), interaction(user_id="wrong", rating="9"), interaction(user_id="replaced")]
    report = send(curator, rows, tmp_path)
    send(curator, [interaction(), rows[1]], tmp_path, name="new.csv", replaces=[report.file_id])
    curate(curator)
    send(curator, [interaction(user_id="new")], tmp_path, name="newer.csv")
    for user, said in (
        ("wrong", "1 rows in quarantine have these texts (`gata quarantine rows`)"),
        ("replaced", "1 files with it were superseded, and count no more"),
        ("new", "valid rows with it of 1 files are not curated yet"),
        ("nobody", "no validated file has such a row; `gata events tail` shows events that are not curated yet"),
    ):
        key = key_of(curator, INTERACTIONS, user_id=user, timestamp="2026-01-02T03:04:05Z")
        assert (list(trace_rows(curator, key)), explain_absence(curator, key)) == ([], said)


def test_more_rows_than_are_traced_are_an_error(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    send(curator, [interaction(item_id=f"i{number}") for number in range(MOST_ROWS + 1)], tmp_path)
    curate(curator)
    with pytest.raises(DataRuleError, match="give more columns"):
        places(curator, INTERACTIONS, user_id="u1")
    assert places(curator, INTERACTIONS, user_id="u1", item_id="i7")[0].record == 8


def test_rows_that_todays_rules_reject_are_named(tmp_path: Path) -> None:
    report = send(curator_of(tmp_path / "store"), [interaction()], tmp_path)
    curate(curator_of(tmp_path / "store"))
    narrow = replace(curator_of(tmp_path / "store").rules, earliest_at=NOW)
    [found] = places(curator_of(tmp_path / "store", rules=narrow), INTERACTIONS, user_id="u1")
    assert (found.report, found.record) == (report, None)
    assert found.problem and "--replay" in found.problem


def test_each_day_has_its_own_latest_row_of_a_declared_table(tmp_path: Path) -> None:
    curator = TableCurator(LocalStore(str(tmp_path / "store")), "acme", RULES, NOW, tables_by_name([spec_of(Visits)]))
    first, second = 1_767_312_100, 1_767_398_500
    rows = [("v1", "buy", first), ("v1", "look", first), ("v1", "buy", second), ("v1", "buy", first)]
    path = tmp_path / "visits.csv"
    path.write_text("visit_id,purpose,entered_at\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    Landing(curator).land("visits", path.name, path, parse_format(path.name))
    list(curator.curate("visits", [DAY, NEXT]))
    found = list(trace_rows(curator, key_of(curator, "visits", visit_id="v1", purpose="buy")))
    assert [(one.partition, [(place.record, place.counts) for place in one.places]) for one in found] == [
        (str(DAY), [(1, False), (4, True)]),
        (str(NEXT), [(3, True)]),
    ]


def test_a_row_whose_item_is_gone_since_is_found_in_its_file(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store", rules=STRICT)
    catalog = send(curator, [item()], tmp_path, data=ITEMS, name="items.csv")
    curator.refresh(ITEMS)
    send(curator, [interaction()], tmp_path)
    curate(curator)
    send(curator, [item(item_id="i2")], tmp_path, data=ITEMS, name="other.csv", replaces=[catalog.file_id])
    curate(curator)
    assert [(place.record, place.problem) for place in places(curator, INTERACTIONS, user_id="u1")] == [(1, None)]


def test_a_file_that_was_validated_again_and_never_had_the_key_is_no_problem(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    for name in ("u1", "u2"):
        send(curator, [interaction(user_id=name)], tmp_path, name=f"{name}.csv")
    curate(curator)
    later = curator_of(tmp_path / "store", rules=replace(RULES, earliest_at=datetime(2021, 1, 1, tzinfo=UTC)))
    for report in later.reports(INTERACTIONS):
        later.validate(report.raw_key)
    [found] = trace_rows(later, key_of(later, INTERACTIONS, user_id="u1"))
    assert (found.is_current, [(place.record, place.problem) for place in found.places]) == (False, [(1, None)])


def test_records_are_numbered_over_all_blocks_of_a_file(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    rows = [interaction(user_id=f"u{number}", device_type="d" * 100) for number in range(1, 10_001)]
    # More than a block, and some rows are not valid.
    rows[10] |= {"rating": "9"}
    assert send(curator, rows, tmp_path).rows == len(rows) > BLOCK_BYTES / len(encode(rows[:1], "csv"))
    curate(curator)
    assert [place.record for place in places(curator, INTERACTIONS, user_id="u9990")] == [9_990]


def test_staged_rows_that_are_not_what_was_written_are_said_to_be_damaged(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    [part] = send(curator, [interaction()], tmp_path).parts
    curate(curator)
    # Other rows, of another user.
    [other] = send(curator, [interaction(user_id="u2")], tmp_path, name="other.csv").parts
    curator.store.write(part.key, curator.store.read(other.key))
    with pytest.raises(DamagedTableError, match="missing or damaged"):
        places(curator, INTERACTIONS, user_id="u1")
