"""`gata` as its users call it: in this process, or as a process where signals, terminals or exit handlers matter.

Both have the directory and the settings that are given, and no others.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from click.testing import CliRunner

from gata_assets.cli.main import main
from gata_assets.settings.model import variable_names
from gata_assets_tests.support.dagster_private import NO_COMPUTE_LOGS

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-W", "error::UserWarning", "-m", "gata_assets")


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


def environment(**variables: str) -> dict[str, str]:
    """The variables of this process without its settings and its Dagster home, and those that are given."""
    unset = {*variable_names(), "DAGSTER_HOME", "GATA_ENV_FILE"}
    return {**{name: value for name, value in os.environ.items() if name not in unset}, **variables}


def gata(directory: Path, *arguments: str, stdin: bytes | None = None, **variables: str) -> Ran:
    """Run a command in this process; what it raises, and no command may, is raised here."""
    with _environment_of(environment(**variables)), chdir(directory):
        result = CliRunner().invoke(main, arguments, input=stdin, catch_exceptions=False, prog_name="gata")
    return Ran(result.exit_code, result.stdout, result.stderr)


def gata_process(directory: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        cwd=directory,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=300,
    )


def dagster_home(directory: Path) -> Path:
    """A new Dagster home with the project's instance, but for what steps print, which nobody keeps."""
    home = directory / "home"
    home.mkdir()
    # JSON is YAML.
    [(name, none)] = NO_COMPUTE_LOGS.items()
    (home / "dagster.yaml").write_text(f"{(ROOT / 'dagster.yaml').read_text()}\n{name}: {json.dumps(none)}\n")
    return home


@contextmanager
def instance_of(home: Path) -> Iterator[dg.DagsterInstance]:
    """The instance of a Dagster home, whose dagster.yaml says that its files are where DAGSTER_HOME is."""
    with _environment_of({**os.environ, "DAGSTER_HOME": str(home)}), dg.DagsterInstance.get() as instance:
        yield instance


@contextmanager
def _environment_of(variables: dict[str, str]) -> Iterator[None]:
    """These variables and no others for a while; the garbage collector is as it was afterwards."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        # Commands keep what they have imported from it, since their process ends soon.
        gc.unfreeze()
