"""A tenant's curated days and catalogue in the store: what is stale, and making it anew from staged parts.

A day's manifest is written last and names the parts that the day was made from: it is stale when other parts count.
How rows become tables stands in `core.curation`, how files become parts in `file_sorting`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from itertools import chain
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.curation.layout import INTERACTIONS_FILE, ITEMS_FILE, MANIFEST_FILE, USERS_FILE
from gata_assets.curation.policy import CurationRules
from gata_assets.curation.reports import StagedPart, check_no_part_is_lost, parts_by_day, valid_reports
from gata_assets.curation.validator import DAMAGED, FileValidator
from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.interactions.curated.checks import check_curated_interactions, check_curated_items
from gata_assets.interactions.curated.merge import CuratedDay, curate_interactions, curate_items
from gata_assets.interactions.schema import INTERACTIONS, ITEMS, TABLES
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parallel import CALLS_AT_ONCE, SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.tables.curated_manifests import read_curated_manifest
from gata_assets.tables.outcomes import Outcome, broken
from gata_assets.tables.spec import TableSpec

# Days are made together while they have no more rows than this, which are held twice. 250,000 take 20 MB more.
_ROWS_AT_ONCE = 65_536
_TIME = "timestamp"
_NO_ROWS = {name: pl.DataFrame(schema=spec.staged_schema).to_arrow() for name, spec in TABLES.items()}


@dataclass(frozen=True)
class Curated:
    """A curated day or the catalogue: what it holds, from which parts, and what its checks say.

    `day` is None for the catalogue. `dropped` are exact repetitions, or rows of items that have a later one. `keys`
    are those of the files, `sha256` that of the rows' own file. It is written when no check has failed.
    """

    day: date | None
    rows: int
    dropped: int
    parts: tuple[str, ...]
    keys: tuple[str, ...]
    sha256: str
    outcomes: Mapping[str, Sequence[Outcome]]

    @property
    def is_written(self) -> bool:
        """Whether all checks have passed, so that it stands in the store."""
        return not broken(outcome for outcomes in self.outcomes.values() for outcome in outcomes)

    @property
    def reason(self) -> str | None:
        """Why it is empty, where it is."""
        what = f"interaction of {self.day}" if self.day else "item"
        return None if self.rows else f"no file that counts has an {what}"


class _Prepared(NamedTuple):
    """A day in order and checked, with the parts that it is of."""

    day: date
    made: CuratedDay
    parts: Sequence[StagedPart]
    outcomes: Mapping[str, Sequence[Outcome]]


class Curator(FileValidator):
    """Validates the raw files of one tenant and curates its days and its catalog."""

    def __init__(
        self,
        store: ObjectStore,
        tenant: str,
        rules: CurationRules,
        now: datetime,
        tables: Mapping[str, TableSpec] = TABLES,
    ) -> None:
        super().__init__(store, tenant, rules, now, tables)

    def stale_days(self, first: date | None = None, last: date | None = None) -> list[date]:
        """The days whose curated rows are of other parts than those that count, ascending.

        With a range, those inside of it, and all days in it that were never curated, though nothing happened on them.
        """
        made = self._made_from()
        counts = {day: tuple(part.key for part in parts) for day, parts in self._parts_by_day().items()}
        stale = {day for day in made.keys() | counts.keys() if made.get(day) != counts.get(day, ())}
        if first and last:
            stale = {day for day in self.days_between(first, last) if day in stale or day not in made}
        return sorted(stale)

    @staticmethod
    def days_between(first: date, last: date) -> list[date]:
        """The days from `first` to `last`, both included."""
        return [first + timedelta(days=number) for number in range((last - first).days + 1)]

    def curate_days(self, days: Iterable[date]) -> Iterator[Curated]:
        """Make days anew, ascending, also such as have no rows; a day whose checks fail is not written."""
        parts = self._parts_by_day()
        batches = _in_batches(sorted(days), parts)
        # The next days are put in order while these are written, which waits for the disk.
        ready = map_in_order(lambda some: self._prepare({day: parts.get(day, []) for day in some}), batches, 1)
        yield from map_in_order(self._write_day, chain.from_iterable(ready), CALLS_AT_ONCE)

    def is_catalogue_stale(self) -> bool:
        """Whether the catalogue was made from other parts than those that count, or never."""
        return self._read_parts(self.places.curated_items()) != tuple(part.key for part in self._item_parts())

    def is_catalogue_due(self) -> bool:
        """Whether the catalogue is stale, or not what its manifest says: files are judged by a whole one."""
        if self.is_catalogue_stale():
            return True
        folder = self.places.curated_items()
        try:
            manifest = read_curated_manifest(self.store.read(folder + MANIFEST_FILE))
            content = self.store.read(folder + ITEMS_FILE)
        except ObjectNotFoundError:
            return True
        written = manifest.files.get(ITEMS_FILE) if manifest else None
        return written is None or not written.is_of(content)

    def refresh_catalogue(self) -> Curated | None:
        """Make the catalogue anew where it is due."""
        return self.curate_items() if self.is_catalogue_due() else None

    def curate_items(self) -> Curated:
        """Make the catalogue anew: the latest row of each item, by when its file landed; see `curate_days`."""
        parts = self._item_parts()
        tables = self._read_staged(parts, ITEMS)
        frames = [pl.DataFrame(pl.from_arrow(table)) for table in tables or [_NO_ROWS[ITEMS]]]
        catalogue, earlier = curate_items(frames)
        self.forget_keys(ITEMS)
        outcomes = {
            "no_row_is_lost": check_no_part_is_lost(
                parts, {part.key: rows for part, rows in _rows_of(parts, tables).items()}, len(catalogue), earlier
            ),
            "curated_items_are_valid": check_curated_items(catalogue),
        }
        return self._write(
            None,
            {ITEMS_FILE: catalogue.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())},
            parts,
            earlier,
            outcomes,
        )

    def _prepare(self, days: Mapping[date, Sequence[StagedPart]]) -> list[_Prepared]:
        parts = [part for of_day in days.values() for part in of_day]
        staged = self._read_staged(parts, INTERACTIONS)
        read = _rows_of(parts, staged)
        rows = pa.concat_tables([*staged, _NO_ROWS[INTERACTIONS]], promote_options="default")
        made = curate_interactions(rows, list(days))
        valid = check_curated_interactions(made)
        # Arrow keeps what each thread had: 10 to 30 MB of a million rows. Once a day takes a tenth more time than here.
        pa.default_memory_pool().release_unused()
        prepared = []
        for day, one in made.items():
            of_day = {part.key: read[part] for part in days[day]}
            outcomes = {
                "no_row_is_lost": check_no_part_is_lost(days[day], of_day, len(one.coded), one.duplicates),
                "curated_interactions_are_valid": valid[day],
            }
            prepared.append(_Prepared(day, one, days[day], outcomes))
        return prepared

    def _write_day(self, one: _Prepared) -> Curated:
        made = one.made
        tables = {INTERACTIONS_FILE: made.coded, USERS_FILE: made.users, ITEMS_FILE: made.items}
        return self._write(one.day, tables, one.parts, made.duplicates, one.outcomes)

    def _write(
        self,
        day: date | None,
        tables: Mapping[str, pa.Table],
        parts: Sequence[StagedPart],
        dropped: int,
        outcomes: Mapping[str, Sequence[Outcome]],
    ) -> Curated:
        """Write tables (the rows first) and last their manifest; an earlier manifest is withdrawn before."""
        folder = self._folder(day)
        contents = {name: _encode(table) for name, table in tables.items()}
        digests = {name: sha256(content).hexdigest() for name, content in contents.items()}
        made = Curated(
            day=day,
            rows=len(next(iter(tables.values()))),
            dropped=dropped,
            parts=tuple(part.key for part in parts),
            keys=tuple(folder + name for name in contents),
            sha256=next(iter(digests.values())),
            outcomes=outcomes,
        )
        if not made.is_written:
            return made
        manifest_key = folder + MANIFEST_FILE
        if self.store.exists(manifest_key):
            # Written over, not deleted: the role may not have the right to.
            self.store.write(manifest_key, json.dumps({"is_whole": False}).encode())
        for name, content in contents.items():
            self.store.write(folder + name, content)
        manifest = {
            "is_whole": True,
            "window": [f"{day}T00:00:00Z", f"{day + timedelta(days=1)}T00:00:00Z"] if day else None,
            "rows": made.rows,
            "duplicates" if day else "earlier_rows_of_items": dropped,
            "reason": made.reason,
            "parts": [{"key": part.key, "rows": part.rows} for part in parts],
            "files": {
                name: {"rows": len(tables[name]), "size": len(content), "sha256": digests[name]}
                for name, content in contents.items()
            },
        }
        self.store.write(manifest_key, json.dumps(manifest, indent=1).encode())
        return made

    def _folder(self, day: date | None) -> str:
        return self.places.curated_day(day) if day else self.places.curated_items()

    def _read_staged(self, parts: Sequence[StagedPart], table: str) -> list[pa.Table]:
        """The tables of parts; without rows where one is missing or not what was written, which the checks tell."""
        nothing = _NO_ROWS[table]

        def read(part: StagedPart) -> pa.Table:
            try:
                rows = self.read_staged(part)
            except (ObjectNotFoundError, DamagedTableError, *DAMAGED):
                return nothing
            is_complete = _kinds(rows) <= _kinds(nothing) and len(rows) == part.rows
            return rows if is_complete else nothing

        return list(map_in_order(read, parts, CALLS_AT_ONCE))

    def _parts_by_day(self) -> dict[date, list[StagedPart]]:
        return parts_by_day(self.reports(INTERACTIONS))

    def _item_parts(self) -> list[StagedPart]:
        reports = sorted(valid_reports(self.reports(ITEMS)), key=lambda one: (one.landed_at, one.file_id))
        return [part for report in reports for part in report.parts]

    def _made_from(self) -> dict[date, tuple[str, ...] | None]:
        """The parts that every curated day was made from, None where its manifest was withdrawn or is damaged."""
        root = self.places.curated_day()
        keys = [key for key in self.store.list_keys(root) if key.endswith(f"/{MANIFEST_FILE}")]
        curated = [self._day_of(key, root) for key in keys]
        made = map_in_order(lambda day: self._read_parts(self._folder(day)), curated, SMALL_CALLS_AT_ONCE)
        return dict(zip(curated, made, strict=True))

    def _day_of(self, key: str, root: str) -> date:
        try:
            return date.fromisoformat(key.removeprefix(root).removesuffix(f"/{MANIFEST_FILE}"))
        except ValueError:
            raise DamagedTableError(f"{self.store.uri(key)} is of no day, and nothing of ours: remove it.") from None

    def _read_parts(self, folder: str) -> tuple[str, ...] | None:
        try:
            manifest = json.loads(self.store.read(folder + MANIFEST_FILE))
            return tuple(part["key"] for part in manifest["parts"])
        except (ObjectNotFoundError, ValueError, KeyError, TypeError):
            return None


def _in_batches(days: Iterable[date], parts: Mapping[date, Sequence[StagedPart]]) -> Iterator[list[date]]:
    """Days that are made together: as many as have few rows, or one."""
    batch: list[date] = []
    rows = 0
    for day in days:
        of_day = sum(part.rows for part in parts.get(day, ()))
        if batch and rows + of_day > _ROWS_AT_ONCE:
            yield batch
            batch, rows = [], 0
        batch.append(day)
        rows += of_day
    if batch:
        yield batch


def _rows_of(parts: Sequence[StagedPart], tables: Sequence[pa.Table]) -> dict[StagedPart, int]:
    return {part: len(table) for part, table in zip(parts, tables, strict=True)}


def _kinds(table: pa.Table) -> set[tuple[str, pa.DataType]]:
    return {(field.name, field.type) for field in table.schema}


def _encode(table: pa.Table) -> bytes:
    """A table as Parquet: dictionaries where it has them; no other is looked for.

    That and times as differences take two thirds of the time and 0.85 of the size of what Polars writes.
    """
    content = BytesIO()
    pq.write_table(
        table,
        content,
        compression="zstd",
        compression_level=1,
        use_dictionary=[field.name for field in table.schema if pa.types.is_dictionary(field.type)],
        column_encoding={name: "DELTA_BINARY_PACKED" for name in table.column_names if name == _TIME},
        write_statistics=[name for name in table.column_names if name == _TIME],
        # Readers take texts for texts, and not for the dictionaries that they are written with.
        store_schema=False,
    )
    return content.getvalue()
