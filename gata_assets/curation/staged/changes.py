"""The staged changes of a tenant's files that count, without those of people who were erased since.

`validator` stages them; `changes` folds them into curated tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from gata_assets.curation.reports import StagedPart
from gata_assets.curation.superseding import valid_reports
from gata_assets.curation.validated_files import DAMAGED
from gata_assets.curation.validator import FileValidator
from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.storage.files import digest_file
from gata_assets.tables.changes.declared import SOURCE_FILE
from gata_assets.tables.changes.versions import without_files
from gata_assets.tables.people.erased_people import ErasedPeople
from gata_assets.tables.people.owners import columns_looked_at
from gata_assets.tables.spec import TableSpec

_AGAIN = "Remove the report of its raw file, in the folder reports beside it: then the file is validated again."


class StagedChanges(FileValidator):
    """Reads the staged changes of one tenant."""

    def _parts(self, table: str) -> dict[str, StagedPart]:
        """The staged parts that count, by the name of their raw file below the table's folder."""
        folder = self.places.raw(table)
        return {
            report.raw_key.removeprefix(folder): part
            for report in valid_reports(self.reports(table))
            for part in report.parts
        }

    def _parts_before(self, tables: Iterable[TableSpec]) -> dict[str, tuple[str, ...]]:
        """The keys of staged parts that had rows of people besides, by file."""
        return {
            f"{spec.table}/{report.raw_key.removeprefix(self.places.raw(spec.table))}": report.parts_before
            for spec in tables
            for report in valid_reports(self.reports(spec.table))
        }

    def _keep(
        self, erased: ErasedPeople, dropped: Mapping[str, frozenset[str]], table: str, rows: pl.DataFrame
    ) -> pl.DataFrame:
        """The stored changes of a table that count still: not those of dropped files and erased people."""
        return erased.without(self.tables[table], without_files(rows, dropped.get(table, ())))

    def _read(
        self, spec: TableSpec, erased: ErasedPeople, part: StagedPart, name: str, columns: list[str] | None = None
    ) -> pl.DataFrame:
        """The changes of a file that count, with its name, or some of their columns.

        Raises DamagedTableError or StoreError.
        """
        wanted = [*dict.fromkeys([*columns, *columns_looked_at(spec)])] if columns and erased else columns
        try:
            with self.store.local_copy(part.key) as path:
                if columns is None and digest_file(path) != part.sha256:
                    raise DamagedTableError(
                        f"{self.store.uri(part.key)} is not what was written, its SHA-256 is another. {_AGAIN}"
                    )
                rows = erased.without(spec, pl.read_parquet(path, columns=wanted))
        except (ObjectNotFoundError, *DAMAGED) as error:
            raise DamagedTableError(f"{self.store.uri(part.key)} is missing or damaged. {_AGAIN}") from error
        return rows.select(columns) if columns else rows.with_columns(pl.lit(name).alias(SOURCE_FILE))
