"""What stands for people in tables that mask them, by the keys of these settings: tokens in place of ids."""

from __future__ import annotations

from collections.abc import Sequence

from gata_assets.lake.offline.people import person_tokens
from gata_assets.settings.model import Settings
from gata_assets.tables.people.stored_names import stored_names


def masked_names(settings: Settings, _: str, ids: Sequence[str]) -> set[str]:
    """The tokens of ids in offline tickets, and in tables of shops; raises SettingsError for a wrong declaration."""
    return person_tokens(ids, settings.lake.offline_rules) | _in_shops(settings, ids)


def _in_shops(settings: Settings, ids: Sequence[str]) -> set[str]:
    if settings.shop.masking_key is None:
        return set()
    # Loads pandera.
    from gata_assets.settings.shop_rules import shop_rules, shop_tables

    tokens = shop_rules(settings).tokens
    return {name for spec in shop_tables(settings).values() for name in stored_names(spec, ids, tokens)}
