"""When curation is asked for: the decision, and the sensor that makes it.

Real: the sensor and its run requests, runs of what it asks for, a local store, the clock of the machine. Stood in for:
a store that cannot be listed, by `fakes`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from gata_assets.batches import day_ranges, days_of, from_day_on
from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.landing import Landing
from gata_assets.curation.requests import AskedRun, CurationRequest, RunState, ask_again, request_curation
from gata_assets.definitions import build_definitions
from gata_assets.interactions.assets.jobs import CURATE_INTERACTIONS, NEW_FILES_SENSOR, build_new_files_sensor
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.interactions.windows import interaction_windows
from gata_assets.settings.model import parse_settings
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.support.dagster_private import SensorExecutionData
from gata_assets_tests.support.fakes import StoreThatIsNotListed
from gata_assets_tests.support.scenario import BATCH_ID

SETTINGS = {
    "TICKETS_URL": "sqlite:///tickets.sqlite",
    "LOW_VOLUME_FALLBACK_LABEL": "9000",
    "TENANTS": "acme,globex",
    "INTERACTION_PERIOD": "3",
}
NO_DAYS = dg.StaticPartitionsDefinition([])
FIRST, SECOND, FIFTH = date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 5)
NOW = datetime(2026, 1, 2, 3, tzinfo=UTC)
CSV = b"user_id,item_id,interaction_type,timestamp\nu1,i1,click,2026-01-01T00:00:00Z\n"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that is gone afterwards."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def store(tmp_path: Path) -> LocalStoreResource:
    """An empty local store."""
    return LocalStoreResource(directory=str(tmp_path / "target"))


def tick(
    instance: dg.DagsterInstance, store: LocalStoreResource, *, later: timedelta = timedelta()
) -> tuple[list[dg.RunRequest], str | None]:
    """What the sensor asks for so much later, and why it asks for nothing."""
    result = look(instance, store, later=later)
    return list(result.run_requests or []), result.skip_message


def look(
    instance: dg.DagsterInstance,
    store: LocalStoreResource,
    *,
    later: timedelta = timedelta(),
    cursor: str | None = None,
) -> SensorExecutionData:
    """All that a tick gives, so much later and with the cursor of an earlier one."""
    settings = parse_settings(SETTINGS)
    definitions = build_definitions(settings, object_store=store)
    sensor = build_new_files_sensor(
        settings.interactions.tenants or (),
        definitions.resolve_assets_def(dg.AssetKey(["acme", "curated_interactions"])).partitions_def or NO_DAYS,
        settings.interactions.curation_rules,
        window_days=settings.interactions.rules.seen_period_days,
        clock=lambda: datetime.now(UTC) + later,
    )
    with dg.build_sensor_context(
        instance=instance, definitions=definitions, resources={"object_store": store}, cursor=cursor
    ) as context:
        return sensor.evaluate_tick(context)


def run(
    instance: dg.DagsterInstance,
    store: LocalStoreResource,
    requests: Sequence[dg.RunRequest],
    *,
    has_success: bool = True,
) -> None:
    """What Dagster's daemon does with what is asked for."""
    job = build_definitions(parse_settings(SETTINGS), object_store=store).resolve_job_def(CURATE_INTERACTIONS)
    for request in requests:
        selection = list(request.asset_selection or ())
        ended = job.execute_in_process(
            instance=instance, tags=request.tags, asset_selection=selection, raise_on_error=False
        )
        assert ended.success is has_success


def test_stretches_are_asked_for_one_by_one_and_files_alone_for_the_present_day() -> None:
    asked = request_curation("acme", {"b": "1", "a": "1"}, [FIRST, SECOND, FIFTH], FIFTH)
    assert [(one.first, one.last) for one in asked] == [(FIRST, SECOND), (FIFTH, FIFTH)]
    assert [(one.first, one.last) for one in request_curation("acme", {"a": "1"}, [], FIFTH)] == [(FIFTH, FIFTH)]
    assert request_curation("acme", {}, [], FIFTH) == []
    assert asked[0].reason == "2 new files; no curated table from 2026-01-01 to 2026-01-02"


def test_the_key_is_that_of_the_files_and_the_days_in_any_order() -> None:
    def key(waiting: list[str], missing: list[date], tenant: str = "acme") -> str:
        return request_curation(tenant, dict.fromkeys(waiting, "1"), missing, FIFTH)[0].key

    assert key(["a", "b"], [FIRST]) == key(["b", "a"], [FIRST])
    keys = [key(["a"], [FIRST]), key(["a", "b"], [FIRST]), key(["a"], [FIRST, SECOND]), key(["a"], [SECOND])]
    assert len({*keys, key(["a"], [FIRST], "globex")}) == 5


