"""The interaction assets through Dagster: from raw files to a batch's features and training data, and what stops it.

Real: definitions, runs, events and checks, a local store, the curator, the engine of one machine. Stood in for: what a
failing check says, by `fakes`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from gata_assets.definitions import build_definitions
from gata_assets.interactions.assets.batch_tables import TABLES
from gata_assets.interactions.assets.jobs import CURATE_INTERACTIONS, PREPARE_INTERACTIONS
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.engines.base import InteractionEngine
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.orchestration.failures import BatchFailure
from gata_assets.orchestration.runs import find_failures, run_range
from gata_assets.settings.model import parse_settings
from gata_assets.storage.datasets import read_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tables.manifests import plain_name
from gata_assets_tests.support.dagster_private import stale_status
from gata_assets_tests.support.fakes import EngineThatBreaksARule, EngineThatMixesRows
from gata_assets_tests.support.stored_datasets import is_complete

BATCH, NEXT = "2026010203", "2026010204"
WINDOW = ("2025-10-04", "2026-01-02")
SETTINGS = {
    "TICKETS_URL": "sqlite:///tickets.sqlite",
    "LOW_VOLUME_FALLBACK_LABEL": "9000",
    "TENANTS": "acme,globex",
    "MIN_INTERACTIONS_PER_USER": "2",
    "MIN_INTERACTIONS_PER_ITEM": "2",
}
FEATURES = list(TABLES[next(iter(TABLES))])
HEADER = "user_id,item_id,interaction_type,timestamp"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that is gone afterwards."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def store(tmp_path: Path) -> LocalStoreResource:
    """An empty local store."""
    return LocalStoreResource(directory=str(tmp_path / "target"))


def interactions(days: Sequence[str], *, users: int = 6, items: int = 9) -> bytes:
    """A CSV of clicks: on each day each user clicks on three items, a minute apart."""
    lines = [HEADER]
    for number, day in enumerate(days):
        for user in range(users):
            lines += [
                f"u{user},i{(user + step * 2 + number) % items},click,{day}T01:{user:02d}:{step:02d}Z"
                for step in range(3)
            ]
    return ("\n".join(lines) + "\n").encode()


def catalogue(items: int = 40) -> bytes:
    """A CSV of items; most of them nobody has seen."""
    return ("item_id,title\n" + "".join(f"i{number},title {number}\n" for number in range(items))).encode()


def deliver(store: LocalStoreResource, tenant: str, kind: str, content: bytes, *, name: str = "a.csv") -> None:
    store.write(f"{tenant}/raw/{kind}/2026-01-01/{name}", content)


def fill(store: LocalStoreResource, *tenants: str) -> None:
    """Three days of clicks and a catalogue."""
    for tenant in tenants:
        deliver(store, tenant, "interactions", interactions(["2025-12-01", "2025-12-02", "2025-12-31"]))
        deliver(store, tenant, "items", catalogue())


def run(
    instance: dg.DagsterInstance,
    store: LocalStoreResource,
    job: str,
    first: str,
    last: str | None = None,
    *,
    engine: InteractionEngine | None = None,
    assets: Sequence[str] | None = None,
    **settings: str,
) -> dg.ExecuteInProcessResult:
    definitions = build_definitions(
        parse_settings({**SETTINGS, **settings}), object_store=store, interaction_engine=engine
    )
    keys = None if assets is None else [dg.AssetKey(name.split("/")) for name in assets]
    return run_range(definitions.resolve_job_def(job), instance, (first, last or first), assets=keys)


def curate(store: ObjectStore, *, last: str = WINDOW[1], **settings: str) -> None:
    """Curate each tenant's window without a run: what Dagster records of 91 days takes most of a test's time."""
    found = parse_settings({**SETTINGS, **settings}).interactions
    start, end = date.fromisoformat(WINDOW[0]), date.fromisoformat(last)
    days = [start + timedelta(days=number) for number in range((end - start).days + 1)]
    for tenant in found.tenants or ():
        curator = Curator(store, tenant, found.curation_rules, datetime.now(UTC))
        curator.validate_new(ITEMS)
        curator.refresh(ITEMS)
        curator.validate_new(INTERACTIONS)
        assert len(list(curator.curate(INTERACTIONS, days))) == len(days)


def curate_in_a_run(instance: dg.DagsterInstance, store: LocalStoreResource) -> dg.ExecuteInProcessResult:
    return run(instance, store, CURATE_INTERACTIONS, *WINDOW)


def failures(result: dg.ExecuteInProcessResult) -> list[BatchFailure]:
    return find_failures(result, "none")


def manifest(store: LocalStoreResource, tenant: str, kind: str, batch_id: str = BATCH) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store.read(f"{tenant}/{kind}/{batch_id}/manifest.json"))
    return found


def made(result: dg.ExecuteInProcessResult) -> Counter[tuple[str, str | None]]:
    return Counter(
        (event.asset_key.to_user_string(), event.partition)
        for event in result.get_asset_materialization_events()
        if event.asset_key
    )


@pytest.mark.slow
def test_a_batch_of_each_tenant_is_built_and_recorded_with_its_checks(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    fill(store, "acme", "globex")
    assert curate_in_a_run(instance, store).success
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH)
    assert result.success
    tables = [name for of_set in TABLES.values() for name in of_set]
    assert made(result) == Counter({(f"{tenant}/{name}", BATCH): 1 for tenant in ("acme", "globex") for name in tables})
    checked = {(one.asset_key.path[-1], one.check_name) for one in result.get_asset_check_evaluations()}
    assert checked == {
        (name, check)
        for of_set in TABLES.values()
        for name, one in of_set.items()
        for check in (*one.checks, *one.only_warns)
    }
    assert all(one.passed and one.partition == BATCH for one in result.get_asset_check_evaluations())
    for tenant in ("acme", "globex"):
        features, training = manifest(store, tenant, "features"), manifest(store, tenant, "training_data")
        assert is_complete(store, f"{tenant}/features/{BATCH}/")
        assert is_complete(store, f"{tenant}/training_data/{BATCH}/")
        assert features["is_made"]
        assert training["is_made"]
        assert features["numbers"]["user_features"]["row_count"] == 6
        assert features["windows"]["interactions"]["start_at"] == "2025-10-04T03:00:00+00:00"
        assert features["made_from"]["curated_interactions"]["days"] == 91
        stored = read_manifest(store, f"{tenant}/features/{BATCH}/").manifest
        assert training["made_from"]["features"] == stored.digest
        assert training["settings"]["MIN_INTERACTIONS_PER_USER"] == 2


def _without_tokens(key: str, content: bytes) -> bytes:
    """A manifest without the tokens of the writes, which are random; any other file as it is."""
    if not key.endswith("/manifest.json"):
        return content
    token = json.loads(content)["write"].encode()
    return content.replace(b"-" + token, b"").replace(token, b"")


@pytest.mark.slow
def test_a_range_gives_byte_for_byte_what_its_batches_give_one_by_one(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    contents = []
    for name, spans in (("together", [(BATCH, NEXT)]), ("apart", [(BATCH, BATCH), (NEXT, NEXT)])):
        store = LocalStoreResource(directory=str(tmp_path / name))
        fill(store, "acme", "globex")
        curate(store)
        for first, last in spans:
            result = run(instance, store, PREPARE_INTERACTIONS, first, last)
            assert result.success
        keys = [key for key in store.list_keys("acme/") if "/reports/" not in key]
        contents.append({plain_name(key): _without_tokens(key, store.read(key)) for key in keys})
    assert contents[0] == contents[1]
    assert {f"acme/features/{batch}/manifest.json" for batch in (BATCH, NEXT)} <= contents[0].keys()


@pytest.mark.slow
def test_each_batch_of_a_range_is_recorded_by_itself(instance: dg.DagsterInstance, store: LocalStoreResource) -> None:
    fill(store, "acme")
    curate(store)
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, NEXT)
    assert made(result)["acme/with_features", BATCH] == made(result)["acme/with_features", NEXT] == 1
    key = dg.AssetKey(["acme", "negative_samples"])
    assert instance.get_materialized_partitions(key) == {BATCH, NEXT}
    tags = [
        event.materialization.tags or {}
        for event in result.get_asset_materialization_events()
        if event.asset_key == key
    ]
    assert len({one["dagster/data_version"] for one in tags}) == 1, "the window of both holds the same interactions"


@pytest.mark.parametrize("last", [BATCH, NEXT], ids=["one", "range"])
@pytest.mark.slow
def test_a_batch_is_stale_when_a_day_of_its_window_has_other_rows(
    last: str, instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    def status(table: str) -> str:
        definitions = build_definitions(parse_settings(SETTINGS), object_store=store)
        return stale_status(instance, definitions, dg.AssetKey(["acme", table]), BATCH)

    fill(store, "acme")
    assert curate_in_a_run(instance, store).success
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH, last).success
    assert run(instance, store, CURATE_INTERACTIONS, "2025-12-01").success
    tables = [name for of_set in TABLES.values() for name in of_set]
    assert {status(name) for name in tables} == {"FRESH"}, "the day has the same rows"
    deliver(store, "acme", "interactions", interactions(["2025-12-15"]), name="late.csv")
    assert run(instance, store, CURATE_INTERACTIONS, "2026-01-01").success
    # What is made from these alone is out of date when they have been made again.
    assert {status(name) for name in tables if name != "with_features"} == {"STALE"}


@pytest.mark.slow
def test_a_late_file_rebuilds_its_days(instance: dg.DagsterInstance, store: LocalStoreResource) -> None:
    fill(store, "acme")
    curate(store)
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH).success
    before = manifest(store, "acme", "features")
    deliver(store, "acme", "interactions", interactions(["2025-12-15"], users=8), name="late.csv")
    late = run(instance, store, CURATE_INTERACTIONS, "2026-01-01")
    assert late.success
    days = {partition for asset, partition in made(late) if asset == "acme/curated_interactions"}
    assert days == {"2026-01-01", "2025-12-15"}
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH).success
    after = manifest(store, "acme", "features")
    assert after["numbers"]["user_features"]["row_count"] == before["numbers"]["user_features"]["row_count"] + 2
    assert after["made_from"] != before["made_from"]


@pytest.mark.slow
def test_a_batch_of_missing_days_fails_with_their_number_and_what_to_run(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    fill(store, "acme", "globex")
    curate(store, TENANTS="acme")
    curate(store, last="2025-12-31", TENANTS="globex")
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH)
    assert not result.success
    [failure] = failures(result)
    assert (failure.batch_id, failure.asset) == (BATCH, "globex/features")
    assert "globex/curated_interactions: 2 of 91 days of the window are missing" in failure.reason
    assert "from 2026-01-01 to 2026-01-02" in failure.reason
    assert "curate_interactions" in failure.reason
    assert manifest(store, "acme", "features")["is_made"], "a tenant stops no other"
    assert not store.exists(f"globex/features/{BATCH}/manifest.json")


@pytest.mark.parametrize("has_files", [True, False])
@pytest.mark.slow
def test_a_tenant_without_interactions_has_an_explicit_empty_result(
    has_files: bool, instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    fill(store, "acme")
    if has_files:
        deliver(store, "globex", "interactions", interactions(["2025-06-01"]))
        curate(store, TENANTS="globex")
    curate(store, TENANTS="acme")
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH)
    assert result.success
    for kind in ("features", "training_data"):
        found = manifest(store, "globex", kind)
        assert (found["is_made"], found["files"]) == (False, {})
        assert found["reason"].startswith(
            "the window has no" if has_files else "there is no file of interactions of globex"
        )
    shown = [
        event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["globex", "negative_samples"])
    ]
    assert [(one["is_made"].value, one["dagster/row_count"].value) for one in shown] == [(False, 0)]


@pytest.mark.parametrize(
    ("table", "check", "kind"),
    [
        ("item_features", "features_match_the_events", "features"),
        ("negative_samples", "negatives_were_never_interacted", "training_data"),
    ],
)
@pytest.mark.slow
def test_a_failed_blocking_check_stops_the_dataset_and_no_other_batch(
    table: str, check: str, kind: str, instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    fill(store, "acme")
    curate(store)
    engine = EngineThatBreaksARule(table=table, check=check, batch_at="2026-01-02T03:00:00+00:00")
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, NEXT, engine=engine)
    assert not result.success
    [failure] = failures(result)
    assert (failure.batch_id, failure.asset, failure.checks) == (BATCH, f"acme/{kind}", (check,))
    assert f"acme/{table} breaks 1 rule, and nothing was written" in failure.reason
    assert not any(store.list_keys(f"acme/{kind}/{BATCH}/"))
    assert is_complete(store, f"acme/{kind}/{NEXT}/")
    failed = [one for one in result.get_asset_check_evaluations() if not one.passed]
    assert [(one.asset_key.path[-1], one.check_name, one.partition) for one in failed] == [(table, check, BATCH)]
    assert failed[0].severity is dg.AssetCheckSeverity.ERROR


@pytest.mark.slow
def test_joined_rows_that_are_not_those_of_the_negative_samples_get_no_manifest(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    fill(store, "acme")
    curate(store)
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, engine=EngineThatMixesRows(), TENANTS="acme")
    [failure] = failures(result)
    check = "with_features_are_the_negative_samples"
    assert (failure.asset, failure.checks) == ("acme/training_data", (check,))
    assert "user, item and label of each part are the same, in order: 1 of 1 parts" in failure.reason
    assert "what was written has no manifest" in failure.reason
    assert not store.exists(f"acme/training_data/{BATCH}/manifest.json")
    assert [one.check_name for one in result.get_asset_check_evaluations() if not one.passed] == [check]


@pytest.mark.slow
def test_a_refused_file_of_a_tenant_is_reported_and_stops_no_other(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    fill(store, "acme", "globex")
    deliver(store, "acme", "interactions", b"who,what\n1,2\n", name="wrong.csv")
    result = curate_in_a_run(instance, store)
    assert result.success
    # The catalog's age depends on the day on which the test runs.
    red = [
        one
        for one in result.get_asset_check_evaluations()
        if not (one.passed or one.check_name == "quality_is_high_enough")
    ]
    assert [(one.asset_key.path[0], one.check_name, one.partition) for one in red] == [
        ("acme", "every_raw_file_was_read", "2026-01-01")
    ]
    assert red[0].severity is dg.AssetCheckSeverity.WARN
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH).success
    assert all(manifest(store, tenant, "features")["is_made"] for tenant in ("acme", "globex"))


def damage_part(store: LocalStoreResource, tenant: str, day: str) -> None:
    """Overwrite what was staged of a day, in the file of a tenant's that has its rows."""
    [report] = [json.loads(store.read(key)) for key in store.list_keys(f"{tenant}/reports/interactions/")]
    [part] = [part for part in report["parts"] if part["day"] == day]
    content = bytearray(store.read(part["key"]))
    for start, size in part["spans"]:
        content[start : start + size] = bytes(size)
    store.write(part["key"], bytes(content))


