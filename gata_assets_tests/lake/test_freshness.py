"""The check of the lake's newest file: by runs, and by the sensor while nothing runs.

Real: landing, definitions, runs, a directory. Given: the sensor's clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from gata_assets.curation.curated.check_names import NEWEST_FILE_IS_FRESH
from gata_assets.definitions import build_definitions
from gata_assets.definitions.lake import CURATE_TICKETS, STALE_LAKES_SENSOR
from gata_assets.definitions.stores import build_store
from gata_assets.lake.assets import bronze_key
from gata_assets.lake.tables import TICKETS
from gata_assets.orchestration.curated_tables.freshness import build_freshness_sensor
from gata_assets.settings.model import Settings, parse_settings
from gata_assets_tests.support.command import gata

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TENANTS = ("acme", "globex")
CHECK = dg.AssetCheckKey(bronze_key("acme"), NEWEST_FILE_IS_FRESH)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a directory, in which a file of acme has landed."""
    land(tmp_path, "1")
    return parse_settings({"TARGET_DIR": str(tmp_path / "gata-data"), "QUALITY_FRESH_HOURS": "24"})


def land(directory: Path, ticket_id: str) -> None:
    (directory / "t.jsonl").write_text(f'{{"id": {ticket_id}, "created_at": "2026-01-01T00:00:00Z"}}\n')
    assert gata(directory, "ingest", TICKETS, "t.jsonl", "--tenant", "acme").returncode == 0


def test_the_sensor_reports_what_changes_and_the_age_again_after_an_hour(settings: Settings, tmp_path: Path) -> None:
    landed_at = present = datetime.now(UTC)
    assets = {tenant: bronze_key(tenant) for tenant in TENANTS}
    sensor = build_freshness_sensor("fresh", TICKETS, assets, DAY, clock=lambda: present)

    with dg.DagsterInstance.ephemeral() as instance:

        def tick() -> tuple[dict[str, bool], str]:
            """The outcomes that are new, by tenant, and what is said."""
            resources = {"object_store": build_store(settings)}
            with dg.build_sensor_context(instance, resources=resources) as context:
                found = sensor.evaluate_tick(context)
            for event in found.asset_events:
                instance.report_runless_asset_event(event)
            evaluations = [event for event in found.asset_events if isinstance(event, dg.AssetCheckEvaluation)]
            return {one.asset_key.path[0]: one.passed for one in evaluations}, found.skip_message or ""

        new, said = tick()
        assert new == {"acme": True, "globex": False}
        assert "0.0 hours ago (QUALITY_FRESH_HOURS=24)" in said
        assert "globex: No file that could be read has landed" in said
        for after, expected in ((HOUR / 2, {}), (2 * HOUR, {"acme": True}), (25 * HOUR, {"acme": False})):
            present = landed_at + after
            new, said = tick()
            assert new == expected, after
        assert "25.0 hours ago (QUALITY_FRESH_HOURS=24). Is the export still sent?" in said
        land(tmp_path, "2")
        present = datetime.now(UTC)
        assert tick()[0] == {"acme": True}


def test_a_lake_that_cannot_be_read_is_said_and_stops_no_other(settings: Settings, tmp_path: Path) -> None:
    [report] = (tmp_path / "gata-data" / "acme" / "reports" / TICKETS).glob("*.json")
    report.write_text("{")
    sensor = build_freshness_sensor("fresh", TICKETS, {tenant: bronze_key(tenant) for tenant in TENANTS}, DAY)
    resources = {"object_store": build_store(settings)}
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance, resources=resources) as context,
    ):
        found = sensor.evaluate_tick(context)
    assert [event.asset_key.path[0] for event in found.asset_events if event.asset_key] == ["globex"]
    assert report.name in (found.skip_message or "")


def test_a_run_evaluates_it_and_the_setting_reaches_both(settings: Settings, tmp_path: Path) -> None:
    hours = {"TARGET_DIR": str(tmp_path / "gata-data"), "QUALITY_FRESH_HOURS": "0.0000001"}
    for given, is_fresh in ((settings, True), (parse_settings(hours), False)):
        definitions = build_definitions(given)
        with dg.DagsterInstance.ephemeral() as instance:
            range_of = {"start": "2026-01-01", "end": "2026-01-02"}
            tags = {f"dagster/asset_partition_range_{end}": day for end, day in range_of.items()}
            run = definitions.resolve_job_def(CURATE_TICKETS).execute_in_process(tags=tags, instance=instance)
            [evaluation] = [
                found for found in run.get_asset_check_evaluations() if found.check_name == NEWEST_FILE_IS_FRESH
            ]
            assert (run.success, evaluation.passed, evaluation.asset_check_key) == (True, is_fresh, CHECK)
            assert evaluation.severity is dg.AssetCheckSeverity.WARN
            assert (evaluation.target_materialization_data is not None, evaluation.partition) == (True, None)
            resources = {"object_store": build_store(settings)}
            with dg.build_sensor_context(instance, definitions=definitions, resources=resources) as context:
                found = definitions.resolve_sensor_def(STALE_LAKES_SENSOR).evaluate_tick(context)
        # The UI shows it already.
        assert list(found.asset_events) == []
        assert ("Is the export still sent?" in (found.skip_message or "")) is not is_fresh
