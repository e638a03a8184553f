"""A catalog for interactions that came without one: items that it lacks, derived from the rows of a file.

They land as any other file of items: JSON Lines, with a report, which another file can supersede. Its name and content
depend on nothing but the rows and the catalog. It lands as the first of all files, on the first day of Unix time, so
that every other row of an item is later than the derived one, and counts, whenever it lands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256

import polars as pl
import pyarrow.parquet as pq

from gata_assets.curation.files.formats import FileFormat, RawFormat, plain_stem
from gata_assets.curation.landing import LandedFile, Landing
from gata_assets.curation.mappings.mapping_store import MappingChoice
from gata_assets.curation.reports import Report, StagedPart
from gata_assets.curation.staged_partitions import read_spans
from gata_assets.curation.validated_files import DAMAGED
from gata_assets.errors import DamagedTableError, DataRuleError, ObjectNotFoundError, RawFileError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.storage.files import digest_file
from gata_assets.storage.scratch import scratch_directory
from gata_assets.tables.mapped_table import map_texts, mapped, read_values
from gata_assets.tables.raw_mapping import NO_MAPPING, RawMapping
from gata_assets.tables.row_rules import rule_name

_ITEM = "item_id"
_LANDED_AT = datetime(1970, 1, 1, tzinfo=UTC)
# Texts are merged once there are so many: a day of a file may repeat all items of the day before.
_TEXTS_HELD = 1 << 20
# Of a table of rejected rows, which may be long.
_ROWS_AT_ONCE = 1 << 14


@dataclass(frozen=True)
class DerivedItems:
    """The file after the catalog has its items, how many were derived now, and the id of their file, if any."""

    landed: LandedFile
    count: int
    file_id: str | None = None


def derive_items(
    curator: Curator, landing: Landing, landed: LandedFile, progress: Callable[[int], None] | None = None
) -> DerivedItems:
    """Add the items of a file's rows that the catalog lacks, with their id as title, and validate the rows against it.

    Rows are the valid ones, and those in quarantine that break no rule but that their item is known. Items of the
    catalog stay as they are, and so do rows that other files have; waiting item files are validated before. A file that
    does not count adds none. In memory are the distinct ids of the file and those of the catalog.

    Raises:
        DamagedTableError: Rows of the file are not what was written.
        StoreError: The target failed; run again, what is there is found.
    """
    report = landed.report
    if report.table != INTERACTIONS or report.refused is not None or landed.replaced_by is not None:
        return DerivedItems(landed, 0)
    curator.validate_new(ITEMS)
    curator.refresh(ITEMS)
    ids = _distinct(_ids_of(curator, report))
    missing = ids.filter(~ids.is_in(curator.known_keys(ITEMS, _ITEM).implode())).sort()
    file_id = _land(curator, report, missing) if len(missing) else None
    if file_id:
        curator.refresh(ITEMS)
    if _counts_unknown(curator, report):
        landed = replace(landing.validate_again(report, progress), was_there=landed.was_there)
    return DerivedItems(landed, len(missing), file_id)


def _land(curator: Curator, report: Report, missing: pl.Series) -> str:
    """Land the items of these ids, and return the id of their file."""
    first = Curator(curator.store, curator.places.tenant, curator.rules, _LANDED_AT, curator.tables)
    name = f"derived-from-{plain_stem(report.raw_key)}.jsonl"
    with scratch_directory() as scratch:
        path = scratch / name
        pl.DataFrame({_ITEM: missing, "title": missing}).write_ndjson(path)
        try:
            # Without a mapping: saved ones are for files of others, which may have other columns.
            file_format, mapping = FileFormat(RawFormat.JSON_LINES), MappingChoice()
            landed = Landing(first).land(ITEMS, name, path, file_format, mapping=mapping)
        except RawFileError as error:
            raise DataRuleError(f"The file of items that are derived from {report.file_id} {error}") from None
    items = landed.report
    if landed.replaced_by:
        raise DataRuleError(
            f"{items.file_id} has the items that are derived from {report.file_id}, and counts no more: "
            f"{landed.replaced_by} has superseded it, and lacks them. Send these items in a file of yours."
        )
    if items.valid != len(missing):
        reason = items.refused or f"has {items.rejected:,} invalid rows."
        raise DataRuleError(f"{items.file_id}, the items that are derived from {report.file_id}, {reason}")
    return items.file_id


def _counts_unknown(curator: Curator, report: Report) -> bool:
    """Whether rows of a file had an unknown item when they were validated."""
    spec = curator.tables[INTERACTIONS]
    rule = rule_name(spec, spec.column(_ITEM), "reference")
    return bool(report.unknown_by_rule.get(rule) or report.rejected_by_rule.get(rule))


def _distinct(pieces: Iterator[pl.Series]) -> pl.Series:
    held, count = [pl.Series(_ITEM, [], pl.String)], 0
    for piece in pieces:
        held.append(piece.unique())
        count += len(held[-1])
        if count >= _TEXTS_HELD:
            held, count = [pl.concat(held).unique()], 0
    return pl.concat(held).unique()


def _ids_of(curator: Curator, report: Report) -> Iterator[pl.Series]:
    """The items of a file's valid rows, and of rows that are rejected for nothing but their item, piece by piece."""
    for part in report.parts:
        yield from _staged_ids(curator, part)
    if report.quarantine:
        yield from _quarantined_ids(curator, report.quarantine, report.mapping or NO_MAPPING)


def _staged_ids(curator: Curator, part: StagedPart) -> Iterator[pl.Series]:
    digest = sha256()
    try:
        for span in part.spans:
            content = curator.store.read_part(part.key, *span)
            digest.update(content)
            yield pl.Series(_ITEM, pl.from_arrow(read_spans([content])[0][_ITEM]), pl.String)
    except (ObjectNotFoundError, *DAMAGED):
        raise _damaged(curator, part) from None
    if digest.hexdigest() != part.sha256:
        raise _damaged(curator, part)


def _quarantined_ids(curator: Curator, quarantine: StagedPart, mapping: RawMapping) -> Iterator[pl.Series]:
    """Quarantine has the texts of the file, which a mapping may read in another way."""
    spec = mapped(curator.tables[INTERACTIONS], mapping)
    only = rule_name(spec, spec.column(_ITEM), "reference")
    others = (mapping.copies.get(_ITEM, _ITEM), mapping.substitutes.get(_ITEM, _ITEM))
    columns = dict.fromkeys([_ITEM, *others, "rules"])
    try:
        with curator.store.local_copy(quarantine.key) as path:
            if digest_file(path) != quarantine.sha256:
                raise _damaged(curator, quarantine)
            for batch in pq.ParquetFile(path).iter_batches(_ROWS_AT_ONCE, columns=[*columns]):
                rows = pl.DataFrame(pl.from_arrow(batch))
                is_alone = (pl.col("rules").list.len() == 1) & (pl.col("rules").list.first() == only)
                texts = map_texts(rows.filter(is_alone), mapping)
                yield read_values(texts[_ITEM], spec.column(_ITEM), mapping)
    except (ObjectNotFoundError, *DAMAGED):
        raise _damaged(curator, quarantine) from None


def _damaged(curator: Curator, part: StagedPart) -> DamagedTableError:
    again = f"`gata quarantine --tenant {curator.places.tenant} --replay --file …` validates its file again."
    return DamagedTableError(f"{curator.store.uri(part.key)} is missing, or not what was written: {again}")
