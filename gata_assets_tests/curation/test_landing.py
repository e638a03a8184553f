"""Files on their way in: what lands, what is known again, what is validated again, and how often the store is asked.

Real: the command line, files below a directory. Faked: a directory that counts what it is asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.landing import Landing
from gata_assets.curation.policy import CurationRules
from gata_assets.curation.validation import digest_settings
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import INTERACTIONS, ITEMS, TABLES
from gata_assets.storage.local import LocalStore
from gata_assets.tables.columns.column_spec import ReferenceMode
from gata_assets_tests.cli.raw_files.test_ingest import gata, ingest, said, workplace
from gata_assets_tests.support.raw_worlds import NOW, RULES, STRICT, curator_of, encode, interaction, item, send

__all__ = ["workplace"]


class CountingObjects(LocalStore):
    """A directory that counts what it is asked for."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self.calls: Counter[str] = Counter()

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Count each key that is listed, as a page would."""
        for key in super().list_keys(prefix):
            self.calls[f"listed {prefix}"] += 1
            yield key

    def list_delivered(self, prefix: str) -> Iterator[str]:
        """As `list_keys`."""
        return self.list_keys(prefix)

    def list_versions(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Count each key that is listed, as a page would."""
        for listed in super().list_versions(prefix):
            self.calls[f"listed {prefix}"] += 1
            yield listed

    def read(self, key: str) -> bytes:
        """Count, then read."""
        self.calls[f"read {key.rpartition('/')[0]}"] += 1
        return super().read(key)


@pytest.mark.parametrize("data", TABLES)
def test_a_directory_takes_as_many_calls_as_it_has_files(data: str, tmp_path: Path) -> None:
    def count(files: int) -> Counter[str]:
        store = CountingObjects(str(tmp_path / f"store-{files}"))
        for _ in range(2):
            landing = Landing(Curator(store, "acme", RULES, NOW))
            for number in range(files):
                path = tmp_path / f"{number}.csv"
                row = interaction(user_id=str(number)) if data == INTERACTIONS else item(item_id=str(number))
                path.write_bytes(encode([row], "csv"))
                landing.land(data, path.name, path, parse_format(path.name))
        return store.calls

    few, many = count(4), count(12)
    assert few.keys() == many.keys()
    assert {name: calls for name, calls in many.items() if calls > 3 * few[name]} == {}