@pytest.mark.slow
def test_a_day_that_fails_is_reported_and_the_others_are_curated(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    fill(store, "acme")
    curate(store)
    damage_part(store, "acme", "2025-12-02")
    result = run(instance, store, CURATE_INTERACTIONS, "2025-12-01", "2025-12-03")
    assert not result.success
    [failure] = failures(result)
    assert (failure.batch_id, failure.asset) == ("2025-12-02", "acme/curated_interactions")
    assert failure.checks == ("no_row_is_lost",)
    assert "of 18 rows" in failure.reason
    days = {partition for asset, partition in made(result) if asset == "acme/curated_interactions"}
    assert days == {"2025-12-01", "2025-12-03"}


@pytest.mark.slow
def test_interactions_without_a_catalog_fail_clearly(instance: dg.DagsterInstance, store: LocalStoreResource) -> None:
    deliver(store, "acme", "interactions", interactions(["2025-12-01"]))
    curate(store)
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH)
    assert [(one.asset, one.would_fail_all) for one in failures(result)] == [("acme/training_data", False)]
    assert "item" in failures(result)[0].reason
    store.delete("acme/curated/items/manifest.json")
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH)
    assert "there is no catalog. Upload item files with `gata ingest items`" in failures(result)[0].reason


@pytest.mark.slow
def test_a_part_of_a_dataset_is_refused_and_training_data_need_their_features(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    fill(store, "acme")
    curate(store)
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, assets=["acme/user_features"])
    assert "select item_features, recent_interactions too" in failures(result)[0].reason
    training = ["acme/negative_samples", "acme/with_features"]
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, assets=training)
    assert "Materialize the features of batch" in failures(result)[0].reason
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH, assets=[f"acme/{name}" for name in FEATURES]).success
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH, assets=training).success
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, assets=training, INTERACTION_PERIOD="60")
    assert "with another INTERACTION_PERIOD" in failures(result)[0].reason
    deliver(store, "acme", "interactions", interactions(["2025-12-15"]), name="late.csv")
    assert run(instance, store, CURATE_INTERACTIONS, "2026-01-01").success
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, assets=training)
    assert "the features were built from other curated tables" in failures(result)[0].reason


