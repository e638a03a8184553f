"""What retention is about for these settings: whose data there is, its tables and batches, by which key holds know
subjects. Assembly only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from gata_assets.batches import is_batch_id
from gata_assets.curation.layout import TenantLayout, is_tenant_name
from gata_assets.definitions.pipelines import Workbench, build_interaction_pipelines, build_ticket_pipelines
from gata_assets.errors import SettingsError
from gata_assets.governance.retention.holds import SubjectDigests
from gata_assets.governance.retention.rules import DataType
from gata_assets.governance.retention.scopes import OF_NO_TENANT, MovedPrefix, RetainedTable, Scope
from gata_assets.interactions.datasets import DatasetKind
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.lake.tables import TICKETS
from gata_assets.logs import default_logger
from gata_assets.orchestration.pipelines import BatchPlaces, Pipeline
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import all_tables, has_own_tickets
from gata_assets.settings.tenants import lakes_prepared
from gata_assets.storage.objects import ObjectStore

# A folder of the target is a tenant's if it has one of these.
_FOLDERS_OF_TENANTS = ("raw", "reports", "features", "training_data")
_TICKETS_FOLDER, _TABLES_FOLDER = "training/", "intermediate/"


@dataclass(frozen=True)
class TicketBatches:
    """The batches of tickets, also those that have nothing but tables: a failed batch has no dataset, and texts."""

    store: ObjectStore
    pipeline: Pipeline
    name: ClassVar[str] = "tickets"

    def stored_batch_ids(self) -> list[str]:
        """See StoredBatches."""
        names = (key.rpartition("/")[2].removesuffix(".parquet") for key in self.store.list_keys(_TABLES_FOLDER))
        return sorted({*self.pipeline.stored_batch_ids(), *filter(is_batch_id, names)})

    def places(self, batch_id: str) -> BatchPlaces:
        """See StoredBatches."""
        return self.pipeline.places(batch_id)


def find_scopes(settings: Settings, store: ObjectStore, tenant: str | None = None) -> list[Scope]:
    """The batches of tickets, and each tenant's data; with `tenant`, that scope alone.

    Tenants are those of TENANTS and LAKE_TENANTS; while TENANTS is unset, all that the target has, also those without
    raw files by now. Raises StoreError, or SettingsError for a scope that there is not.
    """
    names = settings.interactions.tenants
    found = set(_tenants_in(store) if names is None else names) | set(lakes_prepared(settings, store))
    bench = Workbench(settings, default_logger("ERROR"), sorted(found))
    moved = [MovedPrefix(_TICKETS_FOLDER, DataType.TRAINING)]
    batches = [TicketBatches(store, pipeline) for pipeline in build_ticket_pipelines(bench)]
    scopes = [Scope(OF_NO_TENANT, batches=batches, moved=moved)]
    pipelines = build_interaction_pipelines(bench)
    tables = _tables(settings)
    for name in sorted(found):
        places = TenantLayout(name)
        own = [pipeline for pipeline in pipelines if pipeline.scope == name]
        scopes.append(Scope(name, places, tables, own, list(_moved(places, tables))))
    if tenant is None:
        return scopes
    of_tenant = [scope for scope in scopes if scope.name == tenant]
    if not of_tenant:
        raise SettingsError(f"--tenant: the target has nothing of {tenant}, or TENANTS does not name it.")
    return of_tenant


def moved_prefixes(settings: Settings, scopes: Iterable[Scope]) -> list[MovedPrefix]:
    """The prefixes that rules of the bucket move, those of model artifacts and logs included."""
    others = {
        DataType.MODELS: settings.retention.model_prefixes or (),
        DataType.LOGS: settings.retention.log_prefixes or (),
    }
    named = [MovedPrefix(prefix, type_, is_read=False) for type_, prefixes in others.items() for prefix in prefixes]
    return [*(moved for scope in scopes for moved in scope.moved), *named]


def subject_digests(settings: Settings) -> SubjectDigests:
    """How holds know subjects; raises PrivacyKeyError without a key."""
    keys = settings.privacy.privacy_keys
    _ = keys.newest
    return keys.every_digest


def _tenants_in(store: ObjectStore) -> Iterator[str]:
    for name in store.list_folders(""):
        if is_tenant_name(name) and not {*store.list_folders(f"{name}/")}.isdisjoint(_FOLDERS_OF_TENANTS):
            yield name


def _tables(settings: Settings) -> list[RetainedTable]:
    """The tables of all tenants; those whose rows are changes of rows before need all of their files, and stay."""
    read = settings.interactions.rules.seen_period_days
    return [
        RetainedTable(
            name,
            # A day of the lake is of tickets, which later files change.
            by_day=bool(spec.partition_by) and (name != TICKETS or has_own_tickets(settings)),
            days_needed=read if name == INTERACTIONS else 0,
        )
        for name, spec in all_tables(settings).items()
        if spec.changes is None
    ]


def _moved(places: TenantLayout, tables: Iterable[RetainedTable]) -> Iterator[MovedPrefix]:
    """Raw files, which nobody reads again without being asked, and batches. What runs read all the time stays."""
    yield from (MovedPrefix(places.raw(table.name), DataType.RAW, is_read=False) for table in tables)
    yield from (MovedPrefix(kind.batches_folder(places), DataType.TRAINING) for kind in DatasetKind)
