"""A tenant's curated layer as batches read it: which days exist, their content, and which must be curated first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

from gata_assets.curation.curated.erasures import COUNTS_AS
from gata_assets.curation.layout import INTERACTIONS_FILE, ITEMS_FILE
from gata_assets.curation.superseding import replaced_files
from gata_assets.errors import DataRuleError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.datasets import digest_days
from gata_assets.interactions.tables import INTERACTIONS, ITEMS, TABLES
from gata_assets.storage.datasets import find_manifest, withdraw
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.tables.manifests import FileEntry, Manifest


@dataclass(frozen=True)
class StoredDay:
    """A day's curated table: its SHA-256 (None without a complete table), its rows, and whether it must be curated.

    `is_due` says that it was built from other parts than the current ones, or never; `repeated` rows were dropped. Of a
    day that people were erased from, `sha256` is that of before.
    """

    day: date
    sha256: str | None
    rows: int
    repeated: int
    is_due: bool
    was_erased: bool = False


@dataclass(frozen=True)
class StoredDays:
    """The days of a window, in order; `staged` are the days for which any current file has a row.

    Days before `first_day` were deleted for good.
    """

    tenant: str
    found: tuple[StoredDay, ...]
    staged: frozenset[date]
    first_day: date = date.min

    @property
    def days(self) -> tuple[date, ...]:
        """All days."""
        return tuple(stored.day for stored in self.found)

    @property
    def due(self) -> tuple[date, ...]:
        """The days that must be curated before a batch can be built."""
        return tuple(stored.day for stored in self.found if stored.is_due)

    @property
    def has_interactions(self) -> bool:
        """Whether there is any interaction on these days, in a curated table or in a current file."""
        return any(stored.rows or stored.day in self.staged for stored in self.found)

    def part(self, days: Iterable[date]) -> StoredDays:
        """The subset of these days that is in `days`."""
        wanted = set(days)
        return replace(self, found=tuple(stored for stored in self.found if stored.day in wanted))

    def digest(self) -> dict[str, str | int]:
        """The digest of the days' content for a manifest; days without rows are equal, curated or not."""
        return digest_days(
            [f"{stored.day} {stored.sha256 if stored.rows or stored.was_erased else None}" for stored in self.found]
        )

    @property
    def is_to_have_other_rows(self) -> bool:
        """Whether a day that must be curated has or had rows: curating it changes what a batch is built from."""
        return any(stored.is_due and (stored.rows or stored.day in self.staged) for stored in self.found)

    def require_kept(self) -> None:
        """Raise DataRuleError where days were deleted for good: what is left of the window is not the window."""
        if self.found and self.found[0].day < self.first_day:
            raise DataRuleError(
                f"{self.tenant}/curated_interactions: the window begins on {self.found[0].day}, and retention has "
                f"deleted the days before {self.first_day}: batches with such a window cannot be built any more."
            )

    def require_up_to_date(self) -> None:
        """Raise DataRuleError where days are missing or stale: how many, and what to run."""
        if due := self.due:
            raise DataRuleError(
                f"{self.tenant}/curated_interactions: {len(due):,} of {len(self.found):,} days of the window are "
                f"missing or older than the files that came, from {due[0]} to {due[-1]}. Materialize them (the job "
                "curate_interactions), or use `gata prepare`, which does."
            )


class CuratedLayer:
    """Reads the state of the curated layer, once; an instance serves one run or one command."""

    def __init__(self, curator: Curator) -> None:
        self.curator = curator
        self.places = curator.places
        self._found: dict[date, StoredDay] = {}
        self._staged: frozenset[date] | None = None

    def look(self, days: Sequence[date]) -> StoredDays:
        """The stored state of these days; raises StoreError."""
        unknown = [day for day in days if day not in self._found]
        if unknown:
            due = set(self.curator.stale(INTERACTIONS, unknown[0], unknown[-1]))
            read = map_in_order(lambda day: self._read(day, is_due=day in due), unknown, SMALL_CALLS_AT_ONCE)
            self._found.update(zip(unknown, read, strict=True))
        if self._staged is None:
            self._staged = frozenset(day for day in self.curator.parts(INTERACTIONS) if day)
        found = tuple(self._found[day] for day in days)
        return StoredDays(self.places.tenant, found, self._staged, self._first_day)

    @cached_property
    def _first_day(self) -> date:
        return self.curator.first_day(INTERACTIONS)

    @cached_property
    def files_waiting(self) -> int:
        """The number of raw files that are not validated yet; raises StoreError."""
        return len(self.curator.unvalidated())

    @cached_property
    def is_catalog_stale(self) -> bool:
        """Whether the catalog was built from other files than the current ones; raises StoreError."""
        return bool(self.curator.stale(ITEMS))

    def why_no_rows(self) -> str:
        """Why no file has a row that counts: there is none, or where its rows are. Raises StoreError."""
        tenant, reports = self.places.tenant, self.curator.reports(INTERACTIONS)
        if not reports:
            # A misspelled tenant looks like this too.
            return f"there is no file of interactions of {tenant}: look at TENANTS, or `gata ingest` one"
        replaced = replaced_files(reports)
        counting = [report for report in reports if report.file_id not in replaced]
        refused = sum(report.refused is not None for report in counting)
        rejected = sum(report.rejected for report in counting)
        return (
            f"no file of {tenant} has a valid interaction: of {len(counting):,} files {refused:,} were refused, and "
            f"{rejected:,} rows are in quarantine. `gata quarantine --tenant {tenant}` shows why"
        )

    def withdraw(self, key: str) -> None:
        """Withdraw the manifest of the day or catalog that a damaged file belongs to.

        It then counts as missing, and the next run rebuilds it. Any other file is ignored. Raises StoreError.
        """
        folder, _, file = key.rpartition("/")
        folder += "/"
        if folder != self.places.curated(ITEMS) and not folder.startswith(self.places.curated(INTERACTIONS)):
            return
        withdraw(self.curator.store, folder, file)
        self._found.clear()
        self.__dict__.pop("is_catalog_stale", None)

    def catalog_digest(self) -> str | None:
        """The SHA-256 of the catalog; None if there is none. Raises StoreError."""
        _, file = self._read_manifest(self.places.curated(ITEMS), ITEMS_FILE)
        return file.sha256 if file else None

    def _read(self, day: date, *, is_due: bool) -> StoredDay:
        manifest, file = self._read_manifest(self.places.curated(INTERACTIONS, day), INTERACTIONS_FILE)
        if manifest is None or file is None:
            return StoredDay(day, None, 0, 0, is_due)
        repeated = int(manifest.details.get(TABLES[INTERACTIONS].repetitions.dropped, 0))
        known = str(manifest.details.get(COUNTS_AS, file.sha256))
        return StoredDay(day, known, file.rows, repeated, is_due, was_erased=COUNTS_AS in manifest.details)

    def _read_manifest(self, folder: str, file: str) -> tuple[Manifest | None, FileEntry | None]:
        manifest = find_manifest(self.curator.store, folder).manifest
        found = manifest.find(file) if manifest else None
        return manifest, found[1] if found else None
