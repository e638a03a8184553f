"""The shop's tables and rules, as the settings have them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import cache

from gata_assets.curation.policy import CurationRules
from gata_assets.errors import SettingsError, TableSpecError
from gata_assets.settings.governance.keys import masking_tokens
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import require_masking_key
from gata_assets.shop.prod.source import ProdSettings
from gata_assets.storage.people.tombstones import TombstoneReader
from gata_assets.tables.spec import TableSpec


def shop_tables(settings: Settings) -> dict[str, TableSpec]:
    """The shop's tables by name, referenced ones first, and the tables of changes that TABLE_SPECS declares, which take
    the place of those of the same name.

    Raises SettingsError for a wrong declaration.
    """
    # Loads pandera.
    from gata_assets.shop.schema import MODELS
    from gata_assets.tables.changes.graph import build_graph
    from gata_assets.tables.declaration import load_specs, spec_of, tables_by_name

    try:
        declared = [spec for module in settings.project.table_specs or () for spec in load_specs(module)]
        require_masking_key(settings, declared)
        own = {spec.table: spec for spec in declared if spec.changes}
        found = {**{spec.table: spec for spec in map(spec_of, MODELS)}, **own}
        tables = tables_by_name(_with_regions(spec, settings.shop.phone_regions or ()) for spec in found.values())
        build_graph(tables)
    except TableSpecError as error:
        raise SettingsError(f"TABLE_SPECS: {error}") from error
    return tables


@cache
def _with_regions(spec: TableSpec, regions: tuple[str, ...]) -> TableSpec:
    # Cached, since what is derived from a table is kept by its identity.
    is_own = spec.phone_regions or not spec.card_numbers or not regions
    return spec if is_own else replace(spec, phone_regions=regions)


def shop_rules(settings: Settings) -> CurationRules:
    """What makes a raw row of the shop valid, and its masks."""
    shop, others = settings.shop, settings.interactions.curation_rules
    return CurationRules(
        earliest_at=datetime.combine(shop.earliest_date, time(), UTC),
        at_most_ahead=others.at_most_ahead,
        max_decoded_bytes=others.max_decoded_bytes,
        max_rejected_share=others.max_rejected_share,
        tokens=masking_tokens(shop.masking_key),
        tombstones=TombstoneReader(settings.privacy.privacy_keys),
    )


def prod_settings(settings: Settings) -> ProdSettings:
    """How tables for analysts are written; each source is a database of its own unless Glue's is named."""
    return ProdSettings(
        settings.shop.glue_database or "",
        settings.shop.compression,
        grace=timedelta(hours=settings.shop.grace_hours),
    )
