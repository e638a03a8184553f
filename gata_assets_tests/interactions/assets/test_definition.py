"""The definitions of interactions: lineage, partitions, jobs, and what is loaded for them.

Real: definitions, and processes that import them. Nothing is run, and nothing is faked.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from gata_assets.definitions import build_definitions
from gata_assets.governance.privacy.requests.job import ERASED_PEOPLE
from gata_assets.ingestion.upkeep.definition import EVENTS_IN_RAW_FILES
from gata_assets.interactions.assets.jobs import CURATE_INTERACTIONS, PREPARE_INTERACTIONS
from gata_assets.interactions.tables import TABLES
from gata_assets.settings.model import parse_settings
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS

BATCH = "2026010203"
SETTINGS = {
    "TICKETS_URL": "sqlite:///tickets.sqlite",
    "LOW_VOLUME_FALLBACK_LABEL": "9000",
    "TENANTS": "acme,globex",
}


@pytest.fixture
def store(tmp_path: Path) -> LocalStoreResource:
    """An empty local store."""
    return LocalStoreResource(directory=str(tmp_path / "target"))


def test_a_batch_depends_on_the_days_that_its_window_touches(store: LocalStoreResource) -> None:
    settings = parse_settings({**SETTINGS, "SEEN_ITEMS_PERIOD": "120"})
    graph = build_definitions(settings, object_store=store).resolve_asset_graph()
    curated = dg.AssetKey(["acme", "curated_interactions"])
    batches, days = (
        graph.get(dg.AssetKey(["acme", name])).partitions_def for name in ("user_features", "curated_interactions")
    )
    assert isinstance(batches, dg.HourlyPartitionsDefinition)
    assert isinstance(days, dg.DailyPartitionsDefinition)
    for table, batch, first, last, number in (
        ("user_features", BATCH, "2025-09-04", "2026-01-02", 121),
        ("negative_samples", "2026010200", "2025-09-04", "2026-01-01", 120),
    ):
        mapping = graph.get_partition_mapping(dg.AssetKey(["acme", table]), curated)
        subset = mapping.get_upstream_mapped_partitions_result_for_partitions(
            batches.subset_with_partition_keys([batch]), batches, days
        ).partitions_subset
        keys = sorted(subset.get_partition_keys())
        assert (keys[0], keys[-1], len(keys)) == (first, last, number)


def test_the_lineage_shows_both_pipelines_and_every_asset_is_described(store: LocalStoreResource) -> None:
    definitions = build_definitions(parse_settings(SETTINGS), object_store=store)
    dg.Definitions.validate_loadable(definitions)
    graph = definitions.resolve_asset_graph()
    parents = {
        key.to_user_string(): {one.to_user_string() for one in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert parents["general_split"] == {"tickets", "label_counts"}
    assert parents["acme/item_features"] == {"acme/curated_interactions", "acme/curated_items"}
    assert parents["globex/with_features"] == {
        "globex/negative_samples",
        "globex/user_features",
        "globex/item_features",
    }
    assert not any(
        one.split("/")[0] == "globex" for key, of_key in parents.items() if key.startswith("acme") for one in of_key
    )
    sources = {"ticket_table", *(f"{tenant}/raw_{table}" for tenant in ("acme", "globex") for table in TABLES)}
    # No tables: they say how far single events are, and requests to erase people.
    upkeep = {EVENTS_IN_RAW_FILES, ERASED_PEOPLE}
    assert {key for key, of_key in parents.items() if not of_key} == {
        *sources,
        *(key.to_user_string() for key in upkeep),
    }
    assert all(graph.get(key).description for key in graph.get_all_asset_keys())
    assert {key.to_user_string() for key in graph.get_all_asset_keys() - graph.executable_asset_keys} == sources
    for key in graph.executable_asset_keys - upkeep:
        assert graph.get(key).metadata["dagster/column_schema"].schema.columns
        assert graph.get(key).check_keys
        assert "parquet" in graph.get(key).kinds or "json" in graph.get(key).kinds


@pytest.mark.parametrize("named", ["", "none"])
def test_without_tenants_there_are_ticket_assets_alone(named: str, store: LocalStoreResource) -> None:
    store.write("acme/raw/items/_temporary/a.csv" if not named else "acme/raw/items/a.csv", b"x")
    definitions = build_definitions(parse_settings({**SETTINGS, "TENANTS": named}), object_store=store)
    assert {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()} == {
        "ticket_table",
        "tickets",
        "label_counts",
        "general_split",
        "low_volume_tickets",
        "low_volume_split",
        # A tenant may begin with single events, or ask for people to be erased, unless there are to be none.
        *([] if named else [EVENTS_IN_RAW_FILES.to_user_string(), ERASED_PEOPLE.to_user_string()]),
    }


def test_each_job_of_interactions_is_of_all_tenants(store: LocalStoreResource) -> None:
    definitions = build_definitions(parse_settings(SETTINGS), object_store=store)
    selected = {
        job: {key.to_user_string() for key in definitions.resolve_job_def(job).asset_layer.selected_asset_keys}
        for job in (PREPARE_TICKETS, CURATE_INTERACTIONS, PREPARE_INTERACTIONS)
    }
    assert selected[CURATE_INTERACTIONS] == {
        f"{tenant}/{name}" for tenant in ("acme", "globex") for name in ("curated_interactions", "curated_items")
    }
    assert {name.split("/")[0] for name in selected[PREPARE_INTERACTIONS]} == {"acme", "globex"}
    assert len(selected[PREPARE_INTERACTIONS]) == 10
    assert not any("/" in name for name in selected[PREPARE_TICKETS])


def test_days_wait_for_the_catalog_where_unknown_items_are_rejected(store: LocalStoreResource) -> None:
    raw = dg.AssetKey(["acme", "raw_interactions"])
    for choice, expected in (("warn", {raw}), ("reject", {raw, dg.AssetKey(["acme", "curated_items"])})):
        settings = parse_settings({**SETTINGS, "UNKNOWN_ITEMS": choice})
        graph = build_definitions(settings, object_store=store).resolve_asset_graph()
        assert graph.get(dg.AssetKey(["acme", "curated_interactions"])).parent_keys == expected


@pytest.mark.process
def test_definitions_load_no_compiled_kernels() -> None:
    program = (
        "import sys\nfrom gata_assets.definitions import build_definitions\n"
        f"from gata_assets.settings.model import parse_settings\nbuild_definitions(parse_settings({SETTINGS!r}))\n"
        "print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "gata_assets.definitions.interactions" in ran.stdout.split()
    assert "numba" not in ran.stdout.split()
