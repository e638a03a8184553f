"""A shop's raw files to curated tables, with all rules and reasons: ours and alternatives; and what an update costs.

Measured: processor seconds of all threads without imports, and the peak memory of processes including imports and what
is not measured. Each contender (`curation_paths`) runs as a process with the image's variables, interleaved, after a
run over a small shop. The shops are `gata_assets.sandbox.sample_shop`, with its shares of faults.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from statistics import median
from typing import NamedTuple

import polars as pl

from benchmarks.harness import PROJECT, Cell, Goal, Result, Table
from benchmarks.processes import IMAGE_VARIABLES, Run, run_command
from benchmarks.shop.curation_paths import FIRST, LATER, PROFILED, SOURCE
from gata_assets.sandbox.sample_shop import write_sample_shop
from gata_assets.sandbox.shop.parameters import OrderFaults, RawShopFiles, ShopParameters
from gata_assets.storage.local import LocalStore

_DAYS = 100
# Of what comes later: the newest day, or as many orders of any day.
_SHARE = 0.01
_CONTACTS = ("email", "phone")
_SALES, _ALL, _CUSTOMERS, _NEWEST, _SPREAD, _LARGE = "sales", "all", "customers", "newest", "spread", "large"

# By name: the function of `curation_paths`, the shop, and what it is.
_CONTENDERS = {
    "ours": ("ours", _SALES, "ours: orders, items, customers, products; all rules and reasons, parked, by day"),
    "polars": ("polars_tables", _SALES, "plain Polars: a file per table and one of rejected rows"),
    "duckdb": ("duckdb_tables", _SALES, "DuckDB: the same in SQL"),
    "pandas": ("pandas_tables", _SALES, "pandas: the same without reasons; amounts as floats"),
    "all": ("ours", _ALL, "ours: all six tables, with payments and contacts"),
    "customers": ("ours", _CUSTOMERS, "ours: customers, e-mail and phone validated and masked"),
    "newest": ("ours_update", _NEWEST, "ours: an update of the newest 1 % of the days"),
    "spread": ("ours_update", _SPREAD, "ours: an update of 1 % of the orders, spread over all days"),
}
_LEFT_OUT = (
    "The alternatives leave out: rows that wait for a customer, product or order (parked, quarantined later), earlier "
    "balanced versions of an order, card numbers in texts, tokens (names are hidden only), country codes, all but some "
    "currencies, exact duplicates of files, days, manifests, checks of what is written, and updates: they read all "
    "files again. pandas also leaves out the reasons, and compares totals as floats."
)
_GOAL_ORDERS, _GOAL_MB, _GOAL_CUSTOMERS, _GOAL_LARGE_MB, _GOAL_UPDATE = 130_000, 800, 15_000, 2_000, 0.05


class _Figures(NamedTuple):
    seconds: float
    cpu_seconds: float
    peak: float


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few orders."""
    orders, large, times = (4_000, 8_000, 1) if quick else (1_000_000, 10_000_000, 3)
    with tempfile.TemporaryDirectory(prefix="gata-shop-") as folder:
        place = Path(folder)
        rows, _ = prepare(place / "shops", orders), prepare(place / "warm", 400)
        found: dict[str, list[_Figures]] = {name: [] for name in _CONTENDERS}
        for _ in range(times):
            for name, (path, shop, _) in _CONTENDERS.items():
                found[name].append(_measure(path, shop, place / "shops", place))
                print(name, found[name][-1], file=sys.stderr, flush=True)
        large_rows = _write_large(place, large)
        of_large = _measure("ours", _LARGE, place, place)
        profile = _profile(place / "shops", place)
    middle = {name: _Figures(*map(median, zip(*figures, strict=True))) for name, figures in found.items()}
    return _report(orders, rows, middle, large_rows, of_large, profile, times)


