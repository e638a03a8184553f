"""Tables that tests of schemas declare: one with a column of each kind."""

from __future__ import annotations

from typing import Annotated, Any

import pandera.polars as pa
import polars as pl

from gata_assets.tables.declaration import spec_of
from gata_assets.tables.spec import TableSpec


class Readings(pa.DataFrameModel):
    """What meters measured: one row a reading."""

    meter: str = pa.Field(description="The meter.")
    read_at: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(description="When.")
    seen_at: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(
        nullable=True, description="Seen.", metadata={"instants": ["epoch_s"]}
    )
    sent_at: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(
        nullable=True, description="Sent.", metadata={"instants": ["epoch_ms", "day"]}
    )
    noted_at: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(
        nullable=True, description="Noted.", metadata={"instants": ["%d.%m.%Y %H:%M:%S"]}
    )
    day: pl.Date = pa.Field(nullable=True, description="The day of the invoice.")
    amount: Annotated[pl.Decimal, 18, 2] = pa.Field(nullable=True, description="What it costs.")
    small: pl.Int16 = pa.Field(nullable=True, description="A small number.")
    large: pl.UInt64 = pa.Field(nullable=True, description="A large number.")
    share: pl.Float32 = pa.Field(nullable=True, description="A share.")
    is_valid: bool = pa.Field(nullable=True, description="Whether it counts.")
    site: str = pa.Field(description="Where.", metadata={"within": "place"})
    floor: pl.Int32 = pa.Field(nullable=True, description="On which floor.", metadata={"within": "place"})

    class Config:
        metadata = {"table": "meter_readings", "event_time": "read_at"}  # noqa: RUF012


READINGS = spec_of(Readings)
# A row of it, as raw files have it.
READING: dict[str, Any] = {
    "meter": "m1",
    "read_at": "2026-01-02T03:04:05.678Z",
    "seen_at": 1767323045.5,
    "sent_at": 1767323045678,
    "noted_at": "02.01.2026 03:04:05",
    "day": "2026-01-02",
    "amount": "1234567890123456.78",
    "small": -7,
    "large": 2**63 - 1,
    "share": 0.1,
    "is_valid": False,
    "place": {"site": "north", "floor": 3},
}


def declared(avro: Any = None, **columns: Any) -> TableSpec:
    """A table `visits` with these columns (a type, or a type and a pandera Field), and `avro` in its metadata."""
    fields: dict[str, Any] = {}
    annotations: dict[str, Any] = {}
    for name, column in columns.items():
        annotations[name], fields[name] = column if isinstance(column, tuple) else (column, pa.Field(description="x"))
    metadata = {"table": "visits", **({"avro": avro} if avro is not None else {})}
    config = type("Config", (), {"metadata": metadata})
    model = type("Visits", (pa.DataFrameModel,), {"__annotations__": annotations, **fields, "Config": config})
    return spec_of(model)
