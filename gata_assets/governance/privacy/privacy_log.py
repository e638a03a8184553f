"""The log of what was asked, erased and exported of a tenant: each entry names the one before, and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from gata_assets.curation.layout import TenantLayout
from gata_assets.storage.logs.chained_log import ChainedLog
from gata_assets.storage.objects import ObjectStore


def log_of(store: ObjectStore, layout: TenantLayout, clock: Callable[[], datetime]) -> ChainedLog:
    """The log of a tenant."""
    return ChainedLog(store, layout.privacy_log, clock=clock)
