"""What a ticket's label is: a field of its offline row, as a group's number or as a name. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

# Fields whose values are numbers of groups; the others are names.
_NUMBERS = ("group_id",)
_NAMES = ("group", "type", "priority", "channel", "satisfaction", "language")
_CUSTOM = re.compile(r"custom_fields\.([A-Za-z0-9_-]{1,64})")
KNOWN = (*_NUMBERS, *_NAMES, "custom_fields.ID")
WHOLE_NUMBER = r"^(?:0|[1-9][0-9]{0,17})$"
# The group that a ticket was closed in; what it is now may have changed since.
_AT_CLOSING = {"group_id": "ended_group_id", "group": "ended_group"}


@dataclass(frozen=True)
class LabelField:
    """Which field of a ticket is its label.

    Attributes:
        name: one of `KNOWN`.
    """

    name: str = "group_id"

    @property
    def has_names(self) -> bool:
        """Whether labels are names rather than numbers."""
        return self.name not in _NUMBERS

    @property
    def column(self) -> str:
        """The offline column that the label is in."""
        return "custom_fields" if _CUSTOM.fullmatch(self.name) else _AT_CLOSING.get(self.name, self.name)

    @property
    def text(self) -> pl.Expr:
        """The label as text, null where nothing is given."""
        value = pl.col(self.column)
        if found := _CUSTOM.fullmatch(self.name):
            value = value.str.json_path_match(f"$.['{found[1]}']")
        return pl.when(value.str.contains(r"\S")).then(value)

    @property
    def is_number(self) -> pl.Expr:
        """Whether the label is a whole number; true where there is none."""
        return self.text.str.contains(WHOLE_NUMBER).fill_null(value=True)


def is_label_field(name: str) -> bool:
    """Whether a label can be read from a field of this name."""
    return name in _NUMBERS + _NAMES or bool(_CUSTOM.fullmatch(name))
