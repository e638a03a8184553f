"""Which events are of people who were erased: as validation finds their rows, by the mapping that they will be read by.

What cannot be read is theirs if it contains an id of theirs as a word, as a record of a raw file is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from io import BytesIO

from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.erasure.raw_finding import mark_records
from gata_assets.errors import RawFileError
from gata_assets.governance.privacy.locators import Erasure
from gata_assets.ingestion.segments.event import Event
from gata_assets.ingestion.segments.raw_files import FORMAT, Decode, coming_key, join_lines
from gata_assets.tables.columns.arrays import Bools
from gata_assets.tables.spec import read_by_row

# Opens what curates tables of a tenant.
CuratorOf = Callable[[str], TableCurator]


class ErasedEvents:
    """Finds the events of erased people of a tenant."""

    def __init__(self, erasure: Erasure, curators: Iterable[CuratorOf], decode: Decode) -> None:
        """`curators` have the tenant's tables, `decode` is that of the roll-up."""
        self._erasure, self._decode = erasure, decode
        self._curators = {
            spec.table: curator
            for curator in (opened(erasure.tenant) for opened in curators)
            for spec in curator.tables.values()
            if spec.subject_columns
        }

    def find(self, stream: str, events: Iterable[Event]) -> set[int]:
        """The offsets of theirs among events of a stream; raises RegistryError or StoreError."""
        groups: dict[tuple[str, str], list[Event]] = {}
        for event in events:
            if event.tenant == self._erasure.tenant and event.table in self._curators:
                groups.setdefault((event.table, event.source), []).append(event)
        found = set[int]()
        for group in groups.values():
            marks = self._mark(stream, group)
            found |= {event.offset for event, is_theirs in zip(group, marks, strict=True) if is_theirs}
        return found

    def _mark(self, stream: str, events: Sequence[Event]) -> Bools | list[bool]:
        table = events[0].table
        curator, mentions = self._curators[table], self._erasure.mentions
        content, _ = join_lines(events, self._decode)
        try:
            choice = curator.choose_mapping(table, coming_key(stream, events), None)
            return mark_records(
                BytesIO(content),
                FORMAT,
                read_by_row(curator.table_of_file(table, choice)),
                self._erasure.erased,
                mentions,
                max_decoded_bytes=curator.rules.max_decoded_bytes,
            )
        except RawFileError:
            return [mentions(event.payload.decode(errors="replace")) for event in events]