def test_a_version_is_not_in_the_key_nor_are_parts_of_files_that_change() -> None:
    def request(version: str, listing: str) -> CurationRequest:
        [found] = request_curation("acme", {"a": version}, [], FIFTH, stale=[FIRST], listing=listing)
        return found

    found = [request("1", "x"), request("2", "x"), request("1", "y")]
    assert len({one.key for one in found}) == 1
    assert len({one.versions for one in found}) == 3
    without = [request_curation("acme", {}, [], FIFTH, stale=[FIRST], listing=listing)[0].key for listing in "xy"]
    assert len(set(without)) == 2


def test_days_of_windows_are_those_that_they_touch() -> None:
    settings = parse_settings(SETTINGS)
    windows = interaction_windows(BATCH_ID, settings.interactions.rules)
    assert str(windows.window) == "[2025-12-30 03:00, 2026-01-02 03:00) UTC"
    assert days_of(windows.window) == [date(2025, 12, 30), date(2025, 12, 31), FIRST, SECOND]
    midnight = interaction_windows("2026010200", settings.interactions.rules).window
    assert days_of(midnight) == [date(2025, 12, 30), date(2025, 12, 31), FIRST]
    assert days_of(from_day_on(windows.window, SECOND)) == [SECOND]
    assert days_of(from_day_on(windows.window, FIFTH)) == []
    assert day_ranges([FIFTH, FIRST, SECOND, FIRST]) == [(FIRST, SECOND), (FIFTH, FIFTH)]


