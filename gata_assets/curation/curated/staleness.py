"""Which partitions of a tenant's curated tables are stale.

A partition is an event day where its table is curated by day, and else the entire table (None). Its manifest names the
parts that it was built from: it is stale when these are not the parts that count now, or when other rules than those
of now made rows of them. `curator` writes partitions.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from gata_assets.curation.curated.merge import table_file
from gata_assets.curation.curated.retired_days import retired_before
from gata_assets.curation.layout import MANIFEST_FILE
from gata_assets.curation.reports import Report, StagedPart
from gata_assets.curation.superseding import valid_reports
from gata_assets.curation.validator import FileValidator
from gata_assets.errors import DamagedTableError, DataRuleError, ObjectNotFoundError
from gata_assets.storage.datasets import find_manifest, read_files
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.tables.manifests import FileEntry
from gata_assets.tables.spec import Repetitions

Partition = date | None


class BuiltFrom(NamedTuple):
    """What a curated partition was built from: the keys of staged parts, and the digest of the rules of its merge."""

    parts: tuple[str, ...]
    rules: str | None


class StalePartitionFinder(FileValidator):
    """Compares the curated tables of one tenant with the staged parts that count."""

    def merge_rules(self, table: str) -> str | None:  # noqa: ARG002 (for curators whose merges have rules)
        """The digest of the rules by which a table's rows are merged; None where nothing but its spec decides."""
        return None

    def first_day(self, table: str) -> date:
        """The first day of a table that may be curated: those before it were deleted for good."""
        is_by_day = self.tables[table].partition_by
        return (retired_before(self.store, self.places, table) if is_by_day else None) or date.min

    def parts(self, table: str) -> dict[Partition, list[StagedPart]]:
        """The staged parts that count, by partition; an unpartitioned table has its partition even without parts.

        Where the latest rows count, parts are in the order in which their files landed. Raises DataRuleError for a file
        that was validated when the table was not yet curated by day.
        """
        spec = self.tables[table]
        reports, first = valid_reports(self.reports(table)), self.first_day(table)
        if spec.repetitions is Repetitions.LATEST:
            reports.sort(key=lambda report: (report.landed_at, report.file_id))
        found: dict[Partition, list[StagedPart]] = {} if spec.partition_by else {None: []}
        for report in reports:
            for part in report.parts:
                if spec.partition_by and part.day is None:
                    raise self._not_by_day(report)
                if part.day and part.day < first:
                    continue
                found.setdefault(part.day if spec.partition_by else None, []).append(part)
        if spec.repetitions is Repetitions.EXACT:
            found = {day: sorted(parts) for day, parts in found.items()}
        return dict(sorted(found.items())) if spec.partition_by else found

    def stale(self, table: str, first: date | None = None, last: date | None = None) -> list[Partition]:
        """The partitions that were built from other parts than those that count, or by other rules, ascending.

        With a range, the stale days in it and all days in it that were never curated, even if they have no rows.
        """
        earliest = self.first_day(table)
        known = {day: built for day, built in self._built_from(table).items() if day is None or day >= earliest}
        rules = self.merge_rules(table)
        counts = {day: tuple(part.key for part in parts) for day, parts in self.parts(table).items()}
        found = {day for day in known.keys() | counts.keys() if known.get(day) != BuiltFrom(counts.get(day, ()), rules)}
        if first and last:
            between = self.days_between(max(first, earliest), last)
            return [day for day in between if day in found or day not in known]
        return sorted(found)  # type: ignore[type-var]

    @staticmethod
    def days_between(first: date, last: date) -> list[date]:
        """The days from `first` to `last`, both included."""
        return [first + timedelta(days=number) for number in range((last - first).days + 1)]

    def curated_parts(self, table: str) -> frozenset[tuple[Partition, str]]:
        """The keys of the staged parts that the curated partitions were built from, each with its partition."""
        return frozenset((day, key) for day, built in self._built_from(table).items() if built for key in built.parts)

    def curated_partitions(self, table: str) -> list[Partition]:
        """The partitions that have a manifest; that of an unpartitioned table in any case."""
        if not self.tables[table].partition_by:
            return [None]
        root = self.places.curated(table)
        keys = [key for key in self.store.list_keys(root) if key.endswith(f"/{MANIFEST_FILE}")]
        return [day for key in keys if (day := self._day_of(key, root))]

    def is_due(self, table: str) -> bool:
        """Whether an unpartitioned table is stale, missing or differs from its manifest.

        Rows that refer to it are validated against the stored table.
        """
        if self.stale(table):
            return True
        folder = self.places.curated(table)
        manifest = find_manifest(self.store, folder).manifest
        if manifest is None:
            return True
        try:
            read_files(self.store, folder, [table_file(table)], manifest)
        except (ObjectNotFoundError, DamagedTableError):
            return True
        return False

    def written_digest(self, table: str) -> str | None:
        """The SHA-256 of an unpartitioned table as it was written; None if it does not exist."""
        written = self._written(table)
        return written.sha256 if written else None

    def referenced(self, table: str) -> list[str]:
        """The tables that a table refers to, directly or through others; referenced tables come first."""
        required = {table}
        for name, spec in reversed([*self.tables.items()]):
            required |= {reference.table for reference in spec.references.values()} if name in required else set()
        return [name for name in self.tables if name in required and name != table]

    def _written(self, table: str) -> FileEntry | None:
        manifest = find_manifest(self.store, self.places.curated(table)).manifest
        found = manifest.find(table_file(table)) if manifest else None
        return found[1] if found else None

    def _built_from(self, table: str) -> dict[Partition, BuiltFrom | None]:
        """The parts and rules of every curated partition; None if its manifest was withdrawn or is damaged."""
        if not self.tables[table].partition_by:
            return {None: self._read_parts(self.places.curated(table))}
        days = [day for day in self.curated_partitions(table) if day]
        read = map_in_order(lambda day: self._read_parts(self.places.curated(table, day)), days, SMALL_CALLS_AT_ONCE)
        return dict(zip(days, read, strict=True))

    def _day_of(self, key: str, root: str) -> date:
        try:
            return date.fromisoformat(key.removeprefix(root).removesuffix(f"/{MANIFEST_FILE}"))
        except ValueError:
            raise DamagedTableError(f"{self.store.uri(key)} is of no day, and nothing of ours: remove it.") from None

    def _read_parts(self, folder: str) -> BuiltFrom | None:
        manifest = find_manifest(self.store, folder).manifest
        if manifest is None:
            return None
        return BuiltFrom(tuple(part["key"] for part in manifest.made_from["parts"]), manifest.made_from.get("rules"))

    def _not_by_day(self, report: Report) -> DataRuleError:
        tenant = self.places.tenant
        return DataRuleError(
            f"{report.file_id} was validated when {report.table} was not curated by day: "
            f"`gata quarantine --tenant {tenant} --replay` validates it again."
        )
