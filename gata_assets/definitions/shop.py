"""The definitions of a shop: the assets of its sources, a job for each, and the sensor of raw files. Assembly only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import dagster as dg

from gata_assets.definitions.shop_engine import open_shop, open_shop_store
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.asset_pages.raw_files import raw_files_spec
from gata_assets.orchestration.jobs import build_job, day_partitions
from gata_assets.settings.model import Settings
from gata_assets.settings.shop_rules import shop_tables
from gata_assets.shop.assets import SHOP, ShopAssetRules, build_curated_assets
from gata_assets.shop.prod_assets import build_prod_assets
from gata_assets.shop.sensor import CURATE_SHOP, build_shop_sensor
from gata_assets.tables.changes.graph import build_graph

if TYPE_CHECKING:
    from gata_assets.shop.engine import ShopEngine


def build_shop_definitions(settings: Settings, sources: Sequence[str], options: AssetOptions) -> dg.Definitions:
    """These sources of a shop."""
    tables = shop_tables(settings)
    graph, days = build_graph(tables), day_partitions(settings.shop.earliest_date)
    engine: Callable[[], ShopEngine] = cache(lambda: open_shop(settings))
    rules = [ShopAssetRules(source, graph, days, engine, settings.quality.rules) for source in sources]
    assets = {of.source: [*build_curated_assets(of, options), *build_prod_assets(of, options)] for of in rules}
    raw = [
        raw_files_spec(f"{SHOP}/{source}", spec, group=f"shop_{source}", folder=f"shop/raw/{source}/{spec.table}-raw/")
        for source in sources
        for spec in tables.values()
    ]
    jobs = {
        source: build_job(
            job_of(source),
            dg.AssetSelection.assets(*of_source),
            f"Curate the raw files of {source} that have arrived, and build its tables for analysts.",
        )
        for source, of_source in assets.items()
    }
    return dg.Definitions(
        assets=[*raw, *(asset for of_source in assets.values() for asset in of_source)],
        jobs=list(jobs.values()),
        sensors=[build_shop_sensor(jobs, tuple(tables), lambda: open_shop_store(settings))],
    )


def job_of(source: str) -> str:
    """The job of a source."""
    return f"{CURATE_SHOP}_{source}"
