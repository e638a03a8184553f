"""Reads all rows of people in a tenant's declared tables: of raw files, validated or not, and of whatever is stored.

Rows are found by no index, and whatever a report or a manifest names. An object that is damaged, and a file that cannot
be divided into records, has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.erasure.raw_finding import open_raw, spec_of_file
from gata_assets.curation.erasure.raw_records import NumberedRow, read_records
from gata_assets.curation.erasure.stored_rows import (
    CURATED,
    REJECTED,
    STAGED,
    are_rejected_theirs,
    stored_keys,
    stored_rows,
)
from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.reports import Report
from gata_assets.curation.validated_files import DAMAGED
from gata_assets.curation.validator import FileValidator
from gata_assets.errors import ConflictError, ObjectNotFoundError, RawFileError
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.changes.parents import KEY
from gata_assets.tables.people.named_people import Subjects
from gata_assets.tables.spec import TableSpec

RAW = "raw files"


class RowsOfObject(NamedTuple):
    """The rows of people in an object: their kind, its key, and the rows, read once, at once."""

    kind: str
    key: str
    rows: Iterable[NumberedRow | Mapping[str, Any]]


class TableExporter:
    """Reads rows of people in the tables of one tenant."""

    def __init__(self, curator: FileValidator, people: Subjects, is_mention: Callable[[str], bool]) -> None:
        """Set up without reading anything; `is_mention` says whether a row that cannot be read is about one of them."""
        self._curator, self._people, self._is_mention = curator, people, is_mention
        self._identity_of = curator.identities if isinstance(curator, TableCurator) else {}
        # By table, what tells their curated rows apart where these do not name them.
        self._known: dict[str, pl.DataFrame] = {}

    def rows(self, spec: TableSpec) -> Iterator[RowsOfObject]:
        """The rows of each object of a table, raw files first; raises ConflictError for one that was changed meanwhile,
        DamagedTableError or StoreError, also while rows are read.
        """
        reports = {report.raw_key: report for report in self._curator.reports(spec.table)}
        for key in self._curator.raw_keys(spec.table):
            yield RowsOfObject(RAW, key, self._raw_records(spec.table, key, reports.get(key)))
        for kind, key in stored_keys(self._curator, spec.table):
            yield RowsOfObject(kind, key, self._stored_rows(spec, kind, key))

    def _raw_records(self, table: str, key: str, report: Report | None) -> Iterator[NumberedRow]:
        curator, store = self._curator, self._curator.store
        with suppress(ObjectNotFoundError):
            before = store.delivered_version(key)
            with suppress(RawFileError):
                spec = spec_of_file(curator, table, key, report)
                yield from read_records(
                    partial(open_raw, store, key),
                    parse_format(key, spec.mapping.endings),
                    spec,
                    self._people,
                    self._is_mention,
                    max_decoded_bytes=curator.rules.max_decoded_bytes,
                )
            if store.delivered_version(key) != before:
                # Records were found in one content, and may have been read of another: of anybody.
                raise ConflictError(f"{store.uri(key)} was changed while it was read: run it again.")

    def _stored_rows(self, spec: TableSpec, kind: str, key: str) -> Iterator[Mapping[str, Any]]:
        for rows in self._frames(spec, kind, key):
            yield from rows.iter_rows(named=True)

    def _frames(self, spec: TableSpec, kind: str, key: str) -> Iterator[pl.DataFrame]:
        with suppress(ObjectNotFoundError, *DAMAGED):
            for rows in stored_rows(self._curator.store, key):
                yield self._theirs(spec, kind, rows)

    def _theirs(self, spec: TableSpec, kind: str, rows: pl.DataFrame) -> pl.DataFrame:
        if kind == REJECTED:
            return rows.filter(pl.Series(are_rejected_theirs(spec, rows, self._people, self._is_mention)))
        if kind == CURATED and spec.table in self._identity_of and not {*spec.subject_columns} & {*rows.columns}:
            # Such as curated rows whose people have other names.
            identities = self._identities(spec)
            return rows.join(identities, on=identities.columns, how="semi", nulls_equal=True)
        found = self._people.rows_of(spec, rows)
        return rows.clear() if found is None else rows.filter(pl.Series(found))

    def _identities(self, spec: TableSpec) -> pl.DataFrame:
        """What tells their curated rows apart, by their staged rows."""
        if spec.table not in self._known:
            identity = self._identity_of[spec.table]
            staged = (key for kind, key in stored_keys(self._curator, spec.table) if kind == STAGED)
            frames = (rows for key in staged for rows in self._frames(spec, STAGED, key))
            nothing = pl.DataFrame(schema=spec.staged_schema)
            found = (identity.add_columns(rows).select(identity.columns) for rows in (nothing, *frames))
            self._known[spec.table] = pl.concat(found, how="vertical_relaxed").unique()
        return self._known[spec.table]


def rows_of_any(
    store: ObjectStore, key: str, tables: Sequence[TableSpec], people: Subjects
) -> Iterator[Mapping[str, Any]]:
    """The rows of people in an object with rows of any of several tables, or keys, such as of those that are missing.

    Raises StoreError while they are read.
    """
    with suppress(ObjectNotFoundError, *DAMAGED):
        for rows in stored_rows(store, key):
            are_theirs = np.zeros(len(rows), dtype=np.bool_)
            for spec in tables:
                found = people.rows_of(spec, rows)
                are_theirs |= False if found is None else found
            if KEY in rows.columns:
                are_theirs |= np.array([people.includes(str(one)) for one in rows[KEY].to_list()], dtype=np.bool_)
            yield from rows.filter(pl.Series(are_theirs)).iter_rows(named=True)
