"""The contenders of `prod`: from curated Parquet files to tables for analysts, each run as a process.

Arguments: a function's name, the curated folder, a small one to warm up, and a directory; prints wall-clock and CPU
seconds. Each function imports what it needs, so that a process loads only its own libraries.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

SALES = ("paid", "shipped", "delivered")
_NOW = datetime(2026, 4, 1, tzinfo=UTC)


class ParquetShop:
    """Curated tables as files: `{table}/{day}.parquet`, and `{table}.parquet` for those without days."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def days(self) -> Mapping[date, str]:
        return {date.fromisoformat(path.stem): "1" for path in (self._folder / "orders").iterdir()}

    def read_days(self, table: str, days: Sequence[date], columns: Sequence[str]) -> pl.DataFrame:
        import polars as pl

        return pl.read_parquet([self._folder / table / f"{day}.parquet" for day in days], columns=list(columns))

    def count_rows(self, table: str, days: Collection[date]) -> int:
        import pyarrow.parquet as pq

        return sum(pq.read_metadata(self._folder / table / f"{day}.parquet").num_rows for day in days)

    def table_digest(self, table: str) -> str:
        return table

    def read_table(self, table: str, columns: Sequence[str]) -> pl.DataFrame:
        import polars as pl

        return pl.read_parquet(self._folder / f"{table}.parquet", columns=list(columns))


def ours(source: Path, target: Path) -> None:
    """All five tables, states, manifests and the catalog."""
    from gata_assets.shop.prod.build import build_prod
    from gata_assets.shop.prod.source import ProdSettings
    from gata_assets.storage.catalog.local_file import FileCatalog
    from gata_assets.storage.local import LocalStore

    store = LocalStore(str(target))
    catalog = FileCatalog(store, "catalog.json")
    build_prod(ParquetShop(source), store, catalog, "prod/", ProdSettings("shop"), now=_NOW)


def polars_lazy(source: Path, target: Path) -> None:
    """order_facts of all months at once, a file a month."""
    import polars as pl

    def days(table: str) -> pl.LazyFrame:
        return pl.scan_parquet(source / table / "*.parquet")

    def whole(table: str, prefix: str) -> pl.LazyFrame:
        frame = pl.scan_parquet(source / f"{table}.parquet")
        return frame.rename(lambda name: name if name == f"{prefix}_id" else f"{prefix}_{name}")

    first = days("payments").filter(pl.col("status") == "captured").sort("paid_at", "payment_id")
    paid = first.unique("order_id", keep="first").select("order_id", payment_method="method", captured_at="paid_at")
    orders = (
        days("orders")
        .sort("ordered_at", "order_id")
        .with_columns(
            day=pl.col("ordered_at").dt.date(),
            is_sale=pl.col("status").is_in(SALES),
            number=pl.int_range(1, pl.len() + 1).over("customer_id"),
        )
    )
    gross = pl.col("quantity") * pl.col("unit_price")
    cost = pl.when(pl.col("product_currency") == pl.col("currency")).then(pl.col("quantity") * pl.col("product_cost"))
    facts = (
        days("order_items")
        .join(orders, on="order_id")
        .join(paid, on="order_id", how="left")
        .join(whole("customers", "customer"), on="customer_id", how="left")
        .join(whole("products", "product"), on="product_id", how="left")
        .with_columns(gross=gross, cost=cost, discount_amount=pl.col("discount_amount").fill_null(0))
        .with_columns(net=pl.col("gross") - pl.col("discount_amount"))
        .with_columns(
            margin=pl.col("net") - pl.col("cost"),
            days_to_pay=(pl.col("captured_at") - pl.col("ordered_at")).dt.total_microseconds() / 86_400e6,
        )
        .sort("ordered_at", "order_id", "order_item_id")
        .collect()
    )
    by_month = facts.with_columns(month=pl.col("day").dt.strftime("%Y-%m")).partition_by("month", as_dict=True)
    for (month,), rows in by_month.items():
        rows.write_parquet(target / f"{month}.parquet", compression="zstd", compression_level=1)


