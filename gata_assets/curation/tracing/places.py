"""From curated rows to their records: the raw files that have the key, each read again to find the record's number.

Files are found by their staged rows, of which only columns of the key are read where that is possible. Places only:
no value of a row leaves this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from typing import cast

import polars as pl
import pyarrow as pa

from gata_assets.curation.changes.curator import ChangesCurator
from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.curated.merge import MergedIdentity, derive
from gata_assets.curation.files.formats import RawSource, is_of_events, parse_format, printable
from gata_assets.curation.files.raw_objects import read_raw_object
from gata_assets.curation.reports import RawContent, Report, StagedPart
from gata_assets.curation.staged_partitions import decode_spans
from gata_assets.curation.tracing.curated_rows import BuiltFrom, FoundRows, find_rows
from gata_assets.curation.tracing.key_values import KeyValues
from gata_assets.curation.tracing.raw_records import read_numbered
from gata_assets.curation.validated_files import DAMAGED
from gata_assets.curation.validator import FileValidator
from gata_assets.errors import DamagedTableError, DataRuleError, ObjectNotFoundError, RawFileError
from gata_assets.tables.changes.declared import SOURCE_FILE, SOURCE_LINE
from gata_assets.tables.spec import Repetitions

MOST_RECORDS = 10_000
_ROW, _RECORD, _FILE = "row of trace", "record of trace", "file of trace"
_SOURCE_RECORD = "source_record"
_GONE = "its raw file was removed"
_CHANGED = "its raw file has other content than was validated"
_REJECTED = "its rules have changed since: `gata quarantine --replay` validates it again"


@dataclass(frozen=True)
class Place:
    """A record with the key: the row that it became (from 1), its file and number there, and whether it counts.

    Of a record that cannot be found, `problem` says why; its row is not known then.
    """

    row: int | None
    report: Report
    record: int | None
    counts: bool = False
    problem: str | None = None


@dataclass(frozen=True)
class TracedRows:
    """Curated rows of a partition: the number of the first, how many, see `FoundRows`, and all their places in order of
    their files.
    """

    first: int
    count: int
    partition: str | None
    is_current: bool
    waiting: int
    places: Sequence[Place]


def trace_rows(curator: TableCurator | ChangesCurator, key: KeyValues) -> Iterator[TracedRows]:
    """Where each curated row with a key came from, partition by partition; nothing if there is no such row.

    Raises as `find_rows`, and DataRuleError for more than MOST_RECORDS records.
    """
    first = 1
    for found in find_rows(curator, key):
        places = _places_of(curator, key, found, first)
        yield TracedRows(first, len(found.rows), found.partition, found.is_current, found.waiting, places)
        first += len(found.rows)


def has_rows(validator: FileValidator, key: KeyValues, part: StagedPart) -> bool:
    """Whether a staged part has a row with the key; raises DamagedTableError or StoreError."""
    try:
        if part.spans:
            return _have_spans(validator, key, part)
        with validator.store.local_copy(part.key) as path:
            return key.count(path, part.day) > 0
    except (ObjectNotFoundError, *DAMAGED) as error:
        raise DamagedTableError(
            f"{validator.store.uri(part.key)} is missing or damaged: `gata quarantine --replay` writes it again.",
            key=part.key,
        ) from error


def _have_spans(validator: FileValidator, key: KeyValues, part: StagedPart) -> bool:
    """As `has_rows`, a span at a time: a day of a file may have all rows of it."""
    digest = sha256()
    for span in part.spans:
        content = validator.store.read_part(part.key, *span)
        digest.update(content)
        if len(key.filter(cast("pl.DataFrame", pl.from_arrow(decode_spans([content]))))):
            return True
    if digest.hexdigest() != part.sha256:
        raise pa.ArrowInvalid("other bytes than were written")
    return False


def _places_of(
    curator: TableCurator | ChangesCurator, key: KeyValues, found: FoundRows, first: int
) -> tuple[Place, ...]:
    files: list[BuiltFrom] = []
    frames, problems = [], []
    for file in found.files:
        has_key = _has_key(curator, key, file)
        if has_key is False:
            continue
        records, problem = _records_of(curator, key, file)
        frames.append(records.with_columns(pl.lit(len(files)).alias(_FILE)))
        files.append(file)
        # A file that may have the key or not, and has none, is no problem.
        if problem and (has_key or problem != _REJECTED):
            problems.append(Place(None, file.report, None, problem=problem))
        if sum(map(len, frames)) > MOST_RECORDS:
            raise DataRuleError(f"More than {MOST_RECORDS:,} records have this: give more columns.")
    records = pl.concat(frames) if frames else pl.DataFrame()
    if records.is_empty():
        return tuple(problems)
    identity = curator.identities.get(key.spec.table) if isinstance(curator, TableCurator) else None
    matched = _matched(key, found.rows, records, identity)
    if identity:
        # As rows name them, without their folder: the first of several with the name.
        names = [printable(file.report.raw_key.rpartition("/")[2]) for file in files]
        is_named = _are_named(found.rows, matched, names, _RECORD, _SOURCE_RECORD)
        of_rows = matched.select(_ROW, is_named.alias("is named")).to_struct()
        counting = is_named & of_rows.is_first_distinct()
    else:
        folder = curator.places.raw(key.spec.table)
        counting = _counting(key, found.rows, matched, [file.report.raw_key.removeprefix(folder) for file in files])
    columns = zip(matched[_ROW], matched[_FILE], matched[_RECORD], counting, strict=True)
    places = [Place(first + row, files[file].report, record, counts=counts) for row, file, record, counts in columns]
    return (*places, *problems)


def _has_key(validator: FileValidator, key: KeyValues, file: BuiltFrom) -> bool | None:
    """Whether a file has a row with the key; None if it was validated again, so that no report has its parts."""
    parts = [part for part in file.report.parts if part.key in file.keys and part.day == file.day]
    return any(has_rows(validator, key, part) for part in parts) if parts else None


def _records_of(validator: FileValidator, key: KeyValues, file: BuiltFrom) -> tuple[pl.DataFrame, str | None]:
    """The staged rows of a raw file that have the key, with their numbers, or why there are none."""
    report, table = file.report, key.spec.table
    no_rows = pl.DataFrame(schema={**key.spec.staged_schema, _RECORD: pl.Int64()})
    choice = validator.choose_mapping(table, report.raw_key, report)

    def read(source: RawSource, content: RawContent) -> pl.DataFrame | None:
        if report.raw_sha256 not in (None, content.sha256):
            return None
        spec = validator.table_of_file(table, choice)
        # What was unknown when the file was validated is not asked again.
        context = replace(validator.context_of(spec, report), known={})
        blocks = read_numbered(
            source,
            parse_format(report.raw_key, spec.mapping.endings),
            spec,
            context,
            max_decoded_bytes=validator.rules.max_decoded_bytes,
            is_by_row=is_of_events(report.raw_key),
        )
        chosen = (key.filter(block.rows.with_columns(block.records.alias(_RECORD))) for block in blocks)
        of_day = [no_rows, *(_of_day(key, rows, file.day) for rows in chosen)]
        return pl.concat(of_day, how="diagonal").select(no_rows.columns)

    try:
        found, _ = read_raw_object(validator.store, report.raw_key, read)
    except ObjectNotFoundError:
        return no_rows, _GONE
    if found is None:
        return no_rows, _CHANGED
    if isinstance(found, RawFileError) or found.is_empty():
        return no_rows, _REJECTED
    return found, None


def _of_day(key: KeyValues, rows: pl.DataFrame, day: date | None) -> pl.DataFrame:
    return rows if day is None else rows.filter(pl.col(key.spec.event_time or "").dt.date() == day)


def _matched(
    key: KeyValues, curated: pl.DataFrame, records: pl.DataFrame, identity: MergedIdentity | None
) -> pl.DataFrame:
    """The records with the row that each became, in the order of rows, files and records."""
    if identity:
        own = list(identity.columns)
        return _joined(identity.add_columns(records), curated.select(own), own)
    spec = key.spec
    # Keys of ids follow from the ids.
    names = [column.name for column in spec.columns if not column.key_of]
    own = list(spec.key) if spec.repetitions is Repetitions.LATEST else names
    types = {name: spec.curated_schema[name] for name in own}
    rows = curated.select(pl.col(name).cast(kind) for name, kind in types.items())
    derived = derive(spec, records).with_columns(pl.col(name).cast(kind) for name, kind in types.items())
    return _joined(derived, rows, own)


def _joined(records: pl.DataFrame, curated: pl.DataFrame, own: Sequence[str]) -> pl.DataFrame:
    return records.join(curated.with_row_index(_ROW), on=own, nulls_equal=True).sort(_ROW, _FILE, _RECORD)


def _counting(key: KeyValues, curated: pl.DataFrame, matched: pl.DataFrame, names: Sequence[str]) -> pl.Series:
    """Whether each record counts: of equal rows the first, else the latest, or of changes that which the row names.

    `names` are those of the files below the table's folder.
    """
    if key.spec.changes:
        return _are_named(curated, matched, names, SOURCE_LINE, SOURCE_LINE)
    is_latest = key.spec.repetitions is Repetitions.LATEST
    return matched.select(
        pl.col(_ROW).is_last_distinct() if is_latest else pl.col(_ROW).is_first_distinct()
    ).to_series()


def _are_named(
    curated: pl.DataFrame, matched: pl.DataFrame, names: Sequence[str], number: str, named_number: str
) -> pl.Series:
    """Whether each record is the one that its row names, by its file and a number."""
    named = curated[[SOURCE_FILE, named_number]][matched[_ROW]]
    files = pl.Series(names, dtype=pl.String).gather(matched[_FILE])
    return (files == named[SOURCE_FILE]) & (matched[number] == named[named_number])
