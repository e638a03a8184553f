"""The whole graph: from a ticket table to the training files of a batch.

Real: the databases, files and S3 over HTTP, Dagster's instance and events. Stood in for: Aurora's Data API by the
project's own server; a store that refuses or breaks by `fakes`.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.definitions import build_definitions
from gata_assets.errors import ChecksFailedError
from gata_assets.orchestration.checks import require_passed
from gata_assets.settings.model import parse_settings
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.storage.s3 import S3StoreResource
from gata_assets.ticket_contract.source import TicketSource, tickets_from_arrow
from gata_assets.tickets.assets.check_names import NO_TICKET_IN_TWO_SPLITS
from gata_assets.tickets.assets.definition import TICKET_TABLE
from gata_assets.tickets.assets.io_managers import ParquetIOManager
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS
from gata_assets.tickets.checks import check_no_ticket_in_two_splits
from gata_assets.tickets.provenance import PROVENANCE
from gata_assets.tickets.sources.sqlite import SqliteTickets
from gata_assets.tickets.splitting.splits import Split, split_by_text
from gata_assets_tests.conftest import SourceOf, sqlite_of
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.fakes import RecordingTickets, StoreThatBreaks, StoreWithoutDelete, StoreWithPages
from gata_assets_tests.support.scenario import (
    BATCH_ID,
    FALLBACK_LABEL,
    OLDER_WINDOW,
    TRAINING_WINDOW,
    database_rows,
    tickets_frame,
    world,
)
from gata_assets_tests.support.stored_datasets import is_complete

ASSETS = ("tickets", "label_counts", "general_split", "low_volume_tickets", "low_volume_split")
GENERAL = f"training/gata-general/{BATCH_ID}"
LOW_VOLUME = f"training/gata-low-vol/{BATCH_ID}"
SETTINGS = {"LOW_VOLUME_THRESHOLD": "0.1", "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL)}
NOT_MADE = {"LOW_VOLUME_MIN_COUNT": "15"}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that is gone afterwards."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def store(tmp_path: Path) -> LocalStoreResource:
    """An empty local store."""
    return LocalStoreResource(directory=str(tmp_path / "target"))


@pytest.fixture
def embedded(tmp_path: Path) -> SqliteTickets:
    """The world's tickets in a SQLite file."""
    return sqlite_of(tmp_path, world())


def prepare(
    instance: dg.DagsterInstance,
    source: TicketSource,
    store: ObjectStore,
    *,
    selection: list[str] | None = None,
    **settings: str,
) -> dg.ExecuteInProcessResult:
    definitions = build_definitions(parse_settings({**SETTINGS, **settings}), ticket_source=source, object_store=store)
    job = definitions.resolve_job_def(PREPARE_TICKETS)
    assets = None if selection is None else [dg.AssetKey(name) for name in selection]
    return job.execute_in_process(
        partition_key=BATCH_ID, instance=instance, raise_on_error=False, asset_selection=assets
    )


def rows_of(store: ObjectStore, key: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store.read(key).decode().splitlines()]


def labels_of(store: ObjectStore, prefix: str) -> Counter[int]:
    channels = (f"{prefix}/train/data.json", f"{prefix}/test/data.json")
    return Counter(row["label"] for key in channels for row in rows_of(store, key))


def reasons(result: dg.ExecuteInProcessResult) -> str:
    """All that a failed run says of why."""
    events = result.filter_events(lambda event: event.is_step_failure)
    return " ".join(f"{event.step_failure_data.user_failure_data} {event.step_failure_data.error}" for event in events)


