"""The settings for validating rows of raw files, as plain values passed as arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gata_assets.tables.spec import Reference, ReferenceMode


@dataclass(frozen=True)
class CurationRules:
    """Rules for rows besides their table's: the event time is in `[earliest_at, landed + at_most_ahead)`, and by the
    name of a referenced table, what happens to rows whose reference it does not contain. Of a file, and of the files of
    a landing day, more than `max_rejected_share` of the rows must not be rejected; this changes no row.
    """

    earliest_at: datetime
    at_most_ahead: timedelta
    references: Mapping[str, ReferenceMode] = field(default_factory=dict)
    max_rejected_share: float = 0.1

    def mode_of(self, reference: Reference) -> ReferenceMode:
        """What happens to rows with an unknown reference: by the settings, else by their table."""
        return self.references.get(reference.table, reference.mode)
