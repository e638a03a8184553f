"""The process's environment variables: the only place that reads or sets them.

What a variable means belongs to `settings`. Here are only the two that must be known without loading all settings.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gata_assets.errors import SettingsError

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def variables() -> Mapping[str, str]:
    """All variables of this process."""
    return os.environ


def set_default(name: str, value: str) -> None:
    """Set a variable that is unset or empty, which counts the same."""
    if not os.environ.get(name):
        os.environ[name] = value


def set_variable(name: str, value: str) -> None:
    """Set a variable, whatever it was."""
    os.environ[name] = value


def read_log_level() -> str:
    """LOG_LEVEL alone, for processes that need no other setting; raises SettingsError for an unknown level."""
    given = os.environ.get("LOG_LEVEL", "").strip()
    level = given.upper() or "INFO"
    if level not in LOG_LEVELS:
        raise SettingsError(f"LOG_LEVEL: '{given[:60]}' is not one of {', '.join(LOG_LEVELS)}. Example: LOG_LEVEL=INFO")
    return level


def dagster_home() -> Path | None:
    """The Dagster instance in which runs are recorded, None for nowhere; raises SettingsError for a home that does not
    exist.
    """
    home = os.environ.get("DAGSTER_HOME")
    if home and not (Path(home).is_absolute() and Path(home).is_dir()):
        raise SettingsError(f"DAGSTER_HOME: '{home}' is not the absolute path of a directory that exists.")
    return Path(home) if home else None
