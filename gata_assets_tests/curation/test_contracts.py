"""Contracts that settings give to interactions and items: an invalid optional value rejects its row, or itself alone.

Real: settings, files, a local store. Nothing is faked.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gata_assets.curation.reports import Report
from gata_assets.definitions.own_tables import open_table_curator
from gata_assets.interactions.assets.jobs import open_curator
from gata_assets.interactions.tables import INTERACTIONS, ITEMS, TABLES
from gata_assets.lake.tables import RAW_TICKETS, TICKETS
from gata_assets.settings.model import parse_settings
from gata_assets.settings.table_specs import all_tables
from gata_assets.storage.local import LocalStore
from gata_assets.tables.description import describe_table
from gata_assets.tables.spec import InvalidOptional
from gata_assets_tests.support.raw_worlds import RULES, curator_of, encode, interaction, item, quarantined, send

DISCARDING = replace(RULES, invalid_optional=dict.fromkeys(TABLES, InvalidOptional.DISCARD_VALUE))
RATINGS = ["0", "5,0", "NaN", "inf", "six", "6", "-1", "1e999"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("rating", RATINGS)
def test_an_invalid_rating_rejects_its_row_or_itself_and_is_counted(rating: str, ending: str, tmp_path: Path) -> None:
    rows = [interaction(rating=rating, user_id="u1"), interaction(rating="4.5", user_id="u2")]
    strict = send(curator_of(tmp_path / "strict"), rows, tmp_path / "in", name=f"a.{ending}")
    assert (strict.valid, strict.rejected, strict.discarded_by_rule) == (1, 1, {})
    curator = curator_of(tmp_path / "store", rules=DISCARDING)
    report = send(curator, rows, tmp_path / "in", name=f"a.{ending}")
    assert (report.valid, report.rejected, report.rejected_by_rule) == (2, 0, {})
    assert report.discarded_by_rule == {"rating_is_1_to_5": 1}
    (part,) = report.parts
    assert dict(zip(*(curator.read_staged(part)[name].to_pylist() for name in ("user_id", "rating")), strict=True)) == {
        **{"u1": None, "u2": 4.5},
    }


def test_an_invalid_price_or_day_of_an_item_is_discarded_and_its_title_is_not(tmp_path: Path) -> None:
    rows = [item(item_id="i1", price="-1", available_at="soon"), item(item_id="i2", price="9,50"), item(title=" ")]
    curator = curator_of(tmp_path / "store", rules=DISCARDING)
    report = send(curator, rows, tmp_path / "in", data=ITEMS)
    assert (report.valid, report.rejected_by_rule) == (2, {"title_is_given": 1})
    assert report.discarded_by_rule == {
        "available_at_is_iso_8601": 1,
        "price_is_a_number": 1,
        "price_is_not_negative": 1,
    }
    assert quarantined(curator, report)["rules"].to_list() == [["title_is_given"]]


def test_files_that_were_validated_under_the_other_contract_are_outdated(tmp_path: Path) -> None:
    first = curator_of(tmp_path / "store")
    report = send(first, [interaction(rating="0")], tmp_path / "in")
    assert not first.is_outdated(report)
    then = curator_of(tmp_path / "store", rules=DISCARDING)
    assert then.outdated(then.reports(INTERACTIONS)) == [report]
    again = then.validate(report.raw_key)
    assert (again.valid, then.outdated(then.reports(INTERACTIONS))) == (1, [])
    assert curator_of(tmp_path / "store").is_outdated(again)


def test_a_file_refused_for_its_size_is_read_once_the_limit_is_raised(tmp_path: Path) -> None:
    few = curator_of(tmp_path / "store", rules=replace(RULES, max_decoded_bytes=500))
    key = few.places.raw(INTERACTIONS) + "2026-01-05/a.csv"
    few.store.write(key, encode([interaction()] * 50, "csv"))
    assert "MAX_DECODED_GIGABYTES" in str(few.validate(key).refused)
    assert curator_of(tmp_path / "store").validate(key).valid == 50


@pytest.mark.parametrize(("mode", "valid"), [("reject_row", 0), ("discard_value", 1)])
def test_settings_reach_every_curator_of_a_project(mode: str, valid: int, tmp_path: Path) -> None:
    settings = parse_settings({"INVALID_OPTIONAL_VALUES": mode, "MAX_DECODED_GIGABYTES": "0.001"})
    rules, store = settings.interactions.curation_rules, LocalStore(str(tmp_path / "store"))
    assert rules.max_decoded_bytes == 1_000_000
    key = f"acme/raw/{INTERACTIONS}/2026-01-05/a.csv"
    store.write(key, encode([interaction(rating="0")], "csv"))
    reports: list[Report] = [
        curator.validate(key)
        for curator in (open_curator(rules, "acme", store), open_table_curator(settings, "acme", store))
    ]
    assert [report.valid for report in reports] == [valid, valid]
    words = {"reject_row": "its row is rejected", "discard_value": "the value is discarded"}
    # The setting is of interactions and items.
    found = {name for name, spec in all_tables(settings).items() if words[mode] in describe_table(spec)}
    assert found - {TICKETS} == {*TABLES}
    default = parse_settings({})
    assert all_tables(default) == {**TABLES, TICKETS: RAW_TICKETS}


PEAK = r"""
import re, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from gata_assets.curation.policy import CurationRules
from gata_assets.interactions.curated.curator import Curator
from gata_assets.storage.local import LocalStore

def peak():
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

rules = CurationRules(datetime(2020, 1, 1, tzinfo=UTC), timedelta(hours=24))
curator = Curator(LocalStore(sys.argv[1]), "acme", rules, datetime(2026, 1, 10, tzinfo=UTC))
few, many = curator.unvalidated(["interactions"])
curator.validate(few)
before = peak()
print(curator.validate(many).rejected, peak() - before)
"""


@pytest.mark.process
@pytest.mark.parametrize("row", ["u,i,look,soon\n", "x\n"])
def test_rejected_rows_take_no_more_memory_the_more_they_are(row: str, tmp_path: Path) -> None:
    folder, header = tmp_path / "acme/raw/interactions/2026-01-05", "user_id,item_id,interaction_type,timestamp\n"
    folder.mkdir(parents=True)
    for name, rows in (("a", 200_000), ("b", 2_000_000)):
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress((header + row * rows).encode(), 1))
    command = [sys.executable, "-c", PEAK, str(tmp_path)]
    rejected, grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(rejected) == 2_000_000
    # Kept all at once they are 300 MB and more.
    assert int(grown) < 100_000_000
