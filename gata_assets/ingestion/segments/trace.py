"""From a record of a raw file of events to where it came from: stream, offset, request, source and time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.errors import ConflictError, DamagedTableError, DataRuleError, ObjectNotFoundError
from gata_assets.ingestion.segments.lines import LineForm
from gata_assets.ingestion.segments.raw_files import ORIGIN_SCHEMA, origins_key
from gata_assets.storage.objects import ObjectStore

_KAFKA = "kafka/"


@dataclass(frozen=True)
class Origin:
    """Where a record came from; `form` is how its line has the payload."""

    record: int
    stream: str
    offset: int
    request_id: str
    source: str
    received_at: datetime
    form: LineForm

    @property
    def topic(self) -> str | None:
        """The topic of a message of Kafka; None for other events."""
        return self.stream.split("/")[1] if self.stream.startswith(_KAFKA) else None

    @property
    def partition(self) -> int | None:
        """Its partition there."""
        return int(self.stream.rpartition("/")[2]) if self.stream.startswith(_KAFKA) else None


def read_origins(store: ObjectStore, tenant: str, table: str, raw_key: str) -> pl.DataFrame:
    """The origins of all records of a raw file, in order, by its key or its name.

    Raises ObjectNotFoundError for a file that is not one of events, DamagedTableError or StoreError.
    """
    key = origins_key(tenant, table, raw_key)
    try:
        # Threads of Arrow that read ahead are at times still there when the process ends, which aborts it.
        with store.local_copy(key) as path, pq.ParquetFile(path, pre_buffer=False) as file:
            found = file.read(use_threads=False)
    except ObjectNotFoundError:
        raise ObjectNotFoundError(
            f"There is no {store.uri(key)}: the file is not one of single events, or of another table. What landed as "
            "a file has its own name and record."
        ) from None
    except (pa.ArrowException, OSError):
        raise DamagedTableError(f"{store.uri(key)} is damaged: restore it from a version or a copy.", key=key) from None
    if found.schema.names != ORIGIN_SCHEMA.names:
        raise DamagedTableError(f"{store.uri(key)} does not have the origins of records.", key=key)
    return cast("pl.DataFrame", pl.from_arrow(found))


def number_origins(origins: pl.DataFrame, count: int, column: str = "record") -> pl.DataFrame:
    """Origins by the numbers that the records of a file with so many have now; the numbers are in `column`.

    Whoever erases people from a file rewrites its origins first, so that they may lack records that the file still has;
    when it lacks them too, its records have other numbers. Raises ConflictError if it was rewritten between two looks.
    """
    if len(origins) > count:
        raise ConflictError("People were erased from a file while it was read: read it again.")
    if len(origins) < count:
        return origins
    return origins.with_columns(pl.int_range(1, count + 1, dtype=pl.Int64, eager=True).alias(column))


def trace(store: ObjectStore, tenant: str, table: str, raw_key: str, record: int) -> Origin:
    """Where a record (the first is 1) came from; raises as `read_origins`, and DataRuleError for none of the file."""
    return origin_of(read_origins(store, tenant, table, raw_key), record)


def origin_of(origins: pl.DataFrame, record: int) -> Origin:
    """Where a record (the first is 1) of a file came from, by its origins; raises DataRuleError for none of them."""
    if not 1 <= record <= len(origins):
        raise DataRuleError(f"The file has the records 1 to {len(origins):,}, and none with the number {record:,}.")
    # By its place: of a file that people were erased from, origins have the numbers of before.
    found = origins.row(record - 1, named=True)
    return Origin(**found | {"form": LineForm(found["form"]), "record": record})
