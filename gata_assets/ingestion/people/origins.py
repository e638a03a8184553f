"""The origins of records beside raw files of events that people are erased from; see `trace.number_origins`."""

from __future__ import annotations

import polars as pl

from gata_assets.errors import ObjectNotFoundError
from gata_assets.governance.trust.proofs import encode_proven
from gata_assets.ingestion.segments.raw_files import ORIGIN_SCHEMA, origins_key
from gata_assets.ingestion.segments.trace import number_origins, read_origins
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.columns.arrays import Bools


class EventOrigins:
    """The origins of a tenant's raw files of events."""

    def __init__(self, store: ObjectStore, tenant: str) -> None:
        self._store, self._tenant = store, tenant

    def lacks(self, raw_key: str, count: int) -> Bools:
        """See RecordOrigins; of a file without origins, such as one that others put there, none."""
        numbers = pl.int_range(1, count + 1, eager=True)
        try:
            origins = number_origins(self._read(raw_key), count)
        except ObjectNotFoundError:
            return (numbers < 0).to_numpy()
        return (~numbers.is_in(origins["record"].implode())).to_numpy()

    def remove(self, raw_key: str, are_removed: Bools) -> None:
        """See RecordOrigins."""
        key = origins_key(self._tenant, _table_of(raw_key), raw_key)
        before = self._store.version(key)
        try:
            origins = number_origins(self._read(raw_key), len(are_removed))
        except ObjectNotFoundError:
            return
        removed = pl.Series(are_removed).arg_true().cast(pl.Int64) + 1
        left = origins.filter(~pl.col("record").is_in(removed.implode()))
        self._store.write(key, encode_proven(left.to_arrow().cast(ORIGIN_SCHEMA)), expected=before)

    def _read(self, raw_key: str) -> pl.DataFrame:
        return read_origins(self._store, self._tenant, _table_of(raw_key), raw_key)


def _table_of(raw_key: str) -> str:
    """The table of `{tenant}/raw/{table}/{day}/{name}`."""
    return raw_key.split("/")[2]
