"""The contenders of `curation`: from a CSV file of interactions to written tables, each run as a process.

Arguments: a function's name, the file, a small file to warm up, and a directory; prints wall-clock and CPU seconds.
Each function imports what it needs, so that a process loads only its own libraries.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

END = datetime(2026, 1, 2, tzinfo=UTC)
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
TYPES = ("view", "click", "purchase", "like", "add_to_cart", "dislike")


def ours(source: Path, target: Path, *, is_curated: bool = True) -> None:
    """Parts by day, quarantine and report; then curated days."""
    from gata_assets.curation.policy import CurationRules
    from gata_assets.interactions.curated.curator import Curator
    from gata_assets.interactions.tables import INTERACTIONS
    from gata_assets.storage.local import LocalStore

    rules = CurationRules(EARLIEST, timedelta(hours=24))
    curator = Curator(LocalStore(str(target)), "acme", rules, END)
    key = curator.places.raw(INTERACTIONS, END.date()) + source.name
    (target / key).parent.mkdir(parents=True)
    (target / key).hardlink_to(source)
    report = curator.validate(key)
    assert report.valid + report.rejected == report.rows
    if is_curated:
        assert all(day.is_written for day in curator.curate(INTERACTIONS, curator.stale(INTERACTIONS)))


def ours_validated(source: Path, target: Path) -> None:
    """Parts by day, quarantine and report."""
    ours(source, target, is_curated=False)


def pandas_split(source: Path, target: Path) -> None:
    """Valid rows in a file; rejected rows, with the checks that they fail, in another."""
    import pandas as pd
    import pandera.pandas as pa

    schema = pa.DataFrameSchema(
        {
            "user_id": pa.Column(str),
            "item_id": pa.Column(str),
            "interaction_type": pa.Column(str, pa.Check.isin(TYPES)),
            "timestamp": pa.Column("datetime64[us, UTC]", pa.Check.in_range(EARLIEST, END + timedelta(days=1))),
            "rating": pa.Column(float, pa.Check.in_range(1, 5), nullable=True),
        }
    )
    table = pd.read_csv(source)
    instants = pd.to_datetime(table["timestamp"], format="ISO8601", utc=True, errors="coerce")
    table["timestamp"] = instants.astype("datetime64[us, UTC]")
    rejected = pd.DataFrame({"index": [], "rules": []})
    try:
        schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        rejected = error.failure_cases.groupby("index")["check"].agg(list).rename("rules").reset_index()
    table.drop(index=list(rejected["index"])).to_parquet(target / "valid.parquet", compression="zstd")
    table.loc[rejected["index"]].assign(rules=rejected["rules"].to_numpy()).to_parquet(
        target / "rejected.parquet", compression="zstd"
    )


def polars_split(source: Path, target: Path) -> None:
    """Valid rows in one file; rejected ones, with the rules that they break, in another."""
    valid, rejected = _validate(source)
    valid.write_parquet(target / "valid.parquet", compression="zstd", compression_level=1)
    rejected.write_parquet(target / "rejected.parquet", compression="zstd", compression_level=1)


def polars_days(source: Path, target: Path) -> None:
    """Valid rows without repetitions, in order, in a file a day; rejected ones, with their rules, in another."""
    import polars as pl

    valid, rejected = _validate(source)
    rejected.write_parquet(target / "rejected.parquet", compression="zstd", compression_level=1)
    columns = ["timestamp", "user_id", "item_id", "interaction_type", "rating"]
    ordered = valid.unique().sort(columns).with_columns(pl.col("timestamp").dt.date().alias("day"))
    for (day,), rows in ordered.partition_by("day", as_dict=True, include_key=False, maintain_order=True).items():
        (target / str(day)).mkdir()
        path = target / str(day) / "interactions.parquet"
        rows.write_parquet(path, compression="zstd", compression_level=1)


def _validate(source: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    import polars as pl

    table = pl.read_csv(source, infer_schema=False, row_index_name="line")
    instant = pl.col("timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%S%#z", time_unit="us", strict=False)
    rating = pl.col("rating").cast(pl.Float32, strict=False)
    wrong = {
        "user_id_is_given": pl.col("user_id").is_null(),
        "item_id_is_given": pl.col("item_id").is_null(),
        "interaction_type_is_known": ~pl.col("interaction_type").is_in(TYPES),
        "timestamp_is_iso_8601": instant.is_null(),
        "timestamp_is_within_reason": ~instant.is_between(EARLIEST, END + timedelta(days=1), closed="left"),
        "rating_is_1_to_5": pl.col("rating").is_not_null() & ~rating.is_between(1, 5).fill_null(value=False),
    }
    rules = [pl.when(rule.fill_null(value=False)).then(pl.lit(name)) for name, rule in wrong.items()]
    validated = table.with_columns(pl.concat_list(rules).list.drop_nulls().alias("rules"))
    is_valid = validated["rules"].list.len() == 0
    valid = validated.filter(is_valid).select("user_id", "item_id", "interaction_type", instant, rating)
    return valid, validated.filter(~is_valid)


_PATHS: dict[str, Callable[[Path, Path], None]] = {
    path.__name__: path for path in (ours, ours_validated, polars_days, polars_split, pandas_split)
}

if __name__ == "__main__":
    _path = _PATHS[sys.argv[1]]
    _source, _warm, _target = map(Path, sys.argv[2:])
    for _file, _folder in ((_warm, _target / "warm"), (_source, _target / "measured")):
        _folder.mkdir()
        _started, _worked = perf_counter(), process_time()
        _path(_file, _folder)
        _seconds, _cpu_seconds = perf_counter() - _started, process_time() - _worked
    print(_seconds, _cpu_seconds)
