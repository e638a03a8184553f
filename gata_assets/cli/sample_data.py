"""`gata sample-data`: a SQLite ticket store, and a tenant's interactions, items and lake of tickets, all generated."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import polars as pl

from gata_assets.cli.raw_files.outcomes import open_curator
from gata_assets.cli.terminal import text_console
from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.files.formats import FileFormat, RawFormat
from gata_assets.curation.landing import Landing
from gata_assets.curation.reports import Report
from gata_assets.curation.superseding import valid_reports
from gata_assets.definitions.shop_engine import open_shop_store
from gata_assets.errors import StoreError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.lake.tables import TICKETS
from gata_assets.sandbox.lake.pages import export_pages
from gata_assets.sandbox.lake.stories import LakeParameters
from gata_assets.sandbox.sample_interactions import (
    SampleShop,
    generate_interactions,
    generate_items,
    happened_interactions,
)
from gata_assets.sandbox.sample_shop import write_sample_shop
from gata_assets.sandbox.sample_tickets import generate_tickets, happened_tickets
from gata_assets.sandbox.shop.parameters import parameters_of
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import has_own_tickets
from gata_assets.settings.tickets import SAMPLE_TICKETS_FILE
from gata_assets.shop.places import ShopLayout
from gata_assets.storage.scratch import scratch_directory
from gata_assets.tickets.sources.ddl import create_sqlite

TENANT = "sample"
# A shop's days, besides the last one.
_DAYS_OF_SHOP = 14
# The number of days that `--interactions` counts for.
DAYS_OF_INTERACTIONS = 90
# The lake's days of creation; what happens to the last tickets is over when the sample ends.
_LAKE_DAYS, _LAKE_ENDS = timedelta(days=30), timedelta(days=14)
_CSV = FileFormat(RawFormat.CSV)


def run(
    settings: Settings,
    *,
    output: str | None,
    first: date,
    last: date,
    tickets_per_day: int,
    users: int,
    items: int,
    interactions: int,
    days: int,
    shop_orders: int,
    shop_faults: float,
    lake_tickets: int,
    seed: int,
    force: bool,
    as_json: bool,
    now: datetime,
) -> None:
    """Generate what happened from `first` to `last` and write it; raises StoreError.

    Tickets go to a SQLite file; items and interactions are ingested for the tenant `sample` and supersede earlier ones.
    There are as many `interactions` in 90 days, on the last `days`. Of the day of `now`, only what is before it is
    written.
    """
    path = Path(output or SAMPLE_TICKETS_FILE)
    if path.exists() and not force:
        raise StoreError(f"{path} exists already. --force replaces it; --output names another file.")
    tickets = happened_tickets(generate_tickets(first, last, tickets_per_day=tickets_per_day, seed=seed), now)
    try:
        rows = create_sqlite(path, tickets)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from None
    span = {"first_day": str(first), "last_day": str(last)}
    if as_json:
        print(json.dumps({"event": "SAMPLE_TICKETS_WRITTEN", "file": str(path), "rows": rows, **span}))
    else:
        _print(f"{rows:,} sample tickets, closed from {first} to {last}, written to {path}.")
    if not interactions:
        return
    shop = SampleShop(users, items, interactions / DAYS_OF_INTERACTIONS, seed)
    since = max(first, last - timedelta(days=days - 1))
    curator = open_curator(settings, TENANT, now if last <= now.date() else datetime.combine(last, time(), UTC))
    of_items = _ingest(curator, ITEMS, generate_items(shop))
    curator.refresh(ITEMS)
    of_interactions = _ingest(
        curator, INTERACTIONS, happened_interactions(generate_interactions(shop, since, last), now)
    )
    for what, report in (("items", of_items), (f"interactions from {since} to {last}", of_interactions)):
        if as_json:
            counts = {name: getattr(report, name) for name in ("file_id", "rows", "valid", "rejected")}
            print(json.dumps({"event": "SAMPLE_INGESTED", "tenant": TENANT, "table": report.table, **counts}))
        else:
            rejected = f"{report.rejected:,} rejected rows in quarantine"
            _print(f"{report.rows:,} sample {what}, for the tenant {TENANT}; {rejected}.")
    if lake_tickets and not has_own_tickets(settings):
        export = LakeParameters(seed, lake_tickets, last - _LAKE_ENDS - _LAKE_DAYS, _LAKE_DAYS.days)
        _write_lake(settings, export, now, as_json=as_json)
    if shop_orders:
        _write_shop(settings, shop_orders, shop_faults, seed, last, as_json=as_json)


def _write_shop(settings: Settings, orders: int, share: float, seed: int, last: date, *, as_json: bool) -> None:
    """Write the raw files of a shop, as a DMS task does; a shop that is there already is left as it is."""
    store = open_shop_store(settings)
    if any(store.list_keys(ShopLayout(TENANT).raw_files)):
        if not as_json:
            _print(f"The shop {TENANT} has raw files already, and is left as it is.")
        return
    first = last - timedelta(days=_DAYS_OF_SHOP)
    counts = write_sample_shop(store, parameters_of(TENANT, orders=orders, share=share, seed=seed, first_day=first))
    if as_json:
        found = {"source": TENANT, "rows": dict(counts.rows), "faults": dict(counts.faults)}
        print(json.dumps({"event": "SAMPLE_SHOP_WRITTEN", **found}))
        return
    rows, files, faults = (sum(of.values()) for of in (counts.rows, counts.files, counts.faults))
    _print(f"{rows:,} sample rows of a shop, for the source {TENANT}, in {files:,} raw files; {faults:,} faults.")


def _write_lake(settings: Settings, parameters: LakeParameters, now: datetime, *, as_json: bool) -> None:
    """Land the pages of an export of tickets; runs write the days of offline tickets, which Dagster then knows."""
    curator = open_curator(settings, TENANT, now, table=TICKETS)
    # A page in each line.
    report = _land(curator, TICKETS, b"\n".join(export_pages(parameters)), FileFormat(RawFormat.JSON_LINES))
    if as_json:
        counts = {name: getattr(report, name) for name in ("file_id", "rows", "valid", "rejected")}
        print(json.dumps({"event": "SAMPLE_INGESTED", "tenant": TENANT, "table": TICKETS, **counts}))
        return
    _print(f"{report.rows:,} sample versions of tickets on {len(report.days):,} days, for the lake of {TENANT}.")


def _print(text: str) -> None:
    text_console().print(text, markup=False)


def _ingest(curator: Curator, table: str, rows: pl.DataFrame) -> Report:
    return _land(curator, table, rows.write_csv().encode(), _CSV)


def _land(curator: TableCurator, table: str, content: bytes, file_format: FileFormat) -> Report:
    """Land a file in place of the one of an earlier sample."""
    name = f"sample-{table}"
    with scratch_directory() as scratch:
        path = scratch / f"{name}.{file_format}"
        path.write_bytes(content)
        landed = Landing(curator).land(table, path.name, path, file_format)
        earlier = [report.file_id for report in valid_reports(curator.reports(table)) if f"-{name}-" in report.file_id]
        others = [file_id for file_id in earlier if file_id != landed.report.file_id]
        return curator.supersede(landed.report, others)