def test_a_batch_becomes_its_training_files_from_every_source(
    source_of: SourceOf, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    result = prepare(instance, source_of(database_rows(world())), store)
    assert result.success
    assert labels_of(store, GENERAL) == {101: 260, 102: 180, FALLBACK_LABEL: 33}
    assert labels_of(store, LOW_VOLUME) == {201: 20, 202: 12, 203: 12}
    for prefix in (GENERAL, LOW_VOLUME):
        assert is_complete(store, f"{prefix}/")
        rows = rows_of(store, f"{prefix}/train/data.json") + rows_of(store, f"{prefix}/test/data.json")
        assert all(row.keys() == {"text", "label"} and type(row["label"]) is int for row in rows)
    assert len(rows_of(store, f"{GENERAL}/test/data.json")) == 26 + 18 + 3


def test_a_batch_goes_from_the_data_api_to_s3(
    data_api_source: TicketSource,
    fill_postgres: Any,
    bucket: str,
    store: LocalStoreResource,
    tmp_path: Path,
    instance: dg.DagsterInstance,
) -> None:
    fill_postgres(database_rows(world()))
    s3 = S3StoreResource(bucket=bucket, s3=S3Resource())
    assert prepare(instance, data_api_source, s3).success
    assert prepare(instance, sqlite_of(tmp_path, world()), store).success
    for prefix in (GENERAL, LOW_VOLUME):
        for name in ("train/data.json", "test/data.json", "manifest.json"):
            assert s3.read(f"{prefix}/{name}") == store.read(f"{prefix}/{name}")


def test_running_a_batch_again_changes_no_byte(
    embedded: SqliteTickets, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    def everything() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in Path(store.directory).rglob("*") if path.is_file()}

    assert prepare(instance, embedded, store).success
    before = everything()
    assert prepare(instance, embedded, store).success
    assert everything() == before
    assert len(before) == 9 + 1, "and the lock"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("documented", {101: 260, 102: 180}), ("router", {101: 260, 102: 180, FALLBACK_LABEL: 33})],
)
def test_without_a_low_volume_dataset_the_batch_says_so_and_earlier_files_go(
    policy: str,
    expected: dict[int, int],
    embedded: SqliteTickets,
    store: LocalStoreResource,
    instance: dg.DagsterInstance,
) -> None:
    assert prepare(instance, embedded, store).success
    assert store.exists(f"{LOW_VOLUME}/train/data.json")
    result = prepare(instance, embedded, store, LOW_VOLUME_POLICY=policy, **NOT_MADE)
    assert result.success
    assert not store.exists(f"{LOW_VOLUME}/train/data.json")
    assert not store.exists(f"{LOW_VOLUME}/test/data.json")
    manifest = json.loads(store.read(f"{LOW_VOLUME}/manifest.json"))
    assert manifest["is_made"] is False
    assert manifest["reason"].startswith("0 of 4 low-volume labels have at least 15 tickets")
    assert labels_of(store, GENERAL) == expected
    materialized = {event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key}
    assert materialized == set(ASSETS)


