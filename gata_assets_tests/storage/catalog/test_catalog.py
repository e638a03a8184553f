"""The contract of a catalog, held by each: Glue, and a JSON file in a directory and in S3.

Real: Glue's and S3's protocols over HTTP on loopback (moto's server), files.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from gata_assets.errors import CatalogError, StoreError
from gata_assets.storage.catalog.base import Catalog, CatalogColumn, Partition
from gata_assets_tests.storage.catalog.conftest import COLUMNS, KEYS, table_of

JANUARY, FEBRUARY = ("2026", "01"), ("2026", "02")


def test_a_partition_is_created_and_moved_and_its_notes_with_it(catalog: tuple[Catalog, str]) -> None:
    found, table = catalog[0], table_of(catalog[1])
    assert found.partitions(table) == {}
    found.ensure_table(table)
    assert found.partitions(table) == {}
    found.swap(table, FEBRUARY, "s3://bucket/facts/2/", {"rows": "2"})
    found.swap(table, JANUARY, "s3://bucket/facts/1/", {"rows": "1"})
    found.swap(table, JANUARY, "s3://bucket/facts/1b/", {"rows": "3", "build": "b"})
    assert found.partitions(table) == {
        JANUARY: Partition("s3://bucket/facts/1b/", {"rows": "3", "build": "b"}),
        FEBRUARY: Partition("s3://bucket/facts/2/", {"rows": "2"}),
    }


def test_a_removed_partition_is_gone_also_when_it_is_removed_again(catalog: tuple[Catalog, str]) -> None:
    found, table = catalog[0], table_of(catalog[1])
    found.ensure_table(table)
    for values in (JANUARY, FEBRUARY):
        found.swap(table, values, "s3://bucket/facts/1/", {})
    found.remove_partition(table, JANUARY)
    found.remove_partition(table, JANUARY)
    assert list(found.partitions(table)) == [FEBRUARY]


def test_a_table_without_partition_keys_is_moved_itself(catalog: tuple[Catalog, str]) -> None:
    found, table = catalog[0], table_of(catalog[1], keys=())
    found.ensure_table(table)
    assert found.partitions(table) == {}
    for build in ("a", "b"):
        found.swap(table, (), f"s3://bucket/facts/{build}/", {"build": build})
        found.ensure_table(table)
        assert found.partitions(table) == {(): Partition(f"s3://bucket/facts/{build}/", {"build": build})}


def test_a_later_release_adds_columns_and_partitions_stay(catalog: tuple[Catalog, str]) -> None:
    found, table = catalog[0], table_of(catalog[1])
    found.ensure_table(table)
    found.swap(table, JANUARY, "s3://bucket/facts/1/", {})
    later = table_of(catalog[1], CatalogColumn("margin", "decimal(18,2)", "Net less cost."))
    for _ in range(2):
        found.ensure_table(later)
        assert list(found.partitions(later)) == [JANUARY]
    with pytest.raises(CatalogError, match=r"column margin decimal\(18,2\) \(missing now\)"):
        found.ensure_table(table)


@pytest.mark.parametrize(
    ("columns", "keys", "differing"),
    [
        (COLUMNS[:1], KEYS, r"column amount decimal\(18,2\) \(missing now\)"),
        ((COLUMNS[0], CatalogColumn("amount", "double")), KEYS, r"column amount decimal\(18,2\) \(double now\)"),
        (COLUMNS[::-1], KEYS, "the order of the columns"),
        (COLUMNS, KEYS[:1], r"partition keys \(year, month; year now\)"),
        (COLUMNS, KEYS[::-1], r"partition keys \(year, month; month, year now\)"),
    ],
)
def test_an_incompatible_change_is_refused_with_what_differs(
    catalog: tuple[Catalog, str],
    columns: tuple[CatalogColumn, ...],
    keys: tuple[CatalogColumn, ...],
    differing: str,
) -> None:
    found, table = catalog[0], table_of(catalog[1])
    found.ensure_table(table)
    changed = type(table)(table.database, table.name, columns, keys, table.location, table.description)
    with pytest.raises(CatalogError, match=f"{table.full_name} differs .*: {differing}. Drop the table"):
        found.ensure_table(changed)


def test_a_partition_of_a_dropped_table_is_an_error_that_says_so(catalog: tuple[Catalog, str]) -> None:
    found, table = catalog[0], table_of(catalog[1])
    with pytest.raises(StoreError, match=rf"no table {table.full_name}: it was dropped.*Run this again"):
        found.swap(table, JANUARY, "s3://bucket/facts/1/", {})


@pytest.mark.parametrize("values", [("2026",), ("2026", "01", "02"), (), ("2026", "a/b"), ("2026", "")])
def test_values_that_are_no_partition_of_the_table_are_refused(
    catalog: tuple[Catalog, str], values: tuple[str, ...]
) -> None:
    found, table = catalog[0], table_of(catalog[1])
    found.ensure_table(table)
    with pytest.raises(CatalogError, match="is partitioned by year, month"):
        found.swap(table, values, "s3://bucket/facts/1/", {})
    assert found.partitions(table) == {}


def test_concurrent_writers_lose_nothing(catalog: tuple[Catalog, str]) -> None:
    found, table = catalog[0], table_of(catalog[1])
    months = [("2026", f"{month:02}") for month in range(1, 9)]

    def write(values: tuple[str, ...]) -> None:
        found.ensure_table(table)
        found.swap(table, values, f"s3://bucket/facts/{values[1]}/", {})

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, months))
    assert sorted(found.partitions(table)) == months
