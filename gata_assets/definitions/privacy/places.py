"""Where data of people is for these settings: what is erased and exported, and what is searched. Assembly only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.layout import is_tenant_name
from gata_assets.definitions import open_source
from gata_assets.definitions.lake import open_lake_curator, open_online_place
from gata_assets.definitions.messages import build_decoder, build_roll_up
from gata_assets.definitions.privacy.own_stores import find_hooks
from gata_assets.definitions.privacy.requests import open_requests
from gata_assets.definitions.shop_engine import open_shop
from gata_assets.environment import dagster_home
from gata_assets.errors import SettingsError
from gata_assets.governance.privacy.erasing import PrivacyPlaces
from gata_assets.governance.privacy.hooks import HookHaystack, HookLocator
from gata_assets.governance.privacy.local_files import RunRecords, TemporaryFiles
from gata_assets.governance.privacy.locators import Locator
from gata_assets.governance.privacy.object_history import Archives, OldVersions
from gata_assets.governance.privacy.of_tenants import HaystackOfTenants, LocatorOfTenants
from gata_assets.governance.privacy.scanning import Haystack, TargetObjects
from gata_assets.governance.privacy.table_locator import TableLocator
from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets.ingestion.people.event_log import EventLogHaystack, EventLogLocator, is_of_log
from gata_assets.ingestion.people.origins import EventOrigins
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.erasure import BatchLocator
from gata_assets.lake.tables import TICKETS
from gata_assets.orchestration.homes import HOME_OF_DIRECTORY
from gata_assets.settings.governance.erased_tickets import ticket_tombstones
from gata_assets.settings.model import Settings
from gata_assets.settings.shop_rules import shop_tables
from gata_assets.settings.table_specs import all_tables, curation_rules, has_own_tickets
from gata_assets.settings.values import SourceKind
from gata_assets.shop.people.locator import ShopLocator
from gata_assets.shop.places import CURATED, OWNER, PROD, RAW, is_of_shop
from gata_assets.shop.stores import ShopStore
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.people.named_people import subject_names
from gata_assets.tickets.erasure.locator import TicketLocator, TicketPlaces

# The place of a source's name in a key, behind `shop/`.
_SOURCE = 1


def find_places(settings: Settings, store: ObjectStore) -> PrivacyPlaces:
    """The places of these settings."""
    rules, tables = curation_rules(settings), all_tables(settings)
    columns = subject_names([*tables.values(), *shop_tables(settings).values()])

    def curator_of(tenant: str) -> Curator:
        return Curator(store, tenant, rules, datetime.now(UTC), tables)

    curators: list[Callable[[str], TableCurator]] = [curator_of]
    if not has_own_tickets(settings):
        # The lake's, which has curated tables of its own.
        del tables[TICKETS]
        curators.append(partial(open_lake_curator, settings, store=store))
    requests = open_requests(settings, store)
    shop = requests.store
    mounts = shop.mounts if isinstance(shop, ShopStore) else {}
    # Tickets first of all, since rows of a lake say whose they are, and of a shop's request that names tickets, that
    # they are not its; then events, which are in raw files then.
    locators: list[Locator] = [
        _tickets(settings, store),
        _of_tenants(EventLogLocator(store, build_roll_up(settings, store), curators, build_decoder(settings))),
        *(_of_tenants(TableLocator(opened, partial(EventOrigins, store))) for opened in curators),
        _of_tenants(BatchLocator(store)),
        LocatorOfTenants(ShopLocator(partial(open_shop, settings, store)), is_of_shop),
    ]
    haystacks: list[Haystack] = [TargetObjects(store, concerns), _searched(EventLogHaystack(store))]
    haystacks += [TargetObjects(shop, concerns, prefix) for prefix in mounts]
    for prefix, bucket in [("", store), *mounts.items()]:
        if history := bucket.history():
            # What is in an archive takes hours, and what is superseded is known once all else is done.
            old = OldVersions(history, _concerns_as_old, prefix)
            locators = [Archives(history, _concerns_as_old, lambda: datetime.now(UTC), prefix), *locators, old]
            haystacks.append(old)
    temporary = TemporaryFiles(store.unfinished_files if isinstance(store, LocalStore) else tuple)
    locators.append(temporary)
    haystacks += [temporary, RunRecords(dagster_home() or Path.cwd() / HOME_OF_DIRECTORY)]
    # Last, since they may be away.
    if connection := settings.kafka.connection:
        locator, haystack = _topics(settings, store, connection)
        locators.append(_of_tenants(locator))
        haystacks.append(_searched(haystack))
    if not has_own_tickets(settings) and (online := open_online_place(settings, store)):
        locators.append(_of_tenants(online))
        haystacks.append(_searched(online))
    hooks = find_hooks(settings)
    locators.append(HookLocator(hooks))
    haystacks.append(HookHaystack(hooks))
    return PrivacyPlaces(shop, rules.tombstones, requests, tuple(locators), tuple(haystacks), columns)


def _of_tenants(locator: Locator) -> Locator:
    """A locator that has nothing of a shop."""
    return LocatorOfTenants(locator, is_tenant_name)


def _searched(haystack: Haystack) -> Haystack:
    """As `_of_tenants`."""
    return HaystackOfTenants(haystack, is_tenant_name)


def _topics(settings: Settings, store: ObjectStore, connection: KafkaConnection) -> tuple[Locator, Haystack]:
    """The topics of the settings, which needs the extra `kafka`."""
    try:
        from gata_assets.ingestion.people.topics import TopicHaystack, TopicLocator, TopicPlaces
    except ModuleNotFoundError:
        raise SettingsError(
            "KAFKA_BOOTSTRAP_SERVERS needs the extra `kafka`: pip install 'gata-assets[kafka]'."
        ) from None
    tables = tuple(settings.kafka.topics.tables)
    places = TopicPlaces(store, connection, settings.kafka.group_id, tables, settings.privacy.deadline)
    return TopicLocator(places), TopicHaystack(places)


def _tickets(settings: Settings, store: ObjectStore) -> TicketLocator:
    own, kind = settings.tickets, settings.tickets.source_kind
    is_sqlite = kind is SourceKind.SQLITE and own.query is None
    return TicketLocator(
        TicketPlaces(
            store,
            open_source(settings),
            ticket_tombstones(settings),
            embedded=own.sqlite_path if is_sqlite else None,
            is_sample=kind is SourceKind.SAMPLE,
            is_lake=kind is SourceKind.LAKE,
        )
    )


def concerns(tenant: str, key: str) -> bool:
    """Whether an object may be about people of a tenant; what others have is about people of their own. What tenants
    share is searched by its own haystack.
    """
    if is_of_log(key):
        return False
    first, *rest = key.split("/")
    if f"{first}/" == OWNER:
        # A source has a folder in each of these.
        is_of_source = key.startswith((RAW, CURATED, PROD)) and len(rest) > _SOURCE + 1
        return is_of_shop(tenant) and (not is_of_source or rest[_SOURCE] == tenant.removeprefix(OWNER))
    return first == tenant or not is_tenant_name(first)


def _concerns_as_old(tenant: str, key: str) -> bool:
    """As `concerns`, of what nobody reads any more: old segments of the log too, whosever they are."""
    return is_of_log(key) or concerns(tenant, key)
