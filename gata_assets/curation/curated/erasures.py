"""Erased people and curated partitions: whose staged rows do not count, and what a manifest says of an erasure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from gata_assets.curation.curated.merge import table_file
from gata_assets.curation.reports import StagedPart, file_of_part
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.people.erased_people import ErasedPeople
from gata_assets.tables.spec import TableSpec

# In the manifest of a partition that people were erased from: the requests, and the SHA-256 of its rows before.
ERASED_BY, COUNTS_AS = "erased_by", "counts_as"


def without_erased(
    people: ErasedPeople, spec: TableSpec, staged: Mapping[StagedPart, pa.Table]
) -> Mapping[StagedPart, pa.Table]:
    """The rows of parts without those of people who were erased since they were staged."""
    if not people:
        return staged
    names = [name for name in (*spec.subject_columns, spec.event_time) if name]
    found = {}
    for part, rows in staged.items():
        columns = pl.DataFrame(rows.select([name for name in names if name in rows.column_names]))
        is_erased = people.rows_of(spec, columns)
        found[part] = rows if is_erased is None else rows.filter(pa.array(~is_erased))
    return found


def describe_erasure(
    store: ObjectStore, folder: str, spec: TableSpec, parts: Sequence[StagedPart], erased_by: str
) -> Mapping[str, Any]:
    """What the manifest of a partition says that is written again without erased people: by which requests, and the
    SHA-256 of the rows that those which were built from it before know; nothing if other files count now.
    """
    earlier = find_manifest(store, folder).manifest
    own = earlier.find(table_file(spec.table)) if earlier else None
    if earlier is None or own is None:
        return {}
    files = {file_of_part(str(part["key"])) for part in earlier.made_from["parts"]}
    if not {file_of_part(part.key) for part in parts} <= files:
        return {}
    known = earlier.details.get(COUNTS_AS, own[1].sha256)
    return {ERASED_BY: [*earlier.details.get(ERASED_BY, []), erased_by], COUNTS_AS: known}
