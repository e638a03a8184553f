"""A tenant's raw files in the store: landing, finding and sorting them into staged parts, quarantine and a report.

Nothing needs to be deleted: a part's key holds the digest of its file and rules, and what no report names does not
count. Rules of rows stand in `core.curation_rules`; curated tables are made in `curation`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from hashlib import file_digest, sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.core.curation_reports import Part, Report, check_no_row_is_lost, put_in_place, valid_reports
from gata_assets.core.curation_rules import RowRules
from gata_assets.core.interaction_places import ITEMS_FILE, DataType, TenantPlaces
from gata_assets.core.interaction_rules import CurationRules
from gata_assets.core.outcomes import Outcome
from gata_assets.core.raw_files import FileFormat, file_id, is_content_of, landed_at, landing_day, parse_format, raw_key
from gata_assets.errors import DataRuleError, ObjectNotFoundError, RawFileError
from gata_assets.resources.objects import Objects
from gata_assets.resources.raw_reading import read_sorted, require_readable
from gata_assets.resources.staging import StagedWriter, read_spans
from gata_assets.resources.threads import map_in_order

# Calls of the store at once: small objects, of which each is a call that is waited for.
CALLS_AT_ONCE = 2


@dataclass(frozen=True)
class Landed:
    """A raw file in the store: its key, its id, the day on which it landed, and whether that was now."""

    raw_key: str
    file_id: str
    landed_on: date | None
    is_new: bool


class FileSorter:
    """Lands and sorts the raw files of one tenant; what is another's is neither read nor written."""

    def __init__(self, store: Objects, tenant: str, rules: CurationRules, now: datetime) -> None:
        """`now` is when files that are first seen landed, at the latest."""
        self.store = store
        self.places = TenantPlaces(tenant)
        self.rules = rules
        self.now = now
        self._files = 0

    def land(self, data: DataType, name: str, path: Path, file_format: FileFormat) -> Landed:
        """Store a file's bytes as they are, by the day and its name; the same content again is found, not stored.

        Raises RawFileError for a file that is empty, unreadable or has the wrong columns: it does not land.
        """
        try:
            require_readable(path, file_format, data)
            with path.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise RawFileError(f"cannot be read: {error.strerror}.") from None
        there = next((key for key in self.raw_keys(data) if is_content_of(key, digest)), None)
        key = there or raw_key(self.places, data, name, file_format, digest, self.now.date())
        if there is None:
            self.store.write_file(key, path)
        landed_on = landing_day(self.places, data, key)
        return Landed(key, file_id(self.places, data, key), landed_on, is_new=there is None)

    def raw_keys(self, data: DataType) -> list[str]:
        """The raw files, of whoever put them there; names that begin with `.` or `_` mark something else."""
        return [key for key in self.store.list_keys(self.places.raw(data)) if key.rpartition("/")[2][:1] not in "._"]

    def reports(self, data: DataType) -> list[Report]:
        """What became of every file that was sorted, by file id; raises DamagedTableError."""
        return list(map_in_order(self._read_report, self.store.list_keys(self.places.report(data)), CALLS_AT_ONCE))

    def unsorted(self) -> list[str]:
        """Raw files without a report, and refused ones whose rows would be judged otherwise now: items first."""
        found = []
        for data in (DataType.ITEMS, DataType.INTERACTIONS):
            reports = {report.raw_key: report for report in self.reports(data)}
            for key in self.raw_keys(data):
                report = reports.get(key)
                if report is None or (report.refused and report.rules != self._row_rules(report.landed_at).digest):
                    found.append(key)
        return found

    def sort(self, key: str, *, replaces: Iterable[str] = (), progress: Callable[[int], None] | None = None) -> Report:
        """Tell the good rows of a raw file from the bad ones and store both, the report last.

        A file that cannot be read as a whole gets a report that says so, and none of its rows count. One that was
        sorted before is sorted again, as of when it landed. `progress` is told how many rows were read so far.
        """
        data = self._data_of(key)
        name = file_id(self.places, data, key)
        earlier = self._earlier(data, name)
        landed = earlier.landed_at if earlier else self._later(landed_at(self.places, data, key, self.now))
        rules = self._row_rules(landed)
        report = Report(data, name, key, landed, rules.digest, replaces=earlier.replaces if earlier else ())
        with self.store.local_copy(key) as path, TemporaryDirectory(prefix="gata-") as scratch:
            try:
                report = self._sort_rows(report, path, rules, Path(scratch), progress)
            except RawFileError as error:
                report = replace(report, refused=str(error))
        self._write_report(report)
        return self.put_in_place(report, replaces)

    def sort_again(self, name: str) -> Report:
        """Sort a file again by its id, by what rows are judged by now; raises DataRuleError for an unknown id."""
        return self.sort(self.report_of(name).raw_key)

    def put_in_place(self, new: Report, replaced: Iterable[str]) -> Report:
        """Have a file take the place of others, which then count no more; a refused one takes nobody's."""
        for old in replaced if new.refused is None else ():
            if self.report_of(old).data is not new.data or old == new.file_id:
                raise DataRuleError(f"{new.file_id} cannot take the place of {old}: another file of {new.data} can.")
            for report in put_in_place(new.file_id, old, self.reports(new.data)):
                self._write_report(report)
                new = report if report.file_id == new.file_id else new
        return new

    def bring_again(self, report: Report) -> Report:
        """Count a file of items that came a second time as the one that landed last."""
        again = replace(report, landed_at=self._later(self.now))
        self._write_report(again)
        return again

    def _later(self, landed: datetime) -> datetime:
        """An instant a little after that of the file before: of files that come together the last is the latest."""
        self._files += 1
        return landed + timedelta(microseconds=self._files - 1)

    def report_of(self, name: str) -> Report:
        """The report of a file id; raises DataRuleError where there is none."""
        for data in DataType:
            if report := self._earlier(data, name):
                return report
        raise DataRuleError(f"There is no file {name}: `gata quarantine` and `gata ingest` show the files' ids.")

    def check_no_row_is_lost(self) -> list[Outcome]:
        """Of every file that counts: good + bad = raw, by the rows that the stored tables themselves have."""
        reports = [report for data in DataType for report in valid_reports(self.reports(data))]
        tables = [part for report in reports for part in report.tables]
        return check_no_row_is_lost(reports, dict(map_in_order(self.stored_rows, tables, CALLS_AT_ONCE)))

    def stored_rows(self, part: Part) -> tuple[Part, int]:
        """A stored table and its rows as it says itself; none where it is not there or damaged."""
        try:
            if part.spans:
                return part, len(self.read_staged(part))
            with self.store.local_copy(part.key) as path:
                return part, pq.read_metadata(path).num_rows
        except (ObjectNotFoundError, pa.ArrowException):
            return part, 0

    def read_staged(self, part: Part) -> pa.Table:
        """The rows of a part; raises ObjectNotFoundError, or ArrowException or PolarsError where it is damaged."""
        if part.spans:
            return read_spans(self.store.read_part(part.key, *span) for span in part.spans)
        with self.store.local_copy(part.key) as path:
            return pl.read_parquet(path).to_arrow()

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
        with path.open("rb") as file:
            version = sha256(f"{rules.digest}{file_digest(file, 'sha256').hexdigest()}".encode()).hexdigest()[:10]
        name, staged = f"{report.file_id}-{version}", scratch / "staged"
        with StagedWriter(staged) as writer:
            for count, one in read_sorted(path, parse_format(report.raw_key), data, rules, source):
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
            parts = (self._write_table(f"{self.places.staged(data)}{name}.parquet", _frame(items), scratch),)
        quarantine = None
        if bad:
            quarantine = self._write_table(f"{self.places.quarantine(data)}{name}.parquet", _frame(bad), scratch)
        return replace(
            report,
            rows=rows,
            parts=parts,
            quarantine=quarantine,
            bad_by_rule=dict(sorted(by_rule.items())),
            unknown_items=unknown,
        )

    def _write_table(self, key: str, table: pl.DataFrame, scratch: Path) -> Part:
        path = scratch / "table"
        table.write_parquet(path, compression="zstd", statistics=False)
        self.store.write_file(key, path)
        return Part(key, len(table))

    def _row_rules(self, landed: datetime) -> RowRules:
        return RowRules(self.rules, landed, self.known_items)

    def _data_of(self, key: str) -> DataType:
        for data in DataType:
            if key.startswith(self.places.raw(data)):
                return data
        raise DataRuleError(f"{key} is not a raw file of {self.places.tenant}.")

    def _earlier(self, data: DataType, name: str) -> Report | None:
        try:
            return self._read_report(self.places.report(data, name))
        except ObjectNotFoundError:
            return None

    def _read_report(self, key: str) -> Report:
        return Report.decode(self.store.read(key), self.store.uri(key))

    def _write_report(self, report: Report) -> None:
        self.store.write(self.places.report(report.data, report.file_id), report.encode())


def _frame(tables: list[pa.Table]) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(pa.concat_tables(tables)))