@pytest.mark.slow
def test_a_batch_without_training_rows_or_negatives_says_why(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    deliver(store, "acme", "interactions", interactions(["2025-12-31"], items=8))
    deliver(store, "acme", "items", catalogue(8))
    curate(store, TENANTS="acme")
    for settings, reason in (
        ({"MIN_INTERACTIONS_PER_USER": "4"}, "no user has MIN_INTERACTIONS_PER_USER (4) positives, the largest has 3"),
        ({"POSITIVE_INTERACTION_TYPES": "like,purchase"}, "of POSITIVE_INTERACTION_TYPES (purchase, like)"),
    ):
        result = run(instance, store, PREPARE_INTERACTIONS, BATCH, TENANTS="acme", **settings)
        found = manifest(store, "acme", "training_data")
        assert (found["is_made"], found["reason"].startswith("0 training rows")) == (False, True)
        assert reason in found["reason"]
        [event] = [
            event.step_materialization_data.materialization
            for event in result.get_asset_materialization_events()
            if event.asset_key == dg.AssetKey(["acme", "with_features"])
        ]
        assert event.metadata["reason"].value == found["reason"]
    deliver(store, "globex", "interactions", interactions(["2025-12-31"], users=1, items=3))
    deliver(store, "globex", "items", catalogue(3))
    settings = {"TENANTS": "globex", "MIN_INTERACTIONS_PER_USER": "1", "MIN_INTERACTIONS_PER_ITEM": "1"}
    curate(store, **settings)
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH, **settings).success
    found = manifest(store, "globex", "training_data")
    assert (found["is_made"], found["numbers"]["negative_samples"]["positives"]) == (True, 3)
    assert found["reason"].startswith("0 negatives: each user with positives has met all 3 items of the catalog")
