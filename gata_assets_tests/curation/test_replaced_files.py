"""Files that take each other's place: which of them count, whatever is sent again and in whatever order.

Real: the command line, files below a directory, curated rows. Nothing is faked.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.curation.reports import Report
from gata_assets.curation.superseding import (
    counts_instead,
    replaced_files,
    require_place,
    supersede,
    valid_reports,
)
from gata_assets.errors import DataRuleError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import INTERACTIONS, TABLES
from gata_assets_tests.cli.raw_files.test_ingest import ingest, said, workplace
from gata_assets_tests.support.raw_worlds import NOW, curated_rows, curator_of, encode, interaction, item
from gata_assets_tests.support.stored_datasets import stored_key

__all__ = ["workplace"]
NAMES = "abcde"


def report_of(name: str, replaces: tuple[str, ...] = (), refused: str | None = None) -> Report:
    landed_at = NOW + timedelta(seconds=ord(name[0]))
    return Report(INTERACTIONS, name, f"{name}.csv", landed_at, "rules", replaces=replaces, refused=refused)


def write(place: Path, data: str, name: str) -> None:
    """A file of one row by which it is known again."""
    row = interaction(user_id=name) if data == INTERACTIONS else item(title=name)
    (place / f"{name}.csv").write_bytes(encode([row], "csv"))


def counting(curator: Curator, data: str) -> list[str]:
    """The names of the files whose rows stand in curated tables."""
    if data == INTERACTIONS:
        assert all(made.is_written for made in curator.curate(INTERACTIONS, curator.stale(INTERACTIONS)))
        return curated_rows(curator)["user_id"].to_list()
    with curator.store.local_copy(stored_key(curator.store, curator.places.curated("items"), "items.parquet")) as path:
        return pl.read_parquet(path)["title"].to_list()


@pytest.mark.parametrize("data", TABLES)
def test_a_file_that_was_replaced_is_reported_when_it_is_sent_again_and_comes_back_when_asked(
    data: str, workplace: Path
) -> None:
    curator = curator_of(workplace / "gata-data", "sample")
    for name in "abc":
        write(workplace, data, name)
    (a,) = said(ingest(data, "a.csv"))
    (b,) = said(ingest(data, "b.csv", "--replaces", str(a["file_id"])))
    (c,) = said(ingest(data, "c.csv", "--replaces", str(b["file_id"])))
    assert counting(curator, data) == ["c"]
    for name in "ab":
        again = ingest(data, f"{name}.csv")
        assert again.exit_code == 0
        assert [(one["event"], one["replaced_by"]) for one in said(again)] == [("FILE_REPLACED", c["file_id"])]
        shown = ingest(data, f"{name}.csv", "--summary", "table").stdout
        assert shown.startswith(f"REPLACED {name}.csv")
        assert f"--replaces {c['file_id']}" in shown
        assert "valid" not in shown
        assert counting(curator, data) == ["c"]
    for wrong in (b, a):
        refused = ingest(data, "a.csv", "--replaces", str(wrong["file_id"]))
        assert refused.exit_code == 1
        assert wrong is a or f"--replaces {c['file_id']}" in refused.stderr
        assert counting(curator, data) == ["c"]
    (back,) = said(ingest(data, "a.csv", "--replaces", str(c["file_id"])))
    assert (back["event"], back["file_id"], back["replaced_by"]) == ("FILE_VALIDATED", a["file_id"], None)
    assert counting(curator, data) == ["a"]
    assert [one["event"] for one in said(ingest(data, "a.csv", "b.csv", "c.csv"))] == [
        "FILE_VALIDATED",
        "FILE_REPLACED",
        "FILE_REPLACED",
    ]
    assert counting(curator, data) == ["a"]


def test_a_new_file_cannot_take_the_place_of_one_that_counts_no_more_and_does_not_land(workplace: Path) -> None:
    for name in "abc":
        write(workplace, INTERACTIONS, name)
    (a,) = said(ingest("interactions", "a.csv"))
    (b,) = said(ingest("interactions", "b.csv", "--replaces", str(a["file_id"])))
    result = ingest("interactions", "c.csv", "--replaces", str(a["file_id"]))
    assert (result.exit_code, f"--replaces {b['file_id']} is needed" in result.stderr) == (1, True)
    assert len(list((workplace / "gata-data/sample/raw").rglob("*.csv"))) == 2


def test_a_command_that_is_repeated_changes_nothing(workplace: Path) -> None:
    for name in "ab":
        write(workplace, INTERACTIONS, name)
    (a,) = said(ingest("interactions", "a.csv"))
    told = [said(ingest("interactions", "b.csv", "--replaces", str(a["file_id"])))[0] for _ in range(2)]
    assert [(one["event"], one["replaces"]) for one in told] == [("FILE_VALIDATED", [a["file_id"]])] * 2
    assert counting(curator_of(workplace / "gata-data", "sample"), INTERACTIONS) == ["b"]


def test_a_file_takes_the_place_of_a_whole_chain_when_all_of_it_is_named() -> None:
    reports = [report_of("a"), report_of("b", ("a",)), report_of("c", ("b",)), report_of("d")]
    *_, new = supersede(reports[3], ["a", "b", "c"], reports)
    assert new.replaces == ("a", "b", "c")


def test_a_file_comes_back_in_the_place_of_the_one_that_counts_instead_and_of_no_other() -> None:
    reports = [report_of("a"), report_of("b", ("a",)), report_of("c", ("b",)), report_of("d")]
    with pytest.raises(DataRuleError, match="a counts no more, c does in its place: --replaces c brings it back"):
        supersede(reports[0], ["d"], reports)
    written = supersede(reports[0], ["d", "c"], reports)
    assert [(one.file_id, one.replaces, one.replaced_by) for one in written] == [
        *[("c", ("b",), "a"), ("d", (), "a")],
        *[("a", ("d", "c"), None), ("b", (), None)],
    ]


def test_a_refused_file_takes_nobodys_place() -> None:
    reports = [report_of("a"), report_of("b", ("a",), refused="is damaged")]
    assert [one.file_id for one in valid_reports(reports)] == ["a"]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), min_size=1, max_size=3))))
def test_whoever_takes_the_place_of_others_counts_and_they_do_not(steps: list[tuple[str, list[str]]]) -> None:
    reports = {name: report_of(name) for name in NAMES}
    for new, olds in steps:
        try:
            changed = supersede(reports[new], olds, reports.values())
        except DataRuleError:
            with pytest.raises(DataRuleError):
                require_place(INTERACTIONS, new, olds, reports.values())
            continue
        counted = [{one.file_id for one in valid_reports(reports.values())}]
        for written in changed:
            reports[written.file_id] = written
            counted.append({one.file_id for one in valid_reports(reports.values())})
        # Wherever the command breaks off, nothing has changed yet, or all has.
        own = [written.file_id for written in changed].index(new) + 1
        assert counted == [counted[0]] * own + [counted[-1]] * (len(counted) - own)
        counts = {one.file_id for one in valid_reports(reports.values())}
        assert new in counts
        assert counts.isdisjoint(olds)
        replaced = replaced_files(reports.values())
        assert {counts_instead(name, replaced) for name in NAMES} == counts


PAIRS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=8)


@given(PAIRS, st.dictionaries(st.sampled_from(NAMES), st.sampled_from([*NAMES, "without a report"])))
def test_whatever_took_the_place_of_whatever_at_once_one_file_counts(
    pairs: list[tuple[str, str]], claims: dict[str, str]
) -> None:
    reports = [
        replace(report_of(name, tuple(old for new, old in pairs if new == name != old)), replaced_by=claims.get(name))
        for name in NAMES
    ]
    assert valid_reports(reports)
    replaced = replaced_files(reports)
    assert all(counts_instead(name, replaced) not in replaced for name in NAMES)


def test_of_files_that_replaced_the_same_one_that_with_the_claim_counts() -> None:
    old, first, last = report_of("a"), report_of("b", ("a",)), report_of("c", ("a",))
    for claimant, counts in (("b", "b"), ("c", "c"), (None, "c"), ("e", "c")):
        reports = [replace(old, replaced_by=claimant), first, last]
        assert [one.file_id for one in valid_reports(reports)] == [counts]


def test_a_claim_of_a_file_without_a_report_or_of_a_refused_one_changes_nothing() -> None:
    old = replace(report_of("a"), replaced_by="b")
    assert [one.file_id for one in valid_reports([old])] == ["a"]
    refused = report_of("b", ("a",), refused="is damaged")
    assert [one.file_id for one in valid_reports([old, refused])] == ["a"]
    with pytest.raises(DataRuleError, match="take its place with --replaces a --replaces b"):
        require_place(INTERACTIONS, "c", ["a"], [old])
    require_place(INTERACTIONS, "c", ["a", "b"], [old])
    require_place(INTERACTIONS, "b", ["a"], [old])
    require_place(INTERACTIONS, "c", ["a"], [old, refused])


def test_of_files_in_a_circle_the_one_that_landed_last_counts() -> None:
    reports = [report_of("a", ("c",)), report_of("b", ("a",)), report_of("c", ("b",)), report_of("d", ("e",))]
    assert [one.file_id for one in valid_reports([*reports, report_of("e")])] == ["c", "d"]


@pytest.mark.parametrize("is_taken", [False, True])
def test_a_refused_file_takes_its_place_when_it_is_read_after_all_unless_another_has_it(
    is_taken: bool, tmp_path: Path
) -> None:
    curator = curator_of(tmp_path / "store")

    def sort(name: str, content: bytes, *replaces: str) -> Report:
        key = f"{curator.places.raw(INTERACTIONS)}2026-01-09/{name}.csv"
        curator.store.write(key, content)
        return curator.validate(key, replaces=replaces)

    contents = {name: encode([interaction(user_id=name)], "csv") for name in "abc"}
    a = sort("a", contents["a"])
    assert sort("b", b"x,y\n1,2\n", a.file_id).refused
    assert counting(curator, INTERACTIONS) == ["a"]
    if is_taken:
        c = sort("c", contents["c"], a.file_id)
        b = sort("b", contents["b"])
        assert f"--replaces {c.file_id} is needed" in (b.refused or "")
        assert (b.rows, b.parts) == (0, ()), "of a refused file no row is told"
        assert counting(curator, INTERACTIONS) == ["c"]
        b = sort("b", contents["b"], c.file_id)
    else:
        b = sort("b", contents["b"])
    assert b.refused is None
    assert counting(curator, INTERACTIONS) == ["b"]
