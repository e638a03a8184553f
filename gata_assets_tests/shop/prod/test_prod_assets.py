"""The tables for analysts in Dagster: their partitions, what a run of some days builds, and what it records.

Real: raw files of a generated shop of December and January in a directory, Dagster's definitions and runs in process,
the engine. Nothing is faked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from io import BytesIO
from pathlib import Path
from shutil import copytree

import dagster as dg
import polars as pl
import pytest

from gata_assets.curation.changes.partitions import EPOCH, PartitionStore, visible_file
from gata_assets.definitions import build_definitions
from gata_assets.definitions.shop_engine import open_shop
from gata_assets.logs import PARTITION_TAG, RANGE_TAGS
from gata_assets.sandbox.sample_shop import write_sample_shop
from gata_assets.sandbox.shop.parameters import parameters_of
from gata_assets.settings.model import Settings, parse_settings
from gata_assets.shop.assets import curated_key
from gata_assets.shop.curated import CuratedTables
from gata_assets.shop.events.routing import Stage, Work
from gata_assets.shop.places import ShopLayout
from gata_assets.shop.prod.tables import BY_MONTH, TABLES, WHOLE, ProdTable
from gata_assets.shop.prod_assets import prod_key
from gata_assets.shop.prod_checks import (
    EVERY_ITEM_IS_THERE_ONCE,
    SUMS_ARE_THOSE_OF_ORDER_FACTS,
    ProdChecksFailedError,
    descriptions,
)
from gata_assets.storage.catalog.base import Values
from gata_assets.storage.local import LocalStore
from gata_assets.tables.manifests import MANIFEST_FILE, plain_name
from gata_assets_tests.support.dagster_private import stale_status
from gata_assets_tests.support.shop_readers import read_files

SOURCE = "ecommerce"
PLACES = ShopLayout(SOURCE)
DECEMBER, JANUARY = ("2025", "12"), ("2026", "01")
FIRST, LAST = "2025-12-01", "2026-01-03"
OF_DAYS = [prod_key(SOURCE, table.name) for table in BY_MONTH]
OF_WHOLE = [prod_key(SOURCE, table.name) for table in WHOLE]


class Shop:
    """A shop in a directory, its definitions, and an instance in which its runs are recorded."""

    def __init__(self, directory: Path, instance: dg.DagsterInstance) -> None:
        self.settings = settings_of(directory)
        self.definitions = build_definitions(self.settings)
        self.instance, self.engine = instance, open_shop(self.settings)

    def run(self, first: str, last: str, assets: list[dg.AssetKey] | None = None) -> set[tuple[str, str | None]]:
        """A run of the job over a range of days, of some assets or all; returns what it recorded."""
        ended = self.execute(first, last, assets)
        assert not [event for event in ended.all_events if event.is_step_skipped]
        events = ended.get_asset_materialization_events()
        return {(event.asset_key.path[-1], event.partition) for event in events if event.asset_key}

    def execute(
        self, first: str, last: str, assets: list[dg.AssetKey] | None = None, *, may_fail: bool = False
    ) -> dg.ExecuteInProcessResult:
        """A run of the job over a range of days, of some assets or all."""
        tags = {PARTITION_TAG: first} if first == last else dict(zip(RANGE_TAGS, (first, last), strict=True))
        job = self.definitions.resolve_job_def(f"curate_shop_{SOURCE}")
        return job.execute_in_process(
            instance=self.instance, tags=tags, asset_selection=assets, raise_on_error=not may_fail
        )

    def contents(self) -> dict[tuple[str, Values], list[bytes]]:
        """The bytes of all files that the catalog names, by table and partition."""
        found = {}
        for table in TABLES:
            for values, partition in self.engine.catalog().partitions(table.entry(SOURCE, "/")).items():
                found[table.name, values] = read_files(partition.location)
        return found

    def months(self, table: ProdTable) -> set[Values]:
        """The months of a table."""
        return {values for name, values in self.contents() if name == table.name}

    def change_of(self, table: str, day: str) -> str:
        """What the last run that recorded a day says about it."""
        wanted = dg.AssetRecordsFilter(prod_key(SOURCE, table), asset_partitions=[day])
        [record] = self.instance.fetch_materializations(wanted, limit=1).records
        assert record.asset_materialization
        return str(record.asset_materialization.metadata["change"].value)


def settings_of(directory: Path) -> Settings:
    return parse_settings({"TARGET_DIR": str(directory), "LOW_VOLUME_FALLBACK_LABEL": "0", "MASKING_KEY": "k" * 32})


def days_of(month: Values) -> set[str]:
    prefix = "-".join(month)
    return {f"{prefix}-{day:02}" for day in range(1, 32)}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw files that nothing has been made of."""
    directory = tmp_path_factory.mktemp("raw")
    parameters = parameters_of(SOURCE, orders=40, share=0.02, seed=1, first_day=date(2025, 12, 20))
    write_sample_shop(LocalStore(str(directory)), parameters)
    return directory


