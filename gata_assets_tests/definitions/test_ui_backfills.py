"""Backfills as the UI asks for them: chunks become runs, each partition has its checks, and a bad batch fails alone.

Real: Dagster's webserver and daemon as processes with the project's dagster.yaml and workspace.yaml, their GraphQL, the
runs that they start, and a SQLite store. Nothing is faked. The daemon looks for backfills every 30 s and this is not
to be set, so both are asked for before it starts: its first look starts them, and its second finds them done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gata_assets.batches import batches_between, parse_batch_id
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.dagster_servers import WORKSPACE, answers, ask, home_in, running, wait_until
from gata_assets_tests.support.loopback import free_port
from gata_assets_tests.support.scenario import FALLBACK_LABEL, database_rows, instant, world

pytestmark = [pytest.mark.process, pytest.mark.server]

CHECKS = {"tickets": 3, "label_counts": 2, "general_split": 7, "low_volume_tickets": 2, "low_volume_split": 7}
BAD, GOOD_ONES_BESIDE = "2026010200", ["2026010201", "2026010202", "2026010203", "2026010204", "2026010205"]
WITH_A_BAD_ONE = [BAD, *GOOD_ONES_BESIDE]
GOOD = [batch.batch_id for batch in batches_between(parse_batch_id("2026010206"), parse_batch_id("2026010211"))]
# In the first hour of the window of the bad batch, so in no later one's; of a label that no older window is read for.
SPOILED = {"label": 101, "text": canary("a text").upper(), "closed": instant("2025-10-04T00:10")}


@dataclass(frozen=True)
class Backfills:
    """A UI that was asked for two backfills, and a daemon that carries them out."""

    url: str
    target: Path
    good: str
    with_a_bad_one: str

    def wait_for(self, backfill: str) -> dict[str, Any]:
        """What its page shows when it is over."""
        shown: dict[str, Any] = {}

        def is_over() -> bool:
            query = """query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
                status runs(limit: 10) { id status tags { key value } }
                assetBackfillData { assetBackfillStatuses { ... on AssetPartitionsStatusCounts {
                    assetKey { path } numPartitionsMaterialized numPartitionsFailed } } } } } }"""
            shown.update(ask(self.url, query, id=backfill)["partitionBackfillOrError"])
            return str(shown["status"]).startswith("COMPLETED")

        wait_until(is_over, f"the backfill {backfill} to end")
        return shown

    def partitions(self, asset: str) -> dict[str, str]:
        """The status of each partition of an asset that has one, as its page shows it."""
        return _by_partition(self._node(asset)["assetPartitionStatuses"])

    def checks(self, asset: str) -> dict[str, dict[str | None, str]]:
        """How each check of batches was evaluated last, by partition, as its page lists it."""
        query = """query($key: AssetKeyInput!, $name: String!) { assetCheckExecutions(
            assetKey: $key, checkName: $name, limit: 100) { status evaluation { partition } } }"""
        found: dict[str, dict[str | None, str]] = {}
        for check in self._node(asset)["assetChecksOrError"]["checks"]:
            listed = ask(self.url, query, key={"path": [asset]}, name=check["name"])["assetCheckExecutions"]
            evaluated = [one for one in reversed(listed) if one["evaluation"]]
            if evaluated:
                found[check["name"]] = {one["evaluation"]["partition"]: one["status"] for one in evaluated}
        return found

    def _node(self, asset: str) -> Any:
        query = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
            assetPartitionStatuses { ... on TimePartitionStatuses { ranges { startKey endKey status } } }
            assetChecksOrError { ... on AssetChecks { checks { name } } } } } }"""
        return ask(self.url, query, key={"path": [asset]})["assetNodeOrError"]

    def failures(self, run_id: str) -> list[dict[str, Any]]:
        """What the page of a failed run lists at the failed step."""
        query = """query($id: ID!) { runOrError(runId: $id) { ... on Run { eventConnection { events {
            ... on ExecutionStepFailureEvent { failureMetadata { metadataEntries {
                label ... on JsonMetadataEntry { jsonString } } } } } } } } }"""
        events = ask(self.url, query, id=run_id)["runOrError"]["eventConnection"]["events"]
        [failed] = [event["failureMetadata"]["metadataEntries"] for event in events if event.get("failureMetadata")]
        [listed] = [json.loads(entry["jsonString"]) for entry in failed if entry["label"] == "failures"]
        return list(listed)


def _by_partition(statuses: Any) -> dict[str, str]:
    return {
        batch.batch_id: one["status"]
        for one in statuses["ranges"]
        for batch in batches_between(parse_batch_id(one["startKey"]), parse_batch_id(one["endKey"]))
    }


