"""The settings for validating rows of raw files, as plain values passed as arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache

from gata_assets.storage.people.tombstones import TombstoneReader
from gata_assets.tables.columns.column_spec import Reference, ReferenceMode
from gata_assets.tables.masking.tokens import NO_TOKENS, Tokens
from gata_assets.tables.spec import InvalidOptional, TableSpec

MAX_DECODED_BYTES = 64_000_000_000


@dataclass(frozen=True)
class CurationRules:
    """Rules for rows besides their table's: the event time is in `[earliest_at, landed + at_most_ahead)`,
    where `earliest_of_tables` gives no other earliest instant.

    By the name of a referenced table, what happens to rows whose reference it does not contain; by the name of a table,
    what an invalid value of a nullable column rejects, where that differs from its declaration. A file whose values are
    more than `max_decoded_bytes` is refused. Of a file, and of the files of a landing day, more than
    `max_rejected_share` of the rows must not be rejected; this changes no row.
    `tokens` take the place of personal values. `tombstones` says whose rows do not count.
    """

    earliest_at: datetime
    at_most_ahead: timedelta
    earliest_of_tables: Mapping[str, datetime] = field(default_factory=dict, kw_only=True)
    references: Mapping[str, ReferenceMode] = field(default_factory=dict)
    invalid_optional: Mapping[str, InvalidOptional] = field(default_factory=dict)
    max_decoded_bytes: int = MAX_DECODED_BYTES
    max_rejected_share: float = 0.1
    tokens: Tokens = NO_TOKENS
    tombstones: TombstoneReader = field(default_factory=TombstoneReader, compare=False)

    def earliest_of(self, table: str) -> datetime:
        """The earliest instant that an event time of a table may be."""
        return self.earliest_of_tables.get(table, self.earliest_at)

    def mode_of(self, reference: Reference) -> ReferenceMode:
        """What happens to rows with an unknown reference: by the settings, else by their table."""
        if reference.mode.is_of_changes:
            return reference.mode
        return self.references.get(reference.table, reference.mode)

    def applied_to(self, tables: Mapping[str, TableSpec]) -> dict[str, TableSpec]:
        """Tables by name, with the contract that the settings give them."""
        modes = self.invalid_optional
        return {name: _with_mode(spec, modes.get(name, spec.invalid_optional)) for name, spec in tables.items()}


@cache
def _with_mode(spec: TableSpec, mode: InvalidOptional) -> TableSpec:
    # Cached, since what is derived from a table is kept by its identity.
    return spec if spec.invalid_optional is mode else replace(spec, invalid_optional=mode)
