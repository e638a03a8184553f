"""Where the tables of the interaction line stand: the keys of a tenant's raw, staged, curated and made tables.

Keys only; the content of the objects belongs where they are written. `docs/curation.md` has the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class DataType(StrEnum):
    """What a raw file holds."""

    INTERACTIONS = "interactions"
    ITEMS = "items"


@dataclass(frozen=True)
class TenantLayout:
    """The keys below which one tenant's data stands; nobody else's does."""

    tenant: str

    def raw(self, data: DataType, landed_on: date | None = None) -> str:
        """The folder of raw files, of all days or of one on which they landed."""
        return f"{self.tenant}/raw/{data}/" + (f"{landed_on:%Y-%m-%d}/" if landed_on else "")

    def report(self, data: DataType, file_id: str | None = None) -> str:
        """What became of a raw file's rows (JSON), or the folder of all such reports."""
        return f"{self.tenant}/reports/{data}/" + (f"{file_id}.json" if file_id else "")

    def staged(self, data: DataType) -> str:
        """The folder of good rows, an object a raw file; of interactions with a part for each event day."""
        return f"{self.tenant}/staged/{data}/"

    def quarantine(self, data: DataType) -> str:
        """The folder of bad rows, a table a raw file (and the rules by which its rows were judged)."""
        return f"{self.tenant}/quarantine/{data}/"

    def curated_day(self, day: date | None = None) -> str:
        """The folder of an event day's curated interactions, or of all days."""
        return f"{self.tenant}/curated/interactions/" + (f"{day:%Y-%m-%d}/" if day else "")

    def curated_items(self) -> str:
        """The folder of the catalogue."""
        return f"{self.tenant}/curated/items/"

    def features(self, batch_id: str, table: str | None = None) -> str:
        """The folder of a batch's features, or of one table of them."""
        return f"{self.tenant}/features/{batch_id}/" + (f"{table}/" if table else "")

    def training_data(self, batch_id: str, table: str | None = None) -> str:
        """The folder of a batch's training rows, or of one table of them."""
        return f"{self.tenant}/training_data/{batch_id}/" + (f"{table}/" if table else "")


# The files of a curated day and of the catalogue, and what says that they are whole.
INTERACTIONS_FILE = "interactions.parquet"
USERS_FILE = "users.parquet"
ITEMS_FILE = "items.parquet"
MANIFEST_FILE = "manifest.json"

# The first parts of keys that a tenant's may not be: the ticket line writes there.
RESERVED_NAMES = frozenset({"training", "intermediate"})
