"""The directories of Dagster instances (DAGSTER_HOME), and the configuration that a new one gets."""

from __future__ import annotations

import os
from pathlib import Path

from gata_assets.errors import SettingsError

# The project's own dagster.yaml.
_CONFIGURATION = Path(__file__).with_name("dagster.yaml")
_PARTIAL = "dagster.yaml."
# Below the working directory, of commands that keep records where DAGSTER_HOME is unset.
HOME_OF_DIRECTORY = ".dagster"


def prepare_home(home: Path) -> None:
    """Create a home, with the project's dagster.yaml; a home that has any other file is left alone.

    It is in use: with Dagster's defaults and maybe by other projects, or read-only, with its records in a database.
    Raises SettingsError if it cannot be created.
    """
    try:
        # Steps may write anything to their output, which is kept there.
        home.mkdir(mode=0o700, exist_ok=True)
        # Another command may be at the same.
        if all(path.name.startswith(_PARTIAL) for path in home.iterdir()):
            # Under another name first: who opens the instance meanwhile must not read half of it.
            partial = home / f"{_PARTIAL}{os.getpid()}"
            partial.write_bytes(_CONFIGURATION.read_bytes())
            partial.replace(home / _CONFIGURATION.name)
    except OSError as error:
        raise SettingsError(_fault(home, error.strerror)) from None


def _fault(home: Path, reason: str | None) -> str:
    return f"{home} cannot be the home of a Dagster instance: {reason}. DAGSTER_HOME names another directory."
