"""What has arrived of a tenant's table and is not curated yet, as valid rows: readable seconds after it came.

An event moves from a segment to a raw file, gets a report, and is curated. These places are looked at from the last to
the first, so that no event slips through; between two looks at the cursors, so that none is seen in a segment and in a
file. If a cursor moved, all is looked at again. With the curated rows of that moment, each event is there exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from gata_assets.curation.files.formats import RawSource, is_of_events
from gata_assets.curation.files.raw_objects import read_raw_object
from gata_assets.curation.reports import RawContent, Report, file_of_part
from gata_assets.curation.superseding import replaced_files
from gata_assets.curation.tracing.raw_records import read_numbered
from gata_assets.curation.validator import FileValidator
from gata_assets.errors import ConflictError, ObjectNotFoundError, RawFileError
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.cursor import Cursor, find_streams, read_cursor
from gata_assets.ingestion.segments.event import Event, Segment
from gata_assets.ingestion.segments.raw_files import FORMAT, Decode, as_it_came, coming_key, join_lines
from gata_assets.ingestion.segments.trace import number_origins, read_origins
from gata_assets.storage.scratch import scratch_directory

_MOST_ATTEMPTS = 5
# What the tail's rows have besides the table's columns.
RECEIVED_AT, STREAM, OFFSET = "_received_at", "_stream", "_offset"
_RECORD = "_record"
_ORIGIN = {RECEIVED_AT: pl.Datetime("us", "UTC"), STREAM: pl.String(), OFFSET: pl.Int64()}
# A day of a curated table (None: all of it) and a staged part that it was built from, by its key.
CuratedPart = tuple[date | None, str]


@dataclass(frozen=True)
class TailRows:
    """Valid rows that are not curated: the table's staged columns, and `_received_at`, `_stream` and `_offset`; and how
    many events are not valid, which quarantine will have.
    """

    rows: pl.DataFrame
    rejected: int


class Tail:
    """Reads the tail of one tenant's tables, again and again; keeps the segments that are not rolled up yet."""

    def __init__(
        self,
        validator: FileValidator,
        curated_parts: Callable[[str], Collection[CuratedPart]],
        decode: Decode = as_it_came,
    ) -> None:
        """Set up the reader.

        Args:
            validator: Of the tenant, with its tables and rules.
            curated_parts: The parts that a table's curated rows were built from. Whoever reads both reads the manifests
                of the curated table in this call, and the rows that those name.
            decode: As that of the roll-up.
        """
        self._validator, self._curated_parts, self._decode = validator, curated_parts, decode
        self._store = validator.store
        self._segments: dict[str, list[Segment]] = {}

    def read(self, table: str) -> TailRows:
        """The rows of a table that are not curated.

        Raises DamagedTableError, ConflictError if streams are rolled up all the time, or StoreError.
        """
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            try:
                cursors = self._read_streams()
                found = self._read(table, cursors)
            except (ConflictError, ObjectNotFoundError):
                # Deleted since it was listed, after it was rolled up; or missing, which stays so; or people were erased
                # from a file meanwhile.
                if attempt == _MOST_ATTEMPTS:
                    raise
                continue
            if all(read_cursor(self._store, name).version == cursor.version for name, cursor in cursors.items()):
                return found
        raise ConflictError(f"Streams were rolled up {_MOST_ATTEMPTS} times while they were read: read them again.")

    def _read_streams(self) -> dict[str, Cursor]:
        """The streams' cursors; the segments beyond them are kept, with this tenant's events."""
        cursors = {}
        for stream in find_streams(self._store):
            cursor = cursors[stream] = read_cursor(self._store, stream)
            known = [segment for segment in self._segments.get(stream, []) if segment.first >= cursor.end]
            chain = Chain(self._store, stream)
            new = chain.follow(known[-1].end) if known else chain.segments(cursor.end)
            self._segments[stream] = known + [
                replace(segment, events=self._own(segment), rejected=()) for segment in new
            ]
        return cursors

    def _own(self, segment: Segment) -> tuple[Event, ...]:
        return tuple(event for event in segment.events if event.tenant == self._validator.places.tenant)

    def _read(self, table: str, cursors: Mapping[str, Cursor]) -> TailRows:
        validator = self._validator
        curated = {(day, file_of_part(key)) for day, key in self._curated_parts(table)}
        reports = validator.reports(table)
        replaced = replaced_files(reports)
        known = {report.raw_key: report for report in reports}
        listed = [key for key in validator.raw_keys(table) if is_of_events(key)]
        found = [self._empty(table)]
        for key in listed:
            report = known.get(key)
            days = {part.day for part in report.parts if (part.day, report.file_id) not in curated} if report else None
            # Refused, superseded, without a valid row, or curated completely.
            if report is None or (days and not report.refused and report.file_id not in replaced):
                found.append(self._rows_of_file(table, key, report, days))
        for stream, events in self._waiting(table, cursors, set(listed)):
            found.append(self._rows_of_events(table, stream, events))
        return TailRows(pl.concat([one.rows for one in found]), sum(one.rejected for one in found))

    def _waiting(
        self, table: str, cursors: Mapping[str, Cursor], listed: Collection[str]
    ) -> Iterator[tuple[str, list[Event]]]:
        """The events of a source in segments, with their stream, without those in files of a plan that are there."""
        for stream, cursor in cursors.items():
            plan = cursor.plan
            there = {file.source for file in plan.files if file.key in listed} if plan else set()
            by_source: dict[str, list[Event]] = {}
            for segment in self._segments[stream]:
                for event in segment.events:
                    is_in_file = plan is not None and event.offset < plan.end and event.source in there
                    if event.table == table and not is_in_file:
                        by_source.setdefault(event.source, []).append(event)
            yield from ((stream, events) for events in by_source.values())

    def _rows_of_events(self, table: str, stream: str, events: Sequence[Event]) -> TailRows:
        key = coming_key(stream, events)
        origins = pl.DataFrame(
            {
                _RECORD: range(1, len(events) + 1),
                RECEIVED_AT: [event.received_at for event in events],
                STREAM: [stream] * len(events),
                OFFSET: [event.offset for event in events],
            },
            schema={_RECORD: pl.Int64(), **_ORIGIN},
        )
        with scratch_directory() as scratch:
            path = scratch / "events"
            path.write_bytes(join_lines(events, self._decode)[0])
            return self._validate(table, key, path, origins, None)

    def _rows_of_file(
        self, table: str, key: str, report: Report | None, days: Collection[date | None] | None
    ) -> TailRows:
        """The valid rows of a raw file, of all days or of some."""
        names = {"record": _RECORD, "received_at": RECEIVED_AT, "stream": STREAM, "offset": OFFSET}
        origins = read_origins(self._store, self._validator.places.tenant, table, key).select(list(names)).rename(names)

        def read(source: RawSource, _: RawContent) -> TailRows:
            return self._validate(table, key, source, origins, report)

        found, _ = read_raw_object(self._store, key, read)
        if isinstance(found, RawFileError):
            return self._empty(table)
        event_time = self._validator.tables[table].event_time
        if days is None or None in days or event_time is None:
            return found
        return replace(found, rows=found.rows.filter(pl.col(event_time).dt.date().is_in(list(days))))

    def _validate(
        self, table: str, key: str, source: RawSource, origins: pl.DataFrame, report: Report | None
    ) -> TailRows:
        """The valid rows of lines, each with its origin by the number of its record; raises RawFileError, and
        ConflictError if the origins are of more lines.
        """
        validator = self._validator
        choice = validator.choose_mapping(table, key, report)
        spec = validator.table_of_file(table, choice)
        newest = max(origins[RECEIVED_AT], default=validator.now)
        context = validator.context_of(spec, report or Report(table, "", key, newest, ""))
        most = validator.rules.max_decoded_bytes
        blocks, rejected, count = [], 0, 0
        for block in read_numbered(source, FORMAT, spec, context, max_decoded_bytes=most, is_by_row=True):
            blocks.append(block.rows.with_columns(block.records.alias(_RECORD)))
            rejected, count = rejected + block.rejected, count + block.count
        numbered = number_origins(origins, count, _RECORD)
        rows = [block.join(numbered, on=_RECORD, maintain_order="left").drop(_RECORD) for block in blocks]
        return TailRows(pl.concat([self._empty(table).rows, *rows]), rejected)

    def _empty(self, table: str) -> TailRows:
        return TailRows(pl.DataFrame(schema=self._validator.tables[table].staged_schema | _ORIGIN), 0)
