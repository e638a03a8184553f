"""`gata settings`: the effective values, and where they come from."""

from __future__ import annotations

import json
from pathlib import Path

from rich.table import Table
from rich.text import Text

from gata_assets.cli.terminal import table_console
from gata_assets.settings.effective import EffectiveSetting, find_effective_settings


def show(env_file: Path | None, *, only_changed: bool, as_table: bool) -> None:
    """Show each setting; raises SettingsError."""
    _, found = find_effective_settings(env_file)
    shown = [setting for setting in found if not only_changed or setting.origin != "default"]
    if as_table:
        _print_table(shown)
        return
    for setting in shown:
        name, group = setting.description.variable, setting.description.group
        event = {"event": "SETTING", "name": name, "value": setting.value, "origin": setting.origin, "group": group}
        print(json.dumps(event))


def _print_table(settings: list[EffectiveSetting]) -> None:
    console = table_console()
    if not settings:
        console.print("All settings have their defaults.")
        return
    table = Table("setting")
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold")
    group = ""
    for setting in settings:
        if setting.description.group != group:
            group = setting.description.group
            table.add_section()
        value = Text("unset", style="dim") if setting.value is None else Text(setting.value)
        table.add_row(setting.description.variable, value, setting.origin)
    console.print(table)
