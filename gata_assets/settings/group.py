"""What all groups of settings share: how a field gets its variable, and that values are immutable.

A group is one domain's part of `settings.model.Settings`. Nothing in the groups reads the environment.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class SettingsGroup(BaseModel):
    """One domain's settings; a field's variable is its alias, by default its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, alias_generator=str.upper)
