"""What is out of date for other reasons than new changes: stored partitions, also those with erased people, and tables
with rows that wait.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import polars as pl

from gata_assets.curation.changes.partitions import MISSING_FILE, PartitionStore, other_file, visible_file
from gata_assets.curation.curated.erasures import ERASED_BY
from gata_assets.storage.objects import Version
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.tables.changes.parents import IS_PRESENT, KEY
from gata_assets.tables.manifests import Manifest
from gata_assets.tables.people.erased_people import ErasedPeople
from gata_assets.tables.people.owners import columns_looked_at


def is_expired(manifest: Manifest | None, now: datetime) -> bool:
    """Whether a table or a partition has parked rows that have waited long enough."""
    expiry = manifest.details.get("next_expiry_at") if manifest else None
    return expiry is not None and datetime.fromisoformat(expiry) <= now


def due_partitions(
    stored: PartitionStore,
    partitions: Mapping[int, Mapping[str, Version]],
    flips: Mapping[str, pl.DataFrame],
    settings: Mapping[str, str],
    dropped: Collection[str],
    now: datetime,
) -> set[int]:
    """The partitions that were judged by other rules, have rows that waited long enough, contain changes of a dropped
    file, or refer to a row of another table that has appeared or gone since.
    """
    files = {name.partition("/")[2] for name in dropped}
    wanted = {table: frame for table, frame in flips.items() if len(frame)}

    def is_due(partition: int) -> bool:
        manifest = stored.manifest(partition)
        if manifest is None or dict(manifest.settings) != dict(settings):
            return True
        is_dropped = bool(files.intersection(manifest.made_from["files"]))
        return is_expired(manifest, now) or is_dropped or _is_flipped(stored, partition, manifest, wanted)

    ordered = sorted(partitions)
    return {
        partition
        for partition, due in zip(ordered, map_in_order(is_due, ordered, SMALL_CALLS_AT_ONCE), strict=True)
        if due
    }


def partitions_of_people(
    stored: PartitionStore, partitions: Mapping[int, Mapping[str, Version]], erased: ErasedPeople
) -> dict[int, list[str]]:
    """The partitions with changes of people who were erased since, each with the requests that its manifest names.

    Raises DamagedTableError or StoreError.
    """

    def find(partition: int) -> list[str] | None:
        manifest = stored.manifest(partition)
        for spec in stored.unit.tables if manifest else ():
            for name in (visible_file(spec.table), other_file(spec.table)):
                rows = stored.read(partition, manifest, name, list(columns_looked_at(spec))) if manifest else None
                if rows is not None and manifest and erased.rows_of(spec, rows) is not None:
                    return list(manifest.details.get(ERASED_BY, []))
        return None

    found = zip(partitions, map_in_order(find, partitions, SMALL_CALLS_AT_ONCE), strict=True)
    return {partition: requests for partition, requests in found if requests is not None}


def _is_flipped(stored: PartitionStore, partition: int, manifest: Manifest, flips: Mapping[str, pl.DataFrame]) -> bool:
    if not flips:
        return False
    gone = {table: frame.filter(~pl.col(IS_PRESENT)).select(KEY) for table, frame in flips.items()}
    missing = stored.read(partition, manifest, MISSING_FILE)
    if missing is not None:
        for table, keys in flips.items():
            if len(missing.filter(pl.col("table") == table).join(keys, on=KEY, how="semi")):
                return True
    for member in stored.unit.parents:
        gone_keys = gone.get(member.parent)
        if gone_keys is None or gone_keys.is_empty():
            continue
        for name in (visible_file(member.spec.table), other_file(member.spec.table)):
            found = stored.read(partition, manifest, name, [member.column])
            if found is not None and len(found.join(gone_keys, left_on=member.column, right_on=KEY, how="semi")):
                return True
    return False
