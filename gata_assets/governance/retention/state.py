"""Reads what the target has of a scope: names, reports and manifests, and no data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime

from gata_assets.batches import parse_batch_id
from gata_assets.curation.curated.retired_days import retired_before
from gata_assets.curation.files.formats import file_id, old_file_id
from gata_assets.curation.files.raw_objects import list_raw_objects
from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.reports import Report, file_of_part
from gata_assets.errors import DamagedTableError, ManifestVersionError, ObjectNotFoundError
from gata_assets.governance.retention.plans import BatchState, DayState, FileState, ScopeState, Seen, TableState
from gata_assets.governance.retention.rules import DataType, RetentionRules
from gata_assets.governance.retention.scopes import RetainedTable, Scope
from gata_assets.orchestration.batches.stored import find_files
from gata_assets.orchestration.pipelines import StoredBatches
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ABSENT, ObjectStore, Version
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.tables.manifests import MANIFEST_FILE, Manifest


def read_scope(store: ObjectStore, scope: Scope, rules: RetentionRules, now: datetime, hold: str | None) -> ScopeState:
    """What the target has of a scope; raises StoreError, or DamagedTableError for a damaged report."""
    old_before = rules.cutoff(DataType.TRAINING, now)
    batches = [batch for of in scope.batches for batch in _read_batches(store, scope, of, old_before)]
    places = scope.places
    first_old = rules.first_day_kept(DataType.RAW, now)
    tables = [_read_table(store, places, table, first_old) for table in scope.tables] if places else []
    return ScopeState(scope.name, tuple(batches), tuple(tables), hold)


def _read_batches(
    store: ObjectStore, scope: Scope, batches: StoredBatches, old_before: datetime
) -> Iterator[BatchState]:
    """The batches of a pipeline; the files of those that are old enough."""

    def read(batch_id: str) -> BatchState:
        starts_at, places = parse_batch_id(batch_id).starts_at, batches.places(batch_id)
        manifests: list[Manifest] = []
        is_known = True
        for folder in places.folders.values():
            try:
                found = find_manifest(store, folder)
            except ManifestVersionError:
                is_known = False
                continue
            manifests += [found.manifest] if found.manifest else []
            is_known = is_known and (found.manifest is not None or found.version == ABSENT)
        keys = find_files(batches, store, batch_id) if starts_at < old_before else []
        return BatchState(
            f"{scope.name}/{batches.name}/{batch_id}",
            starts_at,
            min((day for manifest in manifests for day in _days_named(manifest)), default=None),
            is_known,
            sum(_size_of(manifest) for manifest in manifests),
            tuple(keys),
        )

    return map_in_order(read, batches.stored_batch_ids(), SMALL_CALLS_AT_ONCE)


def _days_named(manifest: Manifest) -> Iterator[date]:
    """The days on which the windows of a dataset begin."""
    windows = manifest.details.get("windows")
    for window in windows.values() if isinstance(windows, Mapping) else ():
        yield datetime.fromisoformat(str(window["start_at"])).date()


def _size_of(manifest: Manifest) -> int:
    return sum(entry.bytes for entry in manifest.files.values())


def _read_table(store: ObjectStore, places: TenantLayout, table: RetainedTable, first_old: date) -> TableState:
    name = table.name
    # Parts are listed before raw files and reports: of what was listed, the raw file was there.
    rows = [key for folder in (places.staged(name), places.quarantine(name)) for key in store.list_keys(folder)]
    days = tuple(_read_days(store, places, name, first_old)) if table.by_day else ()
    raw = list_raw_objects(places, store, name)
    listed = dict(store.list_versions(places.report(name)))
    found = map_in_order(lambda key: _read_report(store, key), listed, SMALL_CALLS_AT_ONCE)
    reports = {key: report for key, report in zip(listed, found, strict=True) if report}
    of_file: dict[str, list[str]] = {}
    for key in rows:
        of_file.setdefault(file_of_part(key), []).append(key)
    besides = _Besides(store, places, name, reports.values())
    files = [
        FileState(
            report,
            _size_of_file(report),
            (
                *([report.raw_key] if report.raw_key in raw else []),
                *besides.keys_of(report),
                key,
                *of_file.get(report.file_id, ()),
            ),
            _seen(report, key, listed[key], raw.get(report.raw_key, ABSENT)),
            is_changed=_is_changed(report, raw.get(report.raw_key, ABSENT)),
        )
        for key, report in reports.items()
    ]
    reported = {report.raw_key for report in reports.values()}
    waiting = [key for key in raw if key not in reported]
    known = {report.file_id for report in reports.values()}
    known |= {make(places, name, key) for key in waiting for make in (file_id, old_file_id)}
    return TableState(
        name,
        table.by_day,
        table.days_needed,
        tuple(files),
        days,
        (retired_before(store, places, name) if table.by_day else None) or date.min,
        tuple(waiting),
        tuple(key for owner, keys in of_file.items() if owner not in known for key in keys),
    )


def _is_changed(report: Report, version: Version) -> bool:
    """Whether a raw file was overwritten since it was validated; reports of earlier releases do not say of what."""
    return report.raw_version is not None and version not in (ABSENT, report.raw_version)


def _seen(report: Report, key: str, version: Version, raw_version: Version) -> tuple[Seen, ...]:
    """The report and, if it is there, the raw file."""
    found = Seen(key, version)
    return (found,) if raw_version == ABSENT else (found, Seen(report.raw_key, raw_version, is_delivered=True))


class _Besides:
    """What is of a raw file alone and does not matter once it is deleted: the claim of its content, its own mapping,
    where its events came from.
    """

    def __init__(self, store: ObjectStore, places: TenantLayout, table: str, reports: Iterable[Report]) -> None:
        self._places, self._table = places, table
        folders = (places.contents(table), places.mapping_of_file(table), places.events(table))
        self._there = {key for folder in folders for key in store.list_keys(folder)}
        self._files_of: dict[str | None, set[str]] = {}
        for report in reports:
            self._files_of.setdefault(report.raw_sha256, set()).add(report.file_id)

    def keys_of(self, report: Report) -> list[str]:
        """The keys that exist. A claim is of a content: it stays while another file has the same."""
        digest = report.raw_sha256
        claims = [self._places.content(self._table, digest)] if digest and len(self._files_of[digest]) == 1 else []
        return [
            key
            for key in (
                *claims,
                self._places.mapping_of_file(self._table, report.file_id),
                self._places.events(self._table, report.raw_key.rpartition("/")[2]),
            )
            if key in self._there
        ]


def _read_report(store: ObjectStore, key: str) -> Report | None:
    """A report; None if it was removed since it was listed."""
    try:
        return Report.decode(store.read(key), store.uri(key))
    except ObjectNotFoundError:
        return None


def _size_of_file(report: Report) -> int:
    """The bytes of a raw file and of its valid rows, as far as its report says them."""
    return (report.raw_size or 0) + sum(span.size for part in report.parts for span in part.spans)


def _read_days(store: ObjectStore, places: TenantLayout, table: str, first_old: date) -> Iterator[DayState]:
    """The curated days of a table; of those that are old enough also their sizes."""
    root = places.curated(table)
    keys_of: dict[date, list[str]] = {}
    for key in store.list_keys(root):
        keys_of.setdefault(_day_of(store, key, root), []).append(key)

    def read(day: date) -> DayState:
        # What is next to a day's files is read through its manifest: without it, nothing of the day is visible.
        keys = sorted(keys_of[day], key=lambda key: not key.endswith(f"/{MANIFEST_FILE}"))
        found = find_manifest(store, places.curated(table, day)).manifest if day < first_old else None
        return DayState(day, _size_of(found) if found else 0, tuple(keys))

    return map_in_order(read, sorted(keys_of), SMALL_CALLS_AT_ONCE)


def _day_of(store: ObjectStore, key: str, root: str) -> date:
    try:
        return date.fromisoformat(key.removeprefix(root).partition("/")[0])
    except ValueError:
        raise DamagedTableError(f"{store.uri(key)} is of no day, and nothing of ours: remove it.") from None
