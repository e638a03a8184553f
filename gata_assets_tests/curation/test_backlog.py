"""What waits, as the sensor sees it every minute: new and changed files, at the cost of listings alone.

Real: validation, reports, the sensor and its requests; a directory and S3 over HTTP on loopback. Faked: a directory
that counts what is read of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from gata_assets.curation.backlog import Backlog, find_waiting
from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.requests import request_curation
from gata_assets.definitions import build_definitions
from gata_assets.interactions.assets.jobs import CURATE_INTERACTIONS, build_new_files_sensor
from gata_assets.interactions.tables import INTERACTIONS, TABLES
from gata_assets.settings.model import parse_settings
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.curation.test_changed_files import FULL, MARKED, forget_content, half
from gata_assets_tests.curation.test_report_store import CountingReads
from gata_assets_tests.curation.test_requests import NO_DAYS, SETTINGS
from gata_assets_tests.support.raw_worlds import curator_of, encode, interaction

PLACES = TenantLayout("acme")
KEY = "acme/raw/interactions/2026-01-09/by hand.csv"


def key_of(number: int) -> str:
    return KEY.replace("by hand", f"{number}")


def fill(store: ObjectStore, files: int) -> None:
    for number in range(files):
        store.write(key_of(number), encode([interaction(user_id=f"u{number}")], "csv"))
    curator_of(store).validate_new(INTERACTIONS)


def test_a_file_waits_until_it_is_validated_and_again_when_it_changes(any_store: ObjectStore) -> None:
    backlog = Backlog()

    def waiting() -> dict[str, str]:
        backlog.begin()
        found = backlog.find_waiting(PLACES, any_store, TABLES)
        assert sorted(found) == sorted(find_waiting(PLACES, any_store, TABLES)), "as one that remembers nothing"
        return dict(found)

    any_store.write(KEY, half(FULL))
    assert waiting() == {KEY: any_store.delivered_version(KEY)}
    curator_of(any_store).validate_new(INTERACTIONS)
    assert waiting() == {}
    any_store.write(KEY, FULL)
    assert waiting() == {KEY: any_store.delivered_version(KEY)}
    curator_of(any_store).validate_new(INTERACTIONS)
    assert waiting() == {}
    [report] = curator_of(any_store).reports(INTERACTIONS)
    forget_content(any_store, report)
    assert [*waiting()] == [KEY], "the release before did not say what it has read"
    curator_of(any_store).validate_new(INTERACTIONS)
    assert waiting() == {}
    any_store.write(MARKED, FULL)
    for report in curator_of(any_store).validate_new(INTERACTIONS):
        forget_content(any_store, report)
    assert waiting() == {}, "nobody overwrites what `gata ingest` landed"


def test_a_report_is_read_once_for_each_of_its_versions_and_no_raw_file_is(tmp_path: Path) -> None:
    store, backlog = CountingReads(str(tmp_path)), Backlog()
    fill(store, 5)
    for _ in range(3):
        store.reads.clear()
        backlog.begin()
        assert backlog.find_waiting(PLACES, store, TABLES) == {}
    assert store.reads == {}
    store.write(key_of(3), FULL)
    curator_of(store).validate_new(INTERACTIONS)
    store.reads.clear()
    for _ in range(3):
        assert backlog.find_waiting(PLACES, store, TABLES) == {}
    assert [(name.rpartition("/")[2][:13], times) for name, times in store.reads.items()] == [("2026-01-09-3-", 1)]


def test_a_tick_reads_so_many_reports_and_the_next_one_goes_on(tmp_path: Path) -> None:
    store, backlog = CountingReads(str(tmp_path)), Backlog(most_reads=2)
    fill(store, 5)
    store.write(key_of(4), FULL)
    reads, found = [], []
    for _ in range(4):
        store.reads.clear()
        backlog.begin()
        found.append([*backlog.find_waiting(PLACES, store, TABLES)])
        reads.append(store.reads.total())
    assert reads == [2, 2, 1, 0]
    assert found == [[], [], [key_of(4)], [key_of(4)]], "a report that is not read yet counts as up to date"
    store.write(key_of(5), FULL)
    backlog.begin()
    assert [*backlog.find_waiting(PLACES, store, TABLES)] == [key_of(4), key_of(5)]


def test_a_report_that_is_damaged_or_removed_is_none_of_the_sensors_business(tmp_path: Path) -> None:
    store, backlog = CountingReads(str(tmp_path)), Backlog()
    fill(store, 2)
    [first, second] = store.list_keys("acme/reports/")
    store.write(first, b"{}")
    assert backlog.find_waiting(PLACES, store, TABLES) == {}
    store.delete(second)
    assert [*backlog.find_waiting(PLACES, store, TABLES)] == [key_of(1)]


def test_the_same_files_of_other_versions_are_the_same_request_with_other_versions() -> None:
    day = datetime(2026, 1, 5, tzinfo=UTC).date()
    requests = [request_curation("acme", {"caf\udce9.csv": version}, [], day)[0] for version in ("1", "2", "1")]
    assert len({request.key for request in requests}) == 1
    assert len({request.versions for request in requests}) == 2


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that is gone afterwards."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_the_sensor_asks_again_for_a_file_that_was_overwritten(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    settings = parse_settings(SETTINGS | {"TENANTS": "acme"})
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    definitions = build_definitions(settings, object_store=store)
    days = definitions.resolve_assets_def(dg.AssetKey(["acme", "curated_interactions"])).partitions_def or NO_DAYS
    sensor = build_new_files_sensor(["acme"], days, settings.interactions.curation_rules, window_days=3)

    def tick() -> list[dg.RunRequest]:
        with dg.build_sensor_context(
            instance=instance, definitions=definitions, resources={"object_store": store}
        ) as context:
            return list(sensor.evaluate_tick(context).run_requests or [])

    def run(request: dg.RunRequest) -> None:
        job = definitions.resolve_job_def(CURATE_INTERACTIONS)
        ended = job.execute_in_process(
            instance=instance, tags=request.tags, asset_selection=list(request.asset_selection or ())
        )
        assert ended.success

    key = f"acme/raw/interactions/{datetime.now(UTC).date()}/a.csv"
    asked = []
    for content in (half(FULL), FULL):
        store.write(key, content)
        [request] = tick()
        assert request.tags["gata/reason"].startswith("1 new files")
        asked.append(request.run_key)
        run(request)
        assert tick() == []
    assert len(set(asked)) == 2
    [report] = curator_of(store).reports(INTERACTIONS)
    assert report.valid == 9
