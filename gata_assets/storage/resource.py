"""Object stores as Dagster resources: their base class, and the local directory.

`objects` and `local` define what they do. The S3 store is in `s3`, so that local writers do not load the AWS SDK.
"""

from __future__ import annotations

from abc import ABC
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore


class ObjectStoreResource(dg.ConfigurableResource, ObjectStore, ABC):  # type: ignore[type-arg]
    """ObjectStore by key, as a resource.

    A store can be pickled, as Dagster's resources cannot: a cluster's machines build it from its fields.
    """

    def __reduce__(self) -> tuple[object, ...]:
        return _build, _fields_of(self)


class LocalStoreResource(ObjectStoreResource, LocalStore):
    """ObjectStore as files below a directory, which is created when the first is written."""

    directory: str

    def __reduce__(self) -> tuple[object, ...]:
        # Another process may have another working directory.
        return LocalStoreResource._at, (str(Path(self.directory).absolute()),)

    @classmethod
    def _at(cls, directory: str) -> LocalStoreResource:
        return cls(directory=directory)


def _fields_of(resource: dg.ConfigurableResource[object]) -> tuple[type, dict[str, object]]:
    values = {name: getattr(resource, name) for name in type(resource).model_fields}
    return type(resource), {
        name: _Described(*_fields_of(value)) if isinstance(value, dg.ConfigurableResource) else value
        for name, value in values.items()
    }


def _build(kind: type, fields: dict[str, object]) -> object:
    return kind(
        **{
            name: _build(value.kind, value.fields) if isinstance(value, _Described) else value
            for name, value in fields.items()
        }
    )


class _Described(NamedTuple):
    """A resource nested in another, as its class and fields."""

    kind: type
    fields: dict[str, object]
