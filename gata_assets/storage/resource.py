"""Object stores as Dagster resources: their base class, and the local directory.

`objects` and `local` define what they do. The S3 store is in `s3`, so that local writers do not load the AWS SDK.
"""

from __future__ import annotations

from abc import ABC
from functools import partial
from pathlib import Path

import dagster as dg

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
        # Another process may have another working directory.
        return partial(LocalStoreResource, directory=str(Path(self.directory).absolute())), ()
