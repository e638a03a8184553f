"""Which tickets of a lake people have asked: by rows of bronze, which have their ids whatever offline tickets have.

Also by those that curation leaves out already: the tombstones of people are older than those of their tickets.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.report_store import ReportStore
from gata_assets.curation.validated_files import DAMAGED
from gata_assets.errors import ObjectNotFoundError, SourceError
from gata_assets.lake.offline.versions import version_instant
from gata_assets.lake.tables import TICKETS
from gata_assets.storage.objects import ObjectStore

_COLUMNS = ("id", "requester_id", "generated_timestamp", "updated_at", "solved_at", "closed_at", "created_at")
_FOUND = pl.Schema({"id": pl.Int64(), "version_at": pl.Datetime("us", "UTC"), "is_theirs": pl.Boolean()})


def find_requested(store: ObjectStore, tenant: str, people: Sequence[str]) -> frozenset[int]:
    """The ids of the tickets whose newest version says that one of these people has asked.

    Raises SourceError for a file that is damaged, DamagedTableError for a report, or StoreError.
    """
    asked = pl.Series(people, dtype=pl.String).implode()
    reports = ReportStore(store, TenantLayout(tenant)).read_all(TICKETS)
    found = pl.DataFrame(schema=_FOUND)
    for key in sorted({part.key for report in reports for part in report.parts}):
        rows = _read(store, key).select("id", version_instant(), is_theirs=pl.col("requester_id").is_in(asked))
        # Of the newest versions up to now and those of the file.
        found = pl.concat([found, rows.cast(_FOUND)]).filter(
            pl.col("version_at") == pl.col("version_at").max().over("id")
        )
        found = found.group_by("id", "version_at").agg(pl.col("is_theirs").fill_null(value=False).any())
    return frozenset(found.filter("is_theirs")["id"].to_list())


def _read(store: ObjectStore, key: str) -> pl.DataFrame:
    """What says whose a row is, and of when; nothing of a file that was deleted since it was listed."""
    schema = dict.fromkeys(_COLUMNS, pl.Datetime("us", "UTC")) | {"id": pl.Int64, "requester_id": pl.String}
    try:
        with store.local_copy(key) as path:
            given = [name for name in pl.read_parquet_schema(path) if name in schema]
            return pl.concat(
                [pl.DataFrame(schema=schema), pl.read_parquet(path, columns=given)], how="diagonal_relaxed"
            )
    except ObjectNotFoundError:
        return pl.DataFrame(schema=schema)
    except DAMAGED:
        raise SourceError(
            f"{store.uri(key)} is damaged, so whose tickets it has is not known: `gata quarantine --replay` writes it "
            "again."
        ) from None
