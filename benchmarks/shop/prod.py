"""Curated tables of a shop to tables for analysts: ours, and the same join in Polars, DuckDB and pandas.

Measured: input rows (orders, items, payments) per second from Parquet files to Parquet files, by wall-clock and by CPU
time of all threads, without imports, and the peak memory of processes. Each contender (`prod_paths`) runs as a process
with the image's variables, interleaved, after a run over a small shop.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import polars as pl

from benchmarks.harness import PROJECT, Cell, Goal, Result, Table
from benchmarks.processes import IMAGE_VARIABLES, run_command

_DAYS = 60
_START = date(2026, 1, 1)
# The shares of orders with 1 to 4 items: 2.25 on average.
_ITEMS_AN_ORDER = (0.3, 0.3, 0.25, 0.15)

# By the functions of `prod_paths`.
_CONTENDERS = {
    "ours": "ours: five tables, months' states, manifests, catalog",
    "polars_lazy": "Polars: order facts alone, a file a month",
    "duckdb_sql": "DuckDB: order facts alone, a file a month",
    "pandas_merge": "pandas: order facts alone, amounts as floats, a file a month",
}
_GOAL_ROWS, _GOAL_MB = 400_000, 1_100


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few rows."""
    orders, times = (20_000, 1) if quick else (1_000_000, 3)
    with tempfile.TemporaryDirectory(prefix="gata-prod-") as place:
        source, warm = Path(place, "curated"), Path(place, "small")
        rows = write_shop(source, orders)
        write_shop(warm, 1_000)
        found: dict[str, list[_Figures]] = {name: [] for name in _CONTENDERS}
        for _ in range(times):
            for name in _CONTENDERS:
                found[name].append(_measure(name, source, rows, warm, Path(place)))
    middle = {name: _Figures(*map(median, zip(*figures, strict=True))) for name, figures in found.items()}
    ours = middle["ours"]
    table: list[list[Cell]] = [[what, *middle[name]] for name, what in _CONTENDERS.items()]
    return Result(
        what=(
            f"{orders:,} orders of {orders // 5:,} customers over {_DAYS} days, with their items and payments: "
            f"{rows:,} rows. Medians of {times} interleaved processes. Only ours flushes its files to disk."
        ),
        says=(
            f"Ours processes {ours.cpu_rate:,.0f} rows per CPU second to five tables; to order facts alone Polars "
            f"{middle['polars_lazy'].cpu_rate:,.0f}, DuckDB {middle['duckdb_sql'].cpu_rate:,.0f}, pandas "
            f"{middle['pandas_merge'].cpu_rate:,.0f}."
        ),
        tables=[Table("From curated tables:", ["path", "rows/s", "rows per CPU second", "peak MB"], table)],
        goals=[
            Goal(f"{_GOAL_ROWS:,} rows per CPU second or more", f"{ours.cpu_rate:,.0f}", ours.cpu_rate >= _GOAL_ROWS),
            Goal(f"under {_GOAL_MB:,} MB", f"{ours.peak:,.0f} MB", ours.peak < _GOAL_MB),
        ],
    )


