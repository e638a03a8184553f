"""The target directory is removed while `gata prepare` runs: the command never ends well with rows missing.

Real: the command, SQLite, files. The n-th call of any store of the command finds the directory renamed away: a store is
built deep in the command, so its methods are wrapped, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from gata_assets.storage.local import LocalStore
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets_tests.cli.batches.test_interactions import SETTINGS
from gata_assets_tests.interactions.assets.test_batch_run import catalogue, interactions
from gata_assets_tests.support.command import Ran, gata
from gata_assets_tests.support.scenario import BATCH_ID, database_rows, world

METHODS = (
    "write",
    "write_file",
    "read_versioned",
    "read_part",
    "list_keys",
    "list_delivered",
    "version",
    "delete",
    "local_copy",
    "open_write",
    "open_read",
    "move",
)
TARGET = "gata-target"
ONE_TENANT = {**SETTINGS, "TARGET_DIR": TARGET, "TENANTS": "acme"}
# The n-th calls in `make test`; all of them in soak.
FEW = (2, 3, 5, 9, 17, 33, 65, 110)


class Trap:
    """Counts the calls of all stores; before the n-th, `spring` is called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.at = 0
        self.spring: Callable[[], object] = lambda: None
        for name in METHODS:
            monkeypatch.setattr(LocalStore, name, self._counted(getattr(LocalStore, name)))

    def _counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls == self.at:
                self.spring()
            return method(*arguments, **named)

        return call


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    create_sqlite(tmp_path / "tickets.sqlite", database_rows(world()))
    (tmp_path / "clicks.csv").write_bytes(interactions(["2025-12-01", "2025-12-02", "2025-12-31"]))
    (tmp_path / "items.csv").write_bytes(catalogue())
    for kind, file in (("items", "items.csv"), ("interactions", "clicks.csv")):
        ran = gata(tmp_path, "ingest", kind, file, "--tenant", "acme", **ONE_TENANT)
        assert ran.returncode == 0, ran.stderr[-2_000:]
    return tmp_path


def prepare(directory: Path) -> Ran:
    return gata(directory, "prepare", BATCH_ID, "--summary", "json", **ONE_TENANT)


@pytest.mark.parametrize("calls", [FEW, pytest.param(range(2, 2_000), marks=pytest.mark.soak)], ids=["few", "all"])
@pytest.mark.parametrize("is_replaced", [False, True], ids=["removed", "replaced"])
def test_a_target_that_goes_at_any_call_fails_the_command(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, calls: range, is_replaced: bool
) -> None:
    target, away = workplace / TARGET, workplace / "away"
    trap = Trap(monkeypatch)

    def go() -> None:
        target.rename(away)
        if is_replaced:
            target.mkdir()

    trap.spring = go
    for trap.at in calls:
        trap.calls = 0
        ran = prepare(workplace)
        if trap.calls < trap.at:
            assert ran.returncode == 0, "nothing happened"
            break
        assert ran.returncode == 1, f"call {trap.at}: {ran.stdout[-500:]}"
        assert "was removed, replaced or unmounted" in ran.stdout, f"call {trap.at}"
        if is_replaced:
            left = [path for path in target.rglob("*") if path.is_file() and path.parent.name != ".staging"]
            assert left == [], "no object is written into another directory"
            rmtree(target)
        assert not target.exists()
        away.rename(target)
    trap.at = 0
    ran = prepare(workplace)
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["event"] == "BATCH_PREPARED"
