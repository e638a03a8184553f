"""The shop in Dagster: assets, checks, job and sensor over a generated shop, and its stages by events.

Real: raw files in a directory, Dagster's definitions and runs in process, the engine. Nothing is faked.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from gata_assets.curation.curated.check_names import EVERY_RAW_FILE_WAS_READ
from gata_assets.curation.quality.measures import QualityRules
from gata_assets.curation.reports import Report
from gata_assets.definitions import build_definitions
from gata_assets.definitions.shop_engine import open_shop
from gata_assets.errors import EventError, StoreError
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.jobs import batch_partitions, day_partitions
from gata_assets.sandbox.sample_shop import write_sample_shop
from gata_assets.sandbox.shop.parameters import ShopCounts, parameters_of
from gata_assets.settings.model import Settings, parse_settings
from gata_assets.shop.assets import ShopAssetRules, build_curated_assets
from gata_assets.shop.checks import check_files
from gata_assets.shop.events.routing import Stage, Work
from gata_assets.shop.places import ShopLayout
from gata_assets.shop.sensor import build_shop_sensor
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import Version
from gata_assets.tables.changes.graph import build_graph
from gata_assets_tests.shop.engine import curated_bytes
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import environment

SOURCE = "ecommerce"
PLACES = ShopLayout(SOURCE)
DAY = "2026-01-02"
JOB = f"curate_shop_{SOURCE}"


def settings_of(directory: Path, **more: str) -> Settings:
    return parse_settings(
        {"TARGET_DIR": str(directory), "LOW_VOLUME_FALLBACK_LABEL": "0", "MASKING_KEY": "k" * 32, **more}
    )


def write_shop(directory: Path) -> ShopCounts:
    parameters = parameters_of(SOURCE, orders=60, share=0.04, seed=1, first_day=date(2025, 12, 20))
    return write_sample_shop(LocalStore(str(directory)), parameters)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ShopCounts]:
    directory = tmp_path_factory.mktemp("shop")
    return directory, write_shop(directory)


@pytest.fixture(scope="module")
def run(shop: tuple[Path, ShopCounts]) -> Iterator[dg.ExecuteInProcessResult]:
    """A run of the job over all raw files."""
    definitions = build_definitions(settings_of(shop[0]))
    with dg.DagsterInstance.ephemeral() as instance:
        yield definitions.resolve_job_def(JOB).execute_in_process(partition_key=DAY, instance=instance)


def test_a_run_writes_all_tables_and_each_day_is_a_partition(run: dg.ExecuteInProcessResult) -> None:
    written = {
        (event.asset_key.path[-1], event.partition)
        for event in run.get_asset_materialization_events()
        if event.asset_key
    }
    assert {name for name, _ in written} >= {
        "curated_customers",
        "curated_orders",
        "prod_order_facts",
        "prod_daily_sales",
    }
    days = {partition for name, partition in written if name == "curated_orders"}
    assert DAY in days
    assert len(days) > 7
    assert days == {partition for name, partition in written if name == "curated_payments"}


def test_the_checks_say_what_waits_in_vain(run: dg.ExecuteInProcessResult) -> None:
    failed = {
        (found.check_name, found.asset_key.path[-1]) for found in run.get_asset_check_evaluations() if not found.passed
    }
    assert ("no_row_waits_in_vain", "curated_orders") in failed
    quality = [one for one in run.get_asset_check_evaluations() if one.check_name == "quality_is_high_enough"]
    assert {one.asset_key.path[-1] for one in quality} >= {"curated_customers", "curated_orders"}
    assert {one.severity for one in quality} == {dg.AssetCheckSeverity.WARN}
    # The recent files of customers delete one, too: its row has a key alone, and lacks nothing.
    assert {one.asset_key.path[-1] for one in quality if not one.passed} == set()
    assert not {name for name, _ in failed} & {"no_row_is_lost", "every_raw_file_was_read"}


def test_a_refused_file_fails_the_check_unless_a_corrected_one_replaced_it() -> None:
    landed = datetime(2026, 1, 3, tzinfo=UTC)
    refused = Report("orders", "first", "first.csv", landed, "rules", refused="there is no column total")
    corrected = Report("orders", "second", "second.csv", landed, "rules", replaces=("first",))
    for reports, is_passed in (([refused], False), ([replace(refused, replaced_by="second"), corrected], True)):
        [outcome] = check_files(reports, 0.1)[EVERY_RAW_FILE_WAS_READ]
        assert outcome.has_passed is is_passed, reports


def test_what_was_rejected_and_what_waits_is_what_the_sample_has_of_faults(
    shop: tuple[Path, ShopCounts], run: dg.ExecuteInProcessResult
) -> None:
    directory, made = shop
    curator = open_shop(settings_of(directory)).curator(SOURCE)
    rejected = dict.fromkeys(("email_is_an_email_address", "price_is_positive", "quantity_is_positive"), 0)
    for table in curator.tables:
        for report in curator.reports(table):
            for rule in rejected.keys() & report.rejected_by_rule.keys():
                rejected[rule] += report.rejected_by_rule[rule]
    faults = made.faults
    assert rejected == {
        "email_is_an_email_address": faults["invalid_email"],
        "price_is_positive": faults["negative_price"],
        "quantity_is_positive": faults["zero_quantity"],
    }
    waiting = faults["total_mismatch"] + faults["customer_never"] + faults["customer_deleted"]
    assert curator.count_rows("orders")["quarantined"] == waiting
    assert curator.count_rows("payments")["quarantined"] == faults["other_currency"]


def test_nothing_is_due_after_a_run_and_a_day_can_be_written_again(
    shop: tuple[Path, ShopCounts], run: dg.ExecuteInProcessResult
) -> None:
    settings = settings_of(shop[0])
    engine = open_shop(settings)
    assert not engine.curator(SOURCE).is_due()
    assert engine.is_built(SOURCE)
    again = build_definitions(settings).resolve_job_def(JOB).execute_in_process(partition_key="2025-12-25")
    written = {event.partition for event in again.get_asset_materialization_events() if event.partition}
    assert written == {"2025-12-25"}


def test_a_shop_is_found_by_its_raw_files_unless_tenants_are_named(shop: tuple[Path, ShopCounts]) -> None:
    def jobs(**more: str) -> set[str]:
        found = build_definitions(settings_of(shop[0], **more)).resolve_all_job_defs()
        return {job.name for job in found} & {JOB}

    assert jobs() == {JOB}
    assert jobs(TENANTS="none") == set()
    assert jobs(SHOP_SOURCES=SOURCE, TENANTS="none") == {JOB}


@pytest.mark.process
def test_definitions_of_a_shop_load_no_compiled_kernel(tmp_path: Path) -> None:
    code = "import sys; from gata_assets.definitions import defs; defs(); print('numba' in sys.modules)"
    variables = {"SHOP_SOURCES": SOURCE, "TENANTS": "none", "LOW_VOLUME_FALLBACK_LABEL": "0"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment(**variables), "TARGET_DIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.stdout.strip() == "False", ran.stderr


class TestSensor:
    """The sensor over a shop, with a clock that is moved by hand."""

    def requests(self, directory: Path, instance: dg.DagsterInstance, now: datetime) -> list[dg.RunRequest]:
        engine = open_shop(settings_of(directory))
        job = dg.define_asset_job(JOB)
        sensor = build_shop_sensor({SOURCE: job}, tuple(engine.tables), lambda: engine.store, lambda: now)
        context = dg.build_sensor_context(instance, definitions=build_definitions(settings_of(directory)))
        return list(sensor.evaluate_tick(context).run_requests or ())

    def run_of(self, instance: dg.DagsterInstance, request: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
        instance.add_run(dg.DagsterRun(JOB, tags=dict(request.tags), status=status))

    def test_new_files_are_asked_for_and_a_failed_run_again(self, tmp_path: Path) -> None:
        write_shop(tmp_path)
        now = datetime.now(UTC)
        with dg.DagsterInstance.ephemeral() as instance:
            [first] = self.requests(tmp_path, instance, now)
            assert (first.partition_key, first.tags["gata/source"]) == (DAY, SOURCE)
            self.run_of(instance, first, dg.DagsterRunStatus.FAILURE)
            assert self.requests(tmp_path, instance, now + timedelta(minutes=1)) == []
            [second] = self.requests(tmp_path, instance, now + timedelta(minutes=6))
            assert second.run_key != first.run_key

    def test_without_new_files_a_run_is_asked_for_once_a_day(self, tmp_path: Path) -> None:
        write_shop(tmp_path)
        curator = open_shop(settings_of(tmp_path)).curator(SOURCE)
        for table in curator.tables:
            curator.validate_new(table)
        now = datetime.now(UTC) - timedelta(days=1)
        with dg.DagsterInstance.ephemeral() as instance:
            [first] = self.requests(tmp_path, instance, now)
            assert first.tags["gata/reason"] == "once a day"
            self.run_of(instance, first, dg.DagsterRunStatus.SUCCESS)
            assert self.requests(tmp_path, instance, now) == []
            [second] = self.requests(tmp_path, instance, now + timedelta(days=1))
            assert second.run_key != first.run_key

    def test_a_shop_that_cannot_be_listed_stops_no_other(self, tmp_path: Path) -> None:
        class Partly(LocalStore):
            def list_versions(self, prefix: str) -> Iterator[tuple[str, Version]]:
                if "/broken/" in prefix:
                    raise StoreError("the store does not answer")
                return super().list_versions(prefix)

        write_shop(tmp_path)
        jobs = {"broken": dg.define_asset_job("curate_broken"), SOURCE: dg.define_asset_job(JOB)}
        tables = tuple(open_shop(settings_of(tmp_path)).tables)
        sensor = build_shop_sensor(jobs, tables, lambda: Partly(str(tmp_path)), lambda: datetime.now(UTC))
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(instance, definitions=build_definitions(settings_of(tmp_path)))
            asked = sensor.evaluate_tick(context).run_requests or ()
        assert [request.tags["gata/source"] for request in asked] == [SOURCE]

    def test_nothing_is_asked_for_while_a_run_is_underway(self, tmp_path: Path) -> None:
        write_shop(tmp_path)
        with dg.DagsterInstance.ephemeral() as instance:
            [first] = self.requests(tmp_path, instance, datetime.now(UTC))
            self.run_of(instance, first, dg.DagsterRunStatus.STARTED)
            assert self.requests(tmp_path, instance, datetime.now(UTC)) == []


def test_an_error_that_nobody_foresaw_shows_no_value(tmp_path: Path) -> None:
    write_shop(tmp_path)
    secret = canary("a value in the message of an error")

    class Broken:
        def curator(self, source: str) -> object:
            raise ValueError(secret)

    tables = open_shop(settings_of(tmp_path)).tables
    rules = ShopAssetRules(SOURCE, build_graph(tables), day_partitions(date(2025, 1, 1)), Broken, QualityRules())  # type: ignore[arg-type]
    options = AssetOptions(batch_partitions("2026010100"), "1", dg.BackfillPolicy.single_run())
    [whole, _] = build_curated_assets(rules, options)
    with dg.DagsterInstance.ephemeral() as instance:
        ran = dg.materialize([whole], instance=instance, raise_on_error=False)
        said = "".join(str(record) for record in instance.all_logs(ran.run_id))
    assert not ran.success
    assert "unexpected ValueError" in said
    assert secret not in said


class TestStages:
    """What `gata shop process` has done for an event."""

    def test_files_one_by_one_give_what_a_run_over_all_gives(
        self, shop: tuple[Path, ShopCounts], tmp_path: Path, run: object
    ) -> None:
        write_shop(tmp_path)
        engine = open_shop(settings_of(tmp_path))
        keys = list(engine.store.list_keys(PLACES.raw_files))
        # The newest first; the rest at once, since each file by itself takes half a second.
        outcomes = [engine.curate(work_of(key)) for key in keys[::-7]]
        curator = engine.curator(SOURCE)
        read = {table: curator.validate_new(table) for table in engine.tables}
        list(curator.curate())
        rejected = sum(outcome.rejected for outcome in outcomes)
        rejected += sum(report.rejected for reports in read.values() for report in reports)
        assert rejected == sum(
            report.rejected for table in engine.tables for report in engine.curator(SOURCE).reports(table)
        )
        other = open_shop(settings_of(shop[0])).curator(SOURCE)
        mine = engine.curator(SOURCE)
        assert {table: mine.count_rows(table) for table in engine.tables} == {
            table: other.count_rows(table) for table in engine.tables
        }
        assert not engine.is_built(SOURCE)
        engine.publish(Work(Stage.CURATED_TO_PROD, SOURCE, "orders", "manifest.json"))
        assert engine.is_built(SOURCE)
        assert engine.store.exists("shop/prod/catalog.json")

    def test_rows_that_expire_by_an_event_leave_the_bytes_of_a_run(
        self, shop: tuple[Path, ShopCounts], tmp_path: Path, run: object
    ) -> None:
        write_shop(tmp_path)
        engine = open_shop(settings_of(tmp_path))
        work = Work(Stage.PARKED_TO_QUARANTINED, SOURCE, "all_tables", PLACES.root)
        curator = replace(engine, clock=lambda: datetime(2026, 1, 4, tzinfo=UTC)).curator(SOURCE)
        for table in engine.tables:
            curator.validate_new(table)
        list(curator.curate())
        parked = curator.count_rows("orders")["parked"]
        assert parked
        assert engine.expire(work).quarantined["orders"] == parked
        assert not engine.expire(work).quarantined
        other = open_shop(settings_of(shop[0]))
        assert curated_bytes(engine.store, PLACES) == curated_bytes(other.store, PLACES)

    def test_an_event_that_comes_twice_changes_nothing(self, tmp_path: Path) -> None:
        write_shop(tmp_path)
        engine = open_shop(settings_of(tmp_path))
        [key] = [key for key in engine.store.list_keys(PLACES.raw("customers")) if "LOAD" in key]
        first = engine.curate(work_of(key))
        before = dict(engine.store.list_versions(f"{PLACES.root}curated/"))
        second = engine.curate(work_of(key))
        assert (first.rows, first.rejected) == (second.rows, second.rejected)
        assert dict(engine.store.list_versions(f"{PLACES.root}curated/")) == before

    def test_a_table_that_the_shop_does_not_have_is_named(self, tmp_path: Path) -> None:
        engine = open_shop(settings_of(tmp_path))
        with pytest.raises(EventError, match="The shop has no table reviews, only customers, products, orders"):
            engine.curate(Work(Stage.RAW_TO_CURATED, SOURCE, "reviews", f"{PLACES.raw('reviews')}x.parquet"))


def work_of(key: str) -> Work:
    table = key.removeprefix(PLACES.raw_files).partition("/")[0].removesuffix("-raw")
    return Work(Stage.RAW_TO_CURATED, SOURCE, table, key)