def _report(
    orders: int,
    rows: Mapping[str, int],
    middle: Mapping[str, _Figures],
    large: int,
    of_large: _Figures,
    profile: Mapping[str, float],
    times: int,
) -> Result:
    ours = middle["ours"]
    counts = dict.fromkeys(_CONTENDERS, rows["orders"]) | {"customers": rows["customers"]}
    counts |= {name: int(orders * _SHARE) for name in ("newest", "spread")}
    table: list[list[Cell]] = []
    for name, (_, _, what) in _CONTENDERS.items():
        _, cpu, peak = middle[name]
        table.append([what, counts[name], cpu, counts[name] / cpu, cpu / ours.cpu_seconds, peak])
    cpu = of_large.cpu_seconds
    table.append([_CONTENDERS["ours"][2], large, cpu, large / cpu, cpu / ours.cpu_seconds, of_large.peak])
    rate, customers = rows["orders"] / ours.cpu_seconds, rows["customers"] / middle["customers"].cpu_seconds
    newest, spread = (middle[name].cpu_seconds / ours.cpu_seconds for name in ("newest", "spread"))
    peers = ", ".join(
        f"{name} {rows['orders'] / middle[name].cpu_seconds:,.0f}" for name in ("polars", "duckdb", "pandas")
    )
    return Result(
        what=(
            f"{rows['orders']:,} rows of orders and {rows['order_items']:,} of items over {_DAYS} days, as Parquet of "
            f"AWS DMS with all faults of the sample shop, medians of {times} interleaved processes (the largest: one). "
            f"Compiled loops are cached. Only ours flushes its files to disk. {_LEFT_OUT}"
        ),
        says=(
            f"A second of processor time is enough for {rate:,.0f} orders with their items, and for {customers:,.0f} "
            f"customers with e-mail and phone; by the alternatives, with fewer rules: {peers}. The newest 1 % of the "
            f"days cost {newest:.1%} of everything, 1 % of the orders spread over all days {spread:.1%}."
        ),
        tables=[
            Table(
                "From raw files:",
                ["path", "rows", "CPU seconds", "rows per CPU second", "times as long as ours", "peak MB"],
                table,
            ),
            Table(
                "Where the processor time of ours goes, in one run under a profiler, which takes some itself:",
                ["what", "CPU seconds"],
                [[what, seconds] for what, seconds in profile.items()],
            ),
        ],
        goals=[
            Goal(f"{_GOAL_ORDERS:,} orders per CPU second", f"{rate:,.0f}", rate >= _GOAL_ORDERS),
            Goal(f"at most {_GOAL_MB} MB", f"{ours.peak:,.0f} MB", ours.peak <= _GOAL_MB),
            Goal(
                f"{_GOAL_CUSTOMERS:,} customers with contacts per CPU second",
                f"{customers:,.0f}",
                customers >= _GOAL_CUSTOMERS,
            ),
            Goal(
                f"at most {_GOAL_LARGE_MB:,} MB for {large:,} rows of orders",
                f"{of_large.peak:,.0f} MB",
                of_large.peak <= _GOAL_LARGE_MB,
            ),
            Goal(f"newest 1 % for {_GOAL_UPDATE:.0%} of everything", f"{newest:.1%}", newest <= _GOAL_UPDATE),
        ],
    )


def prepare(place: Path, orders: int) -> dict[str, int]:
    """Write the shops of all contenders; returns the rows by table. Files are linked from one shop to others."""
    whole, raw = place / "written", place / "written" / "shop" / "raw" / SOURCE
    faults = OrderFaults(customer_late=0, customer_deleted=0)
    rows = write_sample_shop(
        LocalStore(str(whole)),
        ShopParameters(
            orders=orders,
            customers=max(orders // 10, 100),
            products=max(orders // 200, 60),
            first_day=date(2025, 9, 1),
            days=_DAYS,
            loaded_days=_DAYS - 1,
            order_faults=faults,
            files=RawShopFiles(has_op_in_full_load=True),
        ),
    ).rows
    files = sorted(raw.rglob("*.parquet"))
    newest = max(file.parent.name for file in files)
    for file in files:
        inside, table = file.relative_to(raw), file.relative_to(raw).parts[0].removesuffix("-raw")
        _link(file, place / _ALL / FIRST / inside)
        if table == "customers":
            _link(file, place / _CUSTOMERS / FIRST / inside)
        if table not in ("customers", "products", "orders", "order_items"):
            continue
        is_of_sales = table in ("orders", "order_items")
        for shop in (_SALES, _NEWEST, _SPREAD):
            part = LATER if shop == _NEWEST and is_of_sales and file.parent.name == newest else FIRST
            target = place / shop / part / inside
            if table == "customers":
                target.parent.mkdir(parents=True, exist_ok=True)
                pl.read_parquet(file).drop(_CONTACTS).write_parquet(target)
            else:
                _link(file, target)
    _write_spread(place / _SPREAD)
    return dict(rows)


def _link(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(file, target)


def _write_spread(shop: Path) -> None:
    """A file of changes of every hundredth order: another state, and nothing else."""
    files = sorted((shop / FIRST / "orders-raw").rglob("*.parquet"))
    loads = pl.concat([pl.read_parquet(file) for file in files if file.name.startswith("LOAD")])
    changed = loads.gather_every(int(1 / _SHARE)).with_columns(
        pl.lit("U").alias("Op"),
        pl.lit("2025-12-11 10:00:00.000000").alias("dms_timestamp"),
        pl.lit("refunded").alias("status"),
    )
    target = shop / LATER / "orders-raw" / "year=2025" / "month=12" / "day=11" / "20251211-100000000.parquet"
    target.parent.mkdir(parents=True)
    changed.write_parquet(target)


def _write_large(place: Path, orders: int) -> int:
    rows = prepare(place / "of-large", orders)
    (place / _LARGE).symlink_to(place / "of-large" / _SALES)
    return rows["orders"]


def _measure(path: str, shop: str, shops: Path, place: Path) -> _Figures:
    """The seconds of a contender, and its process's peak memory in MB."""
    done = _run(path, shop, shops, place)
    seconds, cpu_seconds = map(float, done.stdout.split())
    return _Figures(seconds, cpu_seconds, done.peak_bytes / 1e6)


def _profile(shops: Path, place: Path) -> Mapping[str, float]:
    """The seconds of ours by what they are for."""
    _of_warm, measured, *_ = _run("ours_profiled", _SALES, shops, place).stdout.splitlines()
    found: dict[str, float] = json.loads(measured)
    return {what: found[what] for what in PROFILED}


def _run(path: str, shop: str, shops: Path, place: Path) -> Run:
    warm = place / "warm" / (_SALES if shop == _LARGE else shop)
    with tempfile.TemporaryDirectory(dir=place) as target:
        command = [sys.executable, "-m", "benchmarks.shop.curation_paths", path, str(shops / shop), str(warm), target]
        return run_command(command, directory=PROJECT, variables=IMAGE_VARIABLES)
