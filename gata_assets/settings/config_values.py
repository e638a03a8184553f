"""CONFIG_JSON and CONFIG_FILE: settings as an object of JSON, below the environment and a settings file.

A key is a variable's name, in capitals or not; its value a text, a number, true or false, or a list of them. What is
not a setting is refused by its name; values are never shown.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from gata_assets.errors import SettingsError

CONFIG_JSON, CONFIG_FILE = "CONFIG_JSON", "CONFIG_FILE"


def unknown_setting(name: str, where: object, known: Sequence[str]) -> str:
    """What to say of a name that is no setting's."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else "example.env lists all settings."
    return f"{where}: {name[:60]} is not a setting; {hint}"


def find_config_values(given: Mapping[str, str], known: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The values of CONFIG_JSON, and below it of the file that CONFIG_FILE names.

    Args:
        given: The variables of the environment and of the settings file.
        known: The names of all settings.

    Returns:
        For each setting its value as in a settings file, and where it comes from.

    Raises:
        SettingsError: If one of the two cannot be read, or has what is not a setting.
    """
    found: dict[str, tuple[str, str]] = {}
    if path := given.get(CONFIG_FILE, "").strip():
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise SettingsError(f"{CONFIG_FILE}: {path[:200]} cannot be read: {type(error).__name__}.") from None
        found |= {name: (value, path) for name, value in read_config(text, path, known).items()}
    if text := given.get(CONFIG_JSON, "").strip():
        found |= {name: (value, CONFIG_JSON) for name, value in read_config(text, CONFIG_JSON, known).items()}
    return found


def read_config(text: str, where: str, known: Sequence[str]) -> dict[str, str]:
    """The settings in an object of JSON, as in a settings file; null counts as unset. Raises SettingsError."""
    faults: list[str] = []
    found: dict[str, str] = {}

    def pairs(items: list[tuple[str, object]]) -> list[tuple[str, object]]:
        return items

    try:
        read = json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        raise SettingsError(f"{where} is not JSON.") from None
    if not (isinstance(read, list) and text.lstrip().startswith("{")):
        raise SettingsError(f'{where} is not an object of JSON, such as {{"PARKED_DAYS": 14}}.')
    for key, value in read:
        name = key.upper()
        if name not in known:
            faults.append(unknown_setting(key, where, known) if key.isprintable() else f"{where}: a name is no setting")
        elif name in (CONFIG_JSON, CONFIG_FILE):
            faults.append(f"{where}: {name} cannot be set here.")
        elif name in found:
            faults.append(f"{where}: {name} is set twice.")
        elif (written := _written(value)) is None:
            faults.append(f"{where}: {name} is to be a text, a number, true, false or a list of them.")
        else:
            found[name] = written
    if faults:
        raise SettingsError("\n".join(faults))
    return {name: value for name, value in found.items() if value}


def _written(value: object) -> str | None:
    """A value as in a settings file; None if there it has no form."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int | float):
        return str(value).strip()
    if isinstance(value, list):
        parts = [_written(part) if not isinstance(part, list | tuple) else None for part in value]
        return None if None in parts else ",".join(map(str, parts))
    return None
