"""The score of a batch: the least of what it is built from, in its metadata and its check, and reported when it is low.

Real: all that `orchestration.curated_tables.test_quality` has, the engine of one machine, and curated days without a
run, for the formula. Faked: the channel of alerts, which keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from gata_assets.curation.quality.measures import QualityRules
from gata_assets.interactions.assets.batch_quality import BatchQuality, measure_batch
from gata_assets.interactions.assets.jobs import PREPARE_INTERACTIONS
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.curated.status import CuratedLayer
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.orchestration.curated_tables.quality import RunQuality
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.interactions.assets.test_batch_run import run
from gata_assets_tests.orchestration.curated_tables.test_quality import CHECK, SETTINGS, USER, Desk
from gata_assets_tests.orchestration.curated_tables.test_quality import desk as desk
from gata_assets_tests.support.raw_worlds import NOW, RULES, encode, interaction, item

DAYS = [date(2026, 1, number) for number in (1, 2, 3)]
MIDNIGHT = datetime(2026, 1, 4, tzinfo=UTC)
Measure = Callable[..., BatchQuality]


def rows(day: date, valid: int, wrong: int = 0, repeated: int = 0) -> list[dict[str, str | None]]:
    """Rows of a day; what is wrong with a rejected one is its rating."""
    at = f"{day}T12:00:00Z"
    found = [
        interaction(user_id=f"{USER}{n}", timestamp=at, rating="9" if n < wrong else None) for n in range(valid + wrong)
    ]
    return found + found[-1:] * repeated


@pytest.fixture
def store(tmp_path: Path) -> LocalStoreResource:
    """An empty store."""
    return LocalStoreResource(directory=str(tmp_path / "store"))


@pytest.fixture
def measure(store: LocalStoreResource) -> Measure:
    """Deliver files, which land as their day ends, curate them, and measure the batch of an instant."""

    def curate_and_measure(
        files: dict[date, list[dict[str, str | None]]], *, items: date | None = DAYS[-1], at: datetime = MIDNIGHT
    ) -> BatchQuality:
        for day, found in files.items():
            store.write(f"acme/raw/{INTERACTIONS}/{day}/a.csv", encode(found, "csv"))
        if items:
            store.write(f"acme/raw/{ITEMS}/{items}/a.csv", encode([item()], "csv"))
        curator = Curator(store, "acme", RULES, NOW)
        for table, days in ((ITEMS, [None]), (INTERACTIONS, DAYS)):
            curator.validate_new(table)
            list(curator.curate(table, days))
        quality = RunQuality(curator, QualityRules(), warn=pytest.fail)
        return measure_batch(quality, CuratedLayer(curator).look(DAYS), at)

    return curate_and_measure


def failed(found: BatchQuality) -> list[str]:
    return [outcome.rule for outcome in found.outcomes[CHECK] if not outcome.has_passed]


def test_each_measure_is_that_of_the_worst_day(measure: Measure) -> None:
    found = measure(
        {DAYS[0]: rows(DAYS[0], 9, wrong=1), DAYS[1]: rows(DAYS[1], 4, repeated=1), DAYS[2]: rows(DAYS[2], 1)}
    )
    assert found.metadata["quality_score"] == 0.8
    assert found.metadata["quality"].data == {
        "freshness": 1,
        "completeness": 1,
        "validity": 0.9,
        "uniqueness": 0.8,
        "consistency": 1,
    }
    assert failed(found) == [
        "validity of curated_interactions is at least 0.95, and is 0.9000",
        "uniqueness of curated_interactions is at least 0.95, and is 0.8000",
    ]


def test_a_batch_is_stale_when_nothing_came_since_its_last_day(measure: Measure) -> None:
    files = {day: rows(day, 2) for day in DAYS[:2]}
    assert failed(measure(files)) == []
    late = "freshness of curated_interactions is at least 0.95, and is 0.5000"
    assert failed(measure(files, at=MIDNIGHT + timedelta(days=1))) == [late]


def test_an_old_catalog_is_a_low_score(measure: Measure) -> None:
    found = measure({day: rows(day, 2) for day in DAYS}, items=DAYS[0])
    assert failed(found) == ["freshness of curated_items is at least 0.95, and is 0.5000"]
    assert found.metadata["quality_score"] == 0.5


def test_what_landed_after_a_batch_is_fresh(measure: Measure) -> None:
    assert failed(measure({day: rows(day, 2) for day in DAYS}, at=MIDNIGHT - timedelta(days=2))) == []


def test_without_rows_there_is_no_score(measure: Measure) -> None:
    found = measure({})
    assert (found.metadata, failed(found)) == ({}, [])


def test_a_batch_has_its_score_and_a_low_one_is_reported(desk: Desk) -> None:
    desk.put("2026-01-02/a.csv", rows(DAYS[1], valid=3, wrong=1))
    desk.put("2026-01-02/items.csv", [item()], ITEMS)
    desk.curate(ITEMS)
    desk.curate()
    desk.tick()

    def prepare(**settings: str) -> dg.ExecuteInProcessResult:
        shared = {**SETTINGS, "EARLIEST_INTERACTION": "2026-01-02"}
        return run(desk.instance, desk.store, PREPARE_INTERACTIONS, "2026010300", **{**shared, **settings})

    result = prepare()
    assert result.success
    [check] = [one for one in result.get_asset_check_evaluations() if one.check_name == CHECK]
    assert (check.asset_key.path, check.partition) == (["acme", "user_features"], "2026010300")
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.WARN, False)
    scores: dict[str, Any] = {
        event.asset_key.path[-1]: event.step_materialization_data.materialization.metadata.get("quality_score")
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    assert scores.pop("user_features").value == 0.75
    assert set(scores.values()) == {None}
    assert desk.tick() == f"Reported {result.run_id}."
    [(subject, body)] = desk.alerts.sent
    assert subject == "Low quality: 1 partition of acme/user_features"
    [partition] = body["partitions"]
    assert "validity of curated_interactions is at least 0.95, and is 0.7500" in partition["reason"]
    assert USER not in str(body)
    prepare(QUALITY_SCORE_MIN="0.7")
    assert desk.tick() == "No score is too low."
