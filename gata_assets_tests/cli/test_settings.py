"""`gata settings`: effective values, where they come from, and no secret.

Real: the command in this process, a settings file. Nothing is faked.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gata_assets.settings.model import variable_names
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import gata


def shown(directory: Path, *arguments: str, **variables: str) -> dict[str, dict[str, Any]]:
    ran = gata(directory, "settings", "--json", *arguments, **variables)
    assert ran.returncode == 0, ran.stderr
    return {line["name"]: line for line in map(json.loads, ran.stdout.splitlines())}


def test_every_setting_has_its_value_and_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "local.env").write_text("TEST_SHARE=0.3\nTRAINING_PERIOD=30\nAWS_PROFILE=x\n")
    found = shown(tmp_path, TRAINING_PERIOD="60", TENANTS="acme,globex")
    assert list(found) == list(variable_names())
    assert [(found[name]["value"], found[name]["origin"]) for name in ("TRAINING_PERIOD", "TEST_SHARE", "TENANTS")] == [
        ("60", "environment"),
        ("0.3", "local.env"),
        ("acme,globex", "environment"),
    ]
    assert (found["LABEL_FORMAT"]["value"], found["LABEL_FORMAT"]["origin"]) == ("integer", "default")
    assert found["TARGET_BUCKET"]["value"] is None


def test_only_changed_settings_are_shown_on_request(tmp_path: Path) -> None:
    (tmp_path / "own.env").write_text("TEST_SHARE=0.3\n")
    assert set(shown(tmp_path, "--changed", "--env-file", "own.env")) == {"TEST_SHARE"}
    assert "All settings have their defaults." in gata(tmp_path, "settings", "--changed", "--summary", "table").stdout


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    secret = canary("a password")
    variables = {"TICKETS_URL": f"postgresql://me:{secret}@db.example.com/x", "LOW_VOLUME_FALLBACK_LABEL": "1"}
    for summary in ("table", "json"):
        ran = gata(tmp_path, "settings", "--summary", summary, **variables)
        assert "(set, hidden)" in ran.stdout
        assert secret not in ran.stdout + ran.stderr


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    ran = gata(tmp_path, "settings", TEST_SHARE="2")
    assert (ran.returncode, "TEST_SHARE" in ran.stderr) == (2, True)
