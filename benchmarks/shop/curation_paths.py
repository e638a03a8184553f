"""The contenders of `shop.curation`: from a shop's raw files to curated tables, each run as a process.

Arguments: a function's name, a folder of raw files, a smaller one to warm up, and a directory; prints wall-clock and
CPU seconds. Each function prepares what is not measured and returns what is; it imports what it needs, so that a
process loads only its own libraries.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time

SOURCE = "ecommerce"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
KEY = b"of-the-benchmark" * 2
# Folders of raw files: what is there first, and what comes later.
FIRST, LATER = "first", "later"
_STATES = ("pending", "paid", "shipped", "delivered", "cancelled", "refunded")
_CURRENCIES = ("EUR", "USD", "GBP", "CHF", "JPY", "SEK", "PLN", "CAD", "AUD")

Contender = Callable[[Path, Path], Callable[[], None]]


def ours(source: Path, target: Path) -> Callable[[], None]:
    """Validated files, quarantine, and curated tables."""
    _deliver(source / FIRST, target)
    return lambda: _curate(target)


# What an entry of the profile is, and the functions whose time it is, with all that they call.
PROFILED = {
    "validation: read Parquet": ("readers/parquet_reader.py:read_parquet",),
    "validation: write valid and rejected rows": (
        "curation/validated_files.py:add",
        "curation/validated_files.py:parts",
    ),
    "validation, all of it": ("curation/validator.py:validate_new",),
    "tables that are written as a whole": ("changes/curator.py:curate_whole",),
    "units: route changes to days, index of keys": ("changes/folding.py:route_changes", "changes/progress.py:add"),
    "units: order and judge, check": ("changes/units.py:_prepare",),
    "units, all of it; the rest is writing days": ("changes/curator.py:curate_units",),
}


def ours_profiled(source: Path, target: Path) -> Callable[[], None]:
    """As `ours`, under a profiler that counts the processor time of all threads; prints seconds by `PROFILED`."""
    import cProfile
    import pstats

    _deliver(source / FIRST, target)

    def work() -> None:
        profile = cProfile.Profile(process_time)
        profile.runcall(_curate, target)
        seconds: dict[str, float] = {}
        for (file, _, name), (_, _, _, cumulative, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
            for what, functions in PROFILED.items():
                if any(f"{file}:{name}".endswith(f"/{function}") for function in functions):
                    seconds[what] = seconds.get(what, 0.0) + cumulative
        print(json.dumps(seconds))

    return work


def ours_update(source: Path, target: Path) -> Callable[[], None]:
    """The files that come later, once the first are curated."""
    _deliver(source / FIRST, target)
    _curate(target)
    _deliver(source / LATER, target)
    return lambda: _curate(target)


def _deliver(source: Path, target: Path) -> None:
    for file in source.rglob("*.parquet"):
        place = target / "shop" / "raw" / SOURCE / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, place)


def _curate(target: Path) -> None:
    from gata_assets.curation.changes.curator import ChangesCurator
    from gata_assets.curation.policy import CurationRules
    from gata_assets.shop.places import ShopLayout
    from gata_assets.shop.schema import MODELS
    from gata_assets.storage.local import LocalStore
    from gata_assets.tables.declaration import spec_of, tables_by_name
    from gata_assets.tables.masking.tokens import Tokens

    class Curator(ChangesCurator):
        layout = ShopLayout

    tables = tables_by_name(map(spec_of, MODELS))
    rules = CurationRules(EARLIEST, timedelta(hours=24), tokens=Tokens(KEY))
    curator = Curator(LocalStore(str(target)), SOURCE, rules, NOW, tables)
    for table in tables:
        assert not any(report.refused for report in curator.validate_new(table))
    assert list(curator.curate())


def polars_tables(source: Path, target: Path) -> Callable[[], None]:
    """Plain Polars: seven rules with reasons, the latest change of each key, totals, hidden names; a file per table."""

    def work() -> None:
        import polars as pl

        def read(table: str) -> pl.DataFrame:
            files = sorted(map(str, (source / FIRST / f"{table}-raw").rglob("*.parquet")))
            frames = [pl.read_parquet(file).with_columns(pl.lit(file).alias("file")) for file in files]
            return pl.concat(frames, how="diagonal_relaxed").with_row_index("row")

        def divide(rows: pl.DataFrame, wrong: dict[str, pl.Expr], key: str, table: str) -> pl.DataFrame:
            is_live = pl.col("Op") != "D"
            reasons = [
                pl.when(is_live & rule.fill_null(value=False)).then(pl.lit(name)) for name, rule in wrong.items()
            ]
            none = pl.lit(None, pl.String)
            found = rows.with_columns(pl.concat_list(none, *reasons).list.drop_nulls().alias("rules"))
            is_valid = pl.col("rules").list.len() == 0
            found.filter(~is_valid).write_parquet(target / f"{table}_rejected.parquet", compression_level=1)
            valid = found.filter(is_valid).drop("rules").sort("dms_timestamp", "file", "row")
            return valid.unique(key, keep="last").filter(is_live)

        at, day = pl.col("ordered_at"), timedelta(days=1)
        late = ~at.is_between(EARLIEST.replace(tzinfo=None), (NOW + day).replace(tzinfo=None))
        order_rules = {
            "customer_id_is_given": pl.col("customer_id").is_null(),
            "status_is_known": ~pl.col("status").is_in(_STATES),
            "currency_is_known": ~pl.col("currency").is_in(_CURRENCIES),
            "ordered_at_is_within_reason": late,
        }
        item_rules = {
            "quantity_is_positive": pl.col("quantity") <= 0,
            "unit_price_is_positive": pl.col("unit_price") <= 0,
            "discount_amount_is_not_negative": pl.col("discount_amount") < 0,
        }
        orders = divide(read("orders"), order_rules, "order_id", "orders")
        items = divide(read("order_items"), item_rules, "order_item_id", "order_items")
        customers = divide(read("customers"), {}, "customer_id", "customers")
        products = divide(read("products"), {}, "product_id", "products")
        amount = pl.col("unit_price") * pl.col("quantity") - pl.col("discount_amount").fill_null(0)
        sums = items.group_by("order_id").agg(amount.sum().alias("sum"))
        known = orders.join(customers.select("customer_id"), on="customer_id", how="semi")
        is_balanced = pl.col("total_amount") == pl.col("sum").fill_null(0)
        balanced = known.join(sums, on="order_id", how="left").filter(is_balanced).drop("sum")
        kept = items.join(balanced.select("order_id"), on="order_id", how="semi")
        kept = kept.join(products.select("product_id"), on="product_id", how="semi")
        hidden = customers.with_columns(pl.lit("***").alias("name"))
        written = {"orders": balanced, "order_items": kept, "customers": hidden, "products": products}
        for table, rows in written.items():
            rows.write_parquet(target / f"{table}.parquet", compression="zstd", compression_level=1)

    return work


def pandas_tables(source: Path, target: Path) -> Callable[[], None]:
    """pandas: rows that break a rule are dropped, the last of each key is kept, totals by a merge; a file per table."""

    def work() -> None:
        import pandas as pd

        def read(table: str) -> pd.DataFrame:
            files = sorted((source / FIRST / f"{table}-raw").rglob("*.parquet"))
            return pd.concat(map(pd.read_parquet, files), ignore_index=True)

        def last(rows: pd.DataFrame, key: str) -> pd.DataFrame:
            ordered = rows.sort_values("dms_timestamp", kind="stable").drop_duplicates(key, keep="last")
            return ordered[ordered["Op"] != "D"]

        orders, items = read("orders"), read("order_items")
        at = orders["ordered_at"]
        limits = pd.Timestamp(EARLIEST).tz_localize(None), pd.Timestamp(NOW + timedelta(days=1)).tz_localize(None)
        is_valid = orders["customer_id"].notna() & orders["status"].isin(_STATES)
        is_valid &= orders["currency"].isin(_CURRENCIES) & at.between(*limits)
        orders = last(orders[is_valid | (orders["Op"] == "D")], "order_id")
        for name in ("unit_price", "discount_amount"):
            items[name] = items[name].astype(float)
        is_valid = (items["quantity"] > 0) & (items["unit_price"] > 0) & ~(items["discount_amount"] < 0)
        items = last(items[is_valid | (items["Op"] == "D")], "order_item_id")
        customers, products = last(read("customers"), "customer_id"), last(read("products"), "product_id")
        amounts = items["unit_price"] * items["quantity"] - items["discount_amount"].fillna(0)
        sums = amounts.groupby(items["order_id"]).sum().rename("sum")
        orders = orders[orders["customer_id"].isin(customers["customer_id"])]
        orders = orders.merge(sums, left_on="order_id", right_index=True, how="left")
        is_balanced = (orders["total_amount"].astype(float) - orders["sum"].fillna(0)).abs() < 0.005
        orders = orders[is_balanced].drop(columns="sum")
        items = items[items["order_id"].isin(orders["order_id"]) & items["product_id"].isin(products["product_id"])]
        customers = customers.assign(name="***")
        written = {"orders": orders, "order_items": items, "customers": customers, "products": products}
        for table, rows in written.items():
            rows.to_parquet(target / f"{table}.parquet", compression="zstd", index=False)

    return work


def duckdb_tables(source: Path, target: Path) -> Callable[[], None]:
    """DuckDB: the same in SQL, with reasons of rejected rows."""

    def work() -> None:
        import duckdb

        with duckdb.connect() as base:
            for table, (key, wrong) in _sql_rules().items():
                reasons = ", ".join(f"CASE WHEN {rule} THEN '{name}' END" for name, rule in wrong.items()) or "NULL"
                files = source / FIRST / f"{table}-raw" / "**" / "*.parquet"
                base.execute(
                    f"""CREATE TABLE {table}_all AS SELECT *, CASE WHEN Op = 'D' THEN [] ELSE
                    list_filter([{reasons}], lambda reason: reason IS NOT NULL) END AS rules
                    FROM read_parquet('{files}', union_by_name=true, filename=true, file_row_number=true)"""
                )
                base.execute(
                    f"""CREATE TABLE {table} AS SELECT * EXCLUDE (rules) FROM {table}_all WHERE len(rules) = 0
                    QUALIFY row_number() OVER (PARTITION BY {key}
                    ORDER BY dms_timestamp DESC, filename DESC, file_row_number DESC) = 1 AND Op <> 'D'"""
                )
                _copy(base, f"SELECT * FROM {table}_all WHERE len(rules) > 0", target / f"{table}_rejected.parquet")
                base.execute(f"DROP TABLE {table}_all")
            base.execute(
                """CREATE TABLE balanced AS SELECT orders.* FROM orders LEFT JOIN (SELECT order_id,
                sum(unit_price * quantity - coalesce(discount_amount, 0)) AS total FROM order_items GROUP BY order_id)
                USING (order_id) WHERE total_amount = coalesce(total, 0)
                AND customer_id IN (SELECT customer_id FROM customers)"""
            )
            _copy(base, "SELECT * FROM balanced", target / "orders.parquet")
            kept = "SELECT * FROM order_items WHERE order_id IN (SELECT order_id FROM balanced)"
            kept += " AND product_id IN (SELECT product_id FROM products)"
            _copy(base, kept, target / "order_items.parquet")
            _copy(base, "SELECT * REPLACE ('***' AS name) FROM customers", target / "customers.parquet")
            _copy(base, "SELECT * FROM products", target / "products.parquet")

    return work


def _copy(base: object, query: str, path: Path) -> None:
    base.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")  # type: ignore[attr-defined]


def _sql_rules() -> dict[str, tuple[str, dict[str, str]]]:
    """By table, its key and by rule what breaks it."""
    return {
        "orders": (
            "order_id",
            {
                "customer_id_is_given": "customer_id IS NULL",
                "status_is_known": f"status NOT IN {_STATES}",
                "currency_is_known": f"currency NOT IN {_CURRENCIES}",
                "ordered_at_is_within_reason": f"ordered_at NOT BETWEEN '{EARLIEST:%Y-%m-%d}' AND '{NOW:%Y-%m-%d}'",
            },
        ),
        "order_items": (
            "order_item_id",
            {
                "quantity_is_positive": "quantity <= 0",
                "unit_price_is_positive": "unit_price <= 0",
                "discount_amount_is_not_negative": "discount_amount < 0",
            },
        ),
        "customers": ("customer_id", {}),
        "products": ("product_id", {}),
    }


_PATHS: dict[str, Contender] = {
    path.__name__: path for path in (ours, ours_profiled, ours_update, polars_tables, pandas_tables, duckdb_tables)
}

if __name__ == "__main__":
    _path = _PATHS[sys.argv[1]]
    _source, _warm, _target = map(Path, sys.argv[2:])
    for _folder, _into in ((_warm, _target / "warm"), (_source, _target / "measured")):
        _into.mkdir()
        _work = _path(_folder, _into)
        _started, _worked = perf_counter(), process_time()
        _work()
        _seconds, _cpu_seconds = perf_counter() - _started, process_time() - _worked
    print(_seconds, _cpu_seconds)