def test_a_file_that_comes_again_is_validated_by_the_settings_of_now(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [interaction(), interaction(timestamp="2025-06-01T00:00:00Z")]
    (workplace / "a.csv").write_bytes(encode(rows, "csv"))
    (first,) = said(ingest("interactions", "a.csv"))
    monkeypatch.setenv("EARLIEST_INTERACTION", "2026-01-01")
    (again,) = said(ingest("interactions", "a.csv"))
    assert [(one["valid"], one["was_there"]) for one in (first, again)] == [(2, False), (1, True)]
    assert again["landed_at"] == first["landed_at"]


def test_files_of_other_rules_are_shown_and_validated_again_though_all_rows_were_valid(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        rows = [interaction(user_id=name), interaction(timestamp="2025-06-01T00:00:00Z")]
        (workplace / f"{name}.csv").write_bytes(encode(rows, "csv"))
    (workplace / "items.csv").write_bytes(encode([item()], "csv"))
    ingest("items", "items.csv")
    (a, _) = said(ingest("interactions", "a.csv", "b.csv"))
    place = ["quarantine", "--tenant", "sample"]
    assert said(gata(*place)) == []
    monkeypatch.setenv("EARLIEST_INTERACTION", "2026-01-01")
    told = said(gata(*place))
    assert [one["event"] for one in told] == ["FILE_OUTDATED"] * 2
    assert told[0] == {"event": "FILE_OUTDATED", "file_id": a["file_id"], "rows": 2}
    assert said(gata(*place, "--rule", "item_is_known")) == []
    shown = gata(*place, "--summary", "table").stdout
    assert "2 files count by other rules than those of now" in shown
    assert "which a new release may have changed, or EARLIEST_INTERACTION, LAKE_EARLIEST_DATE, MAX_HOURS_AHEAD" in shown
    assert "gata quarantine --tenant sample --replay" in shown
    assert "There is nothing in quarantine" in shown
    replayed = said(gata(*place, "--replay"))
    assert [(one["valid"], one["rejected"]) for one in replayed] == [(1, 1), (1, 1)]
    assert [one["event"] for one in said(gata(*place))] == ["ROWS_IN_QUARANTINE"] * 2
    monkeypatch.delenv("EARLIEST_INTERACTION")
    assert [one["event"] for one in said(gata(*place))].count("FILE_OUTDATED") == 2
    assert [(one["valid"], one["rejected"]) for one in said(gata(*place, "--replay"))] == [(2, 0), (2, 0)]
    assert said(gata(*place, "--replay")) == []


@pytest.mark.parametrize("rules", [RULES, STRICT])
def test_neither_items_that_come_nor_another_day_make_files_outdated(rules: CurationRules, tmp_path: Path) -> None:
    for day in range(1, 4):
        curator = curator_of(tmp_path / "store", rules=rules, now=NOW + timedelta(days=day))
        send(curator, [item(item_id=f"i{day}")], tmp_path / "in", data=ITEMS)
        curator.refresh(ITEMS)
        send(curator, [interaction(user_id=f"u{day}")], tmp_path / "in")
    for data in TABLES:
        assert len(curator.reports(data)) == 3
        assert curator.outdated(curator.reports(data)) == []


@pytest.mark.parametrize(
    "other",
    [
        CurationRules(RULES.earliest_at + timedelta(days=1), RULES.at_most_ahead, RULES.references),
        CurationRules(RULES.earliest_at, RULES.at_most_ahead * 2, RULES.references),
        CurationRules(RULES.earliest_at, RULES.at_most_ahead, {ITEMS: ReferenceMode.REJECT}),
    ],
)
def test_each_setting_makes_files_of_interactions_outdated_and_none_those_of_items(other: CurationRules) -> None:
    assert digest_settings(TABLES[INTERACTIONS], other) != digest_settings(TABLES[INTERACTIONS], RULES)
    assert digest_settings(TABLES[ITEMS], other) == digest_settings(TABLES[ITEMS], RULES)


def test_what_was_superseded_is_neither_outdated_nor_validated_again(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        (workplace / f"{name}.csv").write_bytes(encode([interaction(user_id=name)], "csv"))
    (a,) = said(ingest("interactions", "a.csv"))
    (b,) = said(ingest("interactions", "b.csv", "--replaces", str(a["file_id"])))
    monkeypatch.setenv("MAX_HOURS_AHEAD", "48")
    monkeypatch.setenv("TENANTS", "sample")
    doctor = " ".join(gata("doctor").stdout.split())
    assert "interactions of sample: 2 files validated, 0 waiting; a catalog of 0 items. " in doctor
    assert "1 file counts by other" in doctor
    assert "gata quarantine --tenant sample --replay" in doctor
    assert [one["file_id"] for one in said(gata("quarantine", "--tenant", "sample"))] == [b["file_id"]]
    assert [one["event"] for one in said(ingest("interactions", "a.csv"))] == ["FILE_REPLACED"]
    alone = gata("quarantine", "--tenant", "sample", "--replay", "--file", str(a["file_id"]))
    assert (alone.exit_code, f"{b['file_id']} has superseded it" in alone.stderr) == (1, True)


def test_one_content_under_two_names_lands_once_though_both_come_at_once(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    landing = Landing(curator)
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path in paths:
        path.write_bytes(encode([interaction()], "csv"))
    a, b = (landing.land(INTERACTIONS, path.name, path, parse_format(path.name)) for path in paths)
    assert (a.was_there, b.was_there, b.report) == (False, True, a.report)
    assert len(list(curator.raw_keys(INTERACTIONS))) == 1


def test_a_content_that_landed_twice_is_known_as_the_file_that_landed_first(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    first = send(curator, [interaction()], tmp_path / "in")
    day = f"{NOW.date()}"
    assert day in first.raw_key
    again = first.raw_key.replace(day, f"{NOW.date() + timedelta(days=1)}")
    curator.store.write(again, curator.store.read(first.raw_key))
    assert len(list(curator.raw_keys(INTERACTIONS))) == 2
    assert send(curator, [interaction()], tmp_path / "in").file_id == first.file_id


def test_a_file_that_was_refused_takes_its_place_again_as_soon_as_it_can_be_read(tmp_path: Path) -> None:
    curator, paths = curator_of(tmp_path / "store"), {name: tmp_path / f"{name}.csv" for name in "ab"}
    for name, path in paths.items():
        path.write_bytes(encode([interaction(user_id=name)], "csv"))
    a = send(curator, paths["a"].read_bytes(), tmp_path / "in")
    b = send(curator, paths["b"].read_bytes(), tmp_path / "in", replaces=[a.file_id])
    curator.store.write(b.raw_key, b"no,such\ncolumns,1\n")
    assert curator_of(tmp_path / "store", rules=STRICT).validate(b.raw_key).refused
    curator.store.write_file(b.raw_key, paths["b"])
    landing = Landing(curator)
    told = [landing.land(INTERACTIONS, "x.csv", paths[name], parse_format("x.csv")) for name in "aba"]
    assert [one.replaced_by for one in told] == [None, None, b.file_id]


def test_what_a_directory_has_besides_raw_files_is_said(workplace: Path) -> None:
    (workplace / "in").mkdir()
    for name in ("a.csv", "b.csv", "notes.txt", ".c.csv", "_d.csv"):
        (workplace / "in" / name).write_bytes(encode([interaction(user_id=name)], "csv"))
    result = ingest("interactions", "in")
    assert [one["file"] for one in said(result)] == ["in/a.csv", "in/b.csv"]
    assert (
        "in: 3 of 5 files are left alone: 2 hidden (in a folder or with a name that begins with . or _), 1 with"
        in " ".join(result.stderr.split())
    )
    several = ingest("interactions", "in", "--replaces", "x")
    assert (several.exit_code, "goes with one file, and in has 2" in several.stderr) == (2, True)


def test_a_file_that_is_not_there_is_not_called_damaged(workplace: Path) -> None:
    for name, why in (("missing.csv", "No such file"), ("missing.csv.gz", "No such file")):
        (told,) = said(ingest("interactions", name))
        assert str(told["reason"]).startswith(f"cannot be read: {why}")


def test_a_target_that_cannot_be_written_is_reported_and_nothing_lands(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace / "a.csv").write_bytes(encode([interaction()], "csv"))
    (workplace / "taken").write_text("a file where the directory should be")
    monkeypatch.setenv("TARGET_DIR", "taken")
    result = ingest("interactions", "a.csv")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Look at TARGET_DIR" in result.stderr


def test_rejected_rows_are_reported_with_the_table_that_they_are_in(workplace: Path) -> None:
    (workplace / "a.csv").write_bytes(encode([interaction(rating="9")], "csv"))
    (told,) = said(ingest("interactions", "a.csv"))
    assert (workplace / "gata-data" / str(told["quarantine"])).is_file()
    assert (
        f"the rejected rows: {told['quarantine']} in the target"
        in ingest("interactions", "a.csv", "--summary", "table").stdout
    )


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_an_id_is_taken_as_it_is_and_a_blank_one_for_none(ending: str, tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    blanks = [interaction(user_id=blank) for blank in ("", " ", "\t", " \r ")]
    report = send(curator, [interaction(), interaction(user_id=" u1"), *blanks], tmp_path / "in", name=f"a.{ending}")
    assert report.rejected_by_rule == {"user_id_is_given": len(blanks)}
    (part,) = report.parts
    assert sorted(curator.read_staged(part)["user_id"].to_pylist()) == [" u1", "u1"]
