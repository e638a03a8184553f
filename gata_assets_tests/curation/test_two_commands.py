"""Two commands that change the reports of one tenant at once: no change of either is lost.

Real: landing, validation and reports, a directory and S3 over HTTP on loopback, threads in turns before every call of
the store. Nothing is faked.
"""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from gata_assets.curation.reports import Report
from gata_assets.curation.superseding import replaced_files, valid_reports
from gata_assets.errors import DataRuleError
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.interleaving import run_in_turns
from gata_assets_tests.support.raw_worlds import NOW, curator_of, interaction, item, send

NEVER = float("inf")


def counting(store: ObjectStore, tenant: str) -> list[str]:
    """The raw files that count, by name."""
    reports = curator_of(store, tenant).reports(INTERACTIONS)
    return sorted(report.raw_key.rpartition("/")[2].rpartition("-")[0] for report in valid_reports(reports))


def send_one(store: Any, tenant: str, name: str, scratch: Path, replaces: list[str], refused: dict[str, str]) -> None:
    rows = [interaction(user_id=name)]
    try:
        send(curator_of(store, tenant), rows, scratch / tenant / name, name=f"{name}.csv", replaces=replaces)
    except DataRuleError as error:
        refused[name] = str(error)


@pytest.mark.parametrize("pauses", [1, 2])
@pytest.mark.parametrize("every", [131, pytest.param(5, marks=pytest.mark.soak)])
def test_of_two_files_that_replace_the_same_one_counts_and_the_other_does_not_land(
    pauses: int, every: int, any_store: ObjectStore, tmp_path: Path
) -> None:
    calls = range(1, 31)
    for first, second in product(calls, calls if pauses == 2 else [NEVER]):
        if pauses == 2 and (first + 3 * second) % every:
            continue
        tenant = f"t{first}-{second}"
        (tmp_path / tenant).mkdir()
        old = send(
            curator_of(any_store, tenant), [interaction(user_id="old")], tmp_path / tenant / "old", name="old.csv"
        )

        refused: dict[str, str] = {}

        def replacing(name: str, tenant: str = tenant, old_id: str = old.file_id, refused: Any = refused) -> Any:
            return lambda paced: send_one(paced, tenant, name, tmp_path, [old_id], refused)

        ends, made = run_in_turns(
            any_store,
            replacing("red"),
            replacing("new"),
            pause_first=first,
            pause_second=second,
            after_each=lambda _: None,
        )
        assert ends == [None, None]
        [(loser, reason)] = refused.items()
        [winner] = {"red", "new"} - {loser}
        assert counting(any_store, tenant) == [winner]
        assert f"-{winner}-" in reason, "what counts instead, or is about to"
        assert len(curator_of(any_store, tenant).raw_keys(INTERACTIONS)) == 2
        if made[0] < first and pauses == 1:
            break
    else:
        assert pauses == 2, "all calls were tried"


def test_a_file_that_is_validated_again_stays_in_the_place_that_another_command_gave_it(
    any_store: ObjectStore, tmp_path: Path
) -> None:
    """B took the place of A. While B is validated again, A takes its place back."""
    for pause in range(1, 25):
        tenant = f"t{pause}"
        (tmp_path / tenant).mkdir()
        curator = curator_of(any_store, tenant)
        a = send(curator, [interaction(user_id="a")], tmp_path / tenant / "in", name="a.csv")
        b = send(curator, [interaction(user_id="b")], tmp_path / tenant / "in", name="b.csv", replaces=[a.file_id])

        def validate_again(paced: Any, tenant: str = tenant, key: str = b.raw_key) -> None:
            curator_of(paced, tenant).validate(key)

        def take_back(paced: Any, tenant: str = tenant, b_id: str = b.file_id) -> None:
            send(
                curator_of(paced, tenant),
                [interaction(user_id="a")],
                tmp_path / tenant / "in",
                name="a.csv",
                replaces=[b_id],
            )

        ends, made = run_in_turns(any_store, validate_again, take_back, pause_first=pause, after_each=lambda _: None)
        assert ends == [None, None]
        reports = curator_of(any_store, tenant).reports(INTERACTIONS)
        assert replaced_files(reports) == {b.file_id: a.file_id}
        assert next(report for report in reports if report.file_id == b.file_id).replaces == ()
        if made[0] < pause:
            return
    pytest.fail("not all calls were tried")


def test_whoever_comes_back_and_whoever_replaces_it_meanwhile_do_not_both_count(
    any_store: ObjectStore, tmp_path: Path
) -> None:
    """B took the place of A. While A takes its place back, C takes that of B."""
    for pause in range(1, 31):
        tenant = f"t{pause}"
        (tmp_path / tenant).mkdir()
        curator = curator_of(any_store, tenant)
        a = send(curator, [interaction(user_id="a")], tmp_path / tenant / "in", name="a.csv")
        b = send(curator, [interaction(user_id="b")], tmp_path / tenant / "in", name="b.csv", replaces=[a.file_id])
        refused: dict[str, str] = {}

        def replacing(name: str, tenant: str = tenant, old: str = b.file_id, refused: Any = refused) -> Any:
            return lambda paced: send_one(paced, tenant, name, tmp_path, [old], refused)

        ends, made = run_in_turns(
            any_store, replacing("a"), replacing("c"), pause_first=pause, after_each=lambda _: None
        )
        assert ends == [None, None]
        [loser] = refused
        assert [*counting(any_store, tenant), loser] in (["a", "c"], ["c", "a"])
        if made[0] < pause:
            return
    pytest.fail("not all calls were tried")


class Killed(BaseException):
    """A command is killed."""


