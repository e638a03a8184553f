"""Finds a tenant's raw files in the store and validates them into staged parts, quarantine and a report.

Nothing needs to be deleted: a part's key has the digest of its file and rules, and parts that no report names do not
count. `landing` stores new files; `curated` writes curated tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

from gata_assets.curation.files.content_claims import ContentClaims
from gata_assets.curation.files.formats import RawSource, file_id, is_of_events, landed_at, printable
from gata_assets.curation.files.raw_objects import (
    HeldRaw,
    digest_raw_object,
    is_to_be_read,
    list_raw_objects,
    read_held,
    read_raw_object,
)
from gata_assets.curation.mappings.mapped_tables import MappedTables
from gata_assets.curation.mappings.mapping_store import MappingChoice
from gata_assets.curation.policy import CurationRules
from gata_assets.curation.report_store import ReportStore
from gata_assets.curation.reports import RawContent, Report
from gata_assets.curation.superseding import claimed_by, supersede
from gata_assets.errors import (
    DataRuleError,
    ObjectNotFoundError,
    RawFileChangedError,
    RawFileError,
    StoreError,
)
from gata_assets.storage.objects import ABSENT, ObjectStore, Version
from gata_assets.storage.scratch import scratch_directory
from gata_assets.tables.raw_mapping import NO_MAPPING
from gata_assets.tables.spec import TableSpec, read_by_row

# Files that cannot be read before the rest is left to the next run: so many are no fault of single files.
_MOST_FAULTS = 20


class FileValidator(MappedTables):
    """Finds and validates the raw files of one tenant; data of other tenants is neither read nor written."""

    def __init__(
        self,
        store: ObjectStore,
        tenant: str,
        rules: CurationRules,
        now: datetime,
        tables: Mapping[str, TableSpec] | None = None,
    ) -> None:
        """`now` is the latest landing time of files that are first seen; `tables` replace those of the class."""
        super().__init__(store, tenant, rules, tables)
        self.now = now
        self._reports = ReportStore(store, self.places)
        self.claims = ContentClaims(store, self.places)
        self._files = 0

    def raw_objects(self, table: str) -> dict[str, Version]:
        """The keys and versions of the raw files, whoever stored them; ABSENT for what is no regular file."""
        return list_raw_objects(self.places, self.store, table)

    def raw_keys(self, table: str) -> list[str]:
        """The keys of the raw files that can be read, whoever stored them."""
        return [key for key, version in self.raw_objects(table).items() if version != ABSENT]

    def reports(self, table: str) -> list[Report]:
        """The reports of all validated files, by file id; raises DamagedTableError.

        They are current, yet each is read only once unless it is overwritten.
        """
        return self._reports.read_all(table)

    def unvalidated(self, tables: Iterable[str] | None = None, *, is_compared: bool = False) -> list[str]:
        """Raw files without a report, those that changed since, and those that were refused under other settings, table
        by table.

        A file of another version counts as changed, or with `is_compared` if its bytes did, which are read.
        """
        found = []
        for table in self.tables if tables is None else tables:
            reports = {report.raw_key: report for report in self.reports(table)}
            objects = self.raw_objects(table)
            waiting = [key for key, version in objects.items() if self._is_waiting(reports.get(key), version)]
            found += [key for key in waiting if not (is_compared and self._is_same(key, reports.get(key)))]
        return found

    def _is_same(self, key: str, report: Report | None) -> bool:
        """Whether only the version of a file differs from that of its report."""
        if report is None or report.raw_sha256 is None or self.is_to_be_tried_again(report):
            return False
        try:
            return digest_raw_object(self.store, key).sha256 == report.raw_sha256
        except StoreError:
            # It changes, is gone or may not be read, of which a run complains.
            return False

    def _is_waiting(self, report: Report | None, version: Version) -> bool:
        if report is None or self.is_to_be_tried_again(report):
            return True
        return is_to_be_read(report.raw_key, report.raw_version, version, was_refused=report.refused is not None)

    def validate_new(self, table: str, warn: Callable[[str], object] = lambda _: None) -> list[Report]:
        """Validate the raw files of a table that are `unvalidated`; if their content is the same, nothing but their
        version is recorded.

        A file that changes all the time, or was removed since it was listed, is left out, with a warning; so is a name
        that was one of a file whose rows count, and is now one of nothing that can be read. A file that a fault of the
        machine keeps from being read is raised when all others are validated.

        Raises:
            DamagedTableError: A report is damaged.
            StoreError: The target failed, or some of the files could not be read.
        """
        reports = {report.raw_key: report for report in self.reports(table)}
        objects = self.raw_objects(table)
        # Reports of earlier releases on files that nobody overwrites: from now on another version is seen.
        old = [report for key, report in reports.items() if report.raw_version is None and objects.get(key)]
        unknown = [report for report in old if not self._is_waiting(report, objects[report.raw_key])]
        self._reports.adopt(replace(report, raw_version=objects[report.raw_key]) for report in unknown)
        for key, report in reports.items():
            if objects.get(key) == ABSENT and report.refused is None:
                warn(str(self._is_odd_now(key)))
        validated: list[Report] = []
        faults: list[StoreError] = []
        for key in [key for key, version in objects.items() if self._is_waiting(reports.get(key), version)]:
            # An interrupted command may have landed it to supersede others.
            claimed = claimed_by(file_id(self.places, table, key), reports.values()) if key not in reports else []
            try:
                validated.append(self.validate(key, replaces=claimed, even_if_same=False))
            except RawFileChangedError as error:
                warn(str(error))
            except ObjectNotFoundError as error:
                # Listed, since a target that is away has no objects either.
                if key in self.store.list_delivered(key):
                    faults.append(error)
                else:
                    warn(str(error))
            except StoreError as error:
                faults.append(error)
                # Raises if the whole target is away.
                self.store.exists(key)
            if len(faults) == _MOST_FAULTS:
                break
        if len(faults) > 1:
            raise StoreError(f"{faults[0]} So it is with {len(faults) - 1:,} others of {table}.") from faults[0]
        if faults:
            raise faults[0]
        return validated

    def validate(
        self,
        key: str,
        *,
        replaces: Sequence[str] = (),
        progress: Callable[[int], None] | None = None,
        even_if_same: bool = True,
        mapping: MappingChoice | None = None,
        request_id: str | None = None,
        held: HeldRaw | None = None,
    ) -> Report:
        """Split the rows of a raw file into valid and rejected ones and store both, the report last.

        An unreadable file gets a report with the reason, and none of its rows count. A file that was validated before
        is validated again as of when it landed; if its content changed since, as one that landed now. Without
        `even_if_same`, a file of the same content is not validated again, unless it was refused under other settings.
        `progress` gets the number of rows read so far. The file is read by `mapping`, if given, and else by its own;
        it came by `request_id`, unless its report names another request. Of what is `held`, stored just now for the
        first time and given with its mapping, neither the file nor an earlier report is read.

        A file that `is_void` supersedes others once it has valid rows; if another has superseded it meanwhile, it stays
        refused.

        Raises:
            RawFileChangedError: The file changed each time that it was read, or is no regular file any more.
            ObjectNotFoundError: There is no such file.
            DataRuleError: It cannot supersede those files.
            StoreError: The target failed.
        """
        table = self._table_of(key)
        earlier = None if held else self._reports.find_raw(table, key)
        name = earlier.file_id if earlier else file_id(self.places, table, key)
        choice = mapping or self.choose_mapping(table, key, earlier)
        settings = self.digest_of(table, choice)
        is_known = not even_if_same and earlier is not None and not self.is_to_be_tried_again(earlier)

        @cache
        def first_seen_at() -> datetime:
            return self._later(landed_at(self.places, table, key, self.now))

        def blank(content: RawContent, before: Report | None) -> Report:
            """A report without rows; the file landed when it first had this content."""
            same = before if before and before.raw_version != ABSENT else None
            same = same if same and self.claims.continues(table, content.sha256, same.raw_sha256) else None
            own = None if choice.mapping == NO_MAPPING else choice.mapping
            landed = same.landed_at if same else first_seen_at()
            report = Report(table, name, key, landed, settings, mapping=own, mapping_name=choice.name)
            return replace(report.of_raw(content), request_id=(same.request_id if same else None) or request_id)

        with scratch_directory() as scratch:

            def read(source: RawSource, content: RawContent) -> Report:
                if is_known and earlier and earlier.raw_sha256 == content.sha256:
                    return earlier
                spec = self.table_of_file(table, choice)
                spec = read_by_row(spec) if is_of_events(key) else spec
                return self.validate_rows(blank(content, earlier), source, spec, scratch, progress)

            result, content = read_held(held, read) if held else read_raw_object(self.store, key, read)
            if result is earlier:
                return self._reports.change(
                    earlier, earlier, lambda present: [(present or earlier).seen_again(content)]
                )
            if content.version == ABSENT and earlier and earlier.refused is None:
                raise self._is_odd_now(key)
            if isinstance(result, RawFileError):
                report = replace(blank(content, earlier), refused=str(result))
            else:
                report = result.of_raw(content)
                self.store_rows(report, scratch)

        def work_out(present: Report | None) -> list[Report]:
            empty = blank(content, present)
            before = present or empty
            olds = (*before.replaces, *replaces) if before.is_void else replaces
            empty = replace(empty, replaced_by=before.replaced_by)
            new = replace(report, landed_at=empty.landed_at, replaced_by=empty.replaced_by)
            try:
                return self._in_place(replace(new, replaces=() if before.is_void else before.replaces), olds)
            except DataRuleError as error:
                if present and not present.is_void:
                    raise
                # Another file has superseded the same one meanwhile. Without a report both would count.
                return self._in_place(replace(empty, refused=str(error)), olds)

        return self._reports.change(earlier, report, work_out)

    def claim(self, table: str, name: str, olds: Sequence[str]) -> None:
        """Let a file alone supersede others as soon as its report is written; raises as `ReportStore.claim` does."""
        self._reports.claim(table, name, olds)

    def supersede(self, new: Report, olds: Sequence[str]) -> Report:
        """Let a file supersede others, which then no longer count; a file that `is_void` supersedes none.

        Raises DataRuleError, see `superseding.require_place`.
        """
        if not olds:
            return new
        if not new.is_void:
            self.claim(new.table, new.file_id, olds)
        return self._reports.change(new, new, lambda present: self._in_place(present or new, olds))

    def bring_again(self, report: Report) -> Report:
        """Count a file that arrived a second time as the last that landed."""
        landed = self._later(self.now)
        return self._reports.change(report, report, lambda present: [replace(present or report, landed_at=landed)])

    def record_content(self, report: Report, content: RawContent) -> Report:
        """Record what is known to be the content that a file was validated from."""
        return self._reports.change(report, report, lambda present: [(present or report).of_raw(content)])

    def _is_odd_now(self, key: str) -> RawFileChangedError:
        return RawFileChangedError(
            f"{printable(self.store.uri(key))} is no regular file any more (a link to nothing, a FIFO or a socket): "
            "what was read of it before counts on."
        )

    def _later(self, landed: datetime) -> datetime:
        """An instant just after that of the file before: among files that arrive together the last is the latest."""
        self._files += 1
        return landed + timedelta(microseconds=self._files - 1)

    def report_of(self, name: str) -> Report:
        """The report of a file id; raises DataRuleError if it does not exist."""
        for table in self.tables:
            if report := self._reports.find(table, name):
                return report
        raise DataRuleError(f"There is no file {name}: `gata quarantine` and `gata ingest` show the files' ids.")

    def find_report(self, table: str, raw_key: str) -> Report | None:
        """The report of a raw file, None if it does not exist; raises DamagedTableError."""
        return self._reports.find_raw(table, raw_key)

    def _table_of(self, key: str) -> str:
        for table in self.tables:
            if key.startswith(self.places.raw(table)):
                return table
        raise DataRuleError(f"{printable(key)} is not a raw file of {self.places.tenant}.")

    def _in_place(self, new: Report, olds: Sequence[str]) -> list[Report]:
        if new.is_void:
            return [replace(new, replaces=tuple(dict.fromkeys((*new.replaces, *olds))))]
        return supersede(new, olds, self.reports(new.table)) if olds else [new]
