"""Raw files that are read by mappings: those that are sent with one, those that others deliver, and what changes later.

Real: landing, validation and reports, files below a directory. Faked: a directory that fails at a chosen write.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.landing import LandedFile, Landing
from gata_assets.curation.mappings.mapping_store import MappingChoice, SavedMapping
from gata_assets.curation.reports import Report
from gata_assets.errors import RawFileError, StoreError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import INTERACTIONS, TABLES
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectWriter, Version
from gata_assets.tables.raw_mapping import RawMapping, mapping_from
from gata_assets_tests.support.raw_worlds import (
    NOW,
    RULES,
    curator_of,
    encode,
    interaction,
    quarantined,
    send,
    validate_new,
)

RATINGS = (
    b"userId,movieId,rating,at,tag\n"
    b"u1,31.0,0.5,1767323045,x\n"
    b"u2,31,5.0,1767323046,\n"
    b"u3,8,2.75,1767323047.5,y\n"
    b"u4,8,9,1767323048,y\n"
    b"u5,8,3,yesterday,y\n"
)
MAPPING = mapping_from(
    {
        "columns": {"user_id": "userId", "item_id": "movieId", "timestamp": "at"},
        "constants": {"interaction_type": "like"},
        "instants": {"timestamp": "epoch_s"},
        "whole_numbers": ["item_id"],
        "scales": {"rating": [0.5, 5]},
        "ignores_unknown": True,
    }
)
# As a person would convert the rows: user, item, micros since 1970, rating; all of type like (3).
CONVERTED = [
    ("u1", "31", 1_767_323_045_000_000, 1.0, 3),
    ("u2", "31", 1_767_323_046_000_000, 5.0, 3),
    ("u3", "8", 1_767_323_047_500_000, 3.0, 3),
]


def land(
    curator: Curator, content: bytes, directory: Path, mapping: MappingChoice | None = None, name: str = "ratings.csv"
) -> LandedFile:
    """Land a file, as `gata ingest` does."""
    directory.mkdir(exist_ok=True)
    (directory / name).write_bytes(content)
    return Landing(curator).land(INTERACTIONS, name, directory / name, parse_format("a.csv"), mapping=mapping)


def staged(curator: Curator, report: Report) -> list[tuple[Any, ...]]:
    """The valid rows of a file, by time."""
    tables = [pl.DataFrame(curator.read_staged(part)) for part in report.parts]
    rows = pl.concat(tables, how="diagonal").sort("timestamp")
    columns = ("user_id", "item_id", pl.col("timestamp").to_physical(), "rating", "type_code")
    return rows.select(columns).rows()


def deliver(curator: Curator, content: bytes, name: str = "ratings.csv") -> str:
    """Put a file into raw/, as others do."""
    key = f"acme/raw/interactions/{name}"
    curator.store.write(key, content)
    return key


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl", "parquet"])
def test_a_file_of_other_names_units_and_scales_gives_the_converted_rows(ending: str, tmp_path: Path) -> None:
    lines = [line.split(",") for line in RATINGS.decode().splitlines()]
    rows = [dict(zip(lines[0], values, strict=True)) for values in lines[1:]]
    curator = curator_of(tmp_path / "store")
    path = tmp_path / f"ratings.{ending}"
    path.write_bytes(encode(rows, ending))
    landed = Landing(curator).land(
        INTERACTIONS, path.name, path, parse_format(path.name), mapping=MappingChoice(MAPPING)
    )
    assert staged(curator, landed.report) == CONVERTED
    assert landed.report.rejected_by_rule == {"rating_is_1_to_5": 1, "timestamp_is_an_instant": 1}
    kept = quarantined(curator, landed.report)
    assert kept.select("user_id", "item_id", "timestamp", "rating").rows() == [
        ("u4", "8", "1767323048", "9"),
        ("u5", "8", "yesterday", "3"),
    ], "rows are kept as they came"


def test_a_report_says_what_its_file_was_read_by(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    with_mapping = land(curator, RATINGS, tmp_path, MappingChoice(MAPPING)).report
    without = send(curator, [interaction()], tmp_path)
    written = [
        json.loads(curator.store.read(curator.places.report(INTERACTIONS, report.file_id)))
        for report in (with_mapping, without)
    ]
    assert [report["report_version"] for report in written] == [4, 3], "an earlier release can read the second"
    assert written[0]["mapping"]["columns"] == {"user_id": ["userId"], "item_id": ["movieId"], "timestamp": ["at"]}
    assert written[0]["mapping_name"] is None
    assert "mapping" not in written[1]
    [read] = [report for report in curator_of(tmp_path / "store").reports(INTERACTIONS) if report.mapping]
    assert read.mapping == MAPPING


def test_a_file_keeps_the_mapping_that_it_was_sent_with(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    first = land(curator, RATINGS, tmp_path, MappingChoice(MAPPING)).report
    curator.mappings.save(INTERACTIONS, SavedMapping("others", RawMapping(constants={"location": "AT"})))
    later = curator_of(tmp_path / "store")
    assert not later.is_outdated(first)
    assert staged(later, later.validate(first.raw_key)) == CONVERTED
    again = land(later, RATINGS, tmp_path)
    assert (again.was_there, again.report.rules) == (True, first.rules)


def test_files_that_others_deliver_are_read_by_the_saved_mapping(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    curator.mappings.save(INTERACTIONS, SavedMapping("ratings", MAPPING, "ratings*"))
    deliver(curator, RATINGS)
    deliver(curator, RATINGS.replace(b"\nu", b"\nw"), "other.csv")
    mapped, refused = sorted(validate_new(curator), key=lambda report: report.refused is not None)
    assert staged(curator, mapped) == CONVERTED
    assert (mapped.mapping, mapped.mapping_name) == (MAPPING, "ratings")
    assert refused.refused is not None
    assert "lacks the columns user_id" in refused.refused


def test_a_refused_file_is_tried_again_once_a_mapping_is_saved_for_it(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    deliver(curator, RATINGS)
    [refused] = validate_new(curator)
    assert refused.refused
    assert validate_new(curator_of(tmp_path / "store")) == []
    curator.mappings.save(INTERACTIONS, SavedMapping("ratings", MAPPING, "ratings*"))
    later = curator_of(tmp_path / "store")
    assert later.unvalidated() == [refused.raw_key]
    [read] = validate_new(later)
    assert staged(later, read) == CONVERTED


def test_a_changed_mapping_makes_its_files_outdated_and_reading_them_again_mends_it(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    curator.mappings.save(INTERACTIONS, SavedMapping("ratings", MAPPING, "ratings*"))
    deliver(curator, RATINGS)
    sent = land(curator, RATINGS + b"u9,1,1,1767323049,\n", tmp_path).report
    validate_new(curator)
    changed = replace(MAPPING, constants={"interaction_type": "click"})
    curator.mappings.save(INTERACTIONS, SavedMapping("ratings", changed, "ratings*"))
    later = curator_of(tmp_path / "store")
    outdated = later.outdated(later.reports(INTERACTIONS))
    assert [report.mapping_name for report in outdated] == ["ratings", "ratings"]
    assert sent.file_id in [report.file_id for report in outdated]
    for report in outdated:
        again = later.validate(report.raw_key)
        assert again.mapping == changed
        assert {row[-1] for row in staged(later, again)} == {1}
    assert later.outdated(later.reports(INTERACTIONS)) == []


def test_a_file_that_is_sent_again_with_another_mapping_is_read_by_that(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    wrong = land(curator, RATINGS, tmp_path, MappingChoice(replace(MAPPING, scales={}))).report
    assert wrong.rejected_by_rule["rating_is_1_to_5"] == 2
    right = land(curator, RATINGS, tmp_path, MappingChoice(MAPPING))
    assert right.was_there
    assert staged(curator, right.report) == CONVERTED
    assert [report.file_id for report in curator.reports(INTERACTIONS)] == [wrong.file_id]
    assert staged(curator, curator_of(tmp_path / "store").validate(wrong.raw_key)) == CONVERTED


def test_a_file_whose_mapping_fits_its_table_no_more_is_refused_alone(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    mapping = RawMapping(columns={"location": ("place",)})
    row = {name: value for name, value in interaction().items() if name != "location"}
    sent = send(curator, [row], tmp_path)
    curator.mappings.save(INTERACTIONS, SavedMapping("places", mapping, "places*"))
    deliver(curator, b"user_id,item_id,interaction_type,timestamp,place\n", "places.csv")
    spec = TABLES[INTERACTIONS]
    kept = tuple(column for column in spec.columns if column.name != "location")
    declared = {**TABLES, INTERACTIONS: replace(spec, columns=kept)}
    later = Curator(curator.store, "acme", RULES, NOW, declared)
    [refused] = later.validate_new(INTERACTIONS)
    assert refused.refused is not None
    assert refused.refused.startswith("cannot be read by its mapping: interactions has no column location.")
    assert not later.is_to_be_tried_again(refused)
    assert later.validate(sent.raw_key).valid == 1


class FailingObjects(LocalStore):
    """A directory whose n-th write fails, as if the process were killed before it."""

    def __init__(self, directory: str, write: int) -> None:
        super().__init__(directory)
        self.left = write

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise StoreError("The process was killed.")

    def write(self, key: str, content: bytes, **how: Any) -> Version:
        """Count, then write."""
        self._count()
        return super().write(key, content, **how)

    def write_file(self, key: str, path: Path, *, is_private: bool = False) -> None:
        """Count, then write."""
        self._count()
        super().write_file(key, path, is_private=is_private)

    def open_write(self, key: str, *, expected: Version | None = None) -> ObjectWriter:
        """Count, then open."""
        self._count()
        return super().open_write(key, expected=expected)


def test_a_command_that_is_killed_leaves_no_file_that_is_read_otherwise(tmp_path: Path) -> None:
    outcomes: list[Sequence[tuple[Any, ...]]] = []
    for write in range(1, 10):
        place = tmp_path / str(write)
        try:
            land(
                Curator(FailingObjects(str(place), write), "acme", RULES, NOW),
                RATINGS,
                tmp_path,
                MappingChoice(MAPPING),
            )
        except StoreError:
            later = curator_of(place)
            validate_new(later)
            outcomes += [staged(later, report) for report in later.reports(INTERACTIONS)]
            continue
        break
    else:
        pytest.fail("every write was one too many")
    assert write > 4, "the mapping, the file, its rows, quarantine and report"
    assert outcomes == [CONVERTED] * len(outcomes)
    assert len(outcomes) >= 3


def test_a_mapping_that_is_saved_later_leaves_files_as_they_are_that_count_without(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    counting = send(curator, [interaction()], tmp_path)
    curator.mappings.save(INTERACTIONS, SavedMapping("shop", MAPPING))
    later = curator_of(tmp_path / "store")
    assert later.outdated(later.reports(INTERACTIONS)) == []
    assert later.validate(counting.raw_key).valid == 1
    again = send(later, [interaction()], tmp_path)
    assert (again.file_id, again.valid) == (counting.file_id, 1)


def test_a_mapping_of_a_command_that_was_killed_is_not_that_of_the_next(tmp_path: Path) -> None:
    content = b"user_id,item_id,interaction_type,timestamp,rating\nu,i,view,2026-01-02T03:04:05Z,4\n"
    scaled = MappingChoice(RawMapping(scales={"rating": (0, 10)}))
    # The second write is that of the file.
    with pytest.raises(StoreError):
        land(Curator(FailingObjects(str(tmp_path / "store"), 2), "acme", RULES, NOW), content, tmp_path, scaled)
    curator = curator_of(tmp_path / "store")
    landed = land(curator, content, tmp_path).report
    assert (staged(curator, landed)[0][3], landed.mapping) == (4.0, None)
    assert staged(curator, curator_of(tmp_path / "store").validate(landed.raw_key))[0][3] == 4.0


def test_a_late_line_with_a_column_that_the_mapping_gives_is_rejected(tmp_path: Path) -> None:
    row = {"user_id": "u", "item_id": "i", "timestamp": "2026-01-02T03:04:05Z"}
    lines = [json.dumps(row)] * 1_200 + [json.dumps(row | {"interaction_type": "purchase"})]
    mapping = RawMapping(constants={"interaction_type": "view"}, ignores_unknown=True)
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(lines))
    curator = curator_of(tmp_path / "store")
    landed = Landing(curator).land(
        INTERACTIONS, path.name, path, parse_format(path.name), mapping=MappingChoice(mapping)
    )
    assert (landed.report.valid, landed.report.rejected_by_rule) == (1_200, {"row_fits_the_columns": 1})


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_column_that_is_left_out_is_not_an_unknown_one(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(encode([interaction(rating="nine")], ending))
    curator = curator_of(tmp_path / "store")
    mapping = MappingChoice(RawMapping(columns={"rating": ()}))
    landed = Landing(curator).land(INTERACTIONS, path.name, path, parse_format(path.name), mapping=mapping)
    assert (landed.report.valid, landed.report.discarded_by_rule) == (1, {})


def test_a_file_that_has_a_column_which_the_mapping_gives_is_refused(tmp_path: Path) -> None:
    mapping = MappingChoice(RawMapping(constants={"interaction_type": "like"}))
    with pytest.raises(RawFileError, match="has columns that the mapping gives itself: interaction_type"):
        land(curator_of(tmp_path / "store"), b"user_id,item_id,interaction_type,timestamp\n", tmp_path, mapping)


def test_a_csv_file_without_a_header_is_read_by_the_names_of_its_mapping(tmp_path: Path) -> None:
    content = b"196:\x3a242::3::1767323045\n186::302::3::1767323046\n1::2\n"
    mapping = mapping_from(
        {
            "header": ["user_id", "", "item_id", "", "rating", "", "timestamp"],
            "separator": "colon",
            "constants": {"interaction_type": "like"},
            "instants": {"timestamp": "epoch_s"},
            "ignores_unknown": True,
            "endings": {"dat": "csv"},
        }
    )
    curator = curator_of(tmp_path / "store")
    curator.mappings.save(INTERACTIONS, SavedMapping("ratings", mapping))
    deliver(curator, content, "ratings.dat")
    [report] = validate_new(curator)
    assert [row[:2] for row in staged(curator, report)] == [("196", "242"), ("186", "302")]
    assert report.rejected_by_rule == {"row_fits_the_columns": 1}
    assert quarantined(curator, report)["source_line"].to_list() == [3]


def test_types_behind_names_are_set_aside(tmp_path: Path) -> None:
    content = (
        b"user_id:token\titem_id:token\trating:float\ttimestamp:float\textra:float_seq\nu\ti\t3.0\t1767323045.0\t1 2\n"
    )
    mapping = mapping_from(
        {
            "has_typed_names": True,
            "separator": "tab",
            "constants": {"interaction_type": "like"},
            "instants": {"timestamp": "epoch_s"},
            "ignores_unknown": True,
        }
    )
    curator = curator_of(tmp_path / "store")
    report = land(curator, content, tmp_path, MappingChoice(mapping), name="ml.inter").report
    assert staged(curator, report) == [("u", "i", 1_767_323_045_000_000, 3.0, 3)]
