"""What an intermediate table was made with and from, so that tables of different makings are not mixed.

Assets can be materialized one by one, days apart and with other settings. A table carries its making (in `attrs`, and
in its file), and whoever reads it asks here whether it belongs to the run at hand.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from gata_assets.errors import DataRuleError
from gata_assets.tickets.rules import PreparationRules

MAKING = "making"
SHA256 = "sha256"

# The settings that shape a table, by table.
_SHAPING = {
    "tickets": ("TRAINING_PERIOD",),
    "label_counts": ("TRAINING_PERIOD", "LOW_VOLUME_THRESHOLD"),
    "low_volume_tickets": (
        "TRAINING_PERIOD",
        "LOW_VOLUME_PERIOD",
        "LOW_VOLUME_THRESHOLD",
        "LOW_VOLUME_MIN_COUNT",
    ),
}


def stamp(
    table: pd.DataFrame, name: str, rules: PreparationRules, made_from: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """The table with its making: the settings that shape it, and the SHA-256 of the files it was made from."""
    settings = rules.as_settings()
    stamped = table.copy(deep=False)
    stamped.attrs = {
        MAKING: {
            "settings": {setting: settings[setting] for setting in _SHAPING[name]},
            "made_from": {source: frame.attrs[SHA256] for source, frame in made_from.items()},
        }
    }
    return stamped


def require_making(
    table: pd.DataFrame, name: str, rules: PreparationRules, made_from: Mapping[str, pd.DataFrame] | None = None
) -> None:
    """Raise DataRuleError unless a table was made with the settings of this run and from the tables at hand."""
    making = table.attrs[MAKING]
    settings = rules.as_settings()
    for setting in _SHAPING[name]:
        value = making["settings"].get(setting, "unknown")
        if settings[setting] != value:
            raise DataRuleError(
                f"{name}: the stored table was made with {setting}={value}, and this run has {settings[setting]}. "
                f"Materialize `{name}` again, together with what is made from it."
            )
    for source, frame in (made_from or {}).items():
        if making["made_from"].get(source) != frame.attrs[SHA256]:
            raise DataRuleError(
                f"{name}: the stored table was made from another `{source}` than the one that is stored now. "
                f"Materialize `{name}` again, together with what is made from it."
            )
