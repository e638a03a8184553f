"""Two commands that change the reports of one tenant at once: no change of either is lost.

Real: landing, validation and reports, a directory and S3 over HTTP on loopback, threads in turns before every call of
the store. Nothing is faked.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from gata_assets.curation.reports import replaced_files, valid_reports
from gata_assets.errors import DataRuleError
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.interleaving import run_in_turns
from gata_assets_tests.support.raw_worlds import curator_of, interaction, send

NEVER = float("inf")


def counting(store: ObjectStore, tenant: str) -> list[str]:
    """The raw files that count, by name."""
    reports = curator_of(store, tenant).reports(INTERACTIONS)
    return sorted(report.raw_key.rpartition("/")[2].rpartition("-")[0] for report in valid_reports(reports))


def send_one(store: Any, tenant: str, name: str, scratch: Path, replaces: list[str]) -> None:
    rows = [interaction(user_id=name)]
    # Whoever comes so late that the other has taken the place is refused before anything lands.
    with suppress(DataRuleError):
        send(curator_of(store, tenant), rows, scratch / tenant / name, name=f"{name}.csv", replaces=replaces)


@pytest.mark.parametrize("pauses", [1, 2])
@pytest.mark.parametrize("every", [31, pytest.param(5, marks=pytest.mark.soak)])
def test_of_two_files_that_replace_the_same_one_counts(
    pauses: int, every: int, any_store: ObjectStore, tmp_path: Path
) -> None:
    calls = range(1, 22)
    for first, second in product(calls, calls if pauses == 2 else [NEVER]):
        if pauses == 2 and (first + 3 * second) % every:
            continue
        tenant = f"t{first}-{second}"
        (tmp_path / tenant).mkdir()
        old = send(
            curator_of(any_store, tenant), [interaction(user_id="old")], tmp_path / tenant / "old", name="old.csv"
        )

        def replacing(name: str, tenant: str = tenant, old_id: str = old.file_id) -> Any:
            return lambda paced: send_one(paced, tenant, name, tmp_path, [old_id])

        ends, made = run_in_turns(
            any_store,
            replacing("red"),
            replacing("new"),
            pause_first=first,
            pause_second=second,
            after_each=lambda _: None,
        )
        assert ends == [None, None]
        assert counting(any_store, tenant) in (["red"], ["new"])
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
