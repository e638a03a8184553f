"""The tables of a tenant as its raw files have them: which mapping a file is read by, and whether it was.

A file keeps the mapping that it was sent with; others have the saved mapping whose pattern they match, if any. A file
whose rows count without one is left as it is by mappings that are saved later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256

from gata_assets.curation.files.formats import file_id
from gata_assets.curation.mappings.mapping_store import MappingChoice, MappingStore
from gata_assets.curation.policy import CurationRules
from gata_assets.curation.reports import Report
from gata_assets.curation.superseding import valid_reports
from gata_assets.curation.validated_files import TenantTables
from gata_assets.curation.validation import digest_settings
from gata_assets.errors import MappingError, RawFileError
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.mapped_table import mapped
from gata_assets.tables.raw_mapping import NO_MAPPING
from gata_assets.tables.spec import TableSpec


class MappedTables(TenantTables):
    """The stored rows of one tenant, and what its raw files are read by."""

    def __init__(
        self, store: ObjectStore, tenant: str, rules: CurationRules, tables: Mapping[str, TableSpec] | None
    ) -> None:
        """As `TenantTables`."""
        super().__init__(store, tenant, rules, tables)
        self.mappings = MappingStore(store, self.places)

    def choose_mapping(self, table: str, key: str, report: Report | None) -> MappingChoice:
        """What a raw file is read by now; raises DamagedTableError or StoreError."""
        # A report does not say whether a file was sent without a mapping on purpose.
        is_said = report is not None and (report.mapping, report.mapping_name) != (None, None)
        if not is_said and (own := self.mappings.of_file(table, file_id(self.places, table, key))):
            return own if own.name is None else self._latest(table, own)
        if report and report.mapping_name is not None:
            return self._latest(table, MappingChoice(report.mapping or NO_MAPPING, report.mapping_name))
        if report and report.mapping is not None:
            return MappingChoice(report.mapping)
        if report and not report.is_void:
            # Its rows count as they were read: a mapping that is saved later is for files to come.
            return MappingChoice()
        return self.mappings.choose(table, key)

    def _latest(self, table: str, choice: MappingChoice) -> MappingChoice:
        """The present version of a saved mapping; that which is known if it is saved no more."""
        saved = (saved for saved in self.mappings.saved(table) if saved.name == choice.name)
        return next((MappingChoice(found.mapping, found.name) for found in saved), choice)

    def mapped_table(self, table: str, choice: MappingChoice) -> TableSpec:
        """A table as files have it that are read so; raises MappingError for a mapping that does not fit it."""
        return mapped(self.tables[table], choice.mapping) if choice.mapping != NO_MAPPING else self.tables[table]

    def table_of_file(self, table: str, choice: MappingChoice) -> TableSpec:
        """As `mapped_table`; raises RawFileError, since the table's declaration may have changed after the mapping."""
        try:
            return self.mapped_table(table, choice)
        except MappingError as error:
            raise RawFileError(f"cannot be read by its mapping: {error}") from None

    def is_outdated(self, report: Report) -> bool:
        """Whether the rows of a file were validated with other settings, or by another mapping, than the present ones.

        Raises DamagedTableError or StoreError.
        """
        choice = self.choose_mapping(report.table, report.raw_key, report)
        return report.rules != self.digest_of(report.table, choice)

    def digest_of(self, table: str, choice: MappingChoice) -> str:
        """Digits that differ if files could be read or validated differently; also for a mapping that does not fit."""
        try:
            return digest_settings(self.mapped_table(table, choice), self.rules)
        except MappingError as error:
            return sha256(f"{digest_settings(self.tables[table], self.rules)}\n{error}".encode()).hexdigest()[:32]

    def is_to_be_tried_again(self, report: Report) -> bool:
        """Whether a file was refused under other settings or by another mapping."""
        return report.refused is not None and self.is_outdated(report)

    def outdated(self, reports: Iterable[Report]) -> list[Report]:
        """The files that count though their rows were validated otherwise than now, among a table's reports."""
        return [report for report in valid_reports(reports) if self.is_outdated(report)]
