"""What retention is about, as values that the domains give: whose data, which tables, where their batches are.

Nothing here knows a domain by name; `definitions.retention` has the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gata_assets.curation.layout import TenantLayout
from gata_assets.governance.retention.rules import DataType
from gata_assets.orchestration.pipelines import StoredBatches

# The scope of what belongs to no tenant: the batches of tickets. No tenant can have this name.
OF_NO_TENANT = "training"


@dataclass(frozen=True)
class RetainedTable:
    """A table of a scope: whether it is curated day by day, so that days can go, and how many days before the present
    one the next batches read.
    """

    name: str
    by_day: bool
    days_needed: int = 0


@dataclass(frozen=True)
class MovedPrefix:
    """Keys that a rule of the bucket moves to other storage classes with age; `is_read` says that readers here need
    them at once, so that they are never archived.
    """

    prefix: str
    type: DataType
    is_read: bool = True


@dataclass(frozen=True)
class Scope:
    """A tenant's data, or that of no tenant; a legal hold is of a scope by its name."""

    name: str
    places: TenantLayout | None = None
    tables: Sequence[RetainedTable] = ()
    batches: Sequence[StoredBatches] = ()
    moved: Sequence[MovedPrefix] = ()
