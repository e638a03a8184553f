"""All tables of a project: its own, and those that users declare in the modules that TABLE_SPECS names."""

from __future__ import annotations

from gata_assets.errors import SettingsError, TableSpecError
from gata_assets.interactions.tables import TABLES
from gata_assets.settings.model import Settings
from gata_assets.tables.spec import TableSpec


def all_tables(settings: Settings) -> dict[str, TableSpec]:
    """All tables by name, referenced tables first, with the contracts of the settings; raises SettingsError for a wrong
    declaration.
    """
    rules = settings.interactions.curation_rules
    if not settings.project.table_specs:
        return rules.applied_to(TABLES)
    # Loads pandera.
    from gata_assets.tables.declaration import load_specs, tables_by_name

    try:
        declared = [spec for module in settings.project.table_specs for spec in load_specs(module)]
        # A table that one module imports from another is the same object, and counts once.
        return rules.applied_to(tables_by_name(dict.fromkeys([*TABLES.values(), *declared])))
    except TableSpecError as error:
        raise SettingsError(f"TABLE_SPECS: {error}") from error


def own_tables(settings: Settings) -> dict[str, TableSpec]:
    """The tables of TABLE_SPECS by name; raises SettingsError for a wrong declaration."""
    return {name: spec for name, spec in all_tables(settings).items() if name not in TABLES}
