"""The keys of a tenant's raw files, reports, staged parts, quarantine, curated tables and batches.

Keys only; the modules that write the objects define their content. `docs/curation.md` has the list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from gata_assets.tables import manifests


@dataclass(frozen=True)
class TenantLayout:
    """The keys of one tenant's data; a `table` has the name of its spec."""

    tenant: str

    @property
    def owner(self) -> str:
        """Whose data it is, as commands name it."""
        return self.tenant

    @property
    def root(self) -> str:
        """The folder of everything but raw files."""
        return f"{self.tenant}/"

    @property
    def raw_files(self) -> str:
        """The folder of the raw files of all tables."""
        return f"{self.tenant}/raw/"

    def raw(self, table: str, landed_on: date | None = None) -> str:
        """The folder of raw files, of all days or of one landing day."""
        return f"{self.raw_files}{table}/" + (f"{landed_on:%Y-%m-%d}/" if landed_on else "")

    def landing_day(self, table: str, key: str) -> date | None:
        """The day that a raw file's folder names; None if it names none."""
        folder = key.removeprefix(self.raw(table)).partition("/")[0]
        try:
            return date.fromisoformat(folder) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", folder, re.ASCII) else None
        except ValueError:
            return None

    def report(self, table: str, file_id: str | None = None) -> str:
        """The report on a raw file's rows (JSON), or the folder of all reports."""
        return f"{self.root}reports/{table}/" + (f"{file_id}.json" if file_id else "")

    def contents(self, table: str) -> str:
        """The folder of the claims of contents: no table begins with an underscore."""
        return f"{self.root}reports/_contents/{table}/"

    def content(self, table: str, digest: str) -> str:
        """The claim of a content by its SHA-256 (JSON)."""
        return f"{self.contents(table)}{digest}.json"

    def retired(self, table: str) -> str:
        """The day before which a table's curated days were deleted (JSON), see `curated.retired_days`."""
        return f"{self.root}reports/_retired/{table}.json"

    def mapping(self, table: str, name: str | None = None) -> str:
        """A saved mapping of a table's raw files (JSON), or the folder of all of them."""
        return f"{self.root}mappings/{table}/" + (f"{name}.json" if name else "")

    def mapping_of_file(self, table: str, file_id: str | None = None) -> str:
        """The mapping of a single raw file (JSON), or the folder of all of them."""
        return f"{self.root}file_mappings/{table}/" + (f"{file_id}.json" if file_id else "")

    def events(self, table: str, name: str | None = None) -> str:
        """Where the records of a raw file of single events came from (Parquet), or the folder of all of these."""
        return f"{self.root}events/{table}/" + (f"{name}.parquet" if name else "")

    def staged(self, table: str) -> str:
        """The folder of valid rows, one object per raw file; with a part per event day where days are curated."""
        return f"{self.root}staged/{table}/"

    def quarantine(self, table: str) -> str:
        """The folder of rejected rows, one object per raw file (and set of rules that validated its rows)."""
        return f"{self.root}quarantine/{table}/"

    def curated(self, table: str, day: date | None = None) -> str:
        """The folder of a curated table, or of an event day of it."""
        return f"{self.root}curated/{table}/" + (f"{day:%Y-%m-%d}/" if day else "")

    @property
    def tombstones(self) -> str:
        """The folder of the tombstones of erased people (JSON)."""
        return f"{self.root}privacy/tombstones/"

    @property
    def erasure_requests(self) -> str:
        """The folder of the requests to erase people (JSON), with their ids sealed while they are open."""
        return f"{self.root}privacy/requests/"

    @property
    def privacy_log(self) -> str:
        """The folder of the log of what was asked, erased and exported (JSON)."""
        return f"{self.root}privacy/log/"

    @property
    def ticket_tombstones(self) -> str:
        """The folder of the tombstones of erased people's tickets (JSON): rows of batches name nobody."""
        return f"{self.root}privacy/tickets/"

    def features(self, batch_id: str, table: str | None = None) -> str:
        """The folder of a batch's features, or of one table of them."""
        return f"{self.root}features/{batch_id}/" + (f"{table}/" if table else "")

    def training_data(self, batch_id: str, table: str | None = None) -> str:
        """The folder of a batch's training rows, or of one table of them."""
        return f"{self.root}training_data/{batch_id}/" + (f"{table}/" if table else "")


# The files of a curated day and of the catalog, and the manifest that marks them as complete.
INTERACTIONS_FILE = "interactions.parquet"
USERS_FILE = "users.parquet"
ITEMS_FILE = "items.parquet"
MANIFEST_FILE = manifests.MANIFEST_FILE

# Key prefixes that no tenant may have: tickets, shops, ingestion and what governs data are written there.
RESERVED_NAMES = frozenset({"training", "intermediate", "shop", "ingestion", "governance"})
# What TENANTS says for nobody, so that no tenant has this name either.
NOBODY = "none"


def is_tenant_name(name: str) -> bool:
    """Whether a tenant can have this name."""
    return bool(re.fullmatch(r"[a-z0-9][a-z0-9_]{0,62}", name)) and name not in RESERVED_NAMES | {NOBODY}
