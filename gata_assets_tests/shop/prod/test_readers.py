"""The tables as readers see them: DuckDB by the file catalog, Athena by Glue's entries, Parquet's own types.

Real: files in a directory, DuckDB, S3 and Glue over HTTP on loopback (moto's server). Athena itself is not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import boto3
import duckdb
import pyarrow.parquet as pq
import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.shop.prod.build import build_prod
from gata_assets.shop.prod.source import Compression, ProdSettings
from gata_assets.shop.prod.tables import ORDER_FACTS, TABLES
from gata_assets.storage.catalog.glue import GlueCatalog
from gata_assets.storage.catalog.local_file import FileCatalog
from gata_assets.storage.local import LocalStore
from gata_assets.storage.s3 import S3StoreResource
from gata_assets_tests.conftest import REGION
from gata_assets_tests.shop.prod.shops import FOLDER, NOW, contents_of
from gata_assets_tests.support.shop_oracle import expected_tables
from gata_assets_tests.support.shop_readers import DATABASE, locations
from gata_assets_tests.support.shop_worlds import small_world


@pytest.fixture(params=list(Compression))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory with the tables of a small shop, by either compression."""
    store = LocalStore(str(tmp_path / "data"))
    catalog = FileCatalog(store, "catalog.json")
    build_prod(small_world(3), store, catalog, FOLDER, ProdSettings(DATABASE, compression=request.param), now=NOW)
    return tmp_path / "data"


@pytest.fixture
def connection(place: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with a view a table, from the catalog's file alone."""
    catalog = json.loads((place / "catalog.json").read_text())
    with duckdb.connect() as found:
        found.execute("SET TimeZone = 'UTC'")
        for name, table in catalog["tables"].items():
            files = [f"{partition['location']}*.parquet" for partition in table["partitions"]]
            found.execute(f"CREATE VIEW {name.partition('.')[2]} AS SELECT * FROM read_parquet({files})")
        yield found


def test_duckdb_finds_the_same_rows_and_sums(connection: duckdb.DuckDBPyConnection) -> None:
    expected = expected_tables(small_world(3))
    for table in TABLES:
        rows = connection.execute(f"SELECT {', '.join(table.spec.curated_schema)} FROM {table.name}").fetchall()
        assert len(rows) == len(expected[table.name]), table.name
    facts = [row for row in expected["order_facts"] if row["is_sale"]]
    found = connection.execute(
        "SELECT count(*), sum(net_amount), sum(margin), max(ordered_at) FROM order_facts WHERE is_sale"
    ).fetchone()
    assert found == (
        len(facts),
        sum(row["net_amount"] for row in facts),
        sum(row["margin"] for row in facts if row["margin"] is not None),
        max(row["ordered_at"] for row in facts),
    )
    by_day = connection.execute("SELECT sum(net_amount), sum(units), sum(margin) FROM daily_sales").fetchone()
    assert (
        by_day
        == connection.execute("SELECT sum(net_amount), sum(units), sum(margin) FROM daily_category_sales").fetchone()
    )
    assert by_day is not None and by_day[0] == found[1]


def test_months_are_columns_by_the_names_of_folders(connection: duckdb.DuckDBPyConnection) -> None:
    found = connection.execute(
        "SELECT DISTINCT year || '-' || month, strftime(order_day, '%Y-%m') FROM order_facts ORDER BY 1"
    ).fetchall()
    assert found
    assert all(folder == month for folder, month in found)


def test_files_have_the_types_that_the_catalog_names(place: Path) -> None:
    catalog = FileCatalog(LocalStore(str(place)), "catalog.json")
    [location, *_] = locations(catalog, ORDER_FACTS).values()
    [file] = Path(location).iterdir()
    types = {column.name: str(column.logical_type) for column in pq.ParquetFile(file).schema}
    physical = {column.name: column.physical_type for column in pq.ParquetFile(file).schema}
    assert types["net_amount"] == "Decimal(precision=18, scale=2)"
    assert physical["net_amount"] == physical["ordered_at"] == "INT64"
    assert "microseconds" in types["ordered_at"]
    assert types["order_day"] == "Date"
    assert types["order_id"] == "String"


@pytest.mark.server
def test_s3_and_glue_have_what_a_directory_and_a_file_have(bucket: str, moto_url: str) -> None:
    database = f"shop_{uuid4().hex[:8]}"
    glue = boto3.client("glue", region_name=REGION, endpoint_url=moto_url)
    glue.create_database(DatabaseInput={"Name": database})
    store = S3StoreResource(bucket=bucket, s3=S3Resource())
    catalog = GlueCatalog(region=REGION, endpoint_url=moto_url)
    world = small_world(3)
    for _ in range(2):
        report = build_prod(world, store, catalog, FOLDER, ProdSettings(database), now=NOW)
    assert report.built.total() == 0
    found = {}
    for table in TABLES:
        stored = glue.get_table(DatabaseName=database, Name=table.name)["Table"]
        assert {
            column["Name"]: column["Type"] for column in stored["StorageDescriptor"]["Columns"]
        } == table.schema_note
        places = {(): stored["StorageDescriptor"]["Location"]}
        if table.partition_keys:
            listed = glue.get_partitions(DatabaseName=database, TableName=table.name)["Partitions"]
            places = {tuple(entry["Values"]): entry["StorageDescriptor"]["Location"] for entry in listed}
        for values, location in places.items():
            prefix = location.removeprefix(f"s3://{bucket}/")
            assert location.endswith("/") and prefix.startswith(FOLDER + table.name)
            found[table.name, values] = [store.read(key) for key in store.list_keys(prefix)]
    assert found == contents_of(world)


def test_amounts_are_decimals_for_readers_too(connection: duckdb.DuckDBPyConnection) -> None:
    found = connection.execute(
        "SELECT net_amount, average_order_value FROM customer_summary WHERE sales > 0"
    ).fetchall()
    assert found
    assert all(isinstance(amount, Decimal) for row in found for amount in row)
