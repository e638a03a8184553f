"""Lands files in a tenant's raw folder: new ones are stored and validated, known ones are found by their content.

A file that others can change is read once, into a private copy, so what is stored is what was read. For one command:
the folder is listed once, and the reports are read once when a known file arrives, so the time for a directory is that
of its files. What others land meanwhile is found by claims of its content. `validator` decides what happens to rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

from gata_assets.curation.files.formats import FileFormat, claimed_key, file_id, mark_of, marks_of, raw_key
from gata_assets.curation.files.known_marks import KnownMarks
from gata_assets.curation.files.open_files import require_readable
from gata_assets.curation.files.raw_objects import HeldRaw, digest_raw_object
from gata_assets.curation.files.sources import FixedContent, HeldContent, copy_privately
from gata_assets.curation.mappings.mapping_store import MappingChoice
from gata_assets.curation.readers.faults import unforeseen_errors_refuse
from gata_assets.curation.reports import Report
from gata_assets.curation.superseding import claimed_by, counting_instead, counts_instead, replaced_files
from gata_assets.curation.validator import FileValidator
from gata_assets.errors import ConflictError, DataRuleError, ObjectNotFoundError, RawFileError
from gata_assets.storage.objects import ABSENT, Version
from gata_assets.storage.scratch import scratch_directory
from gata_assets.tables.raw_mapping import NO_MAPPING
from gata_assets.tables.spec import Repetitions

# Each time means that another process has claimed the content.
_MOST_ATTEMPTS = 20


@dataclass(frozen=True)
class LandedFile:
    """The outcome of a file: its report, whether its content was known before, which file has superseded it, and the
    files that count because it is void.
    """

    report: Report
    was_there: bool
    replaced_by: str | None = None
    counting: tuple[str, ...] = ()


class Landing:
    """Lands files one after another."""

    def __init__(self, validator: FileValidator, marks: KnownMarks | None = None) -> None:
        """With the `marks` that a process keeps of a table, its folder is not listed for a content that is new."""
        self._validator = validator
        self._marks = marks
        self._versions: dict[str, dict[str, Version]] = {}
        self._keys: dict[str, dict[str, list[str]]] = {}
        self._replaced: dict[str, Mapping[str, str]] = {}

    def land(
        self,
        table: str,
        name: str,
        source: Path | BinaryIO | FixedContent,
        file_format: FileFormat,
        *,
        replaces: Sequence[str] = (),
        progress: Callable[[int], None] | None = None,
        mapping: MappingChoice | None = None,
        request_id: str | None = None,
    ) -> LandedFile:
        """Store a file's bytes unchanged, by day and name, and validate them; or find the same content.

        A file that is sent with a `mapping` keeps it; others have their earlier one, or the saved one for their name.
        A file or stream is read once, from its start to its end: it may be a FIFO. Known content is validated again if
        that was with other settings, and counts as the last to land where the latest rows count. A superseded file
        stays superseded, unless it supersedes the file that superseded it. `request_id` is kept in the report of new
        content.

        Raises:
            RawFileError: The file is empty, unreadable, has the wrong columns or changed while it was read; it does not
                land.
            DataRuleError: It cannot supersede those files, and does not land; or another file has superseded it
                meanwhile.
            StoreError: The target failed, or the private copy cannot be written.
        """
        validator, spec = self._validator, self._validator.tables[table]
        with scratch_directory() as scratch:
            content = source if isinstance(source, FixedContent) else copy_privately(source, scratch)
            digest = content.sha256
            there, earlier = self._find(table, digest) if self._is_listed(table, digest) else (None, None)
            choice = mapping or (
                validator.choose_mapping(table, there, earlier) if there else validator.mappings.choose(table, name)
            )
            with unforeseen_errors_refuse(), content.opened() as file:
                require_readable(
                    file,
                    file_format,
                    validator.mapped_table(table, choice),
                    max_decoded_bytes=validator.rules.max_decoded_bytes,
                )
            claimed = None if there else self._find_claimed(table, file_format, digest, replaces)
            is_first = False
            if there is None:
                there, earlier, key, is_first = self._claim(table, name, file_format, digest, claimed)
            else:
                key = there
            known_as = earlier.file_id if earlier else file_id(validator.places, table, key)
            if replaces:
                # Before anything is stored.
                validator.claim(table, known_as, replaces)
            # Who has claimed the content first, and lists no raw files, knows that nothing was written for it before.
            is_new = is_first and table not in self._versions and not replaces
            if there is None and mapping is None and not is_new and validator.mappings.of_file(table, known_as):
                # Of a command that was killed before the file landed: this one did not ask for it.
                mapping = choice
            if mapping:
                validator.mappings.keep_for_file(table, known_as, mapping)
            if is_new and isinstance(content, HeldContent):
                return self._land_held(key, content, mapping or choice, progress, request_id)
            if there is None:
                content.store_as(validator.store, key)
        if earlier and not replaces and (instead := self._counts_instead(earlier)):
            return LandedFile(earlier, was_there=True, replaced_by=instead)
        is_read_so = mapping is None or (earlier is not None and _is_read_by(earlier, mapping))
        if earlier and earlier.raw_sha256 == digest and is_read_so and not validator.is_outdated(earlier):
            report = validator.supersede(earlier, replaces)
        else:
            if there and earlier is None and not replaces:
                # An interrupted command may have landed it to supersede others.
                replaces = claimed_by(known_as, validator.reports(table))
            came_by = None if earlier else request_id
            report = validator.validate(key, replaces=replaces, progress=progress, mapping=mapping, request_id=came_by)
            if replaces or (earlier and earlier.is_void):
                # The files that it supersedes no longer count from now on.
                self._replaced.pop(table, None)
        self._remember(table, key, Version(report.raw_version or ""))
        if replaces and not report.is_void:
            self._require_count(report)
        # Or an interrupted command has named it by an earlier day.
        if (there or claimed) and spec.repetitions is Repetitions.LATEST:
            report = validator.bring_again(report)
        counting = counting_instead(report, validator.reports(table)) if report.is_void and report.replaces else ()
        return LandedFile(report, was_there=there is not None, counting=counting)

    def _land_held(
        self,
        key: str,
        content: HeldContent,
        mapping: MappingChoice,
        progress: Callable[[int], None] | None,
        request_id: str | None,
    ) -> LandedFile:
        """Store new content, and validate it meanwhile: its rows count once both are done."""
        validator = self._validator
        with content.opened() as source, ThreadPoolExecutor(1) as pool:
            stored = pool.submit(content.store_raw, validator.store, key)
            held = HeldRaw(source, len(content.content), content.sha256, stored.result)
            report = validator.validate(key, progress=progress, mapping=mapping, request_id=request_id, held=held)
        return LandedFile(report, was_there=False)

    def validate_again(self, report: Report, progress: Callable[[int], None] | None = None) -> LandedFile:
        """Validate a file again that has landed, since the rows that it refers to have changed; raises as
        `FileValidator.validate` does.
        """
        again = self._validator.validate(report.raw_key, progress=progress)
        if report.is_void and not again.is_void:
            # It supersedes others from now on.
            self._replaced.pop(report.table, None)
        counting = counting_instead(again, self._validator.reports(report.table)) if again.is_void else ()
        return LandedFile(again, was_there=True, counting=counting)

    def _is_listed(self, table: str, digest: str) -> bool:
        """Whether the listed raw files are to be searched for a content."""
        if self._marks is None or table in self._versions:
            return True
        return self._marks.may_contain(digest, lambda: self._validator.raw_objects(table))

    def _claim(
        self, table: str, name: str, file_format: FileFormat, digest: str, wanted: str | None
    ) -> tuple[str | None, Report | None, str, bool]:
        """Claim content that is not among the listed files, for a key that was `wanted` or a new one.

        Returns:
            The raw file with this content and its report, as `_find`, if another writer has landed it; the key that it
            has or is to have; and whether nobody has ever claimed it before.
        """
        validator, seen = self._validator, ABSENT
        for _ in range(_MOST_ATTEMPTS):
            key = wanted or self._new_key(table, name, file_format, digest)
            found = validator.claims.claim(table, digest, key, validator.now, instead_of=seen)
            if found is None:
                return None, None, key, seen == ABSENT
            if found.was_erased:
                raise RawFileError(
                    "has rows of people who were erased since it landed: what is left of it is there, and counts."
                )
            there, earlier = self._find_at(table, found.key, digest) if found.key else (None, None)
            if there is None and table not in self._versions:
                there, earlier = self._find(table, digest)
            if there:
                return there, earlier, there, False
            is_free = found.is_alive and found.key and found.key not in self._versions[table]
            if is_free and found.key and found.key.endswith(f".{file_format}") and wanted is None:
                # Another process lands it at this moment: under one key it lands once.
                return None, None, found.key, False
            seen = found.version
        place = validator.store.uri(validator.places.content(table, digest))
        raise ConflictError(f"{place} is being changed by other commands: send the file again.")

    def _find(self, table: str, digest: str) -> tuple[str | None, Report | None]:
        """The raw file with this content, and its report; None for what does not exist.

        The name of an object says what was stored in it; what it has now is known by its report, or else read.
        """
        for key in [key for mark in marks_of(digest) for key in self._raw_keys(table).get(mark, [])]:
            there, report = self._find_at(table, key, digest, self._versions[table][key])
            if there:
                return there, report
        return None, None

    def _find_at(
        self, table: str, key: str, digest: str, version: Version | None = None
    ) -> tuple[str | None, Report | None]:
        """As `_find`, of a single raw file; its version is looked up if it was not listed."""
        validator = self._validator
        report = validator.find_report(table, key)
        if report and report.raw_sha256 == digest:
            version = version or validator.store.delivered_version(key)
            if report.raw_version == version != ABSENT:
                return key, report
        try:
            content = digest_raw_object(validator.store, key)
        except ObjectNotFoundError:
            return None, None
        if content.sha256 != digest:
            return None, None
        is_read = report is not None and report.raw_sha256 in (None, digest)
        return key, validator.record_content(report, content) if report and is_read else report

    def _find_claimed(self, table: str, file_format: FileFormat, digest: str, replaces: Sequence[str]) -> str | None:
        """The key of this content in whose name an interrupted command has claimed one of those files."""
        validator = self._validator
        reports = validator.reports(table) if replaces else []
        claimants = [report.replaced_by for report in reports if report.replaced_by and report.file_id in replaces]
        keys = (claimed_key(validator.places, table, name, file_format, digest) for name in claimants)
        return next((key for key in keys if key and key not in self._versions.get(table, {})), None)

    def _new_key(self, table: str, name: str, file_format: FileFormat, digest: str) -> str:
        """A key for new content without an object."""
        validator, day = self._validator, self._validator.now.date()
        keys = (
            raw_key(validator.places, table, name, file_format, digest, day, number=number) for number in count(start=1)
        )
        return next(key for key in keys if key not in self._versions.get(table, {}))

    def _raw_keys(self, table: str) -> dict[str, list[str]]:
        """The landed raw files, by the mark of their content."""
        if table not in self._keys:
            self._versions[table], self._keys[table] = {}, {}
            for key, version in self._validator.raw_objects(table).items():
                self._remember(table, key, version)
        return self._keys[table]

    def _remember(self, table: str, key: str, version: Version) -> None:
        if table not in self._versions:
            return
        mark = mark_of(key)
        if mark and key not in self._versions[table]:
            self._keys[table].setdefault(mark, []).append(key)
        self._versions[table][key] = version

    def _counts_instead(self, report: Report) -> str | None:
        """The file that counts instead of a superseded one; None if the file is not superseded."""
        if report.table not in self._replaced:
            self._replaced[report.table] = replaced_files(self._validator.reports(report.table))
        instead = counts_instead(report.file_id, self._replaced[report.table])
        return None if instead == report.file_id else instead

    def _require_count(self, report: Report) -> None:
        """Check that no other command has superseded the file meanwhile; raises DataRuleError."""
        self._replaced.pop(report.table, None)
        if instead := self._counts_instead(report):
            raise DataRuleError(
                f"{report.file_id} landed, and counts no more: {instead} has taken its place meanwhile."
            )


def _is_read_by(report: Report, choice: MappingChoice) -> bool:
    return (report.mapping or NO_MAPPING, report.mapping_name) == choice
