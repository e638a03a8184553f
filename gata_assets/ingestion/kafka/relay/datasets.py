"""Produces a message for each finished dataset: its manifest is written last, so where there is one it is finished.

A mark in the target names the manifest and its version. A crash between the message and the mark repeats the message,
under the same key; a manifest that is replaced by one of the same content does so too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from gata_assets.errors import ObjectNotFoundError
from gata_assets.ingestion.kafka.origin import Origin
from gata_assets.ingestion.kafka.relay.cursors import DATASET_MARKS
from gata_assets.ingestion.kafka.relay.messages import dataset_message
from gata_assets.ingestion.kafka.relay.outbox import Outbox
from gata_assets.storage.datasets import read_manifest
from gata_assets.storage.objects import Version
from gata_assets.tables.manifests import MANIFEST_FILE

# What a manifest says of a dataset that could not be built, for lack of rows.
_IS_MADE = "is_made"


class DatasetTopic(StrEnum):
    """Which of the two topics a dataset's messages go to."""

    FEATURES = "features"
    TRAINING = "training"


@dataclass(frozen=True)
class DatasetFolder:
    """A folder that has a folder with a manifest for each batch; whose it is, None for tickets."""

    folder: str
    topic: DatasetTopic
    tenant: str | None


class _Found(NamedTuple):
    of: DatasetFolder
    key: str
    version: Version
    mark: str


class DatasetRelay:
    """Produces messages of datasets; keeps in memory which manifests are done."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._done: set[str] | None = None

    def find_waiting(self, folders: Iterable[DatasetFolder]) -> Iterator[_Found]:
        """The manifests of which there is no message yet; raises StoreError."""
        store = self._outbox.store
        if self._done is None:
            self._done = set(store.list_keys(DATASET_MARKS))
        for of in folders:
            for key, version in store.list_versions(of.folder):
                if key.endswith(f"/{MANIFEST_FILE}"):
                    mark = DATASET_MARKS + sha256(f"{key} {version}".encode()).hexdigest()
                    if mark not in self._done:
                        yield _Found(of, key, version, mark)

    def relay(self, found: _Found) -> bool:
        """Produce the message of a dataset, and mark it; returns whether its manifest is done with.

        Raises BrokerError, ManifestVersionError or StoreError.
        """
        outbox, done = self._outbox, self._done if self._done is not None else set()
        try:
            stored = read_manifest(outbox.store, found.key.removesuffix(MANIFEST_FILE))
        except ObjectNotFoundError:
            return True
        if stored.version != found.version:
            # Replaced since it was listed: the next round finds it.
            return False
        manifest = stored.manifest
        # Withdrawn while it is written anew, which another version ends; or without rows.
        if manifest is not None and manifest.details.get(_IS_MADE, True):
            topics = outbox.topics
            topic = topics.features if found.of.topic is DatasetTopic.FEATURES else topics.training
            origin = Origin(outbox.target, f"dataset/{found.key}", 0)
            uri = outbox.store.uri(found.key)
            outbox.deliver([dataset_message(topic, origin, manifest, uri, found.of.tenant)])
            outbox.store.write(found.mark, manifest.digest.encode())
        done.add(found.mark)
        return True