def _ask_for(url: str, batch_ids: list[str]) -> str:
    query = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
        __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
    params = {"partitionNames": batch_ids, "assetSelection": [{"path": [asset]} for asset in CHECKS]}
    answer = ask(url, query, params=params)["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer
    return str(answer["backfillId"])


@pytest.fixture(scope="module")
def backfills(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfills]:
    """Two backfills of six batches each, in chunks of four: all good, and one with a bad batch."""
    place = tmp_path_factory.mktemp("backfills")
    create_sqlite(place / "tickets.sqlite", database_rows([*world(), SPOILED]))
    environment = {
        **home_in(place),
        "TICKETS_URL": f"sqlite:///{place / 'tickets.sqlite'}",
        "TARGET_DIR": str(place / "target"),
        "LOW_VOLUME_THRESHOLD": "0.1",
        "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL),
        "BACKFILL_POLICY": "run-per-chunk",
        "BACKFILL_CHUNK": "4",
    }
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    webserver = ["dagster_webserver", "-h", "127.0.0.1", "-p", str(port), *WORKSPACE]
    with running(webserver, place, environment) as server:
        wait_until(lambda: server.poll() is not None or answers(port), f"the webserver to answer (see {place})")
        assert server.poll() is None, f"the webserver ended with {server.returncode}: see {place}"
        asked = [_ask_for(url, GOOD), _ask_for(url, WITH_A_BAD_ONE)]
        with running(["dagster._daemon", "run", *WORKSPACE], place, environment):
            yield Backfills(url, place / "target", *asked)


def test_a_backfill_is_one_run_a_chunk_and_each_partition_has_its_checks(backfills: Backfills) -> None:
    ended = backfills.wait_for(backfills.good)
    assert ended["status"] == "COMPLETED_SUCCESS"
    assert [run["status"] for run in ended["runs"]] == ["SUCCESS", "SUCCESS"]
    assert sorted(_range(run) for run in ended["runs"]) == [(GOOD[0], GOOD[3]), (GOOD[4], GOOD[5])]
    for asset, count in CHECKS.items():
        materialized = backfills.partitions(asset)
        assert {one: materialized.get(one) for one in GOOD} == dict.fromkeys(GOOD, "MATERIALIZED")
        checks = backfills.checks(asset)
        assert len(checks) == count
        for statuses in checks.values():
            assert {one: statuses.get(one) for one in GOOD} == dict.fromkeys(GOOD, "SUCCEEDED")
    for dataset in ("gata-general", "gata-low-vol"):
        for batch_id in GOOD:
            path = backfills.target / "training" / dataset / batch_id / "manifest.json"
            assert json.loads(path.read_text())["batch_id"] == batch_id


def test_a_bad_batch_fails_alone_and_is_named(backfills: Backfills) -> None:
    ended = backfills.wait_for(backfills.with_a_bad_one)
    assert ended["status"] == "COMPLETED_FAILED"
    by_range = {_range(run): run for run in ended["runs"]}
    failed, other = by_range[BAD, GOOD_ONES_BESIDE[2]], by_range[GOOD_ONES_BESIDE[3], GOOD_ONES_BESIDE[4]]
    assert (len(by_range), failed["status"], other["status"]) == (2, "FAILURE", "SUCCESS")
    [failure] = backfills.failures(failed["id"])
    assert (failure["batch_id"], failure["asset"], failure["checks"]) == (BAD, "tickets", ["tickets_are_valid"])
    assert "1 of " in failure["reason"] and canary("a text") not in failure["reason"].lower()
    counted = ended["assetBackfillData"]["assetBackfillStatuses"]
    assert {one["assetKey"]["path"][-1] for one in counted} == set(CHECKS)
    assert {(one["numPartitionsMaterialized"], one["numPartitionsFailed"]) for one in counted} == {(5, 1)}
    expected = {BAD: "FAILED", **dict.fromkeys(GOOD_ONES_BESIDE, "MATERIALIZED")}
    for asset in CHECKS:
        partitions = backfills.partitions(asset)
        assert {one: partitions.get(one) for one in WITH_A_BAD_ONE} == expected
        for check, statuses in backfills.checks(asset).items():
            # What is built from bad tickets is not built, so its checks have nothing to say of that batch.
            of_tickets = "FAILED" if check == "tickets_are_valid" else "SUCCEEDED"
            assert statuses.get(BAD) == (of_tickets if asset == "tickets" else None)
            assert {statuses[one] for one in GOOD_ONES_BESIDE} == {"SUCCEEDED"}
    assert not list((backfills.target / "training").glob(f"*/{BAD}"))


def _range(run: dict[str, Any]) -> tuple[str, str]:
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    return tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"]
