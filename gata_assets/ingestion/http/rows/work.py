"""What is done with rows, and with what else needs Arrow; `worker` does it, and `process` has another process do it.

Arguments, results and errors are values that go from one process to another. Nothing here loads Arrow or NumPy: the
process that receives files has none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from gata_assets.curation.files.formats import FileFormat
from gata_assets.governance.privacy.actors import Actor
from gata_assets.governance.privacy.requests.record import StoredRequest
from gata_assets.ingestion.segments.chain import SegmentCoding
from gata_assets.ingestion.segments.event import NewEvent, StoredEvents
from gata_assets.tables.spec import TableSpec


@dataclass(frozen=True)
class Landed:
    """What became of a file.

    Attributes:
        answer: what its sender learns.
        accepted: valid rows.
        rejected: rows in quarantine.
        rejected_by_rule: those, by each rule that they broke.
        was_there: whether the same content had landed before.
        unreadable: why none of its rows counts, to continue a sentence; None if they do.
    """

    answer: Mapping[str, Any]
    accepted: int
    rejected: int
    rejected_by_rule: Mapping[str, int]
    was_there: bool
    unreadable: str | None = None


def taking_rows(tables: Mapping[str, TableSpec]) -> dict[str, TableSpec]:
    """The tables that take rows: all but those of changes."""
    return {name: spec for name, spec in tables.items() if spec.changes is None}


def rule_counts(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Counts by rule as answers show them."""
    return [{"rule": rule, "rows": rows} for rule, rows in counts.items()]


class RowWork(SegmentCoding, Protocol):
    """Safe for several threads."""

    def land_body(
        self, tenant: str, table: str, body: bytes, content_type: str, most_rows: int, request_id: str
    ) -> Landed:
        """Land the rows of a JSON body.

        Raises:
            Problem: It is no JSON, or has too many rows.
            RawFileError: It cannot be read as the table; it did not land.
            StoreError: The target failed.
        """

    def land_upload(
        self, tenant: str, table: str, name: str, key: str, sha256: str, file_format: FileFormat, request_id: str
    ) -> Landed:
        """Land what is stored under a key that nobody else knows; raises RawFileError or StoreError."""

    def judge(self, tenant: str | None, table: str, content: bytes, most_rows: int) -> dict[str, Any]:
        """Say which rows of a JSON array break which rules; nothing is stored. Raises Problem or StoreError."""

    def measured(self) -> bytes:
        """The quality of the data of all tenants, and their requests to erase people, as Prometheus reads it."""

    def ask_erasure(self, tenant: str, ids: Sequence[str], request: str, by: Actor) -> StoredRequest:
        """Take a request to erase people; see `ErasureRequests.ask`."""

    def find_erasure(self, tenant: str, request: str) -> StoredRequest | None:
        """A request to erase people; None if there is none of this name. Raises StoreError."""

    def find_stored(self, events: Sequence[NewEvent], since: datetime) -> StoredEvents | None:
        """See `segments.stored_events`."""

    def close(self) -> None:
        """End what it has started; nothing may be at work."""
