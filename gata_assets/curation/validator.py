"""Finds a tenant's raw files in the store and validates them into staged parts, quarantine and a report.

Nothing needs to be deleted: a part's key has the digest of its file and rules, and parts that no report names do not
count. `landing` stores new files; `curated` writes curated tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.curation.backlog import list_raw_keys
from gata_assets.curation.files.formats import file_id, landed_at, parse_format
from gata_assets.curation.files.open_files import read_validated
from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.policy import CurationRules
from gata_assets.curation.report_store import ReportStore
from gata_assets.curation.reports import Report, StagedPart, supersede, valid_reports
from gata_assets.curation.staged_partitions import read_spans
from gata_assets.curation.validated_files import TableWriter, open_staged_writer
from gata_assets.curation.validation import digest_context, digest_settings
from gata_assets.errors import DamagedTableError, DataRuleError, ObjectNotFoundError, RawFileError
from gata_assets.storage.datasets import find_manifest, read_files
from gata_assets.storage.files import digest_file
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.scratch import scratch_directory
from gata_assets.tables.row_rules import RowContext
from gata_assets.tables.spec import TableSpec

# Raised for a stored table that is truncated or changed: Arrow raises OSError for bytes that cannot be decompressed,
# and Polars panics, which is no Exception. Stores raise errors of this package.
DAMAGED = (pa.ArrowException, OSError, UnicodeDecodeError, pl.exceptions.PolarsError, pl.exceptions.PanicException)


class FileValidator:
    """Finds and validates the raw files of one tenant; data of other tenants is neither read nor written."""

    # By name, referenced tables before those that refer to them (`declaration.tables_by_name`).
    tables: Mapping[str, TableSpec] = {}

    def __init__(
        self,
        store: ObjectStore,
        tenant: str,
        rules: CurationRules,
        now: datetime,
        tables: Mapping[str, TableSpec] | None = None,
    ) -> None:
        """`now` is the latest landing time of files that are first seen; `tables` replace those of the class."""
        self.store = store
        self.tables = rules.applied_to(self.tables if tables is None else tables)
        self.places = TenantLayout(tenant)
        self.rules = rules
        self.now = now
        self._reports = ReportStore(store, self.places)
        self._files = 0
        self._keys: dict[tuple[str, str], pl.Series] = {}

    def raw_keys(self, table: str) -> list[str]:
        """The keys of the raw files, whoever stored them."""
        return list_raw_keys(self.places, self.store, table)

    def reports(self, table: str) -> list[Report]:
        """The reports of all validated files, by file id; raises DamagedTableError.

        They are current, yet each is read only once unless it is overwritten.
        """
        return self._reports.read_all(table)

    def unvalidated(self, tables: Iterable[str] | None = None) -> list[str]:
        """Raw files without a report, and those that were refused under other settings, table by table."""
        found = []
        for table in self.tables if tables is None else tables:
            reports = {report.raw_key: report for report in self.reports(table)}
            for key in self.raw_keys(table):
                report = reports.get(key)
                if report is None or (report.refused and self.is_outdated(report)):
                    found.append(key)
        return found

    def is_outdated(self, report: Report) -> bool:
        """Whether the rows of a file were validated with other settings than the present ones."""
        return report.rules != digest_settings(self.tables[report.table], self.rules)

    def outdated(self, reports: Iterable[Report]) -> list[Report]:
        """The files that count though their rows were validated with other settings, among a table's reports."""
        return [report for report in valid_reports(reports) if self.is_outdated(report)]

    def validate_new(self, table: str) -> list[Report]:
        """Validate the raw files of a table that are `unvalidated`."""
        return [self.validate(key) for key in self.unvalidated([table])]

    def validate(
        self, key: str, *, replaces: Sequence[str] = (), progress: Callable[[int], None] | None = None
    ) -> Report:
        """Split the rows of a raw file into valid and rejected ones and store both, the report last.

        An unreadable file gets a report with the reason, and none of its rows count. A file that was validated before
        is validated again, as of when it landed. `progress` gets the number of rows read so far.

        A refused file supersedes others once it can be read; if another has superseded it meanwhile, it stays refused.
        """
        spec = self.tables[self._table_of(key)]
        name = file_id(self.places, spec.table, key)
        earlier = self.find_report(spec.table, name)
        landed = earlier.landed_at if earlier else self._later(landed_at(self.places, spec.table, key, self.now))
        blank = Report(spec.table, name, key, landed, digest_settings(spec, self.rules))
        with self.store.local_copy(key) as path, scratch_directory() as scratch:
            try:
                report = self._validate_rows(blank, path, spec, scratch, progress)
            except RawFileError as error:
                report = replace(blank, refused=str(error))

        def work_out(present: Report | None) -> list[Report]:
            before = present or blank
            is_refused = before.refused is not None
            olds = (*before.replaces, *replaces) if is_refused else replaces
            new = replace(report, landed_at=before.landed_at, replaces=() if is_refused else before.replaces)
            try:
                return self._in_place(new, olds)
            except DataRuleError as error:
                if present and not is_refused:
                    raise
                # Another file has superseded the same one meanwhile. Without a report both would count.
                return self._in_place(replace(blank, landed_at=before.landed_at, refused=str(error)), olds)

        return self._reports.change(earlier, report, work_out)

    def supersede(self, new: Report, olds: Sequence[str]) -> Report:
        """Let a file supersede others, which then no longer count; a refused file supersedes none.

        Raises DataRuleError, see `reports.require_place`.
        """
        return self._reports.change(new, new, lambda present: self._in_place(present or new, olds)) if olds else new

    def bring_again(self, report: Report) -> Report:
        """Count a file that arrived a second time as the last that landed."""
        landed = self._later(self.now)
        return self._reports.change(report, report, lambda present: [replace(present or report, landed_at=landed)])

    def _later(self, landed: datetime) -> datetime:
        """An instant just after that of the file before: among files that arrive together the last is the latest."""
        self._files += 1
        return landed + timedelta(microseconds=self._files - 1)

    def report_of(self, name: str) -> Report:
        """The report of a file id; raises DataRuleError if it does not exist."""
        for table in self.tables:
            if report := self.find_report(table, name):
                return report
        raise DataRuleError(f"There is no file {name}: `gata quarantine` and `gata ingest` show the files' ids.")

    def find_report(self, table: str, name: str) -> Report | None:
        """The report of a file id, None if it does not exist; raises DamagedTableError."""
        return self._reports.find(table, name)

    def stored_rows(self, quarantine: StagedPart) -> tuple[StagedPart, int]:
        """A quarantine table and its own row count; 0 if it is missing or differs from what was written."""
        try:
            with self.store.local_copy(quarantine.key) as path:
                return quarantine, pq.read_metadata(path).num_rows if digest_file(path) == quarantine.sha256 else 0
        except (ObjectNotFoundError, *DAMAGED):
            return quarantine, 0

    def read_staged(self, part: StagedPart) -> pa.Table:
        """The rows of a part; raises ObjectNotFoundError, one of DAMAGED, or DamagedTableError for bytes that differ
        from those written, since they could be read as other rows.
        """
        if part.spans:
            table, digest = read_spans(self.store.read_part(part.key, *span) for span in part.spans)
        else:
            with self.store.local_copy(part.key) as path:
                table, digest = pl.read_parquet(path).to_arrow(), digest_file(path)
        if digest != part.sha256:
            raise DamagedTableError(f"{self.store.uri(part.key)} is not what was written: its SHA-256 is another.")
        return table

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

    def forget_keys(self, table: str) -> None:
        """Forget the cached values of a curated table, since it was rewritten."""
        self._keys = {known: keys for known, keys in self._keys.items() if known[0] != table}

    def _context(self, spec: TableSpec, landed: datetime) -> RowContext:
        is_timed = spec.event_time is not None
        return RowContext(
            self.rules.earliest_at if is_timed else None,
            landed + self.rules.at_most_ahead if is_timed else None,
            {name: self.known_keys(target.table, target.column) for name, target in spec.references.items()},
            {name: self.rules.mode_of(target) for name, target in spec.references.items()},
        )

    def _validate_rows(
        self, report: Report, path: Path, spec: TableSpec, scratch: Path, progress: Callable[[int], None] | None
    ) -> Report:
        context = self._context(spec, report.landed_at)
        rejected, unknown, discarded = Counter[str](), Counter[str](), Counter[str]()
        rows = 0
        version = sha256(f"{digest_context(spec, context)}{digest_file(path)}".encode()).hexdigest()[:10]
        name = f"{report.file_id}-{version}"
        source = report.raw_key.rpartition("/")[2]
        with open_staged_writer(spec, scratch / "staged") as staged, TableWriter(scratch / "quarantine") as quarantine:
            form, most = parse_format(report.raw_key), self.rules.max_decoded_bytes
            for count, block in read_validated(path, form, spec, context, source, max_decoded_bytes=most):
                rows += count
                rejected.update(block.rejected_by_rule)
                unknown.update(block.unknown_by_rule)
                discarded.update(block.discarded_by_rule)
                staged.add(block.valid)
                quarantine.add(block.rejected)
                if progress:
                    progress(rows)
            parts = staged.parts(f"{self.places.staged(spec.table)}{name}.{staged.ending}")
            kept = quarantine.parts(f"{self.places.quarantine(spec.table)}{name}.parquet")
        for file, tables in ((scratch / "staged", parts), (scratch / "quarantine", kept)):
            if tables:
                self.store.write_file(tables[0].key, file, is_private=tables is kept)
        return replace(
            report,
            rows=rows,
            parts=parts,
            quarantine=kept[0] if kept else None,
            rejected_by_rule=dict(sorted(rejected.items())),
            unknown_by_rule=dict(sorted(unknown.items())),
            discarded_by_rule=dict(sorted(discarded.items())),
        )

    def _table_of(self, key: str) -> str:
        for table in self.tables:
            if key.startswith(self.places.raw(table)):
                return table
        raise DataRuleError(f"{key} is not a raw file of {self.places.tenant}.")

    def _in_place(self, new: Report, olds: Sequence[str]) -> list[Report]:
        if new.refused is not None:
            return [replace(new, replaces=tuple(dict.fromkeys((*new.replaces, *olds))))]
        return supersede(new, olds, self.reports(new.table)) if olds else [new]
