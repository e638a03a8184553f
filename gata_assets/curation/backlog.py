"""What waits in a tenant's part of the store, by the names and versions of its objects.

Cheap enough for every minute: no raw file is read, and a report once for each of its versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from hashlib import sha256
from typing import NamedTuple

from gata_assets.curation.files.formats import file_id, old_file_id
from gata_assets.curation.files.raw_objects import is_to_be_read, list_raw_objects
from gata_assets.curation.layout import MANIFEST_FILE, TenantLayout
from gata_assets.curation.reports import Report
from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.storage.objects import ObjectStore, Version
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order

# Reports that a tick of the sensor reads, about 3 s of calls of 10 ms. After a restart a tenant with more of them is
# known completely some minutes later.
_MOST_READS = 2_000


class _Read(NamedTuple):
    """What a report said when it had that version: its raw file, and the version that was read of it; whether it still
    has that version.
    """

    version: Version
    raw_key: str
    raw_version: str | None
    is_refused: bool
    is_current: bool = True


class Backlog:
    """The raw files that wait, for one process that asks every minute; remembers which files the reports are of."""

    def __init__(self, *, most_reads: int | None = _MOST_READS) -> None:
        """`most_reads` is the number of reports that may be read until `begin` is called again; None for any."""
        self._most_reads = most_reads
        self._reads_left = most_reads
        self._read: dict[str, dict[str, _Read]] = {}

    def begin(self) -> None:
        """Begin to count reads again."""
        self._reads_left = self._most_reads

    def find_waiting(self, places: TenantLayout, store: ObjectStore, tables: Iterable[str]) -> dict[str, Version]:
        """The keys of a tenant's raw files that wait, with their versions: without a report, or changed since.

        A report that is not read yet, since too many are, counts as one of the present version of its file. Raises
        StoreError.
        """
        waiting = {}
        for table in tables:
            listed = dict(store.list_versions(places.report(table)))
            known = self._bring_up_to_date(store, places.report(table), listed)
            for key, version in list_raw_objects(places, store, table).items():
                if key in known:
                    seen = known[key]
                    is_waiting = seen.is_current and is_to_be_read(
                        key, seen.raw_version, version, was_refused=seen.is_refused
                    )
                else:
                    names = (places.report(table, make(places, table, key)) for make in (file_id, old_file_id))
                    is_waiting = not any(
                        name in listed and name not in self._read[places.report(table)] for name in names
                    )
                if is_waiting:
                    waiting[key] = version
        return waiting

    def _bring_up_to_date(self, store: ObjectStore, folder: str, listed: Mapping[str, Version]) -> dict[str, _Read]:
        """What was read of raw files, by their keys, as far as reports are known."""
        before = self._read.get(folder, {})
        changed = [key for key, version in listed.items() if key not in before or before[key].version != version]
        if self._reads_left is not None:
            changed = changed[: self._reads_left]
            self._reads_left -= len(changed)
        found = map_in_order(lambda key: _read_report(store, key), changed, SMALL_CALLS_AT_ONCE)
        read = {
            key: _Read(listed[key], report.raw_key, report.raw_version, report.refused is not None)
            for key, report in zip(changed, found, strict=True)
            if report
        }
        # What a report says that changed and is not read again yet is unknown, but for its file.
        unread = {key: before[key]._replace(is_current=False) for key in listed if key in before and key not in read}
        same = {key: before[key] for key in unread if before[key].version == listed[key]}
        self._read[folder] = {**unread, **same, **read}
        return {entry.raw_key: entry for entry in self._read[folder].values()}


def find_waiting(places: TenantLayout, store: ObjectStore, tables: Iterable[str]) -> list[str]:
    """The keys of a tenant's raw files that wait, of some tables, see `Backlog`; raises StoreError."""
    return list(Backlog(most_reads=None).find_waiting(places, store, tables))


def find_missing(places: TenantLayout, store: ObjectStore, table: str, days: Sequence[date]) -> list[date]:
    """The days without a curated table; raises StoreError."""
    curated = {key for key in store.list_keys(places.curated(table)) if key.endswith(f"/{MANIFEST_FILE}")}
    return [day for day in days if places.curated(table, day) + MANIFEST_FILE not in curated]


def listing_digest(places: TenantLayout, store: ObjectStore, tables: Iterable[str]) -> str:
    """A digest of the names of tables' reports and staged parts: it changes when a new file was validated.

    It stays the same if a file supersedes another again, or is validated with settings that it had before: both
    overwrite reports, and no name is new.
    """
    folders = [folder for table in tables for folder in (places.report(table), places.staged(table))]
    keys = sorted(key for folder in folders for key in store.list_keys(folder))
    return sha256("\n".join(keys).encode(errors="surrogatepass")).hexdigest()


def _read_report(store: ObjectStore, key: str) -> Report | None:
    """A report; None if it was removed meanwhile, or is damaged, of which the runs complain."""
    try:
        return Report.decode(store.read(key), store.uri(key))
    except (ObjectNotFoundError, DamagedTableError):
        return None