def test_what_is_asked_for_is_asked_no_more_when_it_was_run(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    present = datetime.now(UTC).date()
    store.write(f"acme/raw/interactions/{present}/a.csv", CSV)
    requests, _ = tick(instance, store)
    assert [
        (one.tags["gata/reason"].split(";")[0], one.asset_selection[0].path[0])
        for one in requests
        if one.asset_selection
    ] == [
        ("1 new files", "acme"),
        (f"no curated table from {present - timedelta(days=3)} to {present}", "globex"),
    ]
    assert [one.run_key for one in requests] == [one.run_key for one in tick(instance, store)[0]]
    run(instance, store, requests)
    assert tick(instance, store) == ([], "No file waits, and no day is missing or stale.")
    days = instance.get_materialized_partitions(dg.AssetKey(["acme", "curated_interactions"]))
    assert {"2026-01-01", str(present)} <= days, "the day that the file touches, and those of the window"

    store.write(f"acme/raw/items/{present}/items.csv", b"item_id,title\ni1,one\n")
    requests, _ = tick(instance, store)
    assert [(one.tags["dagster/asset_partition_range_start"], one.tags["gata/reason"]) for one in requests] == [
        (str(present), "1 new files")
    ]
    run(instance, store, requests)
    assert tick(instance, store)[0] == []
    assert store.exists("acme/curated/items/manifest.json")


def test_a_tenant_that_cannot_be_looked_at_is_said_and_stops_no_other(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    store = StoreThatIsNotListed(directory=str(tmp_path / "target"), prefix="acme/")
    requests, _ = tick(instance, store)
    assert {key.path[0] for one in requests for key in one.asset_selection or ()} == {"globex"}
    run(instance, store, requests)
    assert tick(instance, store) == ([], "acme: the folder cannot be listed")


def test_days_of_a_file_that_was_sorted_by_the_command_are_asked_for_each_time(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    run(instance, store, tick(instance, store)[0])
    curator = Curator(store, "acme", parse_settings(SETTINGS).interactions.curation_rules, datetime.now(UTC))
    keys = []
    for number in range(2):
        content = CSV.replace(b"u1", f"u{number}".encode())
        store.write(f"acme/raw/interactions/2026-01-09/late-{number}.csv", content)
        curator.validate_new(INTERACTIONS)
        requests, _ = tick(instance, store)
        assert [(one.tags["dagster/asset_partition_range_start"], one.tags["gata/reason"]) for one in requests] == [
            ("2026-01-01", "1 days of other rows than are curated")
        ]
        keys += [one.run_key for one in requests]
        run(instance, store, requests)
        assert tick(instance, store)[0] == []
    assert len(set(keys)) == 2, "a run key is asked for once"


def test_days_of_a_file_that_counts_again_are_asked_for_within_the_hour(
    instance: dg.DagsterInstance, store: LocalStoreResource, tmp_path: Path
) -> None:
    curator = Curator(store, "acme", parse_settings(SETTINGS).interactions.curation_rules, datetime.now(UTC))
    path, landing = tmp_path / "clicks.csv", Landing(curator)
    ids: list[str] = []

    def bring(user: bytes) -> None:
        path.write_bytes(CSV.replace(b"u1", user))
        landed = landing.land(INTERACTIONS, path.name, path, parse_format(path.name), replaces=ids[-1:])
        ids.append(landed.report.file_id)

    for user in (b"one", b"two"):
        bring(user)
        run(instance, store, look(instance, store).run_requests or [])
    cursor = look(instance, store).cursor
    bring(b"one")
    assert ids[0] == ids[2], "the file of before, whose report and parts have the names of before"
    requests = look(instance, store, later=timedelta(hours=1), cursor=cursor).run_requests or []
    stale = [one.tags["gata/tenant"] for one in requests if "1 days of other rows" in one.tags["gata/reason"]]
    assert stale == ["acme"], "at the end of a day, beside the day that begins meanwhile"


def test_a_day_in_the_future_waits_until_it_begins(instance: dg.DagsterInstance, store: LocalStoreResource) -> None:
    present = datetime.now(UTC).date()
    late = CSV.replace(b"2026-01-01", str(present + timedelta(days=1)).encode())
    store.write(f"acme/raw/interactions/{present}/a.csv", late)
    run(instance, store, tick(instance, store)[0])
    days = instance.get_materialized_partitions(dg.AssetKey(["acme", "curated_interactions"]))
    assert days == {str(present - timedelta(days=ago)) for ago in range(4)}
    [report] = [json.loads(store.read(key)) for key in store.list_keys("acme/reports/interactions/")]
    assert [part["day"] for part in report["parts"]] == [str(present + timedelta(days=1))], "it is kept"
    assert not any(store.list_keys(f"acme/curated/interactions/{present + timedelta(days=1)}/"))


def ended(state: RunState, minutes_ago: int, number: int = 0) -> AskedRun:
    return AskedRun(f"run-{number}", state, NOW - timedelta(minutes=minutes_ago))


@pytest.mark.parametrize(
    ("runs", "is_asked", "why_not"),
    [
        ([], True, ""),
        ([ended(RunState.FAILED, 4)], False, "asked for again at 2026-01-02 03:01 UTC, after 1 failed"),
        ([ended(RunState.FAILED, 5)], True, ""),
        ([ended(RunState.FAILED, 29), ended(RunState.FAILED, 60)], False, "at 2026-01-02 03:01 UTC, after 2 failed"),
        ([ended(RunState.FAILED, 30), ended(RunState.FAILED, 60)], True, ""),
        ([ended(RunState.FAILED, 120)] * 3, True, ""),
        ([ended(RunState.FAILED, 9_999)] * 4, False, "4 runs for the same files and days have failed; asked for again"),
        ([ended(RunState.FAILED, 5), ended(RunState.SUCCEEDED, 6), *[ended(RunState.FAILED, 9)] * 4], True, ""),
        ([ended(RunState.SUCCEEDED, 59)], False, "after one that left something to do"),
        ([ended(RunState.SUCCEEDED, 60)], True, ""),
        ([ended(RunState.CANCELED, 9_999)], False, "the run was canceled; asked for again when another file"),
    ],
)
def test_what_failed_is_asked_for_again_at_growing_intervals_and_not_for_ever(
    runs: list[AskedRun], is_asked: bool, why_not: str
) -> None:
    asking = ask_again("key", runs, NOW)
    assert (asking.run_key is not None) is is_asked
    assert why_not in asking.why_not


@pytest.mark.parametrize(
    ("runs", "is_asked", "why_not"),
    [
        (
            [ended(RunState.SUCCEEDED, 4)],
            False,
            "03:01 UTC, after one that left something to do, and the files have ch",
        ),
        ([ended(RunState.SUCCEEDED, 5)], True, ""),
        ([ended(RunState.CANCELED, 5)], True, ""),
        ([ended(RunState.FAILED, 4)] * 3, False, "at 2026-01-02 03:01 UTC, after 3 failed, and the files have changed"),
        ([ended(RunState.FAILED, 5)] * 3, True, ""),
        ([ended(RunState.FAILED, 119)] * 4, False, "at 2026-01-02 03:01 UTC, after 4 failed"),
        ([ended(RunState.FAILED, 120)] * 4, True, ""),
    ],
)
def test_files_that_have_changed_are_asked_for_again_at_the_first_interval(
    runs: list[AskedRun], is_asked: bool, why_not: str
) -> None:
    asking = ask_again("key", runs, NOW, "other versions")
    assert (asking.run_key is not None) is is_asked
    assert why_not in asking.why_not


def test_a_file_that_keeps_changing_is_asked_for_every_five_minutes_at_most(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    run(instance, store, tick(instance, store)[0])
    present, asked = datetime.now(UTC).date(), []
    for minute in range(12):
        store.write(f"acme/raw/interactions/{present}/a.csv", CSV.replace(b"u1", b"u" * (minute + 1)))
        requests, _ = tick(instance, store, later=timedelta(minutes=minute))
        asked += [minute] * len(requests)
        # It changes while it is read: the run leaves it to the next one. Its end is by the clock of this machine.
        for request in requests if not minute else ():
            instance.add_run(
                dg.DagsterRun(CURATE_INTERACTIONS, status=dg.DagsterRunStatus.SUCCESS, tags=dict(request.tags))
            )
    assert asked == [0, *range(5, 12)], "after five minutes, until a run has ended again"


def test_a_run_key_is_that_of_the_run_that_went_before() -> None:
    asked = [ask_again("key", [ended(RunState.FAILED, 500, number)], NOW).run_key for number in (1, 1, 2)]
    assert asked[0] == asked[1] != asked[2]


def test_a_run_that_fails_is_asked_for_again_later_and_at_once_when_another_file_comes(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    run(instance, store, tick(instance, store)[0])
    store.write("acme/raw/interactions/2026-01-09/a.csv", CSV)
    Curator(store, "acme", parse_settings(SETTINGS).interactions.curation_rules, datetime.now(UTC)).validate_new(
        INTERACTIONS
    )
    [staged] = store.list_keys("acme/staged/interactions/")
    store.write(staged, bytes(len(store.read(staged))))
    keys = []
    for minutes in (0, 6, 31, 121):
        requests, _ = tick(instance, store, later=timedelta(minutes=minutes))
        keys += [request.run_key for request in requests]
        run(instance, store, requests, has_success=False)
        assert tick(instance, store, later=timedelta(minutes=4))[0] == [], "not every minute"
    assert len(keys) == len(set(keys)) == 4, "Dagster starts a run key once"
    requests, why_not = tick(instance, store, later=timedelta(hours=9))
    assert requests == []
    assert "4 runs for the same files and days have failed; asked for again when another file or day comes" in str(
        why_not
    )

    store.write("acme/raw/interactions/2026-01-09/b.csv", CSV.replace(b"u1", b"u2"))
    [request] = tick(instance, store)[0]
    assert request.tags["gata/tenant"] == "acme"


def test_nothing_is_asked_for_while_a_run_for_the_tenant_is_underway(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    status = dg.DagsterRunStatus.STARTED
    instance.add_run(dg.DagsterRun(CURATE_INTERACTIONS, status=status, tags={"gata/tenant": "acme"}))
    requests, _ = tick(instance, store)
    assert {request.tags["gata/tenant"] for request in requests} == {"globex"}
    run(instance, store, requests)
    assert tick(instance, store) == ([], "acme: a run is underway.")


def test_a_tenant_that_gets_its_first_file_after_loading_is_named(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    settings = parse_settings({**SETTINGS, "TENANTS": ""})
    store.write("acme/raw/interactions/a.csv", CSV)

    def tick_of(loaded: dg.Definitions) -> SensorExecutionData:
        sensor = loaded.get_repository_def().get_sensor_def(NEW_FILES_SENSOR)
        with dg.build_sensor_context(
            instance=instance, definitions=loaded, resources={"object_store": store}
        ) as context:
            return sensor.evaluate_tick(context)

    loaded = build_definitions(settings, object_store=store)
    [request] = [one for one in tick_of(loaded).run_requests or [] if one.tags["gata/tenant"] == "acme"][:1]
    run(instance, store, [request])
    store.write("globex/raw/items/a.csv", b"item_id,title\n1,2\n")
    while requests := tick_of(loaded).run_requests:
        run(instance, store, requests)
    said = "globex has files and no assets: reload the code location, which lists tenants when it is loaded."
    assert said in str(tick_of(loaded).skip_message)
    reloaded = tick_of(build_definitions(settings, object_store=store))
    assert {one.tags["gata/tenant"] for one in reloaded.run_requests or []} == {"globex"}
    hidden = StoreThatIsNotListed(directory=store.directory, prefix="globex/raw/")
    sensor = loaded.get_repository_def().get_sensor_def(NEW_FILES_SENSOR)
    with dg.build_sensor_context(instance=instance, definitions=loaded, resources={"object_store": hidden}) as context:
        assert "tenants: the folder cannot be listed" in str(sensor.evaluate_tick(context).skip_message)
