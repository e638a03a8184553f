"""Exports in other shapes, from their files to negatives: by presets, and by a mapping alone.

Real: `gata ingest` and `gata prepare` in this process, curation, features, sampling, files below a directory. The files
look like public ones and are generated. Plain Python says which pairs are positives and which ones users have seen.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets_tests.support.command import gata
from gata_assets_tests.support.look_alikes import (
    LookAlike,
    Row,
    amazon_2018,
    amazon_2023,
    movielens,
    movielens_1m,
    movielens_100k,
    movielens_100k_items,
    recbole,
    rees46,
    rees46_items,
    retailrocket,
    yoochoose_buys,
    yoochoose_clicks,
)

pytestmark = pytest.mark.process
POSITIVES = ("click", "purchase", "like")
SETTINGS = {
    "TENANTS": "acme",
    "EARLIEST_INTERACTION": "1995-01-01",
    "FIRST_BATCH_ID": "1995010100",
    "MIN_INTERACTIONS_PER_USER": "1",
    "MIN_INTERACTIONS_PER_ITEM": "1",
    "NEGATIVE_SAMPLING_RATIO": "2",
}


def click_log() -> LookAlike:
    """Seconds with a fraction, ids as decimals, words of its own; nothing that a preset knows."""
    drawn = random.Random(11)
    first = datetime(2026, 1, 5, tzinfo=UTC)
    lines, rows = ["happened;who;what;did"], []
    for number in range(200):
        at = first + timedelta(seconds=drawn.randrange(10 * 86_400), milliseconds=number)
        user, item = drawn.randint(1, 9), drawn.randint(201, 214)
        word, kind = (("pv", "view"), ("clk", "click"), ("buy", "purchase"))[number % 3]
        lines.append(f"{at.timestamp():.3f};{user}.0;{item}.0;{word}")
        rows.append({"user_id": str(user), "item_id": str(item), "interaction_type": kind, "timestamp": at})
    return LookAlike("", INTERACTIONS, "clicks.log", ("\n".join(lines) + "\n").encode(), rows)


def negatives_of(directory: Path, files: Sequence[tuple[LookAlike, Sequence[str]]], batch_id: str) -> pl.DataFrame:
    """The training rows of a batch from files, each with its options."""
    for file, options in files:
        (directory / file.name).write_bytes(file.content)
        ran = gata(directory, "ingest", file.table, file.name, "--tenant", "acme", *options, **SETTINGS)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    ran = gata(directory, "prepare", batch_id, "--only", "interactions", "--summary", "json", **SETTINGS)
    assert ran.returncode == 0, ran.stdout[-2000:]
    return pl.read_parquet(
        directory / "gata-data" / "acme" / "training_data" / batch_id / "negative_samples" / "*.parquet"
    )


def require_right(samples: pl.DataFrame, rows: Sequence[Row]) -> None:
    """Exactly the positive pairs are positives, and no negative is a pair that was seen."""
    pairs = {
        label: set(of_label.select("user_id", "item_id").iter_rows())
        for (label,), of_label in samples.group_by("label")
    }
    assert pairs[1.0] == {(row["user_id"], row["item_id"]) for row in rows if row["interaction_type"] in POSITIVES}
    seen = {(row["user_id"], row["item_id"]) for row in rows}
    assert pairs[0.0]
    assert not pairs[0.0] & seen
    assert {item for _, item in pairs[0.0]} <= {item for _, item in seen}, "items of the catalog"


def test_ratings_of_films_become_training_rows(tmp_path: Path) -> None:
    items, file = movielens_100k_items(), movielens_100k()
    files = [(items, ["--preset", items.preset]), (file, ["--preset", file.preset])]
    require_right(negatives_of(tmp_path, files, "1998032200"), file.rows)


def test_a_shop_log_becomes_items_and_training_rows(tmp_path: Path) -> None:
    items, log = rees46_items(), rees46()
    files = [(items, ["--preset", items.preset]), (log, ["--preset", log.preset])]
    require_right(negatives_of(tmp_path, files, "2019102200"), log.rows)
    [catalog] = (tmp_path / "gata-data/acme/curated/items").glob("items*.parquet")
    assert {*pl.read_parquet(catalog)["item_id"]} == {row["item_id"] for row in items.rows}


def test_a_click_log_becomes_training_rows_by_a_mapping_alone(tmp_path: Path) -> None:
    log = click_log()
    items = replace(log, table=ITEMS)
    shared = ("--map", "item_id=what", "--ids", "integer", "--separator", "semicolon", "--ending", "log=csv")
    options = [
        *(*shared, "--map", "user_id=who", "--map", "timestamp=happened", "--map", "interaction_type=did"),
        *("--types", "pv=view,clk=click,buy=purchase", "--timestamps", "epoch_s"),
    ]
    of_items = [*shared, "--substitute", "title=item_id", "--ignore-unknown"]
    require_right(negatives_of(tmp_path, [(items, of_items), (log, options)], "2026011600"), log.rows)


@pytest.mark.soak
@pytest.mark.parametrize(
    "build",
    [movielens, movielens_1m, recbole, amazon_2018, amazon_2023, retailrocket, yoochoose_clicks, yoochoose_buys],
    ids=lambda build: build.__name__,
)
def test_a_file_of_each_preset_becomes_training_rows_with_derived_items(
    build: Callable[[], LookAlike], tmp_path: Path
) -> None:
    file = build()
    last = max(row["timestamp"] for row in file.rows)
    assert isinstance(last, datetime)
    batch_id = f"{last + timedelta(days=1):%Y%m%d}00"
    samples = negatives_of(tmp_path, [(file, ["--preset", file.preset, "--derive-items"])], batch_id)
    require_right(samples, file.rows)
