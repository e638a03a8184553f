"""Raw files as they land and are validated: what is kept, what goes to quarantine and why, and what is refused.

Real: files in every format, a local store, Parquet. Nothing is faked.
"""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.landing import Landing
from gata_assets.curation.staged_partitions import StagedPartitionWriter, read_spans
from gata_assets.curation.validated_files import DAMAGED
from gata_assets.errors import DamagedTableError, DataRuleError, RawFileError
from gata_assets.interactions.tables import INTERACTIONS, ITEMS, TABLES
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.outcomes import broken
from gata_assets_tests.support.raw_worlds import (
    NOW,
    STRICT,
    curator_of,
    encode,
    interaction,
    item,
    quarantined,
    send,
    validate_new,
)
from gata_assets_tests.support.stored_datasets import stored_key

DAY = date(2026, 1, 2)
DAY9 = date(2026, 1, 9)


def test_a_rejected_row_is_kept_as_it_came_with_all_rules_that_it_breaks_and_its_place(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    rows = [
        interaction(),
        interaction(user_id=" ", interaction_type="look", timestamp="now", rating="nan"),
        interaction(item_id=None, timestamp="2019-12-31T23:59:59Z", rating="0.5"),
    ]
    report = send(curator, rows, tmp_path / "in")
    rejected = quarantined(curator, report).to_dicts()
    assert [row["rules"] for row in rejected] == [
        ["user_id_is_given", "interaction_type_is_known", "timestamp_is_iso_8601", "rating_is_1_to_5"],
        ["item_id_is_given", "timestamp_is_within_reason", "rating_is_1_to_5"],
    ]
    assert [(row["timestamp"], row["rating"]) for row in rejected] == [("now", "nan"), ("2019-12-31T23:59:59Z", "0.5")]
    assert [row["source_line"] for row in rejected] == [3, 4]
    assert [row["source_record"] for row in rejected] == [2, 3]
    assert {row["source_file"] for row in rejected} == {report.raw_key.rpartition("/")[2]}
    assert report.rejected_by_rule and report.rejected_by_rule["rating_is_1_to_5"] == 2


@pytest.mark.parametrize(
    ("timestamp", "is_valid"),
    [("2026-01-11T11:59:59.999999Z", True), ("2026-01-11T12:00:00Z", False), ("2020-01-01T00:00:00Z", True)],
)
def test_a_row_may_be_so_much_later_than_its_file_and_no_more(timestamp: str, is_valid: bool, tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    assert send(curator, [interaction(timestamp=timestamp)], tmp_path / "in").valid == is_valid
    later = curator_of(tmp_path / "store", now=datetime(2027, 1, 1, tzinfo=UTC))
    assert later.validate(later.reports(INTERACTIONS)[0].raw_key).valid == is_valid


def test_items_are_validated_by_their_rules(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    rows = [item(), item(item_id=None), item(title=""), item(price="x"), item(price="-0.01"), item(price="inf")]
    rows += [item(item_id="i2", available_at="2026-01-01"), item(available_at="soon")]
    report = send(curator, rows, tmp_path / "in", data=ITEMS)
    assert quarantined(curator, report)["rules"].to_list() == [
        ["item_id_is_given"],
        ["title_is_given"],
        ["price_is_a_number"],
        ["price_is_not_negative"],
        ["price_is_a_number"],
        ["available_at_is_iso_8601"],
    ]
    assert next(curator.curate(ITEMS, [None])).rows == 2
    assert curator.known_keys(ITEMS, "item_id").to_list() == ["i1", "i2"]


def test_an_item_that_the_catalog_lacks_is_counted_or_rejected_and_replayed_when_it_came(tmp_path: Path) -> None:
    rows = [interaction(), interaction(item_id="i9")]
    assert send(curator_of(tmp_path / "warned"), rows, tmp_path / "in").unknown_by_rule == {"item_is_known": 2}
    strict = curator_of(tmp_path / "store", rules=STRICT)
    report = send(strict, rows, tmp_path / "in")
    assert (report.valid, report.rejected_by_rule) == (0, {"item_is_known": 2})
    send(strict, [item()], tmp_path / "in", data=ITEMS, name="items.csv")
    strict.refresh(ITEMS)
    again = strict.validate(report.raw_key)
    assert (again.valid, again.rejected, again.landed_at) == (1, 1, report.landed_at)
    assert strict.stale(INTERACTIONS) == [DAY]


def test_new_items_are_known_to_interactions_that_came_with_them(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store", rules=STRICT)
    for data, rows in ((INTERACTIONS, [interaction()]), (ITEMS, [item()])):
        curator.store.write(curator.places.raw(data) + "2026-01-05/by hand.csv", encode(rows, "csv"))
    assert [report.valid for report in validate_new(curator)] == [1, 1]
    assert curator.unvalidated() == []


def test_only_a_known_file_of_the_same_kind_can_be_replaced(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    items = send(curator, [item()], tmp_path / "in", data=ITEMS)
    report = send(curator, [interaction()], tmp_path / "in", name="b.csv")
    for old, why in (
        (items.file_id, "no file"),
        ("nonsense", "no file nonsense"),
        (report.file_id, "is the file itself"),
    ):
        with pytest.raises(DataRuleError, match=why):
            curator.supersede(report, [old])


def test_the_same_content_lands_once_whatever_it_is_called(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    path = tmp_path / "a.csv"
    path.write_bytes(encode([interaction()], "csv"))
    first = Landing(curator).land(INTERACTIONS, "../Täg lich!.csv", path, parse_format(path.name))
    later = curator_of(tmp_path / "store", now=NOW.replace(day=20))
    second = Landing(later).land(INTERACTIONS, "other.csv", path, parse_format(path.name))
    assert (first.was_there, second.was_there, second.report) == (False, True, first.report)
    assert first.report.raw_key.startswith("acme/raw/interactions/2026-01-10/t-g-lich-")
    assert curator.store.read(first.report.raw_key) == path.read_bytes()


@pytest.mark.parametrize("cut", [30, -1])
@pytest.mark.parametrize("ending", ["csv.gz", "csv.zst", "parquet"])
def test_a_file_that_is_cut_off_is_refused_and_stops_no_other(ending: str, cut: int, tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    rows = [interaction(user_id=f"u{n * 7919 % 10_007}") for n in range(5_000)]
    folder = curator.places.raw(INTERACTIONS, NOW.date())
    curator.store.write(f"{folder}a.{ending}", encode(rows, ending)[:cut])
    curator.store.write(f"{folder}b.csv", encode([interaction()], "csv"))
    curator.store.write(f"{folder}c.xls", b"?")
    curator.store.write(f"{folder}_SUCCESS", b"")
    reports = validate_new(curator)
    assert ["damaged" in (one.refused or "") for one in reports] == [True, False, False]
    assert "does not tell the format" in (reports[2].refused or "")
    assert [one.valid for one in reports] == [0, 1, 0]
    assert curator.unvalidated() == []
    assert len(curator_of(tmp_path / "store", rules=STRICT).unvalidated()) == 2


def test_a_file_with_the_wrong_columns_does_not_land(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    with pytest.raises(RawFileError, match="lacks the columns user_id"):
        send(curator, [{"user": "u77"}], tmp_path / "in")
    assert list(curator.store.list_keys("")) == []


def test_rows_that_do_not_fit_into_memory_are_written_on_the_way_and_come_back_by_day(tmp_path: Path) -> None:
    rows = pl.DataFrame({"timestamp": [datetime(2026, 1, 1 + n % 7, n % 24) for n in range(500)], "n": range(500)})
    with StagedPartitionWriter(tmp_path / "staged", "timestamp", rows_held=120) as writer:
        on_disk = []
        for part in rows.iter_slices(50):
            writer.add(part.to_arrow())
            on_disk.append((tmp_path / "staged").stat().st_size)
        parts = writer.parts("key")
    # At 150, 300 and 450 rows, and the last 50 at the end: of each day a span each time.
    assert [before < after for before, after in pairwise([0, *on_disk])] == [False, False, True] * 3 + [False]
    assert [len(part.spans) for part in parts] == [4] * 7
    content = (tmp_path / "staged").read_bytes()
    read = {part: read_spans(content[start : start + size] for start, size in part.spans) for part in parts}
    assert [digest for _, digest in read.values()] == [part.sha256 for part in parts]
    days = {part.day: table for part, (table, _) in read.items()}
    assert list(days) == sorted(set(rows["timestamp"].dt.date()))
    assert all(at.date() == day for day, table in days.items() for at in table["timestamp"].to_pylist())
    assert [len(table) for table in days.values()] == [part.rows for part in parts]
    assert sorted(n for table in days.values() for n in table["n"].to_pylist()) == list(range(500))


def test_rows_that_are_staged_in_the_store_are_there_once_all_are_written(any_store: ObjectStore) -> None:
    rows = pl.DataFrame({"timestamp": [datetime(2026, 1, 1, n) for n in range(20)]}).to_arrow()
    writer = StagedPartitionWriter(any_store.open_write("a"), "timestamp")
    writer.add(rows)
    writer.spans()
    writer.__exit__(DataRuleError, DataRuleError(), None)
    with StagedPartitionWriter(any_store.open_write("b"), "timestamp") as writer:
        assert writer.parts("b") == ()
    with StagedPartitionWriter(any_store.open_write("c"), "timestamp") as writer:
        writer.add(rows)
        [part] = writer.parts("c")
        assert list(any_store.list_keys("")) == []
    assert list(any_store.list_keys("")) == ["c"]
    assert read_spans(any_store.read_part("c", *span) for span in part.spans) == (rows, part.sha256)


def test_rows_with_long_texts_are_written_before_they_are_many(tmp_path: Path) -> None:
    rows = pl.DataFrame({"timestamp": [datetime(2026, 1, 1)] * 10, "text": ["x" * 1_000_000] * 10}).to_arrow()
    with StagedPartitionWriter(tmp_path / "staged", "timestamp") as writer:
        on_disk = []
        for _ in range(8):
            writer.add(rows)
            on_disk.append((tmp_path / "staged").stat().st_size)
        (part,) = writer.parts("key")
    # Each time when more than 33 MB are kept.
    assert [before < after for before, after in pairwise([0, *on_disk])] == [False, False, False, True] * 2
    assert (part.rows, len(part.spans)) == (80, 2)


def test_a_file_of_many_days_becomes_one_object_of_which_a_day_is_read_by_itself(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    rows = [interaction(user_id=f"u{n}" * 20, timestamp=f"2026-01-0{1 + n % 9}T00:00:00Z") for n in range(90)]
    report = send(curator, rows, tmp_path / "in")
    assert list(curator.store.list_keys("acme/staged/")) == [report.parts[0].key]
    assert [part.day for part in report.parts] == list(report.days) == curator.days_between(date(2026, 1, 1), DAY9)
    assert [len(curator.read_staged(part)) for part in report.parts] == [10] * 9


@pytest.mark.parametrize("is_table", [True, False])
def test_rows_are_validated_by_no_catalog_of_another_writing_than_its_manifest(is_table: bool, tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store", rules=STRICT)
    send(curator, [item()], tmp_path / "in", data=ITEMS)
    curator.refresh(ITEMS)
    assert not curator.is_due(ITEMS)
    buffer = io.BytesIO()
    pl.DataFrame({"item_id": ["another"]}).write_parquet(buffer)
    key = stored_key(curator.store, "acme/curated/items/", "items.parquet")
    curator.store.write(key, buffer.getvalue() if is_table else b"no table")
    later = curator_of(tmp_path / "store", rules=STRICT)
    later.refresh(ITEMS)
    assert send(later, [interaction()], tmp_path / "in").rejected == 0


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_staged_object_that_is_cut_off_anywhere_counts_as_lost_rows(share: float, tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    report = send(curator, [interaction(user_id=f"u{number}") for number in range(500)], tmp_path / "in")
    content = curator.store.read(report.parts[0].key)
    curator.store.write(report.parts[0].key, content[: int(len(content) * share)])
    [made] = curator.curate(INTERACTIONS, report.days)
    assert [one.failed for one in broken(made.outcomes["no_row_is_lost"])] == [500]


@pytest.mark.parametrize("data", list(TABLES))
def test_one_changed_byte_of_what_was_staged_counts_as_lost_rows(data: str, tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    make, column = (item, "item_id") if data == ITEMS else (interaction, "user_id")
    rows = [make(**{column: f"one {number}"}) for number in range(9)]
    [part] = send(curator, rows, tmp_path / "in", data=data).parts
    content = curator.store.read(part.key)
    for at in range(0, len(content), 7):
        curator.store.write(part.key, content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises((DamagedTableError, *DAMAGED)):
            curator.read_staged(part)
    made = (
        next(curator.curate(ITEMS, [None]))
        if data == ITEMS
        else next(iter(curator.curate(INTERACTIONS, [part.day or DAY9])))
    )
    assert [one.failed for one in broken(made.outcomes["no_row_is_lost"])] == [9]


def test_a_quarantine_whose_end_is_damaged_has_no_rows(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    report = send(curator, [interaction(), interaction(user_id="")], tmp_path / "in")
    assert report.quarantine
    assert curator.stored_rows(report.quarantine)[1] == 1
    content = curator.store.read(report.quarantine.key)
    for at in range(-200, -8, 5):
        curator.store.write(report.quarantine.key, content[:at] + b"\xff\xff" + content[at + 2 :])
        assert curator.stored_rows(report.quarantine)[1] == 0, at


@pytest.mark.parametrize("damage", [b"", b"ARROW1", b"\0" * 5_000])
def test_a_staged_object_that_is_damaged_counts_as_lost_rows(damage: bytes, tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    report = send(curator, [interaction(), interaction(timestamp="2026-01-03T00:00:00Z")], tmp_path / "in")
    curator.store.write(report.parts[0].key, damage)
    made = list(curator.curate(INTERACTIONS, report.days))
    assert [one.is_written for one in made] == [False, False]
    assert [one.failed for day in made for one in broken(day.outcomes["no_row_is_lost"])] == [1, 1]
