"""Training rows as Parquet: what a reader gets, and what it can skip.

All real, nothing is faked: pyarrow writes to memory, Polars and pyarrow read.
"""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from gata_assets.interactions.engines.polars import row_source
from gata_assets.interactions.rules import InteractionType
from gata_assets.interactions.sampling.samples import SampledRows, sample_rows
from gata_assets.interactions.schema import NegativeSamples
from gata_assets.storage.parquet_parts import write_groups
from gata_assets_tests.support.sampling_oracle import available, code, rules_of

CATALOGUE = [f"item {number:03}" for number in range(200)]


def sample(users: int, power: float | None = None) -> SampledRows:
    random = np.random.default_rng(2)
    events = [
        (f"user {user:02}", CATALOGUE[item], at, InteractionType.CLICK)
        for user in range(users)
        for at, item in enumerate(random.integers(0, 200, 10).tolist())
    ]
    table = code(events, CATALOGUE)
    return sample_rows(table, first=0, is_available=available(table, CATALOGUE), rules=rules_of(power=power))


def written(rows: SampledRows, rows_per_group: int) -> bytes:
    sink = BytesIO()
    source = row_source(rows, rows.table, rows_per_group)
    write_groups(source, source.groups, sink)
    return sink.getvalue()


@pytest.mark.parametrize("power", [None, 0.75])
def test_a_reader_gets_the_documented_table(power: float | None) -> None:
    rows = sample(12, power)
    table = pl.read_parquet(written(rows, 100))
    NegativeSamples.validate(table)
    assert table.equals(pl.DataFrame(rows.table(0, 12)).cast({"user_id": pl.String, "item_id": pl.String}))
    assert table["user_id"].is_sorted()


def test_a_user_is_in_one_group_which_says_whom_it_has() -> None:
    file = pq.ParquetFile(BytesIO(written(sample(12), 100)))
    groups = [file.metadata.row_group(at).column(0).statistics for at in range(file.num_row_groups)]
    assert len(groups) > 3
    assert all(before.max < after.min for before, after in pairwise(groups))
    for at, group in enumerate(groups):
        users = file.read_row_group(at, columns=["user_id"])["user_id"].unique().to_pylist()
        assert (group.min, group.max) == (min(users), max(users))


def test_groups_have_about_as_many_rows_as_were_asked_for() -> None:
    rows = sample(40)
    file = pq.ParquetFile(BytesIO(written(rows, 500)))
    sizes = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
    assert sum(sizes) == len(rows)
    assert all(400 <= size <= 550 for size in sizes)


def test_without_rows_the_table_has_its_columns() -> None:
    table = pl.read_parquet(written(sample(0), 100))
    NegativeSamples.validate(table)
    assert table.is_empty()


def test_the_same_rows_are_the_same_bytes() -> None:
    assert written(sample(12), 100) == written(sample(12), 100)
