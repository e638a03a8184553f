"""The lake in Dagster and in `gata prepare`: raw pages to bronze, offline tickets, training files and Redis.

Real: generated pages of a helpdesk's export, definitions and runs, a directory, the commands in process, and a Redis.
Nothing is faked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from gata_assets.cli.exit_codes import DONE
from gata_assets.definitions import build_definitions
from gata_assets.definitions.lake import CURATE_TICKETS, PUBLISH_TICKETS, RAW_TICKETS_SENSOR, open_lake_curator
from gata_assets.definitions.messages import build_decoder, build_judge
from gata_assets.definitions.stores import build_store
from gata_assets.errors import OnlineError, OutrunError
from gata_assets.ingestion.kafka.consuming.message import KafkaMessage
from gata_assets.ingestion.segments.event import Event
from gata_assets.ingestion.segments.rejected import RejectedMessage
from gata_assets.ingestion.upkeep.definition import EVENTS_SENSOR
from gata_assets.interactions.assets.jobs import NEW_FILES_SENSOR
from gata_assets.lake.assets import Publish, build_online_asset, offline_key, online_key
from gata_assets.lake.online.updating import PublishedSlice
from gata_assets.lake.tables import TICKETS
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.jobs import batch_partitions, day_partitions
from gata_assets.sandbox.lake.pages import export_pages
from gata_assets.sandbox.lake.stories import LakeParameters, Ticket, all_versions
from gata_assets.settings.model import Settings, parse_settings
from gata_assets.settings.tenants import lakes_prepared, tenants_prepared
from gata_assets_tests.support.command import environment, gata
from gata_assets_tests.support.redis_servers import RedisServer

TENANT, BATCH, LANDED = "acme", "2026021500", "2026-02-01"
PARAMETERS = LakeParameters(tickets=300, days=20, sentences=3)
KEY = "a-key-of-32-characters-for-tests"


def land(directory: Path, parameters: LakeParameters = PARAMETERS, tenant: str = TENANT) -> None:
    folder = directory / tenant / "raw" / TICKETS / LANDED
    folder.mkdir(parents=True, exist_ok=True)
    for number, page in enumerate(export_pages(parameters, 400)):
        (folder / f"page-{number}.json").write_bytes(page)


def variables_of(directory: Path, **more: str) -> dict[str, str]:
    given = {"TARGET_DIR": str(directory), "TICKETS_URL": f"lake://{TENANT}", "LOW_VOLUME_FALLBACK_LABEL": "360001"}
    return given | {"FIRST_BATCH_ID": "2026010100", **more}


def settings_of(directory: Path, **more: str) -> Settings:
    return parse_settings(variables_of(directory, **more))


def newest_of(parameters: LakeParameters = PARAMETERS) -> dict[int, Ticket]:
    """The newest version of each ticket that is not deleted, in plain Python."""
    newest: dict[int, Ticket] = {}
    for version in all_versions(parameters):
        held = newest.get(version["id"])
        if held is None or version["generated_timestamp"] >= held["generated_timestamp"]:
            newest[version["id"]] = version
    return {ticket_id: ticket for ticket_id, ticket in newest.items() if ticket["status"] != "deleted"}


def curate(settings: Settings, instance: dg.DagsterInstance | None = None) -> dg.ExecuteInProcessResult:
    job = build_definitions(settings).resolve_job_def(CURATE_TICKETS)
    return job.execute_in_process(partition_key=LANDED, instance=instance)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("lake")
    land(directory)
    return directory


@pytest.fixture(scope="module")
def run(lake: Path) -> dg.ExecuteInProcessResult:
    return curate(settings_of(lake))


def test_a_run_records_bronze_by_landing_day_and_offline_tickets_by_day(run: dg.ExecuteInProcessResult) -> None:
    events = run.get_asset_materialization_events()
    found: dict[str, dict[str | None, Any]] = {}
    for event in events:
        made = event.step_materialization_data.materialization
        numbers = {name: value.value for name, value in made.metadata.items()}
        found.setdefault(made.asset_key.to_user_string(), {})[made.partition] = numbers
    assert set(found) == {f"{TENANT}/bronze_tickets", f"{TENANT}/offline_tickets"}
    bronze, offline = found[f"{TENANT}/bronze_tickets"], found[f"{TENANT}/offline_tickets"]
    assert set(bronze) == {LANDED}
    versions = [*all_versions(PARAMETERS)]
    assert bronze[LANDED]["files"] >= 2
    assert (bronze[LANDED]["quarantined_rows"], bronze[LANDED]["refused_files"]) == (0, 0)
    days = {date.fromisoformat(version["created_at"][:10]).isoformat() for version in versions}
    assert set(offline) - {LANDED} == days
    assert sum(day["dagster/row_count"] for day in offline.values()) == len(versions)
    assert bronze[LANDED]["dagster/row_count"] == len(versions) + sum(day["duplicates"] for day in offline.values())
    tickets = sum(day["tickets"] for day in offline.values())
    deleted = sum(day["deleted_tickets"] for day in offline.values())
    assert (tickets, tickets - deleted) == (PARAMETERS.tickets, len(newest_of()))


def test_a_run_evaluates_freshness_completeness_uniqueness_order_validity_and_quality(
    run: dg.ExecuteInProcessResult,
) -> None:
    evaluated = {(found.asset_key.path[-1], found.check_name) for found in run.get_asset_check_evaluations()}
    assert evaluated == {
        ("offline_tickets", "curated_tickets_are_valid"),
        ("offline_tickets", "no_row_is_lost"),
        ("offline_tickets", "each_version_is_there_once"),
        ("offline_tickets", "versions_are_in_order"),
        ("offline_tickets", "quality_is_high_enough"),
        ("bronze_tickets", "every_raw_file_was_read"),
        ("bronze_tickets", "few_rows_were_rejected"),
        ("bronze_tickets", "newest_file_is_fresh"),
    }
    failed = [found for found in run.get_asset_check_evaluations() if not found.passed]
    # The folder of the files says that they landed long ago.
    assert {found.check_name for found in failed} - {"quality_is_high_enough"} == {"newest_file_is_fresh"}


def test_the_lineage_goes_from_raw_files_to_training_data(lake: Path) -> None:
    graph = build_definitions(settings_of(lake, REDIS_URL="redis://127.0.0.1:1")).resolve_asset_graph()
    parents = {
        key.to_user_string(): {up.to_user_string() for up in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert parents[f"{TENANT}/bronze_tickets"] == {f"{TENANT}/raw_tickets"}
    assert parents[f"{TENANT}/offline_tickets"] == {f"{TENANT}/bronze_tickets"}
    assert parents[f"{TENANT}/online_tickets"] == {f"{TENANT}/offline_tickets"}
    assert parents["tickets"] == {f"{TENANT}/offline_tickets"}
    assert "ticket_table" not in parents
    names = {"/".join(key.path) for key in graph.get_all_asset_keys()}
    assert not {name for name in names if "interactions" in name or ("training" in name and TENANT in name)}


def test_days_by_other_rules_are_stale_and_no_manifest_has_the_key(tmp_path: Path) -> None:
    land(tmp_path, LakeParameters(tickets=20, days=3, sentences=1))
    settings = settings_of(tmp_path, LAKE_MASKING_KEY=KEY)
    assert curate(settings).success
    store = build_store(settings)

    def stale(**more: str) -> int:
        return len(open_lake_curator(settings_of(tmp_path, **more), TENANT, store).stale(TICKETS))

    assert stale(LAKE_MASKING_KEY=KEY) == 0
    days = stale()
    assert days > 0
    assert stale(LAKE_MASKING_KEY=KEY[::-1]) == days
    assert stale(LAKE_MASKING_KEY=KEY, LAKE_PEOPLE="left-out") == days
    assert stale(LAKE_MASKING_KEY=KEY, SLA_TARGETS="urgent=60/480") == days
    assert stale(LAKE_MASKING_KEY=KEY, LAKE_LANGUAGE="yes") == days
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert curate(settings_of(tmp_path, LAKE_PEOPLE="left-out")).success
    assert stale(LAKE_PEOPLE="left-out", LAKE_MASKING_KEY=KEY) == 0


def test_the_sensor_asks_for_raw_files_and_then_for_nothing(tmp_path: Path) -> None:
    land(tmp_path, LakeParameters(tickets=20, days=3, sentences=1))
    definitions = build_definitions(settings_of(tmp_path))
    sensor = definitions.resolve_sensor_def(RAW_TICKETS_SENSOR)
    with dg.DagsterInstance.ephemeral() as instance:
        resources = {"object_store": build_store(settings_of(tmp_path))}
        context = dg.build_sensor_context(instance, definitions=definitions, resources=resources)
        (request,) = sensor.evaluate_tick(context).run_requests or ()
        assert set(request.asset_selection or ()) == {offline_key(TENANT), dg.AssetKey([TENANT, "bronze_tickets"])}
        assert curate(settings_of(tmp_path), instance).success
        again = dg.build_sensor_context(instance, definitions=definitions, resources=resources)
        land(tmp_path, LakeParameters(tickets=5, days=1, sentences=1), "globex")
        ticked = sensor.evaluate_tick(again)
        assert not ticked.run_requests
        assert "globex has files and no assets" in (ticked.skip_message or "")


def test_lakes_are_those_of_a_setting_or_found_and_need_no_interactions(tmp_path: Path) -> None:
    land(tmp_path, LakeParameters(tickets=5, days=1, sentences=1), "globex")
    file = tmp_path / "both" / "raw" / "items" / "items.csv"
    file.parent.mkdir(parents=True)
    file.write_text("item_id\n1\n")
    land(tmp_path, LakeParameters(tickets=5, days=1, sentences=1), "both")

    def found(**variables: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        settings = parse_settings({"TARGET_DIR": str(tmp_path), **variables})
        store = build_store(settings)
        return lakes_prepared(settings, store), tenants_prepared(settings, store)

    lake = {"TICKETS_URL": "lake://acme", "LOW_VOLUME_FALLBACK_LABEL": "1"}
    assert found() == (("both", "globex"), ("both",))
    # Who has tickets alone is no tenant of interactions, unless nothing else is prepared of it.
    assert found(TENANTS="globex,both,new") == (("globex", "both"), ("both", "new"))
    assert found(TENANTS="globex", LAKE_TENANTS="none") == ((), ("globex",))
    assert found(TENANTS="none") == ((), ())
    assert found(LAKE_TENANTS="none") == ((), ("both",))
    assert found(LAKE_TENANTS="new") == (("new",), ("both",))
    assert found(LAKE_TENANTS="none", **lake) == (("acme",), ("both",))


def test_a_named_tenant_with_tickets_alone_has_no_assets_of_interactions_until_they_come(tmp_path: Path) -> None:
    land(tmp_path, LakeParameters(tickets=5, days=1, sentences=1))
    settings = parse_settings({"TARGET_DIR": str(tmp_path), "TENANTS": TENANT})

    def assets() -> set[str]:
        keys = build_definitions(settings).resolve_asset_graph().get_all_asset_keys()
        return {key.path[1] for key in keys if key.path[0] == TENANT}

    assert assets() == {"raw_tickets", "bronze_tickets", "offline_tickets"}
    file = tmp_path / TENANT / "raw" / "items" / "items.csv"
    file.parent.mkdir(parents=True)
    file.write_text("item_id\n1\n")
    assert assets() > {"raw_tickets", "bronze_tickets", "offline_tickets", "raw_items", "curated_items"}


def land_file(directory: Path, table: str, tenant: str) -> None:
    file = directory / tenant / "raw" / table / "file.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("{}")


def said_by(sensor: str, definitions: dg.Definitions, settings: Settings, capsys: pytest.CaptureFixture[str]) -> str:
    """What a tick of a sensor logs."""
    with dg.DagsterInstance.ephemeral() as instance:
        resources = {"object_store": build_store(settings)}
        context = dg.build_sensor_context(instance, definitions=definitions, resources=resources)
        definitions.resolve_sensor_def(sensor).evaluate_tick(context)
    return capsys.readouterr().err


@pytest.mark.parametrize(("first", "then"), [("items", TICKETS), (TICKETS, "items")])
def test_files_that_a_named_tenant_has_no_assets_for_are_reported_by_the_sensor_that_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], first: str, then: str
) -> None:
    land_file(tmp_path, first, TENANT)
    settings = parse_settings({"TARGET_DIR": str(tmp_path), "TENANTS": TENANT})
    definitions = build_definitions(settings)
    land_file(tmp_path, then, TENANT)
    land_file(tmp_path, then, "stranger")
    said = said_by({"items": NEW_FILES_SENSOR, TICKETS: RAW_TICKETS_SENSOR}[first], definitions, settings, capsys)
    assert f"{TENANT} has files and no assets" in said
    assert "stranger" not in said


def test_where_both_sensors_are_each_reports_new_tenants_of_its_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for table in ("items", TICKETS):
        land_file(tmp_path, table, "both")
    settings = parse_settings({"TARGET_DIR": str(tmp_path)})
    definitions = build_definitions(settings)
    land_file(tmp_path, TICKETS, "globex")
    land_file(tmp_path, "items", "initech")
    assert "initech has files" in said_by(NEW_FILES_SENSOR, definitions, settings, capsys)
    assert "globex has files" in said_by(RAW_TICKETS_SENSOR, definitions, settings, capsys)


def test_events_and_messages_of_a_lake_are_taken_where_nobody_else_is_a_tenant(tmp_path: Path) -> None:
    given = {"TARGET_DIR": str(tmp_path), "TENANTS": "none", "LAKE_TENANTS": TENANT, "KAFKA_TOPICS": f"raw={TICKETS}"}
    settings = parse_settings(given)
    definitions = build_definitions(settings)
    assert EVENTS_SENSOR in {one.name for one in definitions.sensors or ()}
    judge = build_judge(settings, build_store(settings), build_decoder(settings))
    ticket, now = b'{"id": 1, "created_at": "2026-01-01T00:00:00Z"}', datetime.now(UTC)
    found = [judge.judge("raw", 0, KafkaMessage(0, key, ticket, (), now)) for key in (TENANT.encode(), b"globex")]
    assert isinstance(found[0], Event) and (found[0].tenant, found[0].table) == (TENANT, TICKETS)
    assert isinstance(found[1], RejectedMessage) and found[1].reason == "unknown_tenant"
    (tmp_path / "t.jsonl").write_bytes(ticket)
    (tmp_path / "i.csv").write_text("item_id,title,price\n1,A,2\n")
    for table, file, is_warned in ((TICKETS, "t.jsonl", False), ("items", "i.csv", True)):
        ran = gata(tmp_path, "ingest", table, file, "--tenant", TENANT, **given)
        assert (ran.returncode, "TENANTS does not name" in ran.stderr) == (0, is_warned), ran.stderr


def test_prepare_goes_from_raw_pages_to_training_files_and_redis(tmp_path: Path, valkey: RedisServer) -> None:
    land(tmp_path)
    variables = variables_of(tmp_path, REDIS_URL=valkey.url, ONLINE_LIMIT="50", ONLINE_STATUSES="open,pending,solved")
    ran = gata(tmp_path, "prepare", BATCH, **variables)
    assert ran.returncode == DONE, ran.stdout + ran.stderr
    summary = json.loads(ran.stdout.splitlines()[-1])
    rows = {output["asset"]: output["row_count"] for output in summary["written"]}
    newest = newest_of()
    in_slice = [ticket for ticket in newest.values() if ticket["status"] in {"open", "pending", "solved"}]
    assert rows[f"{TENANT}/online_tickets"] == min(50, len(in_slice))
    assert rows["tickets"] > 0
    verified = gata(tmp_path, "online", "verify", "--tenant", TENANT, "--json", **variables)
    assert verified.returncode == DONE, verified.stdout + verified.stderr
    assert json.loads(verified.stdout)["expected"] == min(50, len(in_slice))
    again = json.loads(gata(tmp_path, "prepare", BATCH, **variables).stdout.splitlines()[-1])
    assert again["event"] == "BATCH_PREPARED"
    assert f"{TENANT}/offline_tickets" not in {output["asset"] for output in again["written"]}


def test_published_tickets_are_the_newest_and_their_checks_pass(
    lake: Path, run: dg.ExecuteInProcessResult, valkey: RedisServer
) -> None:
    assert run.success
    settings = settings_of(lake, REDIS_URL=valkey.url, ONLINE_LIMIT="40")
    done = build_definitions(settings).resolve_job_def(PUBLISH_TICKETS).execute_in_process(partition_key=BATCH)
    (event,) = done.get_asset_materialization_events()
    assert (event.asset_key, event.partition) == (online_key(TENANT), BATCH)
    # Else the UI shows it as out of date, for a new dependency.
    made_from = event.step_materialization_data.materialization.tags or {}
    assert made_from[f"dagster/input_data_version/{TENANT}/offline_tickets"] == "NULL"
    assert {found.check_name: found.passed for found in done.get_asset_check_evaluations()} == {
        "redis_has_the_tickets_of_the_lake": True,
        "published_tickets_are_fresh": True,
        "published_tickets_are_in_order": True,
    }
    listed = gata(lake, "online", "list", "--tenant", TENANT, "--limit", "100", REDIS_URL=valkey.url).stdout
    ids = [json.loads(line)["id"] for line in listed.splitlines()[:-1]]
    expected = sorted(
        newest_of().values(), key=lambda found: (found["generated_timestamp"], str(found["id"])), reverse=True
    )
    assert ids == [ticket["id"] for ticket in expected[:40]]
    (shown,) = gata(
        lake, "online", "get", str(ids[0]), "--tenant", TENANT, "--json", REDIS_URL=valkey.url
    ).stdout.splitlines()
    assert json.loads(shown)["ticket"]["version_at"].endswith("Z")


@pytest.mark.process
def test_definitions_of_a_lake_load_no_compiled_kernel_and_no_client(tmp_path: Path) -> None:
    land(tmp_path, LakeParameters(tickets=5, days=1, sentences=1))
    code = "import sys; from gata_assets.definitions import defs; defs(); print({'numba', 'redis'} & {*sys.modules})"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment(**variables_of(tmp_path, REDIS_URL="redis://127.0.0.1:1"))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.stdout.strip() == "set()", ran.stderr


class TestFailedPublish:
    """The slice's asset with publishers that fail, which are injected."""

    def run(self, publish: Publish) -> dg.ExecuteInProcessResult:
        options = AssetOptions(batch_partitions("2026010100"), "1", dg.BackfillPolicy.single_run())
        retries = dg.RetryPolicy(max_retries=2)
        store = dg.ResourceDefinition.hardcoded_resource(None)
        definitions = dg.Definitions(
            assets=[build_online_asset(TENANT, publish, day_partitions(date(2026, 1, 1)), options, retries=retries)],
            jobs=[dg.define_asset_job("publish", dg.AssetSelection.all())],
            resources={"object_store": store},
        )
        job = definitions.resolve_job_def("publish")
        return job.execute_in_process(partition_key=BATCH, raise_on_error=False)

    def failing(self, error: Exception, times: int) -> tuple[list[str], Publish]:
        attempts: list[str] = []

        def publish(_: object, tenant: str) -> PublishedSlice:
            attempts.append(tenant)
            if len(attempts) <= times:
                raise error
            return PublishedSlice({"dagster/row_count": 3}, {}, "digest")

        return attempts, publish

    def test_an_error_that_may_pass_is_tried_again(self) -> None:
        attempts, publish = self.failing(OnlineError("Redis is away.", is_transient=True), 2)
        ran = self.run(publish)
        assert (ran.success, len(attempts), len(ran.get_asset_materialization_events())) == (True, 3, 1)

    def test_an_error_that_stays_fails_at_once(self) -> None:
        attempts, publish = self.failing(OnlineError("Redis refuses."), 1)
        ran = self.run(publish)
        assert (ran.success, len(attempts)) == (False, 1)

    def test_a_faster_publisher_leaves_nothing_to_do(self) -> None:
        attempts, publish = self.failing(OutrunError("A newer version is published."), 9)
        ran = self.run(publish)
        assert (ran.success, len(attempts), ran.get_asset_materialization_events()) == (True, 1, [])
