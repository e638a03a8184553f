"""The requests to erase people for these settings, and where their metrics are pushed. Assembly only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from gata_assets.curation.layout import is_tenant_name
from gata_assets.definitions.shop_engine import open_shop_store
from gata_assets.governance.privacy.requests.store import ErasureRequests
from gata_assets.governance.retention.holds import Holds
from gata_assets.settings.model import Settings
from gata_assets.shop.places import CURATED, OWNER, is_of_shop, layout_of
from gata_assets.storage.objects import ObjectStore

if TYPE_CHECKING:
    from gata_assets.governance.privacy.requests.backlog import Backlog

_JOB = "gata_privacy"


def open_requests(settings: Settings, store: ObjectStore) -> ErasureRequests:
    """The requests of a target, and of the shop's sources; reads nothing."""
    keys, deadline = settings.privacy.privacy_keys, settings.privacy.deadline
    holds, shop = Holds(store, keys.every_digest), open_shop_store(settings, store)
    return ErasureRequests(
        shop,
        keys,
        holds,
        deadline,
        lambda: datetime.now(UTC),
        partial(_known_as, settings),
        layout=layout_of,
        owners=_tenants_and_sources,
    )


def _known_as(settings: Settings, tenant: str, ids: Sequence[str]) -> set[str]:
    """The tokens of people in masked tables, and in tickets of a lake, by the keys of all versions."""
    # Tables, which who only shows requests does without.
    from gata_assets.settings.governance.keys import masking_tokens
    from gata_assets.settings.shop_rules import shop_tables
    from gata_assets.settings.table_specs import all_tables
    from gata_assets.tables.masking.rows import stored_tokens

    tables = shop_tables(settings) if is_of_shop(tenant) else all_tables(settings)
    of_tables = stored_tokens(tables.values(), ids, masking_tokens(settings.shop.masking_key))
    return of_tables | settings.lake.offline_rules.tokens_of(ids)


def _tenants_and_sources(store: ObjectStore) -> Iterator[str]:
    """The tenants of a target, and the sources of its shop, as commands name them."""
    folders = [*store.list_folders("")]
    yield from filter(is_tenant_name, folders)
    if OWNER.removesuffix("/") in folders:
        yield from (f"{OWNER}{name}" for name in store.list_folders(CURATED))


def push_backlogs(settings: Settings, backlogs: Sequence[Backlog], warn: Callable[[str], object]) -> None:
    """Push the metrics of backlogs, a group for each, if there is a gateway; a push that fails is a warning."""
    if settings.quality.pushgateway_url is None:
        return
    try:
        # Only where it is used: what imports it is an extra.
        from gata_assets.curation.quality.pushgateway import push
        from gata_assets.governance.privacy.requests.metrics import erasure_metrics
    except ModuleNotFoundError as error:
        warn(f"Metrics were not pushed: {error.name} is not installed: pip install 'gata-assets[service]'.")
        return
    for backlog in backlogs:
        if backlog.known:
            metrics = erasure_metrics([backlog], datetime.now(UTC))
            if reason := push(settings.quality.pushgateway_url, _JOB, {"tenant_id": backlog.tenant}, metrics):
                # Others would have to wait for the same.
                warn(reason)
                return
