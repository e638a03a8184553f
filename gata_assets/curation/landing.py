"""Files on their way into a tenant's raw folder: stored and sorted when they are new, found when they came before.

For one command: the folder is listed once, and the reports are read once when a file comes again, so that a directory
takes as long as its files. What becomes of rows stands in `file_sorting`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gata_assets.curation.files.formats import FileFormat, content_mark, file_id, mark_of, raw_key
from gata_assets.curation.files.open_files import require_readable
from gata_assets.curation.layout import DataType
from gata_assets.curation.reports import Report, counts_instead, replaced_files, require_place
from gata_assets.curation.validator import FileValidator
from gata_assets.errors import RawFileError
from gata_assets.storage.digests import digest_file


@dataclass(frozen=True)
class Taken:
    """What became of a file: its report, whether its content was there before, and which file counts in its place."""

    report: Report
    was_there: bool
    replaced_by: str | None = None


class Landing:
    """Takes files in, one after another; what others bring meanwhile is not seen."""

    def __init__(self, sorter: FileValidator) -> None:
        self._sorter = sorter
        self._keys: dict[DataType, dict[str, str]] = {}
        self._replaced: dict[DataType, Mapping[str, str]] = {}

    def take(
        self,
        data: DataType,
        name: str,
        path: Path,
        file_format: FileFormat,
        *,
        replaces: Sequence[str] = (),
        progress: Callable[[int], None] | None = None,
    ) -> Taken:
        """Store a file's bytes as they are, by the day and its name, and sort them; or find the same content.

        What came before is sorted again where it was judged by other settings, and of items counts as the one that
        came last. A file that another replaced stays as it is, unless it takes that one's place.

        Raises RawFileError for a file that is empty, unreadable or has the wrong columns, and DataRuleError for one
        that cannot take the place of others: it does not land.
        """
        try:
            require_readable(path, file_format, data)
            digest = digest_file(path)
        except OSError as error:
            raise RawFileError(f"cannot be read: {error.strerror}.") from None
        sorter, mark = self._sorter, content_mark(digest)
        there = self._raw_keys(data).get(mark)
        key = there or raw_key(sorter.places, data, name, file_format, digest, sorter.now.date())
        known_as = file_id(sorter.places, data, key)
        if replaces:
            # Before anything is written.
            require_place(data, known_as, replaces, sorter.reports(data))
        if there is None:
            sorter.store.write_file(key, path)
            self._raw_keys(data)[mark] = key
        earlier = sorter.find_report(data, known_as)
        if earlier and not replaces and (instead := self._counts_instead(earlier)):
            return Taken(earlier, was_there=True, replaced_by=instead)
        if earlier and not sorter.is_outdated(earlier):
            report = sorter.supersede(earlier, replaces)
        else:
            report = sorter.sort(key, replaces=replaces, progress=progress)
            if earlier and earlier.refused:
                # Whose place it takes counts no more from now on.
                self._replaced.pop(data, None)
        if earlier and data is DataType.ITEMS:
            report = sorter.bring_again(report)
        return Taken(report, was_there=there is not None)

    def _raw_keys(self, data: DataType) -> dict[str, str]:
        """The raw files that landed, by the mark of their content."""
        if data not in self._keys:
            marks: dict[str, str] = {}
            for key in self._sorter.raw_keys(data):
                if mark := mark_of(key):
                    marks.setdefault(mark, key)
            self._keys[data] = marks
        return self._keys[data]

    def _counts_instead(self, report: Report) -> str | None:
        """The file that counts in the place of one; None where it was not replaced."""
        if report.data not in self._replaced:
            self._replaced[report.data] = replaced_files(self._sorter.reports(report.data))
        instead = counts_instead(report.file_id, self._replaced[report.data])
        return None if instead == report.file_id else instead
