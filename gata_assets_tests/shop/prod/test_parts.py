"""Files of a partition: how large they are, and what they refuse. Real: Parquet files in a directory."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from gata_assets.errors import DataRuleError
from gata_assets.shop.prod.parts import GROUP_ROWS, PartWriter
from gata_assets.shop.prod.source import ProdSettings
from gata_assets.shop.prod.tables import DAILY_CATEGORY_SALES

TABLE = DAILY_CATEGORY_SALES


def rows_of(count: int) -> pl.DataFrame:
    """So many rows, each with another category."""
    given = {
        "day": date(2026, 1, 1),
        "currency": "EUR",
        **dict.fromkeys(("orders", "customers", "items", "units", "gross_amount", "discount_amount"), 1),
        **dict.fromkeys(("net_amount", "margin", "margin_net_amount"), 1),
    }
    frame = pl.DataFrame({"category": pl.Series(range(count)).hash(3).cast(pl.String)})
    literals = [pl.lit(value).alias(name) for name, value in given.items()]
    return (
        frame.with_columns(literals).select(TABLE.spec.curated_schema.keys()).cast(pl.Schema(TABLE.spec.curated_schema))
    )


def write(folder: Path, frames: list[pl.DataFrame], **settings: int) -> list[tuple[int, list[int]]]:
    """Write frames; gives the rows of each file, and of its row groups."""
    writer = PartWriter(TABLE, folder, ProdSettings("shop", **settings))  # type: ignore[arg-type]
    for frame in frames:
        writer.write(frame)
    found = []
    for part in writer.close():
        metadata = pq.ParquetFile(part.path).metadata
        found.append((part.rows, [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]))
    return found


def test_a_small_partition_is_one_file_of_groups_of_about_the_same_size(tmp_path: Path) -> None:
    assert write(tmp_path, [rows_of(10), rows_of(GROUP_ROWS + 1)]) == [(GROUP_ROWS + 11, [10, 65_536, 65_537])]


def test_a_file_ends_with_the_group_that_reaches_the_size(tmp_path: Path) -> None:
    frame = rows_of(2_000)
    found = write(tmp_path, [frame] * 5, file_bytes=15_000)
    assert [rows for rows, _ in found] == [2_000] * 5 or sum(rows for rows, _ in found) == 10_000
    assert len(found) > 1
    read = pl.concat([pl.DataFrame(pq.read_table(path)) for path in sorted(tmp_path.iterdir())])
    assert read["category"].to_list() == pl.concat([frame] * 5)["category"].to_list()


def test_no_rows_are_no_file(tmp_path: Path) -> None:
    assert write(tmp_path, [rows_of(0)]) == []


def test_a_null_where_the_table_allows_none_is_refused_with_its_column(tmp_path: Path) -> None:
    frame = rows_of(3).with_columns(currency=pl.lit(None, pl.String))
    with pytest.raises(DataRuleError, match="currency of 3 rows of daily_category_sales is null"):
        write(tmp_path, [frame])
