"""The directories of Dagster instances (DAGSTER_HOME), and the configuration that a new one gets."""

from __future__ import annotations

import os
from pathlib import Path

from gata_assets.errors import SettingsError

# The project's own dagster.yaml.
_CONFIGURATION = Path(__file__).with_name("dagster.yaml")


def prepare_home(home: Path) -> None:
    """Create a home, with the project's dagster.yaml; what is in a home that is not empty stays as it is.

    A home without dagster.yaml that has other files is in use, with Dagster's defaults and maybe by other projects.
    Raises SettingsError if it cannot be created or written.
    """
    try:
        home.mkdir(exist_ok=True)
        if not any(home.iterdir()):
            # Under another name first: who opens the instance meanwhile must not read half of it.
            partial = home / f"dagster.yaml.{os.getpid()}"
            partial.write_bytes(_CONFIGURATION.read_bytes())
            partial.replace(home / _CONFIGURATION.name)
    except OSError as error:
        raise SettingsError(_fault(home, error.strerror)) from None
    if not os.access(home, os.W_OK):
        raise SettingsError(_fault(home, "it may not be written"))


def _fault(home: Path, reason: str | None) -> str:
    return f"{home} cannot be the home of a Dagster instance: {reason}. DAGSTER_HOME names another directory."
