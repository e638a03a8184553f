"""The engine of one machine: how many threads it has changes no byte of what it writes.

Real: engine, Parquet files, a local directory. Nothing is faked.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from gata_assets.interactions.engines.polars import PolarsEngine
from gata_assets.interactions.rules import InteractionType, SamplingRules, SamplingStrategy
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.support.interaction_worlds import (
    BATCH_ID,
    CURATED,
    PERIOD_DAYS,
    B,
    Event,
    Item,
    World,
    parts_below,
    write_curated,
)

FEATURES, TRAINING = CURATED.places.features(BATCH_ID), CURATED.places.training_data(BATCH_ID)


def a_world(random: Random) -> World:
    """Enough users and items for each thread to have some."""
    events = tuple(
        Event(
            f"user-{random.randrange(60)}",
            f"item-{random.randrange(40)}",
            random.choice(list(InteractionType)),
            B - timedelta(minutes=random.randrange(1, PERIOD_DAYS * 24 * 60)),
            random.choice([None, 1.0, 2.5, 5.0]),
        )
        for _ in range(1_500)
    )
    return World(events, tuple(Item(f"item-{number}", "books", 1.5) for number in range(80)))


def written_by(directory: Path, world: World, threads: int, strategy: SamplingStrategy) -> dict[str, bytes]:
    store, engine = LocalStoreResource(directory=str(directory)), PolarsEngine(threads=threads)
    write_curated(world, store)
    engine.make_features(CURATED, store).write(FEATURES, "token")
    rules = SamplingRules(frozenset({InteractionType.CLICK, InteractionType.PURCHASE}), 1, 1, 50, 4, strategy, 0.75, 7)
    engine.make_training_data(CURATED, rules, store, features=parts_below(store, FEATURES)).write(TRAINING, "token")
    keys = [*store.list_keys(FEATURES), *store.list_keys(TRAINING)]
    return {key: store.read(key) for key in keys}


@pytest.mark.parametrize("strategy", list(SamplingStrategy))
@pytest.mark.parametrize("threads", [2, 3])
def test_the_bytes_are_those_of_one_thread(tmp_path: Path, threads: int, strategy: SamplingStrategy) -> None:
    world = a_world(Random(1))
    of_one = written_by(tmp_path / "one", world, 1, strategy)
    assert written_by(tmp_path / "many", world, threads, strategy) == of_one
    assert {key.split("/")[-2] for key in of_one} == {
        "user_features",
        "item_features",
        "recent_interactions",
        "negative_samples",
        "with_features",
    }