def write_shop(folder: Path, orders: int) -> int:
    """Write the curated tables of a shop with so many orders; returns the rows of orders, items and payments."""
    rng = np.random.default_rng(5)
    customers, products = max(10, orders // 5), 5_000
    folder.mkdir()

    def cents(most: int, count: int) -> pl.Series:
        return pl.Series(rng.integers(1, most, count)).cast(pl.Decimal(18, 2)) / 100

    def money(name: str) -> pl.Expr:
        return pl.col(name).cast(pl.Decimal(18, 2))

    def chosen(values: tuple[str, ...], count: int) -> pl.Series:
        return pl.Series(values).gather(rng.integers(0, len(values), count))

    def ids(prefix: str, numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pl.Series:
        return pl.select(pl.format(prefix + "{}", pl.Series(numbers).cast(pl.String).str.zfill(8))).to_series()

    start = datetime(_START.year, _START.month, _START.day, tzinfo=UTC)
    pl.DataFrame(
        {
            "customer_id": ids("c", np.arange(customers)),
            "email": ids("hmac-5f2c9a7d1e3b40558a61", rng.permutation(customers)),
            "phone": ids("hmac-93ab64cc0172fe8d4b19", rng.permutation(customers)),
            "city": chosen(("Berlin", "Köln", "Wien", "Zürich", "Graz", "Bern"), customers),
            "country": chosen(("DE", "AT", "CH"), customers),
            "created_at": pl.Series([start] * customers).cast(pl.Datetime("us", "UTC")),
        }
    ).write_parquet(folder / "customers.parquet")
    pl.DataFrame(
        {
            "product_id": ids("p", np.arange(products)),
            "name": ids("Product no. ", np.arange(products)),
            "category": chosen(("books", "garden", "kitchen", "music", "toys"), products),
            "price": cents(100_000, products),
            "cost": cents(50_000, products),
            "currency": chosen(("EUR", "EUR", "USD"), products),
        }
    ).with_columns(money("price"), money("cost")).write_parquet(folder / "products.parquet")
    pl.DataFrame(
        {
            "product_id": ids("p", np.arange(products)),
            "warehouse_id": ["north"] * products,
            "quantity": rng.integers(0, 500, products),
            "reserved": rng.integers(0, 50, products),
            "reorder_level": rng.integers(0, 100, products),
            "updated_at": pl.Series([start] * products).cast(pl.Datetime("us", "UTC")),
        }
    ).write_parquet(folder / "inventory.parquet")
    for table in ("orders", "order_items", "payments"):
        (folder / table).mkdir()
    rows, first = 0, 0
    for number in range(_DAYS):
        count = orders * (number + 1) // _DAYS - orders * number // _DAYS
        numbers = np.arange(first, first + count)
        first += count
        offsets = pl.Series(rng.integers(0, 86_400_000_000, count)).cast(pl.Duration("us"))
        midnight = pl.Series([start + timedelta(days=number)]).cast(pl.Datetime("us", "UTC"))
        of_orders = pl.DataFrame(
            {
                "order_id": ids("o", numbers),
                "customer_id": ids("c", rng.integers(0, customers, count)),
                "ordered_at": midnight.new_from_index(0, count) + offsets,
                "status": chosen(("paid", "shipped", "delivered", "delivered", "pending", "cancelled"), count),
                "currency": chosen(("EUR", "EUR", "USD"), count),
                "total_amount": cents(1_000_000, count),
            }
        ).with_columns(money("total_amount"))
        owners = np.repeat(numbers, rng.choice((1, 2, 3, 4), count, p=_ITEMS_AN_ORDER))
        items = len(owners)
        of_items = pl.DataFrame(
            {
                "order_item_id": ids(f"i{number:03}", rng.permutation(items)),
                "order_id": ids("o", owners),
                "product_id": ids("p", rng.integers(0, products, items)),
                "quantity": pl.Series(rng.integers(1, 6, items)).cast(pl.Int32),
                "unit_price": cents(100_000, items),
                "discount_amount": cents(1_000, items),
            }
        ).with_columns(money("unit_price"), pl.when(pl.col("quantity") > 3).then(money("discount_amount")).name.keep())
        delay = pl.Series(rng.integers(0, 10 * 86_400_000_000, count)).cast(pl.Duration("us"))
        of_payments = of_orders.select(
            pl.col("order_id").str.replace("o", "y").alias("payment_id"),
            "order_id",
            method=chosen(("card", "paypal", "voucher"), count),
            status=chosen(("captured", "captured", "captured", "failed"), count),
            paid_at=pl.col("ordered_at") + delay,
        )
        day = _START + timedelta(days=number)
        for table, frame in (("orders", of_orders), ("order_items", of_items), ("payments", of_payments)):
            frame.write_parquet(folder / table / f"{day}.parquet", compression="zstd", compression_level=1)
            rows += len(frame)
    return rows


class _Figures(NamedTuple):
    rate: float
    cpu_rate: float
    peak: float


def _measure(name: str, source: Path, rows: int, warm: Path, place: Path) -> _Figures:
    """Rows per second by the contender's wall-clock and CPU time, and its process's peak memory in MB."""
    with tempfile.TemporaryDirectory(dir=place) as target:
        command = [sys.executable, "-m", "benchmarks.shop.prod_paths", name, str(source), str(warm), target]
        done = run_command(command, directory=PROJECT, variables=IMAGE_VARIABLES)
    seconds, cpu_seconds = map(float, done.stdout.split())
    return _Figures(rows / seconds, rows / cpu_seconds, done.peak_bytes / 1e6)
