"""Where the datasets of batches are, of all domains: for what tells other systems that one is finished."""

from __future__ import annotations

from collections.abc import Iterator

from gata_assets.curation.files.tenants import find_tenants
from gata_assets.curation.layout import TenantLayout
from gata_assets.interactions.datasets import DatasetKind
from gata_assets.storage.finished import DatasetFolder, DatasetUse
from gata_assets.storage.objects import ObjectStore
from gata_assets.tickets.training_files import DATASETS, batches_folder

_USES = {DatasetKind.FEATURES: DatasetUse.FEATURES, DatasetKind.TRAINING_DATA: DatasetUse.TRAINING}


def find_dataset_folders(store: ObjectStore) -> Iterator[DatasetFolder]:
    """The folders of the datasets of each tenant and of tickets; raises StoreError."""
    for tenant in find_tenants(store):
        for kind, use in _USES.items():
            yield DatasetFolder(kind.batches_folder(TenantLayout(tenant)), use, tenant)
    for dataset in DATASETS:
        yield DatasetFolder(batches_folder(dataset), DatasetUse.TRAINING, None)