def test_older_tickets_are_asked_for_by_label_and_only_where_they_are_needed(
    embedded: SqliteTickets, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    source = RecordingTickets(path=embedded.path)
    assert prepare(instance, source, store).success
    assert prepare(instance, source, store, **NOT_MADE).success
    assert Path(f"{embedded.path}.reads").read_text().splitlines() == [
        f"{TRAINING_WINDOW} None",
        f"{OLDER_WINDOW} (201, 202, 203, 204)",
        f"{TRAINING_WINDOW} None",
    ]


def test_another_seed_divides_both_datasets_otherwise_and_manifests_say_so(
    embedded: SqliteTickets, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    tests = []
    for seed in ("1", "2"):
        assert prepare(instance, embedded, store, SPLIT_SEED=seed, GATA_REVISION="abc1234").success
        tests.append({prefix: store.read(f"{prefix}/test/data.json") for prefix in (GENERAL, LOW_VOLUME)})
        for prefix in (GENERAL, LOW_VOLUME):
            assert json.loads(store.read(f"{prefix}/manifest.json"))["code_version"].endswith("+abc1234")
    assert all(tests[0][prefix] != tests[1][prefix] for prefix in (GENERAL, LOW_VOLUME))


def test_a_stored_table_that_is_damaged_is_named(
    embedded: SqliteTickets, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    assert prepare(instance, embedded, store).success
    key = f"intermediate/label_counts/{BATCH_ID}.parquet"
    for content in (store.read(key)[:100], b"", foreign_parquet()):
        store.write(key, content)
        result = prepare(instance, embedded, store, selection=["general_split"])
        assert "is not a complete table of this project: materialize `label_counts`" in reasons(result)


def foreign_parquet() -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame({"label": [1]}).to_parquet(buffer)
    return buffer.getvalue()


def test_a_router_dataset_asks_the_low_volume_model_by_label_0(
    embedded: SqliteTickets, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    assert prepare(instance, embedded, store, LOW_VOLUME_POLICY="router").success
    assert labels_of(store, GENERAL) == {101: 260, 102: 180, 0: 33}


def test_a_role_that_may_not_delete_fails_only_where_files_must_go(
    embedded: SqliteTickets, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    store = StoreWithoutDelete(directory=str(tmp_path / "target"))
    assert prepare(instance, embedded, store, **NOT_MADE).success
    assert prepare(instance, embedded, store).success
    assert is_complete(store, f"{GENERAL}/")
    assert is_complete(store, f"{LOW_VOLUME}/")
    result = prepare(instance, embedded, store, **NOT_MADE)
    assert not result.success
    for channel in ("train", "test"):
        assert f"{channel}/data.json may not be deleted: the role needs s3:DeleteObject" in reasons(result)
    assert "the workflow trains a model from it" in reasons(result)
    assert not is_complete(store, f"{LOW_VOLUME}/")


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.parametrize("is_rerun", [False, True])
@pytest.mark.slow
def test_whichever_write_breaks_a_manifest_never_describes_other_files(
    is_rerun: bool, every: int, embedded: SqliteTickets, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    for breaks_at in range(1, 40, every):
        directory = str(tmp_path / f"target {breaks_at}")
        intact = LocalStoreResource(directory=directory)
        if is_rerun:
            assert prepare(instance, embedded, intact, SPLIT_SEED="1").success
        broken = prepare(instance, embedded, StoreThatBreaks(directory=directory, breaks_at=breaks_at))
        for prefix in (GENERAL, LOW_VOLUME):
            found = find_manifest(intact, f"{prefix}/")
            assert found.manifest is None or is_complete(intact, f"{prefix}/")
            assert found.manifest is None or not found.content.count(b"withdrawn")
        assert prepare(instance, embedded, intact).success
        assert is_complete(intact, f"{GENERAL}/")
        assert is_complete(intact, f"{LOW_VOLUME}/")
        if broken.success:
            break
    # Three tables, and of two datasets the claim, two files and the manifest. Then nothing breaks.
    assert 12 <= breaks_at < 12 + every


BAD_ROWS: dict[str, tuple[dict[str, object], str]] = {
    "a label is missing": ({"label": None}, "label not_nullable: 1 of 474 rows. Fill or remove the missing values"),
    "a text has capitals": ({"text": "Zzsecretzz Person"}, "text str_matches"),
    "a label is negative": ({"label": -5}, "label greater_than_or_equal_to(0): 1 of 474 rows"),
}


@pytest.mark.parametrize("bad", BAD_ROWS)
def test_invalid_tickets_fail_the_run_by_rule_and_count_and_write_nothing(
    bad: str, tmp_path: Path, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    row, expected = BAD_ROWS[bad]
    closed = {"closed": TRAINING_WINDOW.start + 5}
    result = prepare(instance, sqlite_of(tmp_path, [*world(), {**row, **closed}]), store)
    assert not result.success
    assert "tickets breaks 1 rule, and nothing was written." in reasons(result)
    assert expected in reasons(result)
    assert not Path(store.directory).exists()
    evaluated = {one.asset_check_key: one for one in result.get_asset_check_evaluations()}
    assert len(evaluated) == len(result.get_asset_check_evaluations()) == 21
    of_tickets = {key.name: evaluated.pop(key) for key in list(evaluated) if key.asset_key.path == ["tickets"]}
    assert {check: (one.passed, one.partition) for check, one in of_tickets.items()} == {
        "tickets_are_valid": (False, BATCH_ID),
        "every_ticket_is_accounted_for": (True, BATCH_ID),
        "few_tickets_are_invalid": (True, BATCH_ID),
    }
    # What was not evaluated is a warning of its own, of the run and no batch: Dagster would show it as failed.
    assert {(one.passed, one.severity, one.partition) for one in evaluated.values()} == {
        (False, dg.AssetCheckSeverity.WARN, None)
    }
    assert {one.description for one in evaluated.values()} == {"Not evaluated: the run failed before."}


def test_invalid_older_tickets_stop_the_low_volume_dataset_alone(
    tmp_path: Path, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    old = {"label": 203, "text": "CAPITALS", "closed": TRAINING_WINDOW.start - 86_400}
    result = prepare(instance, sqlite_of(tmp_path, [*world(), old]), store)
    assert not result.success
    assert is_complete(store, f"{GENERAL}/")
    assert not store.exists(f"{LOW_VOLUME}/manifest.json")


def test_a_window_without_tickets_is_an_error_that_names_it(
    tmp_path: Path, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    source = sqlite_of(tmp_path, [{"closed": TRAINING_WINDOW.start - 86_400}])
    result = prepare(instance, source, store)
    assert not result.success
    assert "no ticket was closed in [2025-10-04 03:00, 2026-01-02 00:00) UTC" in reasons(result)
    assert "has 1 closed tickets, closed from 2025-10-03 to 2025-10-03." in reasons(result)


def test_a_window_whose_tickets_are_all_excluded_is_an_error_that_counts_them(
    tmp_path: Path, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    mapped = {"closed": TRAINING_WINDOW.start, "routed_by": "gata-mapped"}
    result = prepare(instance, sqlite_of(tmp_path, [mapped, mapped]), store)
    assert not result.success
    assert "none of the 2 tickets closed in [2025-10-04 03:00, 2026-01-02 00:00) UTC" in reasons(result)
    assert "Excluded: 2 routed_by_mapping." in reasons(result)


def test_times_in_milliseconds_are_named_and_not_taken_for_an_empty_window(
    tmp_path: Path, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    result = prepare(instance, sqlite_of(tmp_path, [{"closed": TRAINING_WINDOW.start * 1_000}]), store)
    assert not result.success
    assert "closed looks like milliseconds in 1 rows. Whole seconds since 1970 (UTC) are needed" in reasons(result)


@pytest.mark.parametrize(
    ("asset", "settings", "why"),
    [
        ("general_split", {"TRAINING_PERIOD": "30"}, "tickets: the stored table was built with TRAINING_PERIOD=90"),
        (
            "general_split",
            {"LOW_VOLUME_THRESHOLD": "0.2"},
            "label_counts: the stored table was built with LOW_VOL",
        ),
        ("low_volume_split", NOT_MADE, "low_volume_tickets: the stored table was built with LOW_VOLUME_MIN_COUNT=10"),
        ("low_volume_split", {"LOW_VOLUME_PERIOD": "200"}, "built with LOW_VOLUME_PERIOD=365, and this run has 200"),
    ],
)
def test_an_asset_refuses_tables_that_were_built_with_other_settings(
    asset: str,
    settings: dict[str, str],
    why: str,
    embedded: SqliteTickets,
    store: LocalStoreResource,
    instance: dg.DagsterInstance,
) -> None:
    assert prepare(instance, embedded, store).success
    before = store.read(f"{GENERAL}/manifest.json")
    result = prepare(instance, embedded, store, selection=[asset], **settings)
    assert not result.success
    assert why in reasons(result)
    assert store.read(f"{GENERAL}/manifest.json") == before


def test_an_asset_refuses_a_table_that_was_built_from_another(
    embedded: SqliteTickets, tmp_path: Path, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    assert prepare(instance, embedded, store).success
    assert prepare(instance, embedded, store, selection=["general_split"]).success
    changed = sqlite_of(tmp_path, [*world(), {"label": 101, "closed": TRAINING_WINDOW.start + 5}])
    assert prepare(instance, changed, store, selection=["tickets"]).success
    result = prepare(instance, changed, store, selection=["general_split"])
    assert "label_counts: the stored table was built from another `tickets`" in reasons(result)
    assert prepare(instance, changed, store, selection=["label_counts"]).success
    result = prepare(instance, changed, store, selection=["low_volume_split"])
    assert "low_volume_tickets: the stored table was built from another `label_counts`" in reasons(result)


def test_no_text_and_no_secret_reaches_events_metadata_or_logs(
    tmp_path: Path, store: LocalStoreResource, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = canary("a text")
    good = [{**row, "text": f"{row['text']} {secret}"} for row in world()]
    bad = {"text": f"{secret} CAPITALS", "closed": TRAINING_WINDOW.start + 5}
    with dg.DagsterInstance.ephemeral() as instance:
        for rows, succeeds in ((good, True), ([*good, bad], False)):
            result = prepare(instance, sqlite_of(tmp_path, rows), store, LOG_LEVEL="DEBUG")
            assert result.success is succeeds
        events = [record for run in instance.get_runs() for record in instance.all_logs(run.run_id)]
    assert len(events) > 60
    shown = "".join(str(event) for event in events)
    captured = capfd.readouterr()
    assert "STEP_START" in captured.err
    assert secret not in shown + captured.out + captured.err


def test_every_check_is_recorded_for_its_batch(
    embedded: SqliteTickets, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    result = prepare(instance, embedded, store)
    evaluations = result.get_asset_check_evaluations()
    assert all(evaluation.passed and evaluation.partition == BATCH_ID for evaluation in evaluations)
    recorded = Counter(evaluation.asset_key.path[-1] for evaluation in evaluations)
    assert recorded == {
        "tickets": 3,
        "label_counts": 2,
        "general_split": 7,
        "low_volume_tickets": 2,
        "low_volume_split": 7,
    }


def test_a_split_that_lost_a_ticket_is_not_written() -> None:
    tickets = tickets_frame([(n % 2, f"text {n}") for n in range(60)])
    split = split_by_text(tickets, seed=1)
    lossy = Split(split.train.iloc[1:], split.test)
    outcomes = {NO_TICKET_IN_TWO_SPLITS: check_no_ticket_in_two_splits(lossy, len(tickets))}
    with pytest.raises(ChecksFailedError, match="no ticket is lost or added: 1 of 60 rows") as caught:
        require_passed("general_split", outcomes)
    assert caught.value.checks == (NO_TICKET_IN_TWO_SPLITS,)


def test_the_sklearn_method_reports_leaking_texts_and_goes_on(
    tmp_path: Path, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    rows = [{**row, "text": "the same for all"} if row["label"] == 101 else row for row in world()]
    result = prepare(instance, sqlite_of(tmp_path, rows), store, SPLIT_METHOD="sklearn")
    assert result.success
    failed = {e.check_name: e.severity for e in result.get_asset_check_evaluations() if not e.passed}
    assert failed["no_text_in_two_splits"] is dg.AssetCheckSeverity.WARN


def test_an_output_shows_counts_path_and_a_chart_of_its_labels(
    embedded: SqliteTickets, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    result = prepare(instance, embedded, store)
    for event in result.get_asset_materialization_events():
        metadata = event.step_materialization_data.materialization.metadata
        assert metadata["dagster/row_count"].value
        assert re.search(r"^\d+ +█+", str(metadata["label_distribution"].value), re.MULTILINE)
        assert "preview" not in metadata
        assert str(store.directory) in str((metadata.get("path") or metadata["manifest"]).value)


def test_the_page_of_a_dataset_shows_as_many_rows_as_are_allowed(
    tmp_path: Path, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    rows = world()
    result = prepare(instance, sqlite_of(tmp_path, rows), store, PREVIEW_ROWS="2")
    shown = {
        event.asset_key.path[-1]: str(preview.value).splitlines()
        for event in result.get_asset_materialization_events()
        if event.asset_key
        and (preview := event.step_materialization_data.materialization.metadata.get("preview")) is not None
    }
    assert {asset: len(lines) for asset, lines in shown.items()} == {"general_split": 4, "low_volume_split": 4}
    texts = {str(row["text"]) for row in rows}
    for header, _, *lines in shown.values():
        assert header == "| `text` | `label` |"
        assert all(line.split("`")[1] in texts for line in lines)


def test_an_output_links_to_its_manifest_where_a_browser_can_show_it(
    tmp_path: Path, embedded: SqliteTickets, instance: dg.DagsterInstance
) -> None:
    result = prepare(instance, embedded, StoreWithPages(directory=str(tmp_path / "target")))
    links = {
        event.asset_key.path[-1]: [
            value.url
            for value in event.step_materialization_data.materialization.metadata.values()
            if isinstance(value, dg.UrlMetadataValue)
        ]
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    assert links["general_split"] == [f"https://pages.example/training/gata-general/{BATCH_ID}/manifest.json"]
    assert links["tickets"] == [f"https://pages.example/intermediate/tickets/{BATCH_ID}.parquet"]


def test_every_asset_is_described_with_columns_and_checks() -> None:
    definitions = build_definitions(parse_settings({"TICKETS_URL": "sqlite:///none.sqlite", **SETTINGS}))
    dg.Definitions.validate_loadable(definitions)
    graph = definitions.resolve_asset_graph()
    # A tenant may begin with single events, of people who ask to be erased.
    others = {"events_in_raw_files", "erased_people"}
    assert {key.path[-1] for key in graph.get_all_asset_keys()} == {*ASSETS, TICKET_TABLE, *others}
    for node in (graph.get(dg.AssetKey(asset)) for asset in ASSETS):
        assert node.description
        assert node.group_name == "tickets"
        assert node.metadata["dagster/column_schema"].schema.columns
        assert node.check_keys
        assert node.partitions_def
    parents = {node.key.path[-1]: {key.path[-1] for key in node.parent_keys} for node in graph.asset_nodes}
    assert parents[TICKET_TABLE] == set()
    assert parents["tickets"] == {TICKET_TABLE}
    assert parents["low_volume_tickets"] == {TICKET_TABLE, "tickets", "label_counts"}
    assert parents["low_volume_split"] == {"low_volume_tickets", "label_counts"}


@pytest.mark.process
def test_dagster_asset_materialize_runs_one_partition(embedded: SqliteTickets, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        **os.environ,
        **SETTINGS,
        "TICKETS_URL": f"sqlite:///{embedded.path}",
        "TARGET_DIR": str(tmp_path / "target"),
        "DAGSTER_HOME": str(home),
    }
    command = ["asset", "materialize", "-m", "gata_assets.definitions", "--select", "*", "--partition", BATCH_ID]
    ran = subprocess.run(
        [sys.executable, "-m", "dagster", *command], env=environment, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    assert is_complete(LocalStoreResource(directory=str(tmp_path / "target")), f"{GENERAL}/")


def test_intermediate_tables_keep_their_types(
    embedded: SqliteTickets, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    assert prepare(instance, embedded, store).success
    tickets = ParquetIOManager(store=store).read(BATCH_ID, "tickets")
    assert {name: str(dtype) for name, dtype in tickets.dtypes.items()} == {
        "id": "Int64",
        "closed": "Int64",
        "label": "Int64",
        "text": "string",
    }


def test_a_table_is_the_same_file_however_it_was_read(tmp_path: Path) -> None:
    rows = tickets_frame([(n % 7, f"text {n} of many " * 12) for n in range(9_000)])
    arrow = pa.Table.from_pandas(rows, preserve_index=False)
    pieces = [arrow.slice(start, 700) for start in range(0, len(arrow), 700)]
    in_pieces = pa.concat_tables([piece.take(list(range(len(piece)))) for piece in pieces])
    part_of_more = pa.concat_tables([arrow.slice(0, 333), arrow, arrow.slice(5)]).slice(333, len(arrow))
    written = set()
    for number, table in enumerate((arrow, in_pieces, part_of_more)):
        frame = tickets_from_arrow(table)
        frame.attrs = {PROVENANCE: {}}
        tables = ParquetIOManager(store=LocalStoreResource(directory=str(tmp_path / str(number))))
        written.add(tables.write(BATCH_ID, "tickets", frame).sha256)
    assert len(written) == 1
