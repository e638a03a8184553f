"""What the samples consist of, read from `sample_data.toml`, a file of the package."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

_DATA: dict[str, dict[str, Any]] = tomllib.loads(files(__package__).joinpath("sample_data.toml").read_text("utf-8"))
HELP_DESK = _DATA["help_desk"]
SHOP = _DATA["shop"]
