"""Lands files in a tenant's raw folder: new ones are stored and validated, known ones are found by their content.

For one command: the folder is listed once, and the reports are read once when a known file arrives, so the time for a
directory is that of its files. `validator` decides what happens to rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gata_assets.curation.files.formats import FileFormat, content_mark, file_id, mark_of, raw_key
from gata_assets.curation.files.open_files import require_readable
from gata_assets.curation.reports import Report, counts_instead, replaced_files, require_place
from gata_assets.curation.validator import FileValidator
from gata_assets.errors import RawFileError
from gata_assets.storage.files import digest_file
from gata_assets.tables.spec import Repetitions


@dataclass(frozen=True)
class LandedFile:
    """The outcome of a file: its report, whether its content was known before, and which file has superseded it."""

    report: Report
    was_there: bool
    replaced_by: str | None = None


class Landing:
    """Lands files one after another; files that other writers land meanwhile are not seen."""

    def __init__(self, validator: FileValidator) -> None:
        self._validator = validator
        self._keys: dict[str, dict[str, str]] = {}
        self._replaced: dict[str, Mapping[str, str]] = {}

    def land(
        self,
        table: str,
        name: str,
        path: Path,
        file_format: FileFormat,
        *,
        replaces: Sequence[str] = (),
        progress: Callable[[int], None] | None = None,
    ) -> LandedFile:
        """Store a file's bytes unchanged, by day and name, and validate them; or find the same content.

        Known content is validated again if that was with other settings, and counts as the last to land where the
        latest rows count. A superseded file stays superseded, unless it supersedes the file that superseded it.

        Raises RawFileError for a file that is empty, unreadable or has the wrong columns, and DataRuleError for one
        that cannot supersede others: it does not land.
        """
        validator, spec = self._validator, self._validator.tables[table]
        try:
            require_readable(path, file_format, spec, max_decoded_bytes=validator.rules.max_decoded_bytes)
            digest = digest_file(path)
        except OSError as error:
            raise RawFileError(f"cannot be read: {error.strerror}.") from None
        mark = content_mark(digest)
        there = self._raw_keys(table).get(mark)
        key = there or raw_key(validator.places, table, name, file_format, digest, validator.now.date())
        known_as = file_id(validator.places, table, key)
        if replaces:
            # Before anything is written.
            require_place(table, known_as, replaces, validator.reports(table))
        if there is None:
            validator.store.write_file(key, path)
            self._raw_keys(table)[mark] = key
        earlier = validator.find_report(table, known_as)
        if earlier and not replaces and (instead := self._counts_instead(earlier)):
            return LandedFile(earlier, was_there=True, replaced_by=instead)
        if earlier and not validator.is_outdated(earlier):
            report = validator.supersede(earlier, replaces)
        else:
            report = validator.validate(key, replaces=replaces, progress=progress)
            if earlier and earlier.refused:
                # The files that it supersedes no longer count from now on.
                self._replaced.pop(table, None)
        if earlier and spec.repetitions is Repetitions.LATEST:
            report = validator.bring_again(report)
        return LandedFile(report, was_there=there is not None)

    def _raw_keys(self, table: str) -> dict[str, str]:
        """The landed raw files, by the mark of their content."""
        if table not in self._keys:
            marks: dict[str, str] = {}
            for key in self._validator.raw_keys(table):
                if mark := mark_of(key):
                    marks.setdefault(mark, key)
            self._keys[table] = marks
        return self._keys[table]

    def _counts_instead(self, report: Report) -> str | None:
        """The file that counts instead of a superseded one; None if the file is not superseded."""
        if report.table not in self._replaced:
            self._replaced[report.table] = replaced_files(self._validator.reports(report.table))
        instead = counts_instead(report.file_id, self._replaced[report.table])
        return None if instead == report.file_id else instead
