"""What the Glue catalog sends, and how it answers faults. Real: boto3 and Glue's protocol over HTTP on loopback.

Faked: errors in the place of the server's answers, and another command that comes in between two calls.
"""

from __future__ import annotations

from collections import deque

import boto3
import pytest

from gata_assets.errors import CatalogError, ConflictError, StoreError
from gata_assets.storage.catalog.base import CatalogColumn, Partition
from gata_assets.storage.catalog.glue import GlueCatalog
from gata_assets_tests.conftest import REGION
from gata_assets_tests.storage.catalog.conftest import table_of
from gata_assets_tests.support.faulty_glue import FaultyGlue, GlueFaults

pytestmark = pytest.mark.server

JANUARY = ("2026", "01")
PLACE = "s3://bucket/facts/1/"
Glue = tuple[GlueCatalog, str, GlueFaults]


def test_tables_and_partitions_are_what_athena_reads(glue: Glue, glue_server: FaultyGlue) -> None:
    catalog, database, _ = glue
    table = table_of(database)
    catalog.ensure_table(table)
    catalog.swap(table, JANUARY, PLACE, {"rows": "1"})
    client = boto3.client("glue", region_name=REGION, endpoint_url=glue_server.url)
    stored = client.get_table(DatabaseName=database, Name="facts")["Table"]
    partition = client.get_partition(DatabaseName=database, TableName="facts", PartitionValues=list(JANUARY))
    assert stored["TableType"] == "EXTERNAL_TABLE"
    assert stored["Parameters"]["classification"] == "parquet"
    assert [(key["Name"], key["Type"]) for key in stored["PartitionKeys"]] == [("year", "string"), ("month", "string")]
    for storage in (stored["StorageDescriptor"], partition["Partition"]["StorageDescriptor"]):
        assert storage["SerdeInfo"]["SerializationLibrary"].endswith("ParquetHiveSerDe")
        assert storage["InputFormat"].endswith("MapredParquetInputFormat")
        assert storage["Columns"] == [
            {"Name": "order_id", "Type": "string", "Comment": "The order."},
            {"Name": "amount", "Type": "decimal(18,2)", "Comment": "Its sum."},
        ]


def test_what_others_set_on_a_table_is_kept(glue: Glue, glue_server: FaultyGlue) -> None:
    catalog, database, _ = glue
    table = table_of(database)
    catalog.ensure_table(table)
    client = boto3.client("glue", region_name=REGION, endpoint_url=glue_server.url)
    stored = client.get_table(DatabaseName=database, Name="facts")["Table"]
    kept = {name: stored[name] for name in ("Name", "TableType", "PartitionKeys", "StorageDescriptor")}  # type: ignore[literal-required]
    client.update_table(
        DatabaseName=database, TableInput={**kept, "Owner": "analysts", "Parameters": {"team": "retail"}}
    )
    catalog.ensure_table(table_of(database, CatalogColumn("margin", "double")))
    after = client.get_table(DatabaseName=database, Name="facts")["Table"]
    assert after["Owner"] == "analysts"
    assert after["Parameters"]["team"] == "retail"


def test_a_table_that_is_up_to_date_is_not_written(glue: Glue) -> None:
    catalog, database, faults = glue
    catalog.ensure_table(table_of(database))
    catalog.ensure_table(table_of(database))
    assert faults.actions.count("CreateTable") == 1
    assert "UpdateTable" not in faults.actions


def test_another_creator_of_a_table_or_partition_is_no_error(glue: Glue) -> None:
    catalog, database, faults = glue
    table = table_of(database)
    other = list[str]()

    def come_first(action: str) -> None:
        if action in ("CreateTable", "CreatePartition") and action not in other:
            other.append(action)
            if action == "CreateTable":
                catalog.ensure_table(table)
            else:
                catalog.swap(table, JANUARY, "s3://bucket/facts/other/", {})

    faults.before = come_first
    catalog.ensure_table(table)
    catalog.swap(table, JANUARY, PLACE, {})
    assert other == ["CreateTable", "CreatePartition"]
    assert catalog.partitions(table) == {JANUARY: Partition(PLACE, {})}


