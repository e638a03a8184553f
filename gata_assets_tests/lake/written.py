"""Offline tickets as a lake has them, from rows of the ticket table, a folder for each day of creation."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import pandas as pd
import polars as pl

from gata_assets.curation.layout import TenantLayout
from gata_assets.lake.days import CLOSED, CURRENT_FILE
from gata_assets.lake.schema import TICKETS
from gata_assets.lake.ticket_source import LakeTickets
from gata_assets.storage.datasets import DatasetWrite
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tables.manifests import Manifest

TENANT = "acme"
_SECOND = 1_000_000


def lake_of(directory: Path, rows: pd.DataFrame, names: Mapping[int, str] | None = None) -> LakeTickets:
    """A lake with these tickets, whose labels may get names."""
    store = LocalStoreResource(directory=str(directory))
    write_days(store, offline_rows(rows, names))
    return LakeTickets(store=store, tenant=TENANT, label_field="group_id" if names is None else "group")


def offline_rows(rows: pd.DataFrame, names: Mapping[int, str] | None = None) -> pl.DataFrame:
    """Rows of the ticket table as current offline tickets, as far as a ticket source reads them."""
    given = pl.DataFrame(rows)
    instant = pl.Datetime("us", "UTC")
    closed = pl.when(pl.col("closed") != 0).then(pl.col("closed") * _SECOND)
    label = pl.col("closed_group_id_mapped")
    return given.select(
        "id",
        created_at=(pl.col("created").cast(pl.Int64) * _SECOND).cast(instant),
        ended_at=closed.cast(instant),
        text="processed_data",
        channel="via_channel",
        routed_by="routed_by",
        initial_group_id=pl.col("initial_group_id").cast(pl.String),
        ended_group_id=label.cast(pl.String),
        ended_group=label.replace_strict(names or {}, default=None, return_dtype=pl.String),
    )


def write_days(store: ObjectStore, tickets: pl.DataFrame) -> None:
    """Write tickets into the days on which they were created."""
    for (day,), of_day in tickets.group_by(pl.col("created_at").dt.date(), maintain_order=True):
        folder, content = TenantLayout(TENANT).curated(TICKETS, day), BytesIO()
        of_day.write_parquet(content)
        closed = of_day["ended_at"].dt.epoch("s").drop_nulls()
        between = [closed.min(), closed.max()] if len(closed) else None
        with DatasetWrite(store, folder) as write:
            name, entry = write.write(CURRENT_FILE, content.getvalue(), len(of_day))
            write.publish(Manifest("curated_tickets", {name: entry}, details={CLOSED: between}))
