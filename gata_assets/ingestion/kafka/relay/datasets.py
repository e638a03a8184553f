"""Produces a message for each finished dataset: its manifest is written last, so where there is one it is finished.

`storage.finished` finds and marks them. A crash between the message and the mark repeats the message, under the same
key; a manifest that is replaced by one of the same content does so too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from gata_assets.ingestion.kafka.origin import Origin
from gata_assets.ingestion.kafka.relay.cursors import DATASET_MARKS
from gata_assets.ingestion.kafka.relay.messages import dataset_message
from gata_assets.ingestion.kafka.relay.outbox import Outbox
from gata_assets.storage.finished import DatasetFolder, DatasetUse, FinishedDataset, FinishedDatasets
from gata_assets.tables.manifests import Manifest


class DatasetRelay:
    """Produces messages of datasets; keeps in memory which manifests are done."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._finished = FinishedDatasets(outbox.store, DATASET_MARKS)

    def find_waiting(self, folders: Iterable[DatasetFolder]) -> Iterator[FinishedDataset]:
        """The manifests of which there is no message yet; raises StoreError."""
        return self._finished.find_waiting(folders)

    def relay(self, found: FinishedDataset) -> bool:
        """Produce the message of a dataset, and mark it; returns whether its manifest is done with.

        Raises BrokerError, ManifestVersionError or StoreError.
        """
        return self._finished.finish(found, partial(self._produce, found))

    def _produce(self, found: FinishedDataset, manifest: Manifest) -> None:
        outbox = self._outbox
        topic = outbox.topics.features if found.of.use is DatasetUse.FEATURES else outbox.topics.training
        origin = Origin(outbox.target, f"dataset/{found.key}", 0)
        outbox.deliver([dataset_message(topic, origin, manifest, outbox.store.uri(found.key), found.of.tenant)])
