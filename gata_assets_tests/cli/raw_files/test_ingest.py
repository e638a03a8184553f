"""`gata ingest`, `gata quarantine` and the sample of `gata sample-data`, as their users call them.

Real: click's command line, settings, files below a directory. Nothing is faked.
"""

from __future__ import annotations

import gzip
import json
import sys
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from gata_assets.cli.main import main
from gata_assets.cli.raw_files import ingest as ingest_files
from gata_assets.cli.raw_files.mapping_options import MappingOptions
from gata_assets.cli.raw_files.outcomes import followed
from gata_assets.curation.readers.columns import match_columns
from gata_assets.curation.superseding import valid_reports
from gata_assets.interactions.tables import INTERACTIONS, ITEMS, TABLES
from gata_assets.sandbox.sample_interactions import SampleShop, generate_interactions, generate_items
from gata_assets.settings.model import parse_settings, variable_names
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.raw_worlds import curator_of, encode, interaction, item
from gata_assets_tests.support.stored_datasets import stored_key
from gata_assets_tests.support.terminal import Terminal


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to be in, with no setting set."""
    for name in variable_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def gata(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin)


def ingest(data: str, *arguments: str, stdin: bytes | None = None) -> Result:
    return gata("ingest", data, *arguments, "--tenant", "sample", stdin=stdin)


def said(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_ingest_says_what_became_of_every_row(workplace: Path) -> None:
    (workplace / "items.csv").write_bytes(encode([item()], "csv"))
    (workplace / "a.csv").write_bytes(
        encode([interaction(), interaction(item_id="i9"), interaction(rating="9")], "csv")
    )
    assert ingest("items", "items.csv").exit_code == 0
    result = ingest("interactions", "a.csv")
    assert result.exit_code == 0
    (told,) = said(result)
    assert {
        name: told[name]
        for name in ("event", "rows", "valid", "rejected", "rejected_by_rule", "unknown_by_rule", "days")
    } == {
        **{"event": "FILE_VALIDATED", "rows": 3, "valid": 2, "rejected": 1},
        **{"rejected_by_rule": {"rating_is_1_to_5": 1}, "unknown_by_rule": {"item_is_known": 1}, "days": 1},
    }
    again = said(ingest("interactions", "a.csv"))
    assert [(one["was_there"], one["file_id"]) for one in again] == [(True, told["file_id"])]
    shown = ingest("interactions", "a.csv", "--summary", "table").stdout
    assert "already landed on" in shown
    assert "3 rows: 2 valid, 1 in quarantine" in shown
    assert "1 broke rating_is_1_to_5" in shown


def test_a_directory_and_stdin_are_taken_in(workplace: Path) -> None:
    (workplace / "in" / "deep").mkdir(parents=True)
    (workplace / "in" / "a.csv").write_bytes(encode([interaction()], "csv"))
    (workplace / "in" / "deep" / "b.parquet").write_bytes(encode([interaction()], "parquet"))
    (workplace / "in" / "notes.txt").write_text("not a raw file")
    (workplace / "in" / ".hidden.csv").write_text("nor this")
    assert [one["file"] for one in said(ingest("interactions", "in"))] == ["in/a.csv", "in/deep/b.parquet"]
    stdin = gzip.compress(encode([interaction(user_id="u2")], "jsonl"))
    (told,) = said(ingest("interactions", "-", "--format", "jsonl.gz", stdin=stdin))
    assert (told["file"], told["valid"]) == ("stdin", 1)


def test_a_terminal_shows_which_of_how_many_files_is_read(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.csv", "b.csv"):
        (workplace / name).write_bytes(encode([interaction(user_id=name)], "csv"))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    rules = {"tenant": "sample", "file_format": None, "replaces": (), "options": MappingOptions()}
    assert ingest_files.run(parse_settings({}), "interactions", ["a.csv", "b.csv"], as_table=False, **rules)
    assert "1 of 2 files, a.csv: " in terminal.text()
    assert "2 of 2 files, b.csv: " in terminal.text()
    assert "files" not in capsys.readouterr().out


def test_without_a_terminal_a_line_says_now_and_then_how_many_rows_are_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with followed("large.csv", rows_of_a_line=100) as show:
        for rows in (60, 120, 180, 240, 400):
            show(rows)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [json.loads(line) for line in captured.err.splitlines()]
    assert [(line["event"], line["rows"]) for line in lines] == [("FILE_PROGRESS", rows) for rows in (120, 240, 400)]


def test_a_refused_file_is_reported_and_the_others_land(workplace: Path) -> None:
    (workplace / "columns.csv").write_text(f"user_id,item_id\n{canary('a user')},i7\n")
    (workplace / "valid.csv").write_bytes(encode([interaction()], "csv"))
    result = ingest("interactions", "columns.csv", "missing.csv", "valid.csv")
    assert result.exit_code == 1
    assert [one["event"] for one in said(result)] == ["FILE_REFUSED", "FILE_REFUSED", "FILE_VALIDATED"]
    reasons = [str(one["reason"]) for one in said(result)]
    assert "lacks the columns interaction_type, timestamp" in reasons[0]
    assert "cannot be read" in reasons[1]
    assert canary("a user") not in result.output
    assert len(list((workplace / "gata-data/sample/raw").rglob("*.csv"))) == 1


def test_a_file_of_which_no_row_is_valid_is_an_error_after_it_landed(workplace: Path) -> None:
    rows = [interaction(timestamp="1767312100"), interaction(timestamp="1767312100", rating="9")]
    (workplace / "bad.csv").write_bytes(encode(rows, "csv"))
    (workplace / "half.csv").write_bytes(encode([interaction(), *rows], "csv"))
    (workplace / "none.csv").write_bytes(encode(rows, "csv").partition(b"\n")[0] + b"\n")
    assert ingest("interactions", "half.csv", "none.csv").exit_code == 0
    for _ in range(2):
        result = ingest("interactions", "bad.csv")
        (told,) = said(result)
        assert (result.exit_code, told["event"], told["rejected"]) == (1, "FILE_VALIDATED", 2)
        why = "2 broke timestamp_is_iso_8601"
        advice = "`gata ingest interactions FILE --explain` shows how its times are written, and which setting counts."
        assert str(told["reason"]) == f"has no valid row among its 2: 1 broke rating_is_1_to_5, {why}. {advice}"
    shown = ingest("interactions", "bad.csv", "--summary", "table")
    assert (shown.exit_code, "2 rows: 0 valid, 2 in quarantine" in shown.stdout) == (1, True)
    assert f"NOTHING VALID: correct the file and send it with --replaces {told['file_id']}" in shown.stdout
    (workplace / "good.csv").write_bytes(encode([interaction(user_id="u9")], "csv"))
    assert ingest("interactions", "good.csv", "--replaces", str(told["file_id"])).exit_code == 0
    assert ingest("interactions", "bad.csv").exit_code == 0, "it counts no more"


@pytest.mark.parametrize("is_known", [False, True], ids=["new", "known"])
def test_a_file_of_which_no_row_is_valid_supersedes_none_and_says_so(is_known: bool, workplace: Path) -> None:
    (workplace / "a.csv").write_bytes(encode([interaction()], "csv"))
    (workplace / "bad.csv").write_bytes(encode([interaction(rating="9")], "csv"))
    (workplace / "good.csv").write_bytes(encode([interaction(rating="5")], "csv"))
    [first] = said(ingest("interactions", "a.csv"))
    if is_known:
        ingest("interactions", "bad.csv")
    result = ingest("interactions", "bad.csv", "--replaces", str(first["file_id"]))
    [told] = said(result)
    assert (result.exit_code, told["replaces"]) == (1, [])
    assert str(told["reason"]).endswith(f"It supersedes nothing: as before, what counts is {first['file_id']}.")
    curator = curator_of(workplace / "gata-data", "sample")
    counting = {report.file_id for report in valid_reports(curator.reports("interactions"))}
    assert counting == {first["file_id"], told["file_id"]}
    shown = ingest("interactions", "bad.csv", "--summary", "table").stdout
    assert f"what counts is {first['file_id']}" in shown
    olds = ["--replaces", str(first["file_id"]), "--replaces", str(told["file_id"])]
    assert f"send it with {' '.join(olds)}\n" in shown
    result = ingest("interactions", "good.csv", *olds)
    assert result.exit_code == 0
    counting = {report.file_id for report in valid_reports(curator.reports("interactions"))}
    assert counting == {said(result)[0]["file_id"]}
    [again] = said(ingest("interactions", "bad.csv"))
    assert (again["event"], "supersedes nothing" in str(again["reason"])) == ("FILE_REPLACED", False)


def test_a_void_file_names_what_counts_now_also_when_another_has_superseded_it(workplace: Path) -> None:
    """B, which is void, was to supersede A; then C superseded A."""
    for name, rating in (("a", None), ("b", "9"), ("c", "5")):
        (workplace / f"{name}.csv").write_bytes(encode([interaction(rating=rating)], "csv"))
    [a] = said(ingest("interactions", "a.csv"))
    [b] = said(ingest("interactions", "b.csv", "--replaces", str(a["file_id"])))
    [c] = said(ingest("interactions", "c.csv", "--replaces", str(a["file_id"])))
    [again] = said(ingest("interactions", "b.csv"))
    assert str(again["reason"]).endswith(f"It supersedes nothing: as before, what counts is {c['file_id']}.")
    shown = ingest("interactions", "b.csv", "--summary", "table").stdout
    assert f"as before, what counts is {c['file_id']}\n" in shown
    assert f"send it with --replaces {c['file_id']} --replaces {b['file_id']}\n" in shown
    assert str(a["file_id"]) not in shown
    [replayed] = said(gata("quarantine", "--tenant", "sample", "--replay", "--file", str(b["file_id"])))
    assert str(replayed["reason"]).endswith(f"what counts is {c['file_id']}.")


def test_a_file_that_was_removed_from_the_target_stops_no_other_replay(workplace: Path) -> None:
    told = []
    for name in ("a.csv", "b.csv"):
        (workplace / name).write_bytes(encode([interaction(user_id=name), interaction(rating="9")], "csv"))
        told += said(ingest("interactions", name))
    (workplace / "gata-data" / str(told[0]["raw"])).unlink()
    result = gata("quarantine", "--tenant", "sample", "--replay")
    assert result.exit_code == 1
    assert [(one["event"], one["reason"]) for one in said(result)] == [
        ("FILE_REFUSED", "cannot be validated again: its raw file was removed."),
        ("FILE_VALIDATED", None),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["interactions", "-", "--tenant", "acme"], "--format says what it is"),
        (["interactions", "a.csv", "--tenant", "Acme/.."], "1 to 63 of a-z 0-9 _"),
        (
            ["interactions", "a.csv", "--tenant", "training"],
            "other than governance, ingestion, intermediate, none, shop, training",
        ),
        (["interactions", "a.csv", "b.csv", "--tenant", "acme", "--replaces", "x"], "goes with one file"),
        (["interactions", "a.csv", "--tenant", "acme", "--format", "xls"], "--format xls is none: csv"),
        (["interactions", ".", "--tenant", "acme"], "no file in"),
        (["users", "a.csv", "--tenant", "acme"], "users is no table: there are interactions, items"),
    ],
)
def test_wrong_use_is_reported(arguments: list[str], message: str) -> None:
    result = gata("ingest", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_quarantine_lists_by_rule_and_replays_when_a_rule_was_changed(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [interaction(), interaction(timestamp="2019-06-01T00:00:00Z"), interaction(rating="9")]
    (workplace / "a.csv").write_bytes(encode(rows, "csv"))
    (told,) = said(ingest("interactions", "a.csv"))
    place = ["quarantine", "--tenant", "sample"]
    assert [(one["rule"], one["rows"]) for one in said(gata(*place))] == [
        ("rating_is_1_to_5", 1),
        ("timestamp_is_within_reason", 1),
    ]
    assert [one["rule"] for one in said(gata(*place, "--rule", "rating_is_1_to_5"))] == ["rating_is_1_to_5"]
    assert "timestamp_is_within_reason" in gata(*place, "--summary", "table").stdout
    monkeypatch.setenv("EARLIEST_INTERACTION", "2019-01-01")
    (again,) = said(gata(*place, "--replay", "--file", str(told["file_id"])))
    assert (again["valid"], again["rejected"], again["landed_at"]) == (2, 1, told["landed_at"])
    assert [one["rule"] for one in said(gata(*place))] == ["rating_is_1_to_5"]


def test_quarantine_tells_wrong_use_and_an_empty_place() -> None:
    place = ["quarantine", "--tenant", "sample"]
    assert "No file of sample was validated so far" in gata(*place, "--summary", "table").stdout
    assert gata(*place).stdout == ""
    assert gata(*place, "--rule", "nonsense").exit_code == 2
    assert gata(*place, "--replay", "--rule", "item_is_known").exit_code == 2
    unknown = gata(*place, "--file", "nonsense")
    assert (unknown.exit_code, "There is no file nonsense" in unknown.stderr) == (1, True)


def test_quarantine_shows_a_files_id_in_one_piece(workplace: Path) -> None:
    name = f"{'a-long-name-' * 5}.csv"
    (workplace / name).write_bytes(encode([interaction(rating="9")], "csv"))
    (told,) = said(ingest("interactions", name))
    assert str(told["file_id"]) in gata("quarantine", "--tenant", "sample", "--summary", "table").stdout


def test_a_corrected_file_supersedes_the_earlier_one(workplace: Path) -> None:
    (workplace / "a.csv").write_bytes(encode([interaction(rating="9")], "csv"))
    (workplace / "b.csv").write_bytes(encode([interaction(rating="5")], "csv"))
    (told,) = said(ingest("interactions", "a.csv"))
    unknown = ingest("interactions", "b.csv", "--replaces", "nonsense")
    assert (unknown.exit_code, "There is no file nonsense" in unknown.stderr) == (1, True)
    (workplace / "items.csv").write_bytes(encode([item()], "csv"))
    other = ingest("items", "items.csv", "--replaces", str(told["file_id"]))
    assert (other.exit_code, f"There is no file {told['file_id']} of items" in other.stderr) == (1, True)
    assert not (workplace / "gata-data/sample/raw/items").exists(), "it is told before anything lands"
    (corrected,) = said(ingest("interactions", "b.csv", "--replaces", str(told["file_id"])))
    assert corrected["replaces"] == [told["file_id"]]
    assert said(gata("quarantine", "--tenant", "sample")) == []
    gone = gata("quarantine", "--tenant", "sample", "--replay", "--file", str(told["file_id"]))
    assert "counts no more" in gone.stderr


def test_of_an_item_the_file_that_was_named_last_counts_also_one_that_came_before(workplace: Path) -> None:
    for name, price in (("b.csv", "1"), ("a.csv", "2"), ("items-10.csv", "10"), ("items-9.csv", "9")):
        (workplace / name).write_bytes(encode([item(price=price)], "csv"))

    def price() -> list[float]:
        store = LocalStoreResource(directory=str(workplace / "gata-data"))
        key = stored_key(store, "sample/curated/items/", "items.parquet")
        return pl.read_parquet(workplace / "gata-data" / key)["price"].to_list()

    assert ingest("items", "b.csv", "a.csv").exit_code == 0
    assert price() == [2.0]
    assert ingest("items", "items-9.csv", "items-10.csv").exit_code == 0
    assert price() == [10.0]
    (again,) = said(ingest("items", "b.csv"))
    assert (again["was_there"], price()) == (True, [1.0])


def test_a_tenant_that_nobody_prepares_is_reported(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workplace / "a.csv").write_bytes(encode([interaction()], "csv"))
    for named, is_warned in (("", False), ("acme,globex", False), ("acme", True), ("none", True)):
        monkeypatch.setenv("TENANTS", named)
        result = gata("ingest", "interactions", "a.csv", "--tenant", "globex")
        assert (result.exit_code, "TENANTS does not name globex" in result.stderr) == (0, is_warned), named


def test_sample_data_makes_a_tenant_and_other_seeds_take_its_place(workplace: Path) -> None:
    sizes = ["--since", "2026-01-01", "--until", "2026-01-04", "--users", "100", "--items", "300"]
    first = gata("sample-data", *sizes, "--interactions", "90000", "--days", "2")
    assert first.exit_code == 0
    assert "sample interactions from 2026-01-03 to 2026-01-04, for the tenant sample" in first.stdout
    second = gata("sample-data", *sizes, "--interactions", "9000", "--seed", "1", "--force")
    assert second.exit_code == 0
    curator = curator_of(workplace / "gata-data", "sample")
    made = list(curator.curate(INTERACTIONS, curator.stale(INTERACTIONS)))
    assert [one.day for one in made if one.rows] == curator.days_between(date(2026, 1, 1), date(2026, 1, 4))
    assert 200 < sum(one.rows for one in made) < 500
    again = gata("sample-data", *sizes, "--interactions", "9000", "--seed", "1", "--force")
    assert again.stdout == second.stdout
    assert curator.stale(INTERACTIONS) == []


def test_a_day_of_the_sample_is_the_same_whatever_days_are_asked_for() -> None:
    shop = SampleShop(users=500, items=200, interactions_per_day=300, seed=7)
    week = generate_interactions(shop, date(2026, 1, 1), date(2026, 1, 7))
    day = generate_interactions(shop, date(2026, 1, 3), date(2026, 1, 3))
    assert pl.concat([day, week]).filter(pl.col("timestamp").str.starts_with("2026-01-03")).is_duplicated().all()
    assert not generate_interactions(SampleShop(seed=8), date(2026, 1, 3), date(2026, 1, 3)).equals(day)


def test_the_sample_has_the_columns_of_its_tables_popular_items_faults_and_repetitions() -> None:
    shop = SampleShop()
    items, events = generate_items(shop), generate_interactions(shop, date(2026, 1, 1), date(2026, 3, 31))
    for data, table in ((ITEMS, items), (INTERACTIONS, events)):
        assert len(match_columns(TABLES[data], [(name,) for name in table.columns])) == len(table.columns)
        assert set(table.columns) == {*TABLES[data].required, *TABLES[data].optional}
    assert (len(items), items["category"].n_unique()) == (5_000, 12)
    assert 95_000 < len(events) < 105_000
    by_item = events["item_id"].value_counts(sort=True)["count"]
    assert by_item[0] > 50 * by_item.median()  # type: ignore[operator]
    assert 200 < events.is_duplicated().sum() / 2 < 600
    assert 50 < events["user_id"].null_count() < 250