def duckdb_sql(source: Path, target: Path) -> None:
    """order_facts of all months at once, a file a month."""
    import duckdb

    connection = duckdb.connect(config={"temp_directory": str(target / "temp")})
    for table in ("orders", "order_items", "payments"):
        connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{source}/{table}/*.parquet')")
    for table in ("customers", "products"):
        connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{source}/{table}.parquet')")
    connection.execute(
        f"""
        CREATE TABLE facts AS
        WITH numbered AS (
            SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY ordered_at, order_id) AS number FROM orders
        ), paid AS (
            SELECT order_id, arg_min(method, (paid_at, payment_id)) AS payment_method, min(paid_at) AS captured_at
            FROM payments WHERE status = 'captured' GROUP BY order_id
        ), joined AS (
            SELECT i.*, o.customer_id, o.ordered_at, o.ordered_at::DATE AS day, o.status, o.currency, o.total_amount,
                o.number, o.status IN {SALES} AS is_sale, p.payment_method, p.captured_at, c.email, c.phone, c.city,
                c.country, c.created_at, r.name, r.category, r.price, r.cost AS product_cost, r.currency AS of_product,
                i.quantity * i.unit_price AS gross,
                i.quantity * i.unit_price - coalesce(i.discount_amount, 0) AS net,
                CASE WHEN r.currency = o.currency THEN i.quantity * r.cost END AS cost,
                epoch(p.captured_at - o.ordered_at) / 86400 AS days_to_pay
            FROM order_items i JOIN numbered o USING (order_id) LEFT JOIN paid p USING (order_id)
            LEFT JOIN customers c USING (customer_id) LEFT JOIN products r USING (product_id)
        )
        SELECT *, net - cost AS margin, strftime(day, '%Y-%m') AS month FROM joined
        """
    )
    for (month,) in connection.execute("SELECT DISTINCT month FROM facts").fetchall():
        connection.execute(
            f"COPY (SELECT * EXCLUDE month FROM facts WHERE month = '{month}' ORDER BY ordered_at, order_id, "
            f"order_item_id) TO '{target}/{month}.parquet' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        )


def pandas_merge(source: Path, target: Path) -> None:
    """order_facts of all months at once, a file a month; amounts are floats."""
    import pandas as pd

    def read(path: str) -> pd.DataFrame:
        frame = pd.read_parquet(source / path)
        money = [name for name in frame if name in ("price", "cost", "unit_price", "discount_amount", "total_amount")]
        return frame.astype(dict.fromkeys(money, float))

    def whole(table: str, prefix: str) -> pd.DataFrame:
        frame = read(f"{table}.parquet")
        return frame.rename(columns={name: f"{prefix}_{name}" for name in frame if name != f"{prefix}_id"})

    payments = read("payments")
    captured = payments[payments["status"] == "captured"].sort_values(["paid_at", "payment_id"])
    paid = captured.drop_duplicates("order_id")[["order_id", "method", "paid_at"]]
    orders = read("orders").sort_values(["ordered_at", "order_id"])
    orders["number"] = orders.groupby("customer_id").cumcount() + 1
    orders["is_sale"] = orders["status"].isin(SALES)
    facts = (
        read("order_items")
        .merge(orders, on="order_id")
        .merge(paid, on="order_id", how="left")
        .merge(whole("customers", "customer"), on="customer_id", how="left")
        .merge(whole("products", "product"), on="product_id", how="left")
    )
    facts["gross"] = facts["quantity"] * facts["unit_price"]
    facts["net"] = facts["gross"] - facts["discount_amount"].fillna(0)
    same = facts["product_currency"] == facts["currency"]
    facts["margin"] = facts["net"] - (facts["quantity"] * facts["product_cost"]).where(same)
    facts["days_to_pay"] = (facts["paid_at"] - facts["ordered_at"]).dt.total_seconds() / 86_400
    facts = facts.sort_values(["ordered_at", "order_id", "order_item_id"])
    for month, rows in facts.groupby(facts["ordered_at"].dt.strftime("%Y-%m")):
        rows.to_parquet(target / f"{month}.parquet", compression="zstd", index=False)


_PATHS: dict[str, Callable[[Path, Path], None]] = {
    path.__name__: path for path in (ours, polars_lazy, duckdb_sql, pandas_merge)
}


def main() -> None:
    """Run a contender on the small folder, then on the other one, and print how long that took."""
    name, source, warm, target = sys.argv[1:]
    for folder, place in ((warm, "warm"), (source, "target")):
        Path(target, place).mkdir()
        started, cpu_started = perf_counter(), process_time()
        _PATHS[name](Path(folder), Path(target, place))
    print(perf_counter() - started, process_time() - cpu_started)


if __name__ == "__main__":
    main()
