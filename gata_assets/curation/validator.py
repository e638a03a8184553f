"""A tenant's raw files in the store: finding them, and sorting them into staged parts, quarantine and a report.

Nothing needs to be deleted: a part's key holds the digest of its file and rules, and what no report names does not
count. Rules of rows stand in `core.curation_rules`; files land in `intake`, curated tables are made in `curation`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.curation.backlog import list_raw_keys
from gata_assets.curation.files.formats import file_id, landed_at, parse_format
from gata_assets.curation.files.open_files import read_validated
from gata_assets.curation.layout import ITEMS_FILE, DataType, TenantLayout
from gata_assets.curation.policy import CurationRules
from gata_assets.curation.report_store import ReportStore
from gata_assets.curation.reports import Part, Report, supersede, valid_reports
from gata_assets.curation.staged_partitions import StagedPartitionWriter, read_spans
from gata_assets.curation.validation import RowRules, digest_settings
from gata_assets.errors import DamagedTableError, DataRuleError, ObjectNotFoundError, RawFileError
from gata_assets.storage.digests import digest_file
from gata_assets.storage.objects import ObjectStore

# What is raised for a stored table that is cut off or changed: Arrow has OSError for bytes that cannot be decompressed,
# and Polars a panic, which is no Exception. Stores themselves raise errors of ours.
DAMAGED = (pa.ArrowException, OSError, UnicodeDecodeError, pl.exceptions.PolarsError, pl.exceptions.PanicException)


class FileValidator:
    """Finds and sorts the raw files of one tenant; what is another's is neither read nor written."""

    def __init__(self, store: ObjectStore, tenant: str, rules: CurationRules, now: datetime) -> None:
        """`now` is when files that are first seen landed, at the latest."""
        self.store = store
        self.places = TenantLayout(tenant)
        self.rules = rules
        self.now = now
        self._reports = ReportStore(store, self.places)
        self._files = 0

    def raw_keys(self, data: DataType) -> list[str]:
        """The raw files, of whoever put them there."""
        return list_raw_keys(self.places, self.store, data)

    def reports(self, data: DataType) -> list[Report]:
        """What became of every file that was sorted, by file id; raises DamagedTableError.

        As it stands now, and yet each report is read once while nobody writes it over.
        """
        return self._reports.read_all(data)

    def unsorted(self, kinds: Iterable[DataType] = (DataType.ITEMS, DataType.INTERACTIONS)) -> list[str]:
        """Raw files without a report, and those that were refused under other settings, kind after kind."""
        found = []
        for data in kinds:
            reports = {report.raw_key: report for report in self.reports(data)}
            for key in self.raw_keys(data):
                report = reports.get(key)
                if report is None or (report.refused and self.is_outdated(report)):
                    found.append(key)
        return found

    def is_outdated(self, report: Report) -> bool:
        """Whether the rows of a file were judged by other settings than those of now."""
        return report.rules != digest_settings(report.data, self.rules)

    def outdated(self, reports: Iterable[Report]) -> list[Report]:
        """The files that count though their rows were judged by other settings, of all reports of a kind."""
        return [report for report in valid_reports(reports) if self.is_outdated(report)]

    def sort_new(self, data: DataType) -> list[Report]:
        """Sort the raw files of a kind that are `unsorted`."""
        return [self.sort(key) for key in self.unsorted([data])]

    def sort(self, key: str, *, replaces: Sequence[str] = (), progress: Callable[[int], None] | None = None) -> Report:
        """Tell the good rows of a raw file from the bad ones and store both, the report last.

        A file that cannot be read as a whole gets a report that says so, and none of its rows count. One that was
        sorted before is sorted again, as of when it landed. `progress` is told how many rows were read so far.

        A refused file takes the place of others when it is read after all; where another has taken it meanwhile, it
        stays refused.
        """
        data = self._data_of(key)
        name = file_id(self.places, data, key)
        earlier = self.find_report(data, name)
        landed = earlier.landed_at if earlier else self._later(landed_at(self.places, data, key, self.now))
        rules = RowRules(self.rules, landed, self.known_items)
        settings = digest_settings(data, self.rules)
        blank = Report(data, name, key, landed, settings)
        replaced = earlier.replaces if earlier else ()
        is_read_after_all = earlier is not None and earlier.refused is not None
        with self.store.local_copy(key) as path, TemporaryDirectory(prefix="gata-") as scratch:
            try:
                report = self._sort_rows(blank, path, rules, Path(scratch), progress)
            except RawFileError as error:
                report = replace(blank, refused=str(error))
        if not is_read_after_all:
            return self._write_reports(self._in_place(replace(report, replaces=replaced), replaces))
        claimed = (*replaced, *replaces)
        try:
            changed = self._in_place(report, claimed)
        except DataRuleError as error:
            changed = self._in_place(replace(blank, refused=str(error)), claimed)
        return self._write_reports(changed)

    def supersede(self, new: Report, olds: Sequence[str]) -> Report:
        """Have a file take the place of others, which then count no more; a refused one takes nobody's.

        Raises DataRuleError, see `curation_reports.require_place`.
        """
        return self._write_reports(self._in_place(new, olds)) if olds else new

    def bring_again(self, report: Report) -> Report:
        """Count a file of items that came a second time as the one that landed last."""
        return self._write_reports([replace(report, landed_at=self._later(self.now))])

    def _later(self, landed: datetime) -> datetime:
        """An instant a little after that of the file before: of files that come together the last is the latest."""
        self._files += 1
        return landed + timedelta(microseconds=self._files - 1)

    def report_of(self, name: str) -> Report:
        """The report of a file id; raises DataRuleError where there is none."""
        for data in DataType:
            if report := self.find_report(data, name):
                return report
        raise DataRuleError(f"There is no file {name}: `gata quarantine` and `gata ingest` show the files' ids.")

    def find_report(self, data: DataType, name: str) -> Report | None:
        """The report of a file id, None where there is none; raises DamagedTableError."""
        return self._reports.find(data, name)

    def stored_rows(self, quarantine: Part) -> tuple[Part, int]:
        """A quarantine table and its rows as it says itself; none where it is not there or not what was written."""
        try:
            with self.store.local_copy(quarantine.key) as path:
                return quarantine, pq.read_metadata(path).num_rows if digest_file(path) == quarantine.sha256 else 0
        except (ObjectNotFoundError, *DAMAGED):
            return quarantine, 0

    def read_staged(self, part: Part) -> pa.Table:
        """The rows of a part; raises ObjectNotFoundError, one of DAMAGED, or DamagedTableError for other bytes than
        were written, which could be read as other rows.
        """
        if part.spans:
            table, digest = read_spans(self.store.read_part(part.key, *span) for span in part.spans)
        else:
            with self.store.local_copy(part.key) as path:
                table, digest = pl.read_parquet(path).to_arrow(), digest_file(path)
        if digest != part.sha256:
            raise DamagedTableError(f"{self.store.uri(part.key)} is not what was written: its SHA-256 is another.")
        return table

    @cached_property
    def known_items(self) -> pl.Series:
        """The ids of the catalogue as it stands, ascending."""
        try:
            with self.store.local_copy(self.places.curated_items() + ITEMS_FILE) as path:
                return pl.read_parquet(path, columns=["item_id"])["item_id"]
        except ObjectNotFoundError:
            return pl.Series("item_id", [], dtype=pl.String)

    def _sort_rows(
        self, report: Report, path: Path, rules: RowRules, scratch: Path, progress: Callable[[int], None] | None
    ) -> Report:
        data, rows, unknown = report.data, 0, 0
        by_rule: Counter[str] = Counter()
        items, bad = [], []
        source = report.raw_key.rpartition("/")[2]
        version = sha256(f"{rules.digest}{digest_file(path)}".encode()).hexdigest()[:10]
        name, staged = f"{report.file_id}-{version}", scratch / "staged"
        with StagedPartitionWriter(staged) as writer:
            for count, one in read_validated(path, parse_format(report.raw_key), data, rules, source):
                rows += count
                unknown += one.unknown_items
                by_rule.update(one.bad_by_rule)
                if len(one.bad):
                    bad.append(one.bad)
                if data is DataType.INTERACTIONS:
                    writer.add(one.good)
                else:
                    items.append(one.good)
                if progress:
                    progress(rows)
            parts = writer.parts(f"{self.places.staged(data)}{name}.arrows")
        if parts:
            self.store.write_file(parts[0].key, staged)
        elif any(map(len, items)):
            parts = (self._write_table(f"{self.places.staged(data)}{name}.parquet", items, scratch),)
        quarantine = None
        if bad:
            quarantine = self._write_table(f"{self.places.quarantine(data)}{name}.parquet", bad, scratch)
        return replace(
            report,
            rows=rows,
            parts=parts,
            quarantine=quarantine,
            bad_by_rule=dict(sorted(by_rule.items())),
            unknown_items=unknown,
        )

    def _write_table(self, key: str, tables: list[pa.Table], scratch: Path) -> Part:
        # Not by Polars, whose writer would be 7 MB of a process that writes days with Arrow's anyway.
        path, table = scratch / "table", pa.concat_tables(tables)
        pq.write_table(table, path, compression="zstd", write_statistics=False)
        self.store.write_file(key, path)
        return Part(key, len(table), digest_file(path))

    def _data_of(self, key: str) -> DataType:
        for data in DataType:
            if key.startswith(self.places.raw(data)):
                return data
        raise DataRuleError(f"{key} is not a raw file of {self.places.tenant}.")

    def _in_place(self, new: Report, olds: Sequence[str]) -> list[Report]:
        if new.refused is not None:
            return [replace(new, replaces=tuple(dict.fromkeys((*new.replaces, *olds))))]
        return supersede(new, olds, self.reports(new.data)) if olds else [new]

    def _write_reports(self, changed: Sequence[Report]) -> Report:
        """Write reports one after the other; gives the last."""
        for report in changed:
            self._reports.write(report)
        return changed[-1]
