"""A run over a range of batches: one read, each batch by itself.

Real: Dagster's runs, events and checks, SQLite, PostgreSQL behind the Data API, files, and a killed process. What
reads are asked for is recorded by a source of the tests.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.batches import batches_between, parse_batch_id
from gata_assets.definitions import build_definitions
from gata_assets.orchestration.failures import read_failures
from gata_assets.orchestration.jobs import RUN_CONFIG
from gata_assets.settings.model import parse_settings, variable_names
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.storage.s3 import S3StoreResource
from gata_assets.ticket_contract.source import TicketSource
from gata_assets.tickets.assets.io_managers import ParquetIOManager
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS
from gata_assets_tests.conftest import SourceOf, sqlite_of
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import instance_of
from gata_assets_tests.support.dagster_private import stale_status
from gata_assets_tests.support.fakes import RecordingTickets, StoreThatBreaks, TicketsOfAnotherTime
from gata_assets_tests.support.pipelines import ticket_plan
from gata_assets_tests.support.scenario import BATCH_ID, FALLBACK_LABEL, TRAINING_WINDOW, database_rows, world

ROOT = Path(__file__).parents[3]
ASSETS = ("tickets", "label_counts", "general_split", "low_volume_tickets", "low_volume_split")
SETTINGS = {"LOW_VOLUME_THRESHOLD": "0.1", "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL)}
LAST = "2026010305"
BATCHES = [batch.batch_id for batch in batches_between(parse_batch_id(BATCH_ID), parse_batch_id(LAST))]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that is gone afterwards."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def run_range(
    instance: dg.DagsterInstance,
    source: TicketSource,
    store: ObjectStore,
    first: str = BATCH_ID,
    last: str = LAST,
    *,
    selection: list[str] | None = None,
    **settings: str,
) -> dg.ExecuteInProcessResult:
    definitions = build_definitions(parse_settings({**SETTINGS, **settings}), ticket_source=source, object_store=store)
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    return definitions.resolve_job_def(PREPARE_TICKETS).execute_in_process(
        run_config=RUN_CONFIG,
        instance=instance,
        tags=tags,
        raise_on_error=False,
        asset_selection=None if selection is None else [dg.AssetKey(name) for name in selection],
    )


def content_of(directory: str | Path) -> dict[str, str]:
    """Every file below a directory, by its path there, as its SHA-256."""
    root = Path(directory)
    files = [path for path in root.rglob("*") if path.is_file() and ".staging" not in path.parts]
    return {str(path.relative_to(root)): sha256(path.read_bytes()).hexdigest() for path in files}


def one_by_one(
    source: TicketSource, store: LocalStoreResource, batch_ids: list[str], **settings: str
) -> dict[str, str]:
    """What the target holds after a run for each batch."""
    for batch_id in batch_ids:
        with dg.DagsterInstance.ephemeral() as instance:
            assert run_range(instance, source, store, batch_id, batch_id, **settings).success
    return content_of(store.directory)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        pytest.param({"SPLIT_METHOD": "sklearn"}, marks=pytest.mark.soak),
        pytest.param({"LOW_VOLUME_PERIOD": "90"}, marks=pytest.mark.soak),
    ],
    ids=str,
)
@pytest.mark.slow
def test_a_range_gives_byte_for_byte_what_its_batches_give_one_by_one(
    settings: dict[str, str], source_of: SourceOf, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    source = source_of(database_rows(world()))
    alone = LocalStoreResource(directory=str(tmp_path / "alone"))
    together = LocalStoreResource(directory=str(tmp_path / "together"))
    asked = BATCHES[::7]
    expected = one_by_one(source, alone, asked, **settings)
    assert run_range(instance, source, together, BACKFILL_CHUNK="10", **settings).success
    found = content_of(together.directory)
    assert len(found) > len(BATCHES) * 7
    assert {path: found[path] for path in expected} == expected
    assert len(set(found.values())) > len(BATCHES), "the batches must differ for this to mean anything"


@pytest.mark.parametrize("settings", [{}, {"LOW_VOLUME_MIN_COUNT": "15"}], ids=["relabelled", "removed"])
@pytest.mark.slow
def test_assets_of_a_range_are_the_same_built_apart_or_together(
    settings: dict[str, str], tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    source = sqlite_of(tmp_path, world())
    together, apart = (LocalStoreResource(directory=str(tmp_path / name)) for name in ("together", "apart"))
    assert run_range(instance, source, together, last="2026010208", **settings).success
    for name in ASSETS:
        assert run_range(instance, source, apart, last="2026010208", selection=[name], **settings).success
    assert content_of(apart.directory) == content_of(together.directory)


def test_a_range_goes_to_s3_as_to_files_and_is_found_there(
    tmp_path: Path, bucket: str, instance: dg.DagsterInstance
) -> None:
    source = sqlite_of(tmp_path, world())
    files, s3 = LocalStoreResource(directory=str(tmp_path / "files")), S3StoreResource(bucket=bucket, s3=S3Resource())
    asked = BATCHES[:4]
    for store in (files, s3):
        assert ticket_plan(store, asked).due == tuple(asked)
        assert run_range(instance, source, store, last=asked[-1]).success
        assert ticket_plan(store, asked).complete == tuple(asked)
    for path, digest in content_of(files.directory).items():
        assert sha256(s3.read(path)).hexdigest() == digest


@pytest.mark.slow
def test_each_ticket_of_a_chunk_is_read_once(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    embedded = sqlite_of(tmp_path, world())
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    assert run_range(instance, RecordingTickets(path=embedded.path), store).success
    training, *older = Path(f"{embedded.path}.reads").read_text().splitlines()
    # From the first batch's start to the end of the last one's; then what lies before, label by label.
    assert training == "[2025-10-04 03:00, 2026-01-03 00:00) UTC None"
    assert {line.split(" UTC ")[0] for line in older} == {"[2025-01-02 03:00, 2025-10-04 03:00)"}
    labels = [
        label
        for line in older
        for label in json.loads(line.split(" UTC ")[1].strip("()").join("[]").replace(",]", "]"))
    ]
    assert sorted(labels) == [201, 202, 203, 204]


@pytest.mark.slow
def test_a_batch_with_invalid_data_fails_alone_and_the_run_names_it(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    # Closed at 05:30 on the windows' first day: in the window of the batches of 03, 04 and 05 o'clock only.
    bad = {"label": 101, "text": canary("a text").upper(), "closed": TRAINING_WINDOW.start + 9_000}
    source = sqlite_of(tmp_path, [*world(), bad])
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    result = run_range(instance, source, store)
    assert not result.success
    [failed] = result.filter_events(lambda event: event.is_step_failure)
    failures = read_failures(failed, BATCH_ID)
    bad_batches = ["2026010203", "2026010204", "2026010205"]
    assert [failure.batch_id for failure in failures] == bad_batches
    assert {(failure.asset, failure.checks) for failure in failures} == {("tickets", ("tickets_are_valid",))}
    said = str(failed.step_failure_data.user_failure_data)
    assert "3 of 27 batches failed: batch 2026010203: tickets breaks 1 rule" in said
    assert canary("a text") not in said.lower()
    others = [batch_id for batch_id in BATCHES if batch_id not in bad_batches]
    for name in ASSETS:
        assert instance.get_materialized_partitions(dg.AssetKey(name)) == set(others)
    clean = LocalStoreResource(directory=str(tmp_path / "clean"))
    # Batches after these count the ticket among those of other labels.
    good = sqlite_of(tmp_path, [*world(), {**bad, "text": "a valid text"}])
    with dg.DagsterInstance.ephemeral() as another:
        assert run_range(another, good, clean, others[0]).success
    assert content_of(store.directory) == content_of(clean.directory)


def test_rows_of_another_time_are_neither_trained_on_nor_dropped(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    late = {"label": 101, "text": "late", "closed": TRAINING_WINDOW.end + 100_000}
    source = TicketsOfAnotherTime(path=sqlite_of(tmp_path, [*world(), late]).path)
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    for last, checks, reason in (
        (BATCH_ID, ("tickets_are_valid", "every_ticket_is_accounted_for"), "closed closed_inside_the_window: 1 of"),
        (LAST, (), "The source returned 1 of"),
    ):
        result = run_range(instance, source, store, last=last)
        [failed] = result.filter_events(lambda event: event.is_step_failure)
        [failure] = read_failures(failed, BATCH_ID)
        assert (failure.asset, failure.checks) == ("tickets", checks)
        assert reason in failure.reason
    assert not Path(store.directory).exists()


def test_a_batch_without_tickets_fails_alone(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    # A window of a day and less: that of the second day's first batches holds the one day that has tickets.
    day = TRAINING_WINDOW.end
    rows = [{"label": 101 + n % 2, "text": f"case {n}", "closed": day + 60 * n} for n in range(60)]
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    periods = {"TRAINING_PERIOD": "1", "LOW_VOLUME_PERIOD": "1"}
    source = sqlite_of(tmp_path, rows)
    result = run_range(instance, source, store, "2026010222", "2026010300", **periods)
    [failed] = result.filter_events(lambda event: event.is_step_failure)
    failures = read_failures(failed, BATCH_ID)
    assert [(one.batch_id, one.would_fail_all) for one in failures] == [("2026010222", False), ("2026010223", False)]
    assert instance.get_materialized_partitions(dg.AssetKey("general_split")) == {"2026010300"}


def test_a_stored_table_is_checked_again_and_a_damaged_one_is_its_batch_s_alone(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    source = sqlite_of(tmp_path, world())
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    assert run_range(instance, source, store, last="2026010205").success
    tables = ParquetIOManager(store=store)
    spoilt = tables.read("2026010204", "low_volume_tickets")
    spoilt["text"] = spoilt["text"].str.upper()
    tables.write("2026010204", "low_volume_tickets", spoilt)
    store.write("intermediate/low_volume_tickets/2026010205.parquet", b"PAR1 and no more")
    result = run_range(instance, source, store, last="2026010205", selection=["low_volume_split"])
    [failed] = result.filter_events(lambda event: event.is_step_failure)
    failures = read_failures(failed, BATCH_ID)
    assert [(one.batch_id, one.checks, one.would_fail_all) for one in failures] == [
        ("2026010204", ("training_rows_are_valid",), False),
        ("2026010205", (), False),
    ]


@pytest.mark.slow
def test_each_batch_of_a_range_has_its_own_checks_and_none_stays_planned(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    result = run_range(instance, sqlite_of(tmp_path, world()), store)
    counted = Counter((one.asset_key.path[-1], one.partition) for one in result.get_asset_check_evaluations())
    expected = dict(zip(ASSETS, (3, 2, 7, 2, 7), strict=True))
    assert counted == {(name, batch_id): checks for name, checks in expected.items() for batch_id in BATCHES}
    job = build_definitions(parse_settings(SETTINGS)).resolve_job_def(PREPARE_TICKETS)
    graph = job.asset_layer.asset_graph
    assert len(graph.asset_check_keys) == 21
    for key in graph.asset_check_keys:
        records = instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
        assert {(record.partition, record.status.value) for record in records} == {(b, "SUCCEEDED") for b in BATCHES}
        shown = instance.event_log_storage.get_asset_check_partition_info([key])
        assert {one.partition_key for one in shown if one.is_current} == set(BATCHES)


def test_materializations_carry_versions_and_numbers(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    result = run_range(instance, sqlite_of(tmp_path, world()), store, last="2026010204")
    made = [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]
    assert len(made) == 10
    by_asset = {(one.asset_key.path[-1], one.partition): one for one in made}
    tickets, split = by_asset["tickets", BATCH_ID], by_asset["general_split", BATCH_ID]
    path = Path(store.directory, "intermediate", "tickets", f"{BATCH_ID}.parquet")
    assert tickets.tags and split.tags
    assert tickets.tags["dagster/data_version"] == sha256(path.read_bytes()).hexdigest()
    assert split.tags["dagster/input_data_version/tickets"] == tickets.tags["dagster/data_version"]
    assert split.tags["dagster/code_version"]
    for one in made:
        assert {"seconds_making", "seconds_writing"} <= set(one.metadata)
    assert "seconds_reading" in tickets.metadata
    # Of the versions that are there now, so that the UI does not call it out of date.
    assert (
        stale_status(instance, build_definitions(parse_settings(SETTINGS)), dg.AssetKey("general_split"), BATCH_ID)
        == "FRESH"
    )
    changed = sqlite_of(tmp_path, [*world(), {"closed": TRAINING_WINDOW.end - 5}])
    assert run_range(instance, changed, store, last=BATCH_ID, selection=["tickets"]).success
    assert (
        stale_status(instance, build_definitions(parse_settings(SETTINGS)), dg.AssetKey("general_split"), BATCH_ID)
        == "STALE"
    )


def test_a_target_that_breaks_stops_the_run_after_complete_batches(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    store = StoreThatBreaks(directory=str(tmp_path / "target"), breaks_at=24)
    result = run_range(instance, sqlite_of(tmp_path, world()), store)
    assert not result.success
    [failed] = result.filter_events(lambda event: event.is_step_failure)
    [failure] = read_failures(failed, BATCH_ID)
    assert (failure.batch_id, failure.reason) == ("2026010205", "the store broke")
    prepared = instance.get_materialized_partitions(dg.AssetKey("low_volume_split"))
    assert prepared == {"2026010203", "2026010204"}
    assert "1 of 27 batches failed, 24 were not tried: batch 2026010205: the store broke" in str(
        failed.step_failure_data.user_failure_data
    )


def test_a_backfill_policy_is_one_run_or_a_run_per_chunk() -> None:
    def policies(**settings: str) -> set[int | None]:
        definitions = build_definitions(parse_settings(settings))
        nodes = definitions.resolve_asset_graph().asset_nodes
        partitioned = (node for node in nodes if node.partitions_def)
        return {node.backfill_policy.max_partitions_per_run for node in partitioned if node.backfill_policy}

    assert policies() == {None}
    assert policies(BACKFILL_POLICY="run-per-chunk", BACKFILL_CHUNK="24") == {24}


def test_an_own_asset_reads_a_table_and_needs_another_run_over_a_range(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    source = sqlite_of(tmp_path, world())
    ours = build_definitions(parse_settings(SETTINGS), ticket_source=source, object_store=store)
    partitions = ours.resolve_asset_graph().get(dg.AssetKey("tickets")).partitions_def

    @dg.asset(partitions_def=partitions)
    def tickets_read_again(tickets) -> dg.MaterializeResult:  # type: ignore[no-untyped-def, type-arg]
        return dg.MaterializeResult(metadata={"read": len(tickets)})

    merged = dg.Definitions.merge(ours, dg.Definitions(assets=[tickets_read_again]))
    both = [dg.AssetKey("tickets"), dg.AssetKey("tickets_read_again")]
    job = merged.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(partition_key=BATCH_ID, instance=instance, asset_selection=both)
    events = [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]
    made = {one.asset_key.path[-1]: one for one in events}
    assert made["tickets_read_again"].metadata["read"].value == made["tickets"].metadata["tickets"].value

    tags = {"dagster/asset_partition_range_start": BATCH_ID, "dagster/asset_partition_range_end": "2026010204"}
    result = job.execute_in_process(instance=instance, asset_selection=both, tags=tags, raise_on_error=False)
    assert not result.success
    [failed] = result.filter_events(lambda event: event.is_step_failure)
    assert "tickets_read_again: built from assets of this run, which is over a range" in str(
        failed.step_failure_data.user_failure_data
    )


def environment(directory: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {*variable_names(), "GATA_ENV_FILE"}}
    home = directory / "home"
    home.mkdir(exist_ok=True)
    shutil.copy(ROOT / "dagster.yaml", home / "dagster.yaml")
    return {
        **kept,
        **SETTINGS,
        "TICKETS_URL": f"sqlite:///{directory / 'tickets.sqlite'}",
        "TARGET_DIR": str(directory / "target"),
        "DAGSTER_HOME": str(home),
        **more,
    }


@pytest.mark.process
@pytest.mark.parametrize(
    "kept", [2, *(pytest.param(number, marks=pytest.mark.soak) for number in (1, 3, 5, 8, 13, 20))]
)
def test_a_killed_backfill_loses_at_most_the_batch_being_written(kept: int, tmp_path: Path) -> None:
    """Killed as soon as so many batches are written."""
    source = sqlite_of(tmp_path, world())
    variables = environment(tmp_path)
    command = [sys.executable, "-m", "gata_assets", "backfill", BATCH_ID, LAST]
    target = tmp_path / "target"
    process = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 300
        while len(list(target.glob("training/gata-low-vol/*/manifest.json"))) < kept:
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()

    def whole(dataset: str) -> set[str]:
        found = set()
        for path in target.glob(f"training/{dataset}/*/manifest.json"):
            manifest = json.loads(path.read_text())
            if manifest["reason"].startswith("withdrawn"):
                continue
            for name, file in manifest["files"].items():
                assert sha256((path.parent / name).read_bytes()).hexdigest() == file["sha256"]
            found.add(path.parent.name)
        return found

    written = whole("gata-low-vol")
    # The last of the manifests may be a claim.
    assert kept - 1 <= len(written) < len(BATCHES)
    assert len(whole("gata-general") - written) <= 1
    with instance_of(Path(variables["DAGSTER_HOME"])) as instance:
        recorded = instance.get_materialized_partitions(dg.AssetKey("low_volume_split"))
    assert recorded <= written
    assert len(written - recorded) <= 1

    ran = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr[-2_000:]
    assert f"{len(written)} are complete in the target, {len(BATCHES) - len(recorded)} to prepare" in ran.stdout
    with instance_of(Path(variables["DAGSTER_HOME"])) as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("low_volume_split")) == set(BATCHES)
    undisturbed = LocalStoreResource(directory=str(tmp_path / "undisturbed"))
    with dg.DagsterInstance.ephemeral() as ephemeral:
        assert run_range(ephemeral, source, undisturbed).success
    assert content_of(target) == content_of(undisturbed.directory)


@pytest.mark.process
def test_dagster_asset_materialize_takes_a_range(tmp_path: Path) -> None:
    sqlite_of(tmp_path, world())
    command = ["asset", "materialize", "-m", "gata_assets.definitions", "--select", "*"]
    ran = subprocess.run(
        [sys.executable, "-m", "dagster", *command, "--partition-range", f"{BATCH_ID}...2026010206"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    manifests = {path.parent.name for path in (tmp_path / "target").glob("training/gata-general/*/manifest.json")}
    assert manifests == {"2026010203", "2026010204", "2026010205", "2026010206"}
