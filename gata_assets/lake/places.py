"""The keys of a tenant's lake: what other tenants' folders call `staged` and `curated` is bronze and offline here.

Keys only; `docs/lake.md` has the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from gata_assets.curation.layout import TenantLayout

TABLE = "tickets"
# The files of a day: all versions of its tickets, and the current ones.
VERSIONS_FILE, CURRENT_FILE = "tickets.parquet", "current.parquet"


@dataclass(frozen=True)
class LakeLayout(TenantLayout):
    """The keys of one tenant's lake."""

    def staged(self, table: str) -> str:
        """The folder of bronze tickets, one object per raw file."""
        return f"{self.root}bronze/{table}/"

    def curated(self, table: str, day: date | None = None) -> str:
        """The folder of offline tickets, or of those that were created on a day."""
        return f"{self.root}offline/{table}/" + (f"{day:%Y-%m-%d}/" if day else "")
