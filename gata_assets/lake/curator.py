"""A tenant's lake in the store: validates raw tickets into bronze, and writes days of offline tickets.

What all tables share is in `curation`; this module says how rows of bronze become offline tickets.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.curated.merge import MergedIdentity
from gata_assets.curation.policy import CurationRules
from gata_assets.lake.offline.merge import bronze_rows, offline_merge
from gata_assets.lake.offline.rules import OfflineRules
from gata_assets.lake.offline.versions import version_instant
from gata_assets.lake.tables import RAW_TICKETS, TICKETS
from gata_assets.storage.objects import ObjectStore


def _with_versions(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(bronze_rows([rows.to_arrow()]).select(version_instant()).to_series())


_VERSIONS = MergedIdentity(("id", "version_at"), ("id", "created_at"), _with_versions)


class LakeCurator(TableCurator):
    """Validates the raw tickets of one tenant and curates its days of offline tickets."""

    # A row has kilobytes, and is there as bronze, as columns and as two files.
    rows_at_once = 4_096

    def __init__(
        self, store: ObjectStore, tenant: str, rules: CurationRules, now: datetime, offline: OfflineRules
    ) -> None:
        """`now` is the latest landing time of files that are first seen; `offline` is what settings decide."""
        super().__init__(store, tenant, rules, now, {TICKETS: RAW_TICKETS})
        self.merges = {TICKETS: offline_merge(offline)}
        self.identities = {TICKETS: _VERSIONS}
        self._rules_digest = offline.digest

    def merge_rules(self, table: str) -> str | None:
        """See StalePartitionFinder."""
        return self._rules_digest if table == TICKETS else None
