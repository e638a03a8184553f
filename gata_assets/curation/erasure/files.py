"""Removes the rows of erased people from all that is stored of a raw file: itself, its staged parts, its quarantine.

Rows that stay are the very ones that were stored: nothing is validated again, since the rules may have changed. In this
order, so that whoever is killed leaves what the next one completes: the old content is refused from now on, the new
parts are stored, the raw file is replaced, then the report, and the old parts go last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
import pyarrow as pa

from gata_assets.curation.erasure.raw_finding import NONE, mark_records, open_raw, spec_of_file
from gata_assets.curation.erasure.raw_rewriting import copy_without
from gata_assets.curation.erasure.stored_rows import are_rejected_theirs
from gata_assets.curation.files.formats import is_of_events, parse_format
from gata_assets.curation.files.raw_objects import digest_raw_object
from gata_assets.curation.report_store import ReportStore
from gata_assets.curation.reports import RawContent, Report
from gata_assets.curation.validated_files import TableWriter, open_staged_writer
from gata_assets.curation.validator import FileValidator
from gata_assets.errors import ArchivedError, ConflictError, RawFileError
from gata_assets.storage.files import digest_file
from gata_assets.storage.objects import ABSENT
from gata_assets.storage.scratch import scratch_directory
from gata_assets.tables.columns.arrays import Bools
from gata_assets.tables.people.erased_people import ErasedPeople
from gata_assets.tables.people.owners import columns_looked_at
from gata_assets.tables.spec import TableSpec

_MOST_ATTEMPTS = 5
_READ_AT_ONCE = 1 << 20
_DIGITS = 32


@dataclass(frozen=True)
class Removed:
    """What was removed of files: records of raw files, valid rows, rejected rows."""

    records: int = 0
    valid: int = 0
    rejected: int = 0

    def __add__(self, other: Removed) -> Removed:
        return Removed(self.records + other.records, self.valid + other.valid, self.rejected + other.rejected)


class RecordOrigins(Protocol):
    """Says where each record of files of single events came from, beside the files.

    A file that is rewritten has its origins rewritten before, by the numbers that its records have until then.
    """

    def lacks(self, raw_key: str, count: int) -> Bools:
        """Of so many records of a file, those without an origin: whoever was killed was about to remove them."""

    def remove(self, raw_key: str, are_removed: Bools) -> None:
        """Remove the origins of the given records; raises ConflictError or StoreError."""


class _Rewritten(NamedTuple):
    """What a raw file is to become: the copy, its content, and how many records it lacks; None for no copy. Of single
    events, also which records these are. What is in an archive cannot be read yet.
    """

    path: Path | None
    content: RawContent
    records: int
    are_removed: Bools | None = None
    is_archived: bool = False


class FileEraser:
    """Erases people from the raw files of one tenant."""

    def __init__(
        self,
        curator: FileValidator,
        people: ErasedPeople,
        is_mention: Callable[[str], bool],
        origins: RecordOrigins | None = None,
    ) -> None:
        """Describe it.

        Args:
            curator: Of the tenant's tables.
            people: Who was erased.
            is_mention: Whether a record that cannot be read is about one of them.
            origins: Of the tenant's files of single events; None if there are none.
        """
        self._curator, self._people, self._is_mention = curator, people, is_mention
        self._origins = origins
        self._reports = ReportStore(curator.store, curator.places)

    def erase(self, table: str, file_id: str) -> Removed:
        """Remove their rows from a file with a report, and from what is stored of it.

        Raises:
            ConflictError: Other commands keep changing the file.
            RawFileError: It cannot be divided into records any more.
            StoreError: The target failed.
        """
        for _ in range(_MOST_ATTEMPTS):
            report = self._reports.find(table, file_id)
            if report is None:
                return Removed()
            try:
                return self._erase(report)
            except ConflictError:
                # Another command has changed the file or its report meanwhile.
                continue
        place = self._curator.store.uri(self._curator.places.report(table, file_id))
        raise ConflictError(f"{place} is being changed by other commands: run it again later.")

    def _erase(self, report: Report) -> Removed:
        curator, store = self._curator, self._curator.store
        spec = spec_of_file(curator, report.table, report.raw_key, report)
        with scratch_directory() as scratch:
            raw = self._rewrite_raw(report, spec, scratch)
            new, removed = self._rewrite_rows(report, spec, scratch)
            removed = replace(removed, records=raw.records)
            if removed == Removed() and not report.erased:
                return removed
            if raw.path and report.raw_sha256:
                curator.claims.refuse(report.table, report.raw_sha256, raw.content.sha256 or "", curator.now)
            # What lacks none of theirs is stored as it is.
            rewritten = replace(
                new,
                parts=new.parts if removed.valid else (),
                quarantine=new.quarantine if removed.rejected else None,
            )
            curator.store_rows(rewritten, scratch)
            if raw.path:
                before = store.version(report.raw_key)
                if store.delivered_version(report.raw_key) != raw.content.version:
                    raise ConflictError(f"{store.uri(report.raw_key)} was changed meanwhile.")
                if self._origins and raw.are_removed is not None:
                    self._origins.remove(report.raw_key, raw.are_removed)
                with store.open_write(report.raw_key, expected=before) as writer, raw.path.open("rb") as copy:
                    while block := copy.read(_READ_AT_ONCE):
                        writer.write(block)
                version = store.delivered_after(report.raw_key, writer.version)
                raw = raw._replace(content=raw.content._replace(version=version))
            # What is left to do of an archived file is found by what its report says of erased rows.
            left = report.erased + removed.valid + removed.rejected if raw.is_archived else 0
            final = replace(new, erased=left).of_raw(raw.content)
        self._reports.change(report, final, lambda present: [self._unless_changed(present, report, final)])
        kept = {part.key for part in final.tables}
        for key in sorted({part.key for part in report.tables} - kept):
            store.delete(key)
        return removed

    @staticmethod
    def _unless_changed(present: Report | None, seen: Report, new: Report) -> Report:
        if present != seen:
            raise ConflictError(f"The report of {seen.file_id} was changed meanwhile.")
        return new

    def _rewrite_raw(self, report: Report, spec: TableSpec, scratch: Path) -> _Rewritten:
        """A copy of the raw file without their records, if it has any; of a file that is gone there is nothing."""
        store, key = self._curator.store, report.raw_key
        version = store.delivered_version(key)
        known = RawContent(report.raw_version or "", report.raw_size or 0, report.raw_sha256)
        if version == ABSENT:
            return _Rewritten(None, known, 0)
        path = scratch / "raw"
        form = parse_format(key, spec.mapping.endings)
        most = self._curator.rules.max_decoded_bytes
        are_removed: Bools | None = None
        try:
            if self._origins and is_of_events(key):
                with open_raw(store, key) as file:
                    are_removed = mark_records(file, form, spec, self._people, self._is_mention, max_decoded_bytes=most)
                are_removed |= self._origins.lacks(key, len(are_removed))
            records = copy_without(
                partial(open_raw, store, key),
                path,
                form,
                spec,
                self._people,
                self._is_mention,
                max_decoded_bytes=most,
                also=NONE if are_removed is None else np.flatnonzero(are_removed) + 1,
            )
        except ArchivedError:
            return _Rewritten(None, known, 0, is_archived=True)
        except RawFileError:
            if report.refused is None:
                raise
            # What was refused cannot be divided into records.
            return _Rewritten(None, known, 0)
        if records:
            content = RawContent(version, path.stat().st_size, digest_file(path))
            return _Rewritten(path, content, records, are_removed)
        # Rewritten by whoever was killed before the report was, or what the report is of.
        return _Rewritten(None, known if report.raw_version == version else digest_raw_object(store, key), 0)

    def _rewrite_rows(self, report: Report, spec: TableSpec, scratch: Path) -> tuple[Report, Removed]:
        """The report with new parts and quarantine, which are in `scratch` or the store; and what was removed."""
        curator, places = self._curator, self._curator.places
        digest = sha256(
            "\n".join([*sorted(part.key for part in report.tables), self._people.digest]).encode()
        ).hexdigest()
        name = f"{report.file_id}-{digest[:_DIGITS]}"
        new, removed = report, Removed()
        if any(self._count_valid(report, spec)):
            staged_key, rows = f"{places.staged(spec.table)}{name}", 0
            with open_staged_writer(spec, scratch / "staged", curator.store, staged_key) as staged:
                for part in report.parts:
                    found = curator.read_staged(part)
                    kept = _without(found, self._erased(spec, found))
                    rows += len(found) - len(kept)
                    staged.add(kept)
                parts = staged.parts(f"{staged_key}.{staged.ending}")
            new, removed = replace(new, parts=parts), replace(removed, valid=rows)
            if spec.changes:
                before = (*report.parts_before, *(part.key for part in report.parts))
                new = replace(new, parts_before=before)
        if report.quarantine:
            rules, rows = Counter[str](), 0
            with TableWriter(scratch / "quarantine") as quarantine:
                for frame in curator.read_quarantine(report.quarantine):
                    kept_rows = frame.filter(
                        ~pl.Series(are_rejected_theirs(spec, frame, self._people, self._is_mention))
                    )
                    rows += len(frame) - len(kept_rows)
                    rules.update(kept_rows["rules"].explode().to_list() if len(kept_rows) else [])
                    quarantine.add(kept_rows.to_arrow(compat_level=pl.CompatLevel.oldest()))
                kept_parts = quarantine.parts(f"{places.quarantine(spec.table)}{name}.parquet")
            if rows:
                by_rule = {rule: rules[rule] for rule in report.rejected_by_rule if rules[rule]}
                new = replace(new, quarantine=kept_parts[0] if kept_parts else None, rejected_by_rule=by_rule)
                removed = replace(removed, rejected=rows)
        return replace(new, rows=new.valid + new.rejected) if removed != Removed() else report, removed

    def _count_valid(self, report: Report, spec: TableSpec) -> Iterator[int]:
        """How many rows of each part are theirs."""
        for part in report.parts:
            found = self._erased(spec, self._curator.read_staged(part))
            yield 0 if found is None else int(found.sum())

    def _erased(self, spec: TableSpec, rows: pa.Table) -> Bools | None:
        names = [name for name in columns_looked_at(spec) if name in rows.column_names]
        return self._people.rows_of(spec, pl.DataFrame(rows.select(names)))


def _without(rows: pa.Table, is_erased: Bools | None) -> pa.Table:
    return rows if is_erased is None else rows.filter(pa.array(~is_erased))