def killed_after(store: ObjectStore, calls: int) -> Any:
    """The store of a command that is killed after so many calls that change something."""

    class Dying:
        def __init__(self) -> None:
            self.left = calls

        def __getattr__(self, name: str) -> Any:
            found = getattr(store, name)
            if name not in ("write", "write_file", "open_write", "delete"):
                return found

            def call(*arguments: Any, **options: Any) -> Any:
                if not self.left:
                    raise Killed
                self.left -= 1
                return found(*arguments, **options)

            return call

    return Dying()


def sends(store: Any, tenant: str, name: str, scratch: Path, *replaces: str) -> Report:
    rows = [interaction(user_id=name)]
    return send(curator_of(store, tenant), rows, scratch, name=f"{name}.csv", replaces=replaces)


@pytest.mark.parametrize("completed_by", ["the same command", "the next run", "another file"])
def test_a_command_that_is_killed_leaves_what_counted_until_somebody_completes_it(
    completed_by: str, any_store: ObjectStore, tmp_path: Path
) -> None:
    # The claim of the content, that of the file, the raw file, the staged part and the report.
    for calls in range(6):
        tenant = f"t{calls}"
        old = sends(any_store, tenant, "old", tmp_path / "in")
        if calls < 5:
            with pytest.raises(Killed):
                sends(killed_after(any_store, calls), tenant, "new", tmp_path / "in", old.file_id)
        else:
            sends(killed_after(any_store, calls), tenant, "new", tmp_path / "in", old.file_id)
        assert counting(any_store, tenant) == (["old"] if calls < 5 else ["new"]), calls
        if completed_by == "the same command":
            sends(any_store, tenant, "new", tmp_path / "in", old.file_id)
            assert counting(any_store, tenant) == ["new"]
        elif completed_by == "the next run":
            curator_of(any_store, tenant).validate_new(INTERACTIONS)
            assert counting(any_store, tenant) == (["old"] if calls < 3 else ["new"])
        elif calls > 1:
            with pytest.raises(DataRuleError) as refused:
                sends(any_store, tenant, "third", tmp_path / "in", old.file_id)
            claimant = re.findall(r"\d{4}-\d\d-\d\d-new-\w{32}", str(refused.value))[-1]
            if calls < 5:
                assert f"take its place with --replaces {old.file_id} --replaces {claimant}" in str(refused.value)
            sends(any_store, tenant, "third", tmp_path / "in", old.file_id, claimant)
            curator_of(any_store, tenant).validate_new(INTERACTIONS)
            assert counting(any_store, tenant) == ["third"]
        assert curator_of(any_store, tenant).validate_new(INTERACTIONS) == []


@pytest.mark.parametrize("data", [INTERACTIONS, ITEMS])
def test_the_same_content_completes_a_killed_command_on_another_day_and_under_another_name(
    data: str, any_store: ObjectStore, tmp_path: Path
) -> None:
    later = NOW + timedelta(days=2)
    for calls in range(5):
        tenant = f"t{calls}"
        old, new, other = (
            [interaction(user_id=name) if data == INTERACTIONS else item(title=name)]
            for name in ("old", "new", "other")
        )
        first = send(curator_of(any_store, tenant), old, tmp_path / "in", data=data, name="old.csv")
        dying = curator_of(killed_after(any_store, calls), tenant)
        with pytest.raises(Killed):
            send(dying, new, tmp_path / "in", data=data, name="new.csv", replaces=[first.file_id])
        curator = curator_of(any_store, tenant, now=later)
        if calls > 1:
            with pytest.raises(DataRuleError, match="send its file again with --replaces"):
                send(curator, other, tmp_path / "in", data=data, name="other.csv", replaces=[first.file_id])
        report = send(curator, new, tmp_path / "in", data=data, name="renamed.csv", replaces=[first.file_id])
        assert replaced_files(curator.reports(data)) == {first.file_id: report.file_id}
        assert len(curator.raw_keys(data)) == 2
        assert ("-new-" if calls > 1 else "-renamed-") in report.file_id
        if data == ITEMS:
            assert report.landed_at >= later, "as what lands now"
        assert curator_of(any_store, tenant).validate_new(data) == []


def test_a_command_that_is_refused_leaves_no_claim(any_store: ObjectStore, tmp_path: Path) -> None:
    a, b = (sends(any_store, "acme", name, tmp_path / "in") for name in "ab")
    new = sends(any_store, "acme", "new", tmp_path / "in", b.file_id)
    with pytest.raises(DataRuleError, match="counts no more"):
        sends(any_store, "acme", "late", tmp_path / "in", a.file_id, b.file_id)
    reports = {report.file_id: report for report in curator_of(any_store, "acme").reports(INTERACTIONS)}
    assert {name: report.replaced_by for name, report in reports.items() if report.replaced_by} == {
        b.file_id: new.file_id
    }


def test_of_two_files_that_replace_the_same_two_counts(any_store: ObjectStore, tmp_path: Path) -> None:
    for pause in range(1, 40):
        tenant = f"t{pause}"
        (tmp_path / tenant).mkdir()
        olds = [sends(any_store, tenant, name, tmp_path / "in").file_id for name in ("old1", "old2")]
        refused: dict[str, str] = {}

        def replacing(name: str, olds: list[str], tenant: str = tenant, refused: Any = refused) -> Any:
            return lambda paced: send_one(paced, tenant, name, tmp_path, olds, refused)

        first, second = replacing("red", olds), replacing("new", olds[::-1])
        ends, made = run_in_turns(any_store, first, second, pause_first=pause, after_each=lambda _: None)
        assert ends == [None, None]
        [loser] = refused
        assert [*counting(any_store, tenant), loser] in (["red", "new"], ["new", "red"])
        if made[0] < pause:
            return
    pytest.fail("not all calls were tried")
