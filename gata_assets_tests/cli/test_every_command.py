"""What holds for every command of `gata`: lines of JSON on request, and exit codes that mean what its help says.

Real: the commands in this process. Stood in for: in the tests of errors the command itself, by one that raises.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gata_assets.cli import options
from gata_assets.cli.exit_codes import DONE, FAILED, INTERRUPTED, QUEUED, WRONG, exits
from gata_assets.errors import GataError, MappingError, SettingsError, StoreError
from gata_assets_tests.outputs import COMMAND as WRITE_OUTPUTS
from gata_assets_tests.outputs import EXAMPLES, NOT_RUN, PAGE, outputs_page
from gata_assets_tests.reference import all_commands, exit_codes
from gata_assets_tests.support.command import gata

WITHOUT_JSON = {
    "mapping show": "prints nothing but JSON, which --mapping-file reads",
    "lake schema": "prints nothing but JSON",
    "retention rules": "prints nothing but JSON",
}
WITHOUT_SETTINGS = {
    "mapping presets": "lists what is in the package",
    "data-api": "serves a database that its own option names",
    "lake schema": "prints what is in the package",
}


def options_of(name: str) -> set[str]:
    return {option for parameter in all_commands()[name].params for option in parameter.opts}


def test_every_command_prints_json_on_request() -> None:
    assert {name for name in all_commands() if "--json" not in options_of(name)} == set(WITHOUT_JSON)


def test_every_command_takes_a_file_of_settings() -> None:
    assert {name for name in all_commands() if "--env-file" not in options_of(name)} == set(WITHOUT_SETTINGS)


# What each command needs, so that nothing is wrong but the setting.
@pytest.mark.parametrize("name", [name for name in (*EXAMPLES, "ui") if name not in WITHOUT_SETTINGS])
def test_a_wrong_setting_exits_with_2_before_anything_is_written(name: str, tmp_path: Path) -> None:
    words = EXAMPLES[name].words(as_json=False) if name in EXAMPLES else [name, "--port", "0"]
    ran = gata(tmp_path, *words, TRAINING_PERIOD="ninety")
    assert (ran.returncode, ran.stdout) == (WRONG, ""), ran.stderr
    assert "TRAINING_PERIOD: 'ninety' is not a whole number" in ran.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", all_commands())
def test_help_shows_each_exit_code_with_its_meaning(name: str) -> None:
    codes = exit_codes(all_commands()[name])
    assert {DONE, WRONG, INTERRUPTED} <= set(codes) <= {DONE, FAILED, WRONG, QUEUED, INTERRUPTED}
    shown = gata(Path.cwd(), *name.split(), "--help").stdout.partition("Exit codes:")[2]
    assert all(f"\n  {code}" in shown for code in codes)
    assert " ".join(" ".join(f"{code} {meaning}" for code, meaning in codes.items()).split()) == " ".join(shown.split())


@pytest.mark.parametrize(
    ("ending", "code", "shown"),
    [
        (None, DONE, ""),
        (False, FAILED, ""),
        (SettingsError("no such place"), WRONG, "no such place"),
        (MappingError("no such column"), WRONG, "no such column"),
        (StoreError("out of space"), FAILED, "Error: out of space"),
        (GataError("port taken"), FAILED, "Error: port taken"),
        (KeyboardInterrupt(), INTERRUPTED, "Interrupted."),
    ],
)
@pytest.mark.parametrize("where", ["command", "option", "group"])
def test_a_command_exits_as_it_ends(where: str, ending: BaseException | bool | None, code: int, shown: str) -> None:
    def end(place: str) -> bool | None:
        if place == where and isinstance(ending, BaseException):
            raise ending
        return ending if place == where == "command" else None

    @click.group(cls=options.Commands)
    def program() -> None:
        end("group")

    @program.command()
    @exits({FAILED: "it failed as it should"})
    @click.option("--word", default="", callback=lambda *_: end("option"))
    def command(word: str) -> bool | None:
        return end("command")

    ran = CliRunner().invoke(program, ["command"])
    # What an option or a group returns is nobody's result.
    assert ran.exit_code == (DONE if ending is False and where != "command" else code)
    assert shown in ran.stderr
    assert "Traceback" not in ran.output


def test_every_command_is_on_the_page_of_outputs() -> None:
    assert set(EXAMPLES) | set(NOT_RUN) == set(all_commands())


@pytest.mark.slow
def test_the_page_of_outputs_is_current() -> None:
    assert PAGE.read_text() == outputs_page(), f"out of date: {WRITE_OUTPUTS}"


def test_the_json_of_a_plan_and_of_a_backfill_has_what_the_text_says(tmp_path: Path) -> None:
    sample = ("--until", "2026-01-03", "--since", "2025-12-20", "--interactions", "0")
    ran = gata(tmp_path, "sample-data", *sample, "--json")
    [written] = [json.loads(line) for line in ran.stdout.splitlines()]
    assert (written["event"], written["file"]) == ("SAMPLE_TICKETS_WRITTEN", "gata-sample.sqlite")
    arguments = ("backfill", "2026010203", "2026010204", "--only", "tickets", "--json")
    [planned] = [json.loads(line) for line in gata(tmp_path, *arguments, "--plan").stdout.splitlines()]
    assert (planned["event"], planned["batches"], planned["due"]) == ("BACKFILL_PLANNED", 2, 2)
    assert planned["estimate"]["runs"] == "1"
    failed = gata(tmp_path, *arguments, LOW_VOLUME_THRESHOLD="0.99")
    assert failed.returncode == FAILED
    _, *failures, ended = [json.loads(line) for line in failed.stdout.splitlines()]
    assert {failure["event"] for failure in failures} == {"BATCH_FAILED"}
    assert {failure["batch_id"] for failure in failures} == {"2026010203", "2026010204"}
    counts = {name: ended[name] for name in ("event", "prepared", "failed", "not_tried")}
    assert counts == {"event": "BACKFILL_ENDED", "prepared": 0, "failed": 2, "not_tried": 0}
