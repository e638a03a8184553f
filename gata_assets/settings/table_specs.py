"""All tables of a project: its own, and those that users declare in the modules that TABLE_SPECS names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gata_assets.curation.policy import CurationRules
from gata_assets.errors import SettingsError, TableSpecError
from gata_assets.interactions.tables import TABLES
from gata_assets.lake.tables import RAW_TICKETS, TICKETS
from gata_assets.settings.governance.keys import masking_tokens
from gata_assets.settings.model import Settings
from gata_assets.storage.people.tombstones import TombstoneReader
from gata_assets.tables.masking.rows import TOKEN
from gata_assets.tables.spec import TableSpec


def all_tables(settings: Settings) -> dict[str, TableSpec]:
    """All tables by name, referenced tables first, with the contracts of the settings; raises SettingsError for a wrong
    declaration.

    The lake's tickets are the last one, unless TABLE_SPECS declares a table of that name.
    """
    declared = _declared_tables(settings)
    return settings.interactions.curation_rules.applied_to({**declared, TICKETS: declared.get(TICKETS, RAW_TICKETS)})


def own_tables(settings: Settings) -> dict[str, TableSpec]:
    """The tables of TABLE_SPECS by name; raises SettingsError for a wrong declaration."""
    own = {name: spec for name, spec in _declared_tables(settings).items() if name not in TABLES}
    return settings.interactions.curation_rules.applied_to(own)


def curation_rules(settings: Settings) -> CurationRules:
    """What makes a raw row of any of these tables valid; raises SettingsError for a wrong declaration."""
    reader = TombstoneReader(settings.privacy.privacy_keys)
    tokens = masking_tokens(settings.shop.masking_key)
    rules = replace(settings.interactions.curation_rules, tokens=tokens, tombstones=reader)
    if has_own_tickets(settings):
        return rules
    return replace(rules, earliest_of_tables={TICKETS: settings.lake.earliest_at})


def has_own_tickets(settings: Settings) -> bool:
    """Whether TABLE_SPECS declares a table `tickets`, which takes the place of the lake's; raises SettingsError for a
    wrong declaration.
    """
    return TICKETS in _declared_tables(settings)


def require_lake(settings: Settings) -> None:
    """Raise SettingsError if TABLE_SPECS declares a table that has the place of the lake's tickets."""
    if has_own_tickets(settings):
        raise SettingsError(
            f"TABLE_SPECS declares a table {TICKETS}, which has the place of the lake's tickets: give it another name, "
            "or use no lake (TICKETS_URL=lake://TENANT, LAKE_TENANTS, `gata lake`, `gata online`)."
        )


def require_masking_key(settings: Settings, tables: Iterable[TableSpec]) -> None:
    """Raise SettingsError if people could not be found in a table: without a key all of them are `***`."""
    of_tokens = {spec.table for spec in tables for one in spec.columns if one.subject and one.personal == TOKEN}
    if of_tokens and not settings.shop.masking_key:
        raise SettingsError(
            f"TABLE_SPECS: people are tokens in {', '.join(sorted(of_tokens))}, and MASKING_KEY is unset: nobody could "
            "be erased. Set it, for example to what `openssl rand -hex 32` prints."
        )


def _declared_tables(settings: Settings) -> dict[str, TableSpec]:
    """The tables of interactions and those of TABLE_SPECS, by name."""
    if not settings.project.table_specs:
        return dict(TABLES)
    # Loads pandera.
    from gata_assets.tables.declaration import load_specs, tables_by_name

    try:
        declared = [spec for module in settings.project.table_specs for spec in load_specs(module) if not spec.changes]
        require_masking_key(settings, declared)
        # Tables of changes are a shop's, and refer to tables of it. A table that one module imports from another is the
        # same object, and counts once.
        return tables_by_name(dict.fromkeys([*TABLES.values(), *declared]))
    except TableSpecError as error:
        raise SettingsError(f"TABLE_SPECS: {error}") from error
