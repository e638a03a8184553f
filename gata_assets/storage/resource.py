"""Object stores as Dagster resources: their base class, and the local directory.

`objects` and `local` define what they do. The S3 store is in `s3`, so that local writers do not load the AWS SDK.
"""

from __future__ import annotations

from abc import ABC
from pathlib import Path
from typing import Any

import dagster as dg

from gata_assets.storage import same_directory
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore


class ObjectStoreResource(dg.ConfigurableResource, ObjectStore, ABC):  # type: ignore[type-arg]
    """ObjectStore by key, as a resource.

    Each can be pickled, as Dagster's resources cannot: a cluster's machines build it from its fields.
    """


class LocalStoreResource(ObjectStoreResource, LocalStore):
    """ObjectStore as files below a directory, which is created when the first is written."""

    directory: str

    def __reduce__(self) -> tuple[object, ...]:
        # Another process may have another working directory, and must not create what this one has seen.
        return _build, (str(Path(self.directory).absolute()), same_directory.is_known(self.directory))

    def setup_for_execution(self, context: Any) -> None:
        """Begin to look at the directory anew in a sensor's tick: its process outlives many commands."""
        if context.run is None:
            same_directory.forget(self.directory)


def _build(directory: str, is_known: bool) -> LocalStoreResource:
    if is_known:
        same_directory.expect(directory)
    return LocalStoreResource(directory=directory)
