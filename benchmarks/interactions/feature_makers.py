"""Contenders that build the three feature tables, Parquet to Parquet, each run as a process.

`python -m benchmarks.interactions.feature_makers NAME FOLDER`: ours reads the folder's curated days, the others its
plain files with ids as strings. The others are written idiomatically and do only what is necessary: ties in time keep
their order, and no table is checked.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from time import perf_counter

from benchmarks.harness import BATCH
from gata_assets.batches import Window

# Shared constants are here, so that no contender loads another's libraries.
DAYS = 90
WINDOW = Window(BATCH.starts_at - timedelta(days=DAYS), BATCH.starts_at)
TENANT = "bench"
PLAIN_FILE = "events.parquet"
CATALOGUE_FILE = "catalogue.parquet"

_TYPES = ("view", "click", "purchase", "like", "add_to_cart", "dislike")
_WEIGHTS = (1, 2, 5, 3, 4, 0)
_TABLES = ("user_features", "item_features", "recent_interactions")


def with_engine(folder: Path, out: Path) -> None:
    """Ours, with all its checks."""
    from gata_assets.curation.layout import TenantLayout
    from gata_assets.interactions.engines.base import CuratedWindow
    from gata_assets.interactions.engines.polars import PolarsEngine
    from gata_assets.storage.resource import LocalStoreResource

    store = LocalStoreResource(directory=str(folder))
    tables = PolarsEngine().make_features(CuratedWindow(TenantLayout(TENANT), WINDOW, WINDOW), store)
    failed = [
        outcome
        for checks in tables.outcomes.values()
        for outcomes in checks.values()
        for outcome in outcomes
        if not outcome.has_passed
    ]
    assert not failed, failed
    tables.write(f"{out.name}/", "token")


def with_polars(folder: Path, out: Path) -> None:
    """Polars: one `collect_all`, then three files."""
    import polars as pl

    tables = pl.collect_all(_polars_plans(folder))
    for name, table in zip(_TABLES, tables, strict=True):
        table.write_parquet(out / f"{name}.parquet")


def with_polars_streaming(folder: Path, out: Path) -> None:
    """Polars: three streaming sinks in one pass."""
    import polars as pl

    plans = zip(_TABLES, _polars_plans(folder), strict=True)
    sinks = [plan.sink_parquet(out / f"{name}.parquet", lazy=True) for name, plan in plans]
    pl.collect_all(sinks, engine="streaming")


def _polars_plans(folder: Path) -> list:  # type: ignore[type-arg]
    import polars as pl

    events = pl.scan_parquet(folder / PLAIN_FILE).filter(
        pl.col("timestamp").is_between(WINDOW.start_at, WINDOW.end_at, closed="left")
    )
    catalog = pl.scan_parquet(folder / CATALOGUE_FILE).select("item_id", "category", "price")
    kind = pl.col("interaction_type")
    # The file is ordered by time and groups keep the row order: the newest are last.
    newest = pl.col("item_id", "interaction_type", "timestamp", "rating").tail(50).reverse()
    users = (
        events.group_by("user_id")
        .agg(
            total_interactions=pl.len(),
            unique_items=pl.col("item_id").n_unique(),
            avg_rating=pl.col("rating").mean(),
            last_interaction=pl.col("timestamp").max(),
            days_active=pl.col("timestamp").dt.date().n_unique(),
            **{f"num_{name}s": (kind == name).sum() for name in _TYPES},
            recent_items=pl.col("item_id").tail(50).reverse(),
        )
        .with_columns(
            interactions_per_day=pl.col("total_interactions") / pl.col("days_active"),
            conversion_rate=pl.col("num_purchases") / pl.col("total_interactions"),
        )
        .sort("user_id")
    )
    total = pl.col("total_interactions")
    weights = sum((kind == name).cast(pl.Int64) * weight for name, weight in zip(_TYPES, _WEIGHTS, strict=True))
    items = (
        catalog.join(
            events.group_by("item_id").agg(
                total_interactions=pl.len(),
                unique_users=pl.col("user_id").n_unique(),
                avg_rating=pl.col("rating").mean(),
                engagement_score=weights.mean(),  # type: ignore[union-attr]
                views=(kind == "view").sum(),
                clicks=(kind == "click").sum(),
                purchases=(kind == "purchase").sum(),
            ),
            on="item_id",
            how="full",
            coalesce=True,
        )
        .with_columns(total.fill_null(0), pl.col("unique_users").fill_null(0))
        .with_columns(
            popularity_score=total / total.max(),
            purchase_rate=pl.col("purchases") / total,
            click_through_rate=pl.when(pl.col("views") > 0).then(pl.col("clicks") / pl.col("views")),
        )
        .drop("views", "clicks", "purchases")
        .sort("item_id")
    )
    recent = (
        events.group_by("user_id")
        .agg(newest, position=pl.int_range(1, pl.min_horizontal(pl.len(), 50) + 1, dtype=pl.UInt8))
        .sort("user_id")
        .explode("item_id", "interaction_type", "timestamp", "rating", "position")
    )
    return [users, items, recent]


def with_pandas(folder: Path, out: Path) -> None:
    """pandas: groupby with Arrow-backed strings."""
    import pandas as pd

    events = pd.read_parquet(folder / PLAIN_FILE, dtype_backend="pyarrow")
    events = events[(events["timestamp"] >= WINDOW.start_at) & (events["timestamp"] < WINDOW.end_at)]
    catalog = pd.read_parquet(folder / CATALOGUE_FILE, columns=["item_id", "category", "price"])
    events["timestamp"] = events["timestamp"].astype("datetime64[us, UTC]")
    events["rating"] = events["rating"].astype("float64")
    events["day"] = events["timestamp"].dt.floor("D")
    for name in _TYPES:
        events[name] = (events["interaction_type"] == name).astype("int64")
    by_user = events.groupby("user_id", sort=True)
    users = by_user.agg(
        total_interactions=("item_id", "size"),
        unique_items=("item_id", "nunique"),
        avg_rating=("rating", "mean"),
        last_interaction=("timestamp", "max"),
        days_active=("day", "nunique"),
        **{f"num_{name}s": (name, "sum") for name in _TYPES},
    )
    users["interactions_per_day"] = users["total_interactions"] / users["days_active"]
    users["conversion_rate"] = users["num_purchases"] / users["total_interactions"]
    recent = by_user.tail(50)[["user_id", "item_id", "interaction_type", "timestamp", "rating"]]
    recent = recent.iloc[::-1].sort_values("user_id", kind="stable")
    recent["position"] = recent.groupby("user_id").cumcount() + 1
    users["recent_items"] = recent["item_id"].astype(object).groupby(recent["user_id"]).agg(list)
    events["weight"] = sum(events[name] * weight for name, weight in zip(_TYPES, _WEIGHTS, strict=True))
    items = events.groupby("item_id").agg(
        total_interactions=("user_id", "size"),
        unique_users=("user_id", "nunique"),
        avg_rating=("rating", "mean"),
        engagement_score=("weight", "mean"),
        views=("view", "sum"),
        clicks=("click", "sum"),
        purchases=("purchase", "sum"),
    )
    items = catalog.merge(items, on="item_id", how="outer").fillna({"total_interactions": 0, "unique_users": 0})
    items["popularity_score"] = items["total_interactions"] / items["total_interactions"].max()
    items["purchase_rate"] = items["purchases"] / items["total_interactions"]
    items["click_through_rate"] = (items["clicks"] / items["views"]).where(items["views"] > 0)
    tables = (users.reset_index(), items.sort_values("item_id"), recent)
    for name, table in zip(_TABLES, tables, strict=True):
        table.to_parquet(out / f"{name}.parquet", index=False, compression="zstd")


MAKERS = {
    "engine": with_engine,
    "polars": with_polars,
    "polars-streaming": with_polars_streaming,
    "pandas": with_pandas,
}


LIBRARIES = {
    # Arrow loads pandas at the first conversion; in a run it is there.
    "engine": ("gata_assets.interactions.engines.polars", "pandas"),
    "polars": ("polars",),
    "polars-streaming": ("polars",),
    "pandas": ("pandas", "pyarrow.parquet"),
}


def main() -> None:
    """Run a contender; writes tables to `FOLDER/made-NAME`, and its seconds without imports as JSON to stdout."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    out = folder / f"made-{name}"
    out.mkdir(exist_ok=True)
    for module in LIBRARIES[name]:
        import_module(module)
    if name == "engine":
        # The modules that numba loads at the first call of a loop count as imports too.
        import_module("gata_assets.tables.columns.jit").load_compiler()
    started = perf_counter()
    MAKERS[name](folder, out)
    print(json.dumps({"seconds": perf_counter() - started}))


if __name__ == "__main__":
    main()
