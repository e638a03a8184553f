"""What commands write locally is for its owner alone, whatever the umask. All real."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gata_assets.orchestration.homes import prepare_home
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import gata
from gata_assets_tests.support.raw_worlds import encode, interaction


def test_nobody_else_reads_what_commands_have_written(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(encode([interaction(), interaction(user_id="u2", rating="x")], "csv"))
    given = {*tmp_path.iterdir()}
    before = os.umask(0)
    try:
        for command in ("ingest interactions rows.csv --tenant acme", "privacy erase --tenant acme --subject u2"):
            ran = gata(tmp_path, *command.split(), PRIVACY_KEYS=f"1:{canary('a key of tests') * 2}")
            assert ran.returncode == 0, ran
        prepare_home(tmp_path / "home")
    finally:
        os.umask(before)
    written = {path.name: stat.S_IMODE(path.stat().st_mode) for path in {*tmp_path.iterdir()} - given}
    assert written == {"gata-data": 0o700, "home": 0o700}