def test_a_change_that_meets_another_one_is_repeated_and_then_given_up(glue: Glue) -> None:
    catalog, database, faults = glue
    table = table_of(database, keys=())
    catalog.ensure_table(table)
    faults.errors["UpdateTable"] = deque(["ConcurrentModificationException"] * 4)
    catalog.swap(table, (), PLACE, {})
    assert catalog.partitions(table) == {(): Partition(PLACE, {})}
    faults.errors["UpdateTable"] = deque(["ConcurrentModificationException"] * 5)
    with pytest.raises(ConflictError, match="at each of 5 attempts"):
        catalog.swap(table, (), "s3://bucket/facts/2/", {})


def test_a_table_is_only_changed_while_it_is_the_one_that_was_read(glue: Glue, glue_server: FaultyGlue) -> None:
    catalog, database, faults = glue
    table = table_of(database, keys=())
    catalog.ensure_table(table)
    client = boto3.client("glue", region_name=REGION, endpoint_url=glue_server.url)
    version = client.get_table(DatabaseName=database, Name="facts")["Table"]["VersionId"]
    catalog.swap(table, (), PLACE, {})
    sent = faults.last_bodies["UpdateTable"]
    # Moto ignores both.
    assert (sent["VersionId"], sent["SkipArchive"]) == (version, True)


def test_a_change_whose_answer_was_lost_counts(glue: Glue) -> None:
    catalog, database, faults = glue
    table = table_of(database)
    faults.are_done = True
    for action in ("CreateTable", "CreatePartition", "DeletePartition"):
        faults.errors[action] = deque(["InternalServiceException"])
    catalog.ensure_table(table)
    catalog.swap(table, JANUARY, PLACE, {})
    assert catalog.partitions(table) == {JANUARY: Partition(PLACE, {})}
    catalog.remove_partition(table, JANUARY)
    assert catalog.partitions(table) == {}


def test_partitions_of_several_pages_are_all_found(glue: Glue) -> None:
    catalog, database, faults = glue
    table, months = table_of(database), [("2026", f"{month:02}") for month in range(1, 6)]
    catalog.ensure_table(table)
    for values in months:
        catalog.swap(table, values, PLACE, {})
    faults.page_size = 2
    faults.actions.clear()
    assert sorted(catalog.partitions(table)) == months
    assert faults.actions == ["GetPartitions"] * 3


def test_errors_of_glue_say_what_failed_and_what_the_role_needs(glue: Glue) -> None:
    catalog, database, faults = glue
    table = table_of(database)
    faults.errors["CreateTable"] = deque(["AccessDeniedException"])
    with pytest.raises(StoreError, match=rf"could not create {table.full_name}: .* The role needs glue:CreateTable"):
        catalog.ensure_table(table)
    faults.errors["GetPartitions"] = deque(["InternalServiceException"] * 3)
    with pytest.raises(StoreError, match=r"could not read the partitions of .*: InternalServiceException"):
        catalog.partitions(table)


def test_a_missing_database_is_named(glue: Glue) -> None:
    with pytest.raises(CatalogError, match="There is no Glue database nowhere in this region"):
        glue[0].ensure_table(table_of("nowhere"))


def test_a_table_of_another_kind_is_not_overwritten(glue: Glue, glue_server: FaultyGlue) -> None:
    catalog, database, _ = glue
    client = boto3.client("glue", region_name=REGION, endpoint_url=glue_server.url)
    client.create_table(DatabaseName=database, TableInput={"Name": "facts", "TableType": "VIRTUAL_VIEW"})
    with pytest.raises(CatalogError, match="is no table of Parquet files"):
        catalog.ensure_table(table_of(database))


def test_an_endpoint_that_does_not_answer_ends_in_an_error_that_names_it(aws_credentials: None) -> None:
    catalog = GlueCatalog(region=REGION, endpoint_url="http://127.0.0.1:1", max_attempts=1, connect_seconds=0.2)
    with pytest.raises(StoreError, match="Look at AWS_ENDPOINT_URL"):
        catalog.partitions(table_of("shop"))
