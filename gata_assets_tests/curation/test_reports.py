"""Reports as JSON: as this release writes them, and as the release before wrote them.

All real, nothing is faked; the old report is one that release 1 of the format wrote, with fewer parts.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from gata_assets.curation.reports import Report, Span, StagedPart
from gata_assets.errors import DamagedTableError, ManifestVersionError

OLD = """
{
 "data": "interactions",
 "file_id": "2026-11-29-late-1a86188214b5-60c5db39",
 "raw_key": "acme/raw/interactions/2026-11-29/late-1a86188214b5.csv.zst",
 "landed_at": "2026-11-29 06:30:53.306144+00:00",
 "rules": "5edb85e61a",
 "rows": 120,
 "parts": [
  {
   "key": "acme/staged/interactions/2026-11-29-late-1a86188214b5-60c5db39-542561349e.arrows",
   "rows": 85,
   "sha256": "58a6525b956df325b91a0056d5a070863d1e2244da703ac84bf5c125670c7c95",
   "day": "2020-01-01",
   "spans": [[0, 1536]]
  }
 ],
 "quarantine": {
  "key": "acme/quarantine/interactions/2026-11-29-late-1a86188214b5-60c5db39-542561349e.parquet",
  "rows": 35,
  "sha256": "61a84a38760a306c67febb7601adf88ce6b55a92068d1746c7c398ab826f4038",
  "day": null,
  "spans": []
 },
 "bad_by_rule": {"rating_is_1_to_5": 35},
 "unknown_items": 1,
 "refused": null,
 "replaces": ["2026-11-28-early-0a86188214b5-50c5db39"],
 "good": 85,
 "bad": 35,
 "good_by_day": {"2020-01-01": 85}
}
"""


def test_a_report_of_the_release_before_is_read() -> None:
    report = Report.decode(OLD.encode(), "a place")
    assert (report.table, report.rows, report.valid, report.rejected) == ("interactions", 120, 85, 35)
    assert report.rejected_by_rule == {"rating_is_1_to_5": 35}
    assert report.unknown_by_rule == {"item_is_known": 1}
    assert report.discarded_by_rule == {}
    assert report.parts[0].spans == (Span(0, 1536),)
    assert report.landed_at == datetime(2026, 11, 29, 6, 30, 53, 306_144, UTC)
    assert report.replaces == ("2026-11-28-early-0a86188214b5-50c5db39",)


def test_a_refused_file_without_counts_is_read_from_the_release_before() -> None:
    empty = {"parts": [], "quarantine": None, "bad_by_rule": None, "unknown_items": 0, "refused": "is empty."}
    report = Report.decode(json.dumps(json.loads(OLD) | empty).encode(), "a place")
    assert (report.refused, report.rejected_by_rule, report.unknown_by_rule) == ("is empty.", {}, {})


def test_a_report_is_read_as_it_was_written() -> None:
    report = Report(
        table="visits",
        file_id="a",
        raw_key="acme/raw/visits/a.csv",
        landed_at=datetime(2026, 1, 2, tzinfo=UTC),
        rules="0123456789",
        rows=7,
        parts=(StagedPart("a.arrows", 4, "00", date(2026, 1, 1), (Span(0, 9), Span(9, 3))),),
        quarantine=StagedPart("a.parquet", 3, "11"),
        rejected_by_rule={"seen_is_given": 3},
        unknown_by_rule={"shop_is_known": 1},
        discarded_by_rule={"minutes_is_not_negative": 2},
        replaced_by="b",
        raw_version='"etag"',
        raw_size=12,
        raw_sha256="22",
    )
    content = json.loads(report.encode())
    assert Report.decode(report.encode(), "a place") == report
    assert (content["valid"], content["rejected"], content["valid_by_day"]) == (4, 3, {"2026-01-01": 4})


def test_a_report_of_version_2_says_nothing_of_what_was_read_nor_of_a_claim() -> None:
    report = Report("visits", "a", "acme/raw/visits/a.csv", datetime(2026, 1, 2, tzinfo=UTC), "rules", replaces=("b",))
    new = ("replaced_by", "raw_version", "raw_size", "raw_sha256")
    content = {name: value for name, value in json.loads(report.encode()).items() if name not in new}
    assert Report.decode(json.dumps(content | {"report_version": 2}).encode(), "a place") == report


def test_a_report_of_a_later_release_is_not_read() -> None:
    content = json.loads(OLD) | {"report_version": 5}
    with pytest.raises(ManifestVersionError, match="a place was written by a later release"):
        Report.decode(json.dumps(content).encode(), "a place")


@pytest.mark.parametrize("name", ["caf\udce9.csv", "a\nb.csv", "\x00"])
def test_a_name_that_is_not_utf_8_is_read_as_it_was_written(name: str) -> None:
    report = Report("visits", "a", name, datetime(2026, 1, 2, tzinfo=UTC), "rules")
    assert Report.decode(report.encode(), "a place") == report


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", OLD.encode()[:-20], b'{"report_version": 2}'])
def test_what_is_no_report_is_said_with_its_place(content: bytes) -> None:
    with pytest.raises(DamagedTableError, match=r"a place is not a complete report .* remove it"):
        Report.decode(content, "a place")
