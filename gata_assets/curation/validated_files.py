"""A tenant's validated rows in files: written block by block, so that memory does not grow with their number, and read.

Also the curated tables that rows of other tables refer to. `validator` finds raw files and decides what they become.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.curation.files.formats import RawSource, parse_format, printable
from gata_assets.curation.files.open_files import read_validated
from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.policy import CurationRules
from gata_assets.curation.readers.faults import unforeseen_errors_refuse
from gata_assets.curation.reports import NO_FIGURES, Report, StagedPart
from gata_assets.curation.staged.day_parts import is_day_of_file, read_day
from gata_assets.curation.staged.parquet_writer import StagedParquetWriter
from gata_assets.curation.staged_partitions import StagedPartitionWriter, read_spans
from gata_assets.curation.validation import digest_context
from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.storage.datasets import find_manifest, read_files
from gata_assets.storage.files import digest_file
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.changes.declared import COMMITTED_AT
from gata_assets.tables.people.erased_people import ErasedPeople
from gata_assets.tables.people.owners import columns_of_owners
from gata_assets.tables.row_rules import RowContext
from gata_assets.tables.spec import TableSpec

# Raised for a stored table that is truncated or changed: Arrow raises OSError for bytes that cannot be decompressed,
# and Polars panics, which is no Exception. Stores raise errors of this package.
DAMAGED = (pa.ArrowException, OSError, UnicodeDecodeError, pl.exceptions.PolarsError, pl.exceptions.PanicException)

# Few rows make row groups of a few kilobytes; many of them stay in memory.
_BYTES_HELD = 4_000_000
# A row in quarantine may have megabytes.
_ROWS_AT_ONCE = 1_000
# Hexadecimal digits in the names of parts, of the digest of their file and rules.
_DIGITS = 32


class TableWriter:
    """Writes rows to one Parquet file, in row groups of some megabytes."""

    ending = "parquet"

    def __init__(self, path: Path, coded: Sequence[str] | None = None) -> None:
        """`coded` columns have few distinct values, None for any: a dictionary takes half of the time to write."""
        self._path, self._coded = path, coded
        self._held: list[pa.Table] = []
        self._rows = self._bytes_held = 0
        # Not by Polars: its writer would add 7 MB to a process that writes days with Arrow's anyway.
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer:
            self._writer.close()

    def add(self, rows: pa.Table) -> None:
        """Add rows; a nullable column may be missing only if no block has it."""
        if len(rows):
            self._held.append(rows)
            self._rows += len(rows)
            self._bytes_held += rows.nbytes
        if self._bytes_held >= _BYTES_HELD:
            self._flush()

    def parts(self, key: str) -> tuple[StagedPart, ...]:
        """The file as a part, once all rows are added and it is stored under that key; none without rows."""
        self._flush()
        if self._writer is None:
            return ()
        self._writer.close()
        return (StagedPart(key, self._rows, digest_file(self._path)),)

    def _flush(self) -> None:
        if not self._held:
            return
        table = pa.concat_tables(self._held)
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._path,
                table.schema,
                compression="zstd",
                write_statistics=False,
                use_dictionary=True if self._coded is None else list(self._coded),
            )
        self._writer.write_table(table)
        self._held, self._bytes_held = [], 0


def open_staged_writer(
    spec: TableSpec, path: Path, store: ObjectStore, key: str
) -> TableWriter | StagedPartitionWriter | StagedParquetWriter:
    """The writer of a table's valid rows: by day, and into the store, if each day is curated by itself and rows are not
    staged as Parquet.
    """
    if spec.staged_as and spec.event_time:
        return StagedParquetWriter(path, spec.event_time)
    if spec.is_staged_by_day and spec.event_time:
        return StagedPartitionWriter(store.open_write(f"{key}.{StagedPartitionWriter.ending}"), spec.event_time)
    if spec.changes:
        return TableWriter(path, [COMMITTED_AT, *(column.name for column in spec.columns if column.allowed_values)])
    return TableWriter(path)


class TenantTables:
    """The stored rows of one tenant: staged parts, quarantine, and curated tables that others refer to."""

    # By name, referenced tables before those that refer to them (`declaration.tables_by_name`).
    tables: Mapping[str, TableSpec] = {}
    # Where the data is, by the tenant's name.
    layout: Callable[[str], TenantLayout] = TenantLayout

    def __init__(
        self, store: ObjectStore, tenant: str, rules: CurationRules, tables: Mapping[str, TableSpec] | None
    ) -> None:
        """`tables` replace those of the class."""
        self.store = store
        self.tables = rules.applied_to(self.tables if tables is None else tables)
        self.places = type(self).layout(tenant)
        self.rules = rules
        self._keys: dict[tuple[str, str], pl.Series] = {}

    def erased(self) -> ErasedPeople:
        """Whose rows do not count up to now; raises PrivacyKeyError, DamagedTableError or StoreError."""
        return self.rules.tombstones.erased(self.store, self.places.owner, self.places.tombstones)

    def stored_rows(self, quarantine: StagedPart) -> tuple[StagedPart, int]:
        """A quarantine table and its own row count; 0 if it is missing or differs from what was written."""
        try:
            with self.store.local_copy(quarantine.key) as path:
                return quarantine, pq.read_metadata(path).num_rows if digest_file(path) == quarantine.sha256 else 0
        except (ObjectNotFoundError, *DAMAGED):
            return quarantine, 0

    def read_quarantine(self, quarantine: StagedPart) -> Iterator[pl.DataFrame]:
        """The rows of a quarantine table, a bounded number at a time; raises DamagedTableError or StoreError."""
        try:
            with self.store.local_copy(quarantine.key) as path:
                if digest_file(path) != quarantine.sha256:
                    raise pa.ArrowInvalid("other bytes than were written")
                for rows in pq.ParquetFile(path).iter_batches(_ROWS_AT_ONCE):
                    yield cast("pl.DataFrame", pl.from_arrow(rows))
        except (ObjectNotFoundError, pa.ArrowException):
            raise DamagedTableError(
                f"{self.store.uri(quarantine.key)} is missing or damaged: `gata quarantine --replay` writes it again."
            ) from None

    def read_staged(self, part: StagedPart) -> pa.Table:
        """The rows of a part; raises ObjectNotFoundError, one of DAMAGED, or DamagedTableError for bytes that differ
        from those written, since they could be read as other rows.
        """
        if part.spans:
            table, digest = read_spans(self.store.read_part(part.key, *span) for span in part.spans)
        else:
            with self.store.local_copy(part.key) as path:
                digest = digest_file(path)
                if digest == part.sha256 and part.day and is_day_of_file(part):
                    return read_day(path, self._event_time_of(part), part.day)
                table = pl.read_parquet(path).to_arrow() if digest == part.sha256 else None
        if digest != part.sha256 or table is None:
            raise DamagedTableError(f"{self.store.uri(part.key)} is not what was written: its SHA-256 is another.")
        return table

    def _event_time_of(self, part: StagedPart) -> str:
        """The column of instants of the table that a part is of, by its key."""
        of_part = (spec for table, spec in self.tables.items() if part.key.startswith(self.places.staged(table)))
        return next(spec.event_time for spec in of_part if spec.event_time)

    def known_keys(self, table: str, column: str) -> pl.Series:
        """The present values of a referenced column of a curated table; none if the table does not exist."""
        if (table, column) not in self._keys:
            folder = self.places.curated(table)
            manifest = find_manifest(self.store, folder).manifest
            if manifest is None:
                found = pl.Series(column, [], dtype=self.tables[table].curated_schema[column])
            else:
                [(_, content)] = read_files(self.store, folder, [f"{table}.parquet"], manifest)
                found = pl.read_parquet(content, columns=[column])[column]
            self._keys[table, column] = found
        return self._keys[table, column]

    def keep_keys(self, keys: Mapping[tuple[str, str], pl.Series]) -> None:
        """Keep values of referenced columns that were read before, by table and column."""
        self._keys |= keys

    def forget_keys(self, table: str) -> None:
        """Forget the cached values of a curated table, since it was rewritten."""
        self._keys = {known: keys for known, keys in self._keys.items() if known[0] != table}

    def context_of(self, spec: TableSpec, report: Report) -> RowContext:
        """What the rows of a file are validated against."""
        is_timed = spec.event_time is not None
        # Whether the others are known is decided when all rows are there.
        references = {name: to for name, to in spec.references.items() if not to.mode.is_of_changes}
        day = self.places.landing_day(spec.table, report.raw_key) if spec.changes else None
        # Of changes it makes no difference when their file arrived.
        latest = datetime.combine(day + timedelta(days=1), time(), UTC) if day else report.landed_at
        return RowContext(
            self.rules.earliest_of(spec.table) if is_timed else None,
            latest + self.rules.at_most_ahead if is_timed else None,
            {name: self.known_keys(target.table, target.column) for name, target in references.items()},
            {name: self.rules.mode_of(target) for name, target in references.items()},
            datetime.combine(day, time(), UTC) if day else None,
            self.rules.tokens,
            loaded_at=report.landed_at,
            erased=self.erased() if columns_of_owners(spec) else None,
        )

    def validate_rows(
        self, report: Report, raw: RawSource, spec: TableSpec, scratch: Path, progress: Callable[[int], None] | None
    ) -> Report:
        """The outcome of a file's rows, which are written to `scratch`, or to the store if they are staged by day.

        Without the report they do not count. Raises RawFileError, or StoreError.
        """
        context = self.context_of(spec, report)
        rejected, unknown, discarded, masked = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
        rows, erased, figures = 0, 0, NO_FIGURES
        digest = sha256(f"{digest_context(spec, context)}{report.raw_sha256}".encode()).hexdigest()
        name = f"{report.file_id}-{digest[:_DIGITS]}"
        staged_key = f"{self.places.staged(spec.table)}{name}"
        source = printable(report.raw_key.rpartition("/")[2])
        with (
            unforeseen_errors_refuse(),
            open_staged_writer(spec, scratch / "staged", self.store, staged_key) as staged,
            TableWriter(scratch / "quarantine") as quarantine,
        ):
            form, most = parse_format(report.raw_key, spec.mapping.endings), self.rules.max_decoded_bytes
            for count, block in read_validated(raw, form, spec, context, source, max_decoded_bytes=most):
                rows += count - len(block.erased)
                erased += len(block.erased)
                rejected.update(block.rejected_by_rule)
                unknown.update(block.unknown_by_rule)
                discarded.update(block.discarded_by_rule)
                masked.update(block.masked)
                figures += block.figures
                staged.add(block.valid)
                quarantine.add(block.rejected)
                if progress:
                    progress(rows)
            parts = staged.parts(f"{staged_key}.{staged.ending}")
            kept = quarantine.parts(f"{self.places.quarantine(spec.table)}{name}.parquet")
        return replace(
            report,
            rows=rows,
            parts=parts,
            quarantine=kept[0] if kept else None,
            rejected_by_rule=dict(sorted(rejected.items())),
            unknown_by_rule=dict(sorted(unknown.items())),
            discarded_by_rule=dict(sorted(discarded.items())),
            masked=dict(sorted(masked.items())),
            figures=figures,
            erased=erased,
        )

    def store_rows(self, report: Report, scratch: Path) -> None:
        """Store what `validate_rows` has written to `scratch`; without the report it does not count."""
        if report.parts and not report.parts[0].spans:
            self.store.write_file(report.parts[0].key, scratch / "staged")
        if report.quarantine:
            self.store.write_file(report.quarantine.key, scratch / "quarantine", is_private=True)
