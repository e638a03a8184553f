"""Where data of people is for these settings: what is erased and exported, and what is searched. Assembly only."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from gata_assets.curation.layout import is_tenant_name
from gata_assets.definitions.lake import open_lake_curator
from gata_assets.governance.privacy.erasing import PrivacyPlaces
from gata_assets.governance.privacy.locators import Locator
from gata_assets.governance.privacy.scanning import TargetObjects
from gata_assets.governance.privacy.table_locator import TableLocator
from gata_assets.governance.retention.holds import Holds
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.erasure import BatchLocator
from gata_assets.lake.tables import TICKETS
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import all_tables, curation_rules, has_own_tickets
from gata_assets.storage.objects import ObjectStore

# Below it are the folders of sources, each below a folder of raw, curated or prod.
_SHOP = "shop/"


def find_places(settings: Settings, store: ObjectStore) -> PrivacyPlaces:
    """The places of these settings."""
    rules, tables = curation_rules(settings), all_tables(settings)

    def curator_of(tenant: str) -> Curator:
        return Curator(store, tenant, rules, datetime.now(UTC), tables)

    locators: list[Locator] = [TableLocator(curator_of), BatchLocator(store)]
    if not has_own_tickets(settings):
        # The lake's, which has curated tables of its own.
        del tables[TICKETS]
        locators.append(TableLocator(partial(open_lake_curator, settings, store=store)))
    holds = Holds(store, rules.tombstones.keys.every_digest)
    haystacks = (TargetObjects(store, _concerns),)
    return PrivacyPlaces(store, rules.tombstones, holds, tuple(locators), haystacks)


def _concerns(tenant: str, key: str) -> bool:
    """Whether an object may be about people of a tenant; what others have is about people of their own."""
    first, *rest = key.split("/")
    if f"{first}/" == _SHOP:
        return rest[1:2] == [tenant]
    return first == tenant or not is_tenant_name(first)
