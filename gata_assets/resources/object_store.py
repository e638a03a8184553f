"""Stores of objects as Dagster's resources: what every one is, and the local directory.

What they do stands in `objects`. The S3 store stands in `s3_store`, so that who writes locally does not load the AWS
SDK.
"""

from __future__ import annotations

from abc import ABC

import dagster as dg

from gata_assets.resources.objects import LocalObjects, Objects


class ObjectStore(dg.ConfigurableResource, Objects, ABC):  # type: ignore[type-arg]
    """Objects by key, as a resource."""


class LocalObjectStore(ObjectStore, LocalObjects):
    """Objects as files below a directory, which is made when the first is written."""

    directory: str
