"""The lease of whoever curates: one at a time, waiting, and what is left by a crash.

Real: a store in a directory. The clock is moved by hand, and pausing moves it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gata_assets.curation.changes.lease import Lease
from gata_assets.errors import StoreError
from gata_assets.storage.local import LocalStore

KEY = "shop/curated/store/lease.json"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 3, tzinfo=UTC)
        self.pauses = 0

    def __call__(self) -> datetime:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses += 1
        self.now += timedelta(seconds=seconds)


def lease(directory: Path, clock: Clock) -> Lease:
    return Lease(LocalStore(str(directory)), KEY, clock=clock, pause=clock.pause)


def test_a_free_lease_is_held_at_once_and_given_back(tmp_path: Path) -> None:
    clock = Clock()
    for _ in range(2):
        with lease(tmp_path, clock).held(lambda: False) as is_held:
            assert is_held
    assert clock.pauses == 0


def test_who_finds_the_work_done_by_another_does_not_wait_on(tmp_path: Path) -> None:
    clock = Clock()
    with lease(tmp_path, clock).held(lambda: False), lease(tmp_path, clock).held(lambda: clock.pauses == 3) as is_held:
        assert not is_held
    assert clock.pauses == 3


def test_a_lease_that_a_crash_left_runs_out(tmp_path: Path) -> None:
    clock = Clock()
    LocalStore(str(tmp_path)).write(KEY, b'{"until": "2026-01-03T00:00:30+00:00"}')
    with lease(tmp_path, clock).held(lambda: False) as is_held:
        assert is_held
    assert clock.now >= datetime(2026, 1, 3, 0, 0, 30, tzinfo=UTC)


def test_a_damaged_lease_is_free(tmp_path: Path) -> None:
    LocalStore(str(tmp_path)).write(KEY, b"{")
    with lease(tmp_path, Clock()).held(lambda: False) as is_held:
        assert is_held


def test_who_waits_for_too_long_gives_up_and_says_who_is_at_work(tmp_path: Path) -> None:
    clock = Clock()
    LocalStore(str(tmp_path)).write(KEY, b'{"until": "2027-01-01T00:00:00+00:00"}')
    with (
        pytest.raises(StoreError, match=r"Another command has curated for 0:30:00: .*lease\.json names it"),
        lease(tmp_path, clock).held(lambda: False),
    ):
        pass


def test_an_error_of_the_work_gives_the_lease_back(tmp_path: Path) -> None:
    clock = Clock()
    with pytest.raises(ZeroDivisionError), lease(tmp_path, clock).held(lambda: False):
        raise ZeroDivisionError
    with lease(tmp_path, clock).held(lambda: False) as is_held:
        assert is_held
    assert clock.pauses == 0
