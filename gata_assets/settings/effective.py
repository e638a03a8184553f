"""Which value each setting has, and where it comes from: for `gata settings`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from gata_assets.environment import variables
from gata_assets.settings.config_values import find_config_values
from gata_assets.settings.model import (
    SettingDescription,
    Settings,
    find_env_file,
    load_settings,
    setting_values,
    variable_names,
    written,
)

HIDDEN = "(set, hidden)"


@dataclass(frozen=True)
class EffectiveSetting:
    """A setting's value as written in a settings file, None if it is unset; a secret's is `HIDDEN`.

    `origin` is `environment`, the name of a settings file, `CONFIG_JSON`, the name of CONFIG_FILE, or `default`.
    """

    description: SettingDescription
    value: str | None
    origin: str


def find_effective_settings(env_file: Path | None = None) -> tuple[Settings, list[EffectiveSetting]]:
    """Load the settings, and find where each comes from; raises SettingsError as `load_settings`."""
    path, of_file = find_env_file(env_file)
    # Before they are loaded: those of the file are added to the environment.
    of_environment = {name for name, value in variables().items() if value.strip()}
    of_config = find_config_values(
        {**of_file, **{name: variables()[name] for name in of_environment}}, variable_names()
    )
    settings = load_settings(env_file)

    def origin(variable: str) -> str:
        if variable in of_environment:
            return "environment"
        if variable in of_file:
            return str(path)
        return of_config[variable][1] if variable in of_config else "default"

    return settings, [
        EffectiveSetting(description, _shown(value), origin(description.variable))
        for description, value in setting_values(settings)
    ]


def _shown(value: object) -> str | None:
    return HIDDEN if isinstance(value, SecretStr) else written(value)
