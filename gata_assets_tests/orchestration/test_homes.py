"""The home of a Dagster instance: a new one gets the project's configuration, and no other is touched.

Real: directories, the project's dagster.yaml, an instance. Nothing is faked.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gata_assets.errors import SettingsError
from gata_assets.orchestration.homes import prepare_home
from gata_assets.orchestration.instances import open_instance

PROJECT_CONFIGURATION = (Path(__file__).parents[2] / "dagster.yaml").read_text()


@pytest.mark.parametrize("exists", [False, True])
def test_a_new_or_empty_home_gets_the_configuration(exists: bool, tmp_path: Path) -> None:
    home = tmp_path / ".dagster"
    if exists:
        home.mkdir()
        # Of a command that was killed, or does the same now.
        (home / "dagster.yaml.123").touch()
    prepare_home(home)
    assert {path.name for path in home.iterdir()} == {"dagster.yaml", *(["dagster.yaml.123"] if exists else [])}
    assert (home / "dagster.yaml").read_text() == PROJECT_CONFIGURATION


@pytest.mark.parametrize("name", ["dagster.yaml", "history"])
def test_a_home_in_use_stays_as_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("telemetry: {enabled: false}\n")
    prepare_home(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "telemetry: {enabled: false}\n"


def test_a_command_uses_an_empty_dagster_home_with_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with open_instance() as instance:
        assert not instance.telemetry_enabled
    assert (tmp_path / "dagster.yaml").read_text() == PROJECT_CONFIGURATION


def test_a_home_that_cannot_be_one_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "no" / "parent"):
        with pytest.raises(SettingsError, match=r"cannot be the home of a Dagster instance: .+ DAGSTER_HOME names"):
            prepare_home(home)
