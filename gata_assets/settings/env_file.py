"""Reads a `.env`-style file of settings: NAME=value lines, comments, quotes.

Nothing is ignored silently: a misspelled name or a line that cannot be read is an error.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from dotenv.parser import parse_stream

from gata_assets.errors import SettingsError

# Prefixes of other variables that a settings file may have: those of the AWS SDK, Dagster and Python.
FOREIGN_PREFIXES = ("AWS_", "DAGSTER_", "PYTHON")


def read_env_file(path: Path, *, known: Sequence[str]) -> dict[str, str]:
    """The variables of a file that are not empty.

    Raises SettingsError for a line that is not NAME=value, for a file that is not text, and for a variable that is
    neither known nor one of the AWS SDK, Dagster or Python.
    """
    values = _parse(path)
    unknown = [name for name in values if name not in known and not name.startswith(FOREIGN_PREFIXES)]
    if unknown:
        raise SettingsError("\n".join(_unknown(name, path, known) for name in unknown))
    return values


def _parse(path: Path) -> dict[str, str]:
    values = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for binding in parse_stream(lines):
                if binding.error or (binding.key and binding.value is None):
                    raise SettingsError(f"{path}, line {binding.original.line}: this is not NAME=value.")
                if binding.key and "\0" in (binding.value or ""):
                    raise SettingsError(f"{path}, line {binding.original.line}: the value has a NUL character.")
                if binding.key:
                    values[binding.key] = (binding.value or "").strip()
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text.") from None
    return {name: value for name, value in values.items() if value}


def _unknown(name: str, path: Path, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else "example.env lists all settings."
    return f"{path}: {name} is not a setting; {hint}"