@pytest.fixture(scope="module")
def curated(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same shop after its tables were curated, without Dagster."""
    directory = tmp_path_factory.mktemp("curated") / "shop"
    copytree(raw, directory)
    curator = open_shop(settings_of(directory)).curator(SOURCE)
    for table in curator.tables:
        curator.validate_new(table)
    list(curator.curate())
    return directory


@pytest.fixture(scope="module")
def by_events(curated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The same shop after its tables for analysts were built by an event."""
    directory = tmp_path_factory.mktemp("by_events") / "shop"
    copytree(curated, directory)
    with dg.DagsterInstance.ephemeral() as instance:
        shop = Shop(directory, instance)
        shop.engine.publish(Work(Stage.CURATED_TO_PROD, SOURCE, "orders", "manifest.json"))
        yield shop


@pytest.fixture
def shop(curated: Path, tmp_path: Path) -> Iterator[Shop]:
    """A copy of the curated shop, in which no run was recorded."""
    copytree(curated, tmp_path / "shop")
    with dg.DagsterInstance.ephemeral() as instance:
        yield Shop(tmp_path / "shop", instance)


def test_a_day_is_made_of_the_same_curated_day_and_whole_tables_of_all(by_events: Shop) -> None:
    graph = by_events.definitions.resolve_asset_graph()
    orders, days = curated_key(SOURCE, "orders"), graph.get(OF_DAYS[0]).partitions_def
    assert days is not None
    for key in OF_DAYS:
        node = graph.get(key)
        assert node.partitions_def == graph.get(orders).partitions_def
        # Dagster runs both in one run a chunk only if they have the same policy.
        assert node.backfill_policy == graph.get(orders).backfill_policy is not None
        mapping = node.partition_mappings.get(orders)
        assert isinstance(mapping, dg.TimeWindowPartitionMapping)
        asked = days.subset_with_partition_keys(["2025-12-28", "2025-12-31"])
        found = mapping.get_upstream_mapped_partitions_result_for_partitions(asked, days, days)
        assert set(found.partitions_subset.get_partition_keys()) == {"2025-12-28", "2025-12-31"}
    # And only if those of a day wait for the same.
    judged = [graph.get(curated_key(SOURCE, table)) for table in ("orders", "order_items", "payments")]
    waits = [{parent for parent in node.parent_keys if parent.path[-1].startswith("curated_")} for node in judged]
    assert waits == [{curated_key(SOURCE, table) for table in ("customers", "products")}] * 3
    for key in OF_WHOLE:
        assert graph.get(key).partitions_def is None
        assert isinstance(graph.get(key).partition_mappings[orders], dg.AllPartitionMapping)


def test_a_range_of_days_builds_its_months_and_records_their_days(shop: Shop, by_events: Shop) -> None:
    written = shop.run("2025-12-28", "2025-12-30", OF_DAYS)
    assert written == {(key.path[-1], day) for key in OF_DAYS for day in days_of(DECEMBER)}
    assert {values for _, values in shop.contents() if values} == {DECEMBER}
    assert not shop.engine.is_built(SOURCE)
    written = shop.run(LAST, LAST, OF_DAYS)
    assert {day for _, day in written if day} >= {LAST, "2026-01-31"}
    assert not days_of(DECEMBER) & {day for _, day in written}
    assert shop.run(LAST, LAST, OF_WHOLE) == {(key.path[-1], None) for key in OF_WHOLE}
    assert shop.engine.is_built(SOURCE)
    assert shop.contents() == by_events.contents()


def test_days_that_are_up_to_date_are_recorded_and_nothing_is_written(shop: Shop) -> None:
    shop.run(FIRST, LAST, [*OF_DAYS, *OF_WHOLE])
    before = dict(shop.engine.store.list_versions("shop/prod/"))
    # Of the last day alone Dagster records a result, of several days events; the first has no order.
    for first, last, count in (("2025-12-25", "2025-12-25", 1), (FIRST, "2025-12-02", 2)):
        written = shop.run(first, last, OF_DAYS)
        assert len(written) == count * len(OF_DAYS)
        assert {shop.change_of("order_facts", day) for _, day in written if day} == {"unchanged"}
    after = dict(shop.engine.store.list_versions("shop/prod/"))
    assert {key for key in after if after[key] != before.get(key)} <= {f"{PLACES.prod}lease.json"}


def test_one_run_over_all_days_from_raw_files_gives_the_bytes_of_events(
    raw: Path, tmp_path: Path, by_events: Shop
) -> None:
    copytree(raw, tmp_path / "shop")
    with dg.DagsterInstance.ephemeral() as instance:
        found = Shop(tmp_path / "shop", instance)
        written = found.run(FIRST, LAST)
        assert found.contents() == by_events.contents()
        assert found.engine.is_built(SOURCE)
        for table in ("curated_orders", "prod_order_facts", "prod_daily_sales"):
            assert {day for name, day in written if name == table} >= {"2025-12-20", "2025-12-31", LAST}
        assert {(key.path[-1], None) for key in OF_WHOLE} <= written
        # Each day once: with its numbers, and no second time for the range.
        wanted = dg.AssetRecordsFilter(curated_key(SOURCE, "orders"), asset_partitions=["2025-12-28"])
        [record] = instance.fetch_materializations(wanted, limit=9).records
        assert record.asset_materialization
        assert "dagster/row_count" in record.asset_materialization.metadata

        late_status_of_a_december_order(found)
        # As the sensor asks for it: a run of the day that the file came on.
        written = found.run(LAST, LAST)
        assert {day for name, day in written if name == "prod_order_facts"} == {*days_of(DECEMBER), LAST}
        assert found.change_of("order_facts", "2025-12-20") == "built"
        assert found.change_of("order_facts", LAST) == "unchanged"
        assert found.engine.is_built(SOURCE)
        for day in ("2025-12-24", "2025-12-30", LAST):
            assert stale_status(instance, found.definitions, OF_DAYS[0], day) == "FRESH", day


def test_dagster_shows_which_days_curation_has_changed_since(raw: Path, tmp_path: Path) -> None:
    copytree(raw, tmp_path / "shop")
    with dg.DagsterInstance.ephemeral() as instance:
        found = Shop(tmp_path / "shop", instance)
        found.run(LAST, LAST)
        day = late_status_of_a_december_order(found)
        days = [spec.table for unit in found.engine.curator(SOURCE).graph.units for spec in unit.tables]
        found.run(LAST, LAST, [curated_key(SOURCE, table) for table in days])
        assert stale_status(instance, found.definitions, OF_DAYS[0], day) == "STALE"
        assert stale_status(instance, found.definitions, OF_DAYS[0], "2026-01-02") == "FRESH"
        found.run(day, day, OF_DAYS)
        assert stale_status(instance, found.definitions, OF_DAYS[0], day) == "FRESH"


def late_status_of_a_december_order(shop: Shop) -> str:
    """A raw file with a new status of an order of December; returns the order's day."""
    engine = shop.engine
    [key] = [key for key in engine.store.list_keys(PLACES.raw("orders")) if "LOAD" in key]
    rows = pl.read_parquet(BytesIO(engine.store.read(key)))
    seen = {row["order_id"]: row for row in prod_rows(shop)}
    row = next(row for row in rows.iter_rows(named=True) if row["order_id"] in seen)
    status = "refunded" if row["status"] != "refunded" else "cancelled"
    late = rows.filter(pl.col("order_id") == row["order_id"]).head(1).with_columns(status=pl.lit(status))
    names = {name: pl.lit("2026-01-03 23:00:00.000000") for name in rows.columns if name.startswith("dms_")}
    late = late.with_columns(**names, Op=pl.lit("U"))
    content = BytesIO()
    late.write_parquet(content)
    engine.store.write(f"{PLACES.raw('orders', date(2026, 1, 3))}20260103-230000000.parquet", content.getvalue())
    return str(seen[row["order_id"]]["ordered_at"].date())


def prod_rows(shop: Shop) -> list[dict[str, datetime]]:
    files = shop.contents()["order_facts", DECEMBER]
    return [row for content in files for row in pl.read_parquet(BytesIO(content)).iter_rows(named=True)]


@pytest.mark.parametrize(
    "key", [OF_DAYS[1], OF_WHOLE[0], curated_key(SOURCE, "orders"), curated_key(SOURCE, "products")]
)
def test_an_asset_alone_can_be_asked_for(shop: Shop, key: dg.AssetKey) -> None:
    assert any(name == key.path[-1] for name, _ in shop.run("2025-12-28", "2025-12-28", [key]))


def checks_of(run: dg.ExecuteInProcessResult) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    """The evaluations of a run by asset and check, each once."""
    found = run.get_asset_check_evaluations()
    by_name = {(one.asset_key.path[-1], one.check_name): one for one in found}
    assert len(by_name) == len(found)
    return by_name


def test_a_run_evaluates_each_check_once_for_all_months_that_it_built(shop: Shop) -> None:
    found = checks_of(shop.execute(FIRST, LAST, [*OF_DAYS, *OF_WHOLE]))
    assert found.keys() == {(f"prod_{table.name}", name) for table in TABLES for name in descriptions(table)}
    assert all(check.passed for check in found.values())
    of_items = found["prod_order_facts", EVERY_ITEM_IS_THERE_ONCE].metadata
    assert {name[:7] for name in of_items} == {"broken", "2025-12", "2026-01"}
    # Of what was up to date nothing is evaluated: it was published because it had passed.
    assert not checks_of(shop.execute(LAST, LAST, OF_DAYS))


def test_a_failed_check_fails_the_run_and_the_event_and_nothing_of_its_month_is_seen(shop: Shop) -> None:
    count_an_item_more(shop, "2026-01-02")
    run = shop.execute(FIRST, LAST, OF_DAYS, may_fail=True)
    assert not run.success
    found = checks_of(run)
    failed = found["prod_order_facts", EVERY_ITEM_IS_THERE_ONCE]
    assert (failed.passed, failed.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert failed.description and "2026-01 each visible item has one row: 1 of " in failed.description
    # December was built before; the other tables of January were not published either.
    assert {values for _, values in shop.contents() if values} == {DECEMBER}
    assert found["prod_daily_sales", SUMS_ARE_THOSE_OF_ORDER_FACTS].passed
    with pytest.raises(ProdChecksFailedError, match="prod order_facts of 2026-01 breaks rules"):
        shop.engine.publish(Work(Stage.CURATED_TO_PROD, SOURCE, "orders", "manifest.json"))
    assert {values for _, values in shop.contents() if values} == {DECEMBER}


def count_an_item_more(shop: Shop, day: str) -> None:
    """Let the manifest of a curated day count one item more than its file has."""
    tables = CuratedTables(shop.engine.curator(SOURCE))
    folder = PartitionStore(tables.curator.store, tables.curator.places, tables.graph.units[0]).folder(
        (date.fromisoformat(day) - EPOCH).days
    )
    manifest = json.loads(shop.engine.store.read(folder + MANIFEST_FILE))
    [name] = [name for name in manifest["files"] if plain_name(name) == visible_file("order_items")]
    manifest["files"][name]["rows"] += 1
    shop.engine.store.write(folder + MANIFEST_FILE, json.dumps(manifest).encode())
