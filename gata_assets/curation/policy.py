"""The settings by which rows of raw files are validated, as plain values that come in as arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gata_assets.tables.spec import Reference, ReferenceMode


@dataclass(frozen=True)
class CurationRules:
    """What a row has to keep to, besides its table's rules: its event time in `[earliest_at, landed + at_most_ahead)`,
    and by the name of a table that rows refer to, what becomes of those that refer to nothing there.
    """

    earliest_at: datetime
    at_most_ahead: timedelta
    references: Mapping[str, ReferenceMode] = field(default_factory=dict)

    def mode_of(self, reference: Reference) -> ReferenceMode:
        """What becomes of rows that refer to nothing: as it is set, or else as their table says."""
        return self.references.get(reference.table, reference.mode)
