"""Finds the rows that belong to people through rows of other tables, and writes the tombstones of those of erased ones.

An item names its order alone: once the order is gone, nobody could tell whose it is. So the keys of orders that are
theirs are noted first, as digests, and then those of what belongs to them. A key is theirs if all rows of it are that
say whose they are: an order that somebody else took over stays, without what precedes that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

import polars as pl

from gata_assets.curation.erasure.raw_finding import open_raw, read_values, spec_of_file
from gata_assets.curation.erasure.stored_rows import rejected_values
from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.files.open_files import decompressed
from gata_assets.curation.reports import Report
from gata_assets.curation.validator import FileValidator
from gata_assets.errors import ObjectNotFoundError, RawFileError
from gata_assets.storage.people.tombstones import write_row_tombstones
from gata_assets.tables.people.erased_people import NEVER, digest_people
from gata_assets.tables.people.named_people import NamedPeople, Subjects
from gata_assets.tables.people.owners import columns_looked_at, owners, row_key
from gata_assets.tables.people.privacy_keys import Tombstones
from gata_assets.tables.spec import TableSpec


def note_owned_rows(curator: FileValidator, request: str) -> None:
    """Write the tombstones of all keys of rows that belong to erased people, which a request has removed or is to.

    Raises DamagedTableError, PrivacyKeyError or StoreError.
    """
    keys = curator.rules.tombstones.keys
    for table, names in owners(curator.tables).items():
        spec, erased = curator.tables[table], curator.erased()
        column = row_key(spec)
        found = _keys_of(curator, spec, column, names, erased) if column else pl.Series(dtype=pl.String)
        if table in erased.rows:
            found = found.filter(pl.Series(erased.rows[table].limits(found) == NEVER))
        if len(found):
            digests = tuple(digest_people(keys, curator.places.owner, keys.newest, found))
            stones = Tombstones(keys.newest, curator.now, digests)
            write_row_tombstones(curator.store, curator.places.tombstones, table, request, stones)


def find_owned_rows(curator: FileValidator, ids: Iterable[str]) -> NamedPeople:
    """People, with the keys of all rows that belong to them; raises DamagedTableError or StoreError."""
    rows: dict[str, list[str]] = {}
    for table, names in owners(curator.tables).items():
        if column := row_key(curator.tables[table]):
            people = NamedPeople(ids, rows)
            rows[table] = _keys_of(curator, curator.tables[table], column, names, people).to_list()
    return NamedPeople(ids, rows)


def _keys_of(curator: FileValidator, spec: TableSpec, key: str, names: tuple[str, ...], people: Subjects) -> pl.Series:
    """The keys of a table that are of people alone, ascending."""
    candidates = pl.Series(key, dtype=pl.String)
    for report in curator.reports(spec.table):
        for rows in rows_of_file(curator, spec, report):
            found = people.rows_of(spec, rows)
            if found is not None and key in rows.columns:
                theirs = rows[key].filter(pl.Series(found)).cast(pl.String).drop_nulls()
                candidates = pl.concat([candidates, theirs]).unique()
    for report in curator.reports(spec.table) if len(candidates) else ():
        for rows in rows_of_file(curator, spec, report):
            if key not in rows.columns:
                continue
            found = people.rows_of(spec, rows)
            others = rows if found is None else rows.filter(~pl.Series(found))
            says_whose = pl.any_horizontal(pl.col(name).is_not_null() for name in names if name in rows.columns)
            taken_over = others.filter(says_whose)[key].cast(pl.String)
            candidates = candidates.filter(~candidates.is_in(taken_over.implode()))
    return candidates.sort()


def rows_of_file(curator: FileValidator, spec: TableSpec, report: Report) -> Iterator[pl.DataFrame]:
    """What decides about the rows of a file: valid and rejected ones; all, if a file had some left out."""
    for part in report.parts:
        rows = curator.read_staged(part)
        yield pl.DataFrame(rows.select([name for name in columns_looked_at(spec) if name in rows.column_names]))
    if report.quarantine:
        for texts in curator.read_quarantine(report.quarantine):
            yield rejected_values(spec, texts)
    if report.erased:
        with suppress(RawFileError, ObjectNotFoundError):
            yield from _raw_values(curator, report)


def _raw_values(curator: FileValidator, report: Report) -> Iterator[pl.DataFrame]:
    spec, most = spec_of_file(curator, report.table, report.raw_key, report), curator.rules.max_decoded_bytes
    form = parse_format(report.raw_key, spec.mapping.endings)
    with open_raw(curator.store, report.raw_key) as source, decompressed(source, form, most) as stream:
        yield from read_values(stream, form.format, spec, most)
