"""Exports of others on the command line: `gata ingest` with mapping options, and `gata mapping`.

Real: click's command line, settings, files below a directory. Nothing is faked.
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from gata_assets.interactions.tables import INTERACTIONS
from gata_assets_tests.cli.raw_files.test_ingest import gata, said, workplace
from gata_assets_tests.support.raw_worlds import curator_of

__all__ = ["workplace"]

RATINGS = "userId,movieId,rating,timestamp\n1,31.0,2.5,1767323045\n2,8.0,5,1767323046\n"
OPTIONS = (
    *("--map", "user_id=userId", "--map", "item_id=movieId", "--constant", "interaction_type=like"),
    *("--timestamps", "epoch_s", "--rating-scale", "0.5:5", "--ids", "integer"),
)
SHOP = (
    "event_time,event_type,product_id,brand,user_id,user_session\n"
    "2026-01-02 03:04:05 UTC,cart,7,acme,u1,s1\n"
    "2026-01-02 03:04:06 UTC,remove_from_cart,7,acme,u1,s1\n"
)
SHOP_OPTIONS = (
    *("--map", "item_id=product_id", "--map", "timestamp=event_time", "--map", "interaction_type=event_type"),
    *("--map", "session_id=user_session", "--types", "cart=add_to_cart", "--ignore-unknown"),
    *("--timestamps", "%Y-%m-%d %H:%M:%S %Z"),
)


def curated(directory: Path) -> list[tuple[object, ...]]:
    """The valid rows of all files of the tenant acme, by time."""
    curator = curator_of(directory / "gata-data")
    parts = [part for report in curator.reports(INTERACTIONS) for part in report.parts]
    rows = pl.concat([pl.DataFrame(curator.read_staged(part)) for part in parts], how="diagonal")
    return rows.sort("timestamp").select("user_id", "item_id", "type_code", pl.col("^rating$")).rows()


def test_a_file_of_ratings_is_ingested_by_options_alone(workplace: Path) -> None:
    (workplace / "ratings.csv").write_text(RATINGS)
    result = gata("ingest", "interactions", "ratings.csv", "--tenant", "acme", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert curated(workplace) == [("1", "31", 3, pytest.approx(1 + 2 / 4.5 * 4)), ("2", "8", 3, 5.0)]


def test_a_log_of_a_shop_is_ingested_by_options_alone(workplace: Path) -> None:
    (workplace / "log.csv").write_text(SHOP)
    (outcome,) = said(gata("ingest", "interactions", "log.csv", "--tenant", "acme", *SHOP_OPTIONS))
    assert outcome["rejected_by_rule"] == {"interaction_type_is_known": 1}
    assert curated(workplace) == [("u1", "7", 4)]


def test_a_saved_mapping_is_listed_shown_and_used_for_files_of_its_pattern(workplace: Path) -> None:
    saved = gata("mapping", "save", "interactions", "ratings", "--tenant", "acme", "--files", "ratings*", *OPTIONS)
    assert (saved.exit_code, saved.stdout) == (
        0,
        "ratings is saved: it is for the files ratings* of acme's interactions.\n",
    )
    (listed,) = said(gata("mapping", "list", "--tenant", "acme"))
    assert (listed["table"], listed["name"], listed["files"]) == ("interactions", "ratings", "ratings*")
    shown = gata("mapping", "show", "interactions", "ratings", "--tenant", "acme").stdout
    assert json.loads(shown) == listed["mapping"]
    (workplace / "ratings-1.csv").write_text(RATINGS)
    (workplace / "others.csv").write_text(RATINGS + "3,9,1,1767323047\n")
    assert gata("ingest", "interactions", "ratings-1.csv", "--tenant", "acme").exit_code == 0
    assert gata("ingest", "interactions", "others.csv", "--tenant", "acme").exit_code == 1
    assert [row[:2] for row in curated(workplace)] == [("1", "31"), ("2", "8")]
    assert "ratings*" in gata("mapping", "list", "--tenant", "acme", "--summary", "table").stdout


def test_a_shown_mapping_is_read_from_a_file_and_options_count_instead(workplace: Path) -> None:
    gata("mapping", "save", "interactions", "ratings", "--tenant", "acme", "--files", "ratings*", *OPTIONS)
    shown = gata("mapping", "show", "interactions", "ratings", "--tenant", "acme").stdout
    (workplace / "mapping.json").write_text(shown)
    (workplace / "a.csv").write_text(RATINGS)
    result = gata(
        *("ingest", "interactions", "a.csv", "--tenant", "acme", "--mapping-file", "mapping.json"),
        *("--constant", "interaction_type=purchase"),
    )
    assert result.exit_code == 0, result.output
    assert {row[2] for row in curated(workplace)} == {2}
    again = gata("ingest", "interactions", "a.csv", "--tenant", "acme", "--mapping", "ratings")
    assert again.exit_code == 0, again.output
    assert {row[2] for row in curated(workplace)} == {3}


def test_saving_another_version_says_how_many_files_were_read_otherwise(workplace: Path) -> None:
    (workplace / "ratings.csv").write_text(RATINGS)
    save = ("mapping", "save", "interactions", "ratings", "--tenant", "acme")
    gata(*save, *OPTIONS)
    gata("ingest", "interactions", "ratings.csv", "--tenant", "acme")
    changed = gata(*save, *OPTIONS, "--constant", "interaction_type=click")
    assert "1 files were read otherwise" in changed.stdout
    assert gata("quarantine", "--tenant", "acme", "--replay").exit_code == 0
    assert {row[2] for row in curated(workplace)} == {1}
    assert "read otherwise" not in gata(*save, *OPTIONS, "--constant", "interaction_type=click").stdout


def test_files_with_the_endings_of_a_mapping_are_found_in_a_directory(workplace: Path) -> None:
    (workplace / "in").mkdir()
    (workplace / "in" / "ratings.inter").write_text(RATINGS.replace(",", "\t"))
    (workplace / "in" / "notes.txt").write_text("no raw file")
    options = (*OPTIONS, "--separator", "tab", "--ending", "inter=csv")
    (outcome,) = said(gata("ingest", "interactions", "in", "--tenant", "acme", *options))
    assert (outcome["file"], outcome["valid"]) == ("in/ratings.inter", 2)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--map", "user_id"], "--map user_id: NAME=VALUE is needed."),
        (["--map", "user=userId"], "interactions has no column user."),
        (["--types", "cart"], "--types cart: NAME=VALUE is needed."),
        (["--types", "cart=basket"], "other words mean allowed values (interaction_type)"),
        (["--rating-scale", "5"], "--rating-scale 5: LOW:HIGH is needed"),
        (["--timestamps", "%H"], "%H is no pattern of strptime with a day"),
        (["--mapping", "unknown"], "there is no mapping unknown of interactions; saved: none."),
        (["--mapping-file", "missing.json"], "missing.json cannot be read: No such file or directory."),
        (["--separator", "--"], "separator is one ASCII character"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_lands(options: list[str], reason: str, workplace: Path) -> None:
    (workplace / "ratings.csv").write_text(RATINGS)
    result = gata("ingest", "interactions", "ratings.csv", "--tenant", "acme", *options)
    assert result.exit_code == 2
    assert reason in result.output
    assert not (workplace / "gata-data").exists()


def test_the_types_of_a_table_without_words_need_a_file(workplace: Path) -> None:
    (workplace / "items.csv").write_text("item_id,title\n1,a\n")
    result = gata("ingest", "items", "items.csv", "--tenant", "acme", "--types", "a=b")
    assert result.exit_code == 2
    assert "--types is for a table with one column of words, and items has 0" in result.output


def test_a_refused_file_names_what_is_missing_and_what_is_not_known(workplace: Path) -> None:
    (workplace / "ratings.csv").write_text(RATINGS)
    (outcome,) = said(gata("ingest", "interactions", "ratings.csv", "--tenant", "acme"))
    assert outcome["reason"] == (
        "lacks the columns user_id, item_id, interaction_type (of its own, 2 are not known: userId, movieId). A table "
        "of interactions has user_id, item_id, interaction_type, timestamp, and may have rating, device_type, "
        "location, session_id. `gata ingest interactions FILE --explain` proposes how to read it."
    )
