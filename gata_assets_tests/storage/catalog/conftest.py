"""Catalogs for the tests: Glue at an HTTP server on loopback, and the file in a directory and in S3. All real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import boto3
import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.storage.catalog.base import Catalog, CatalogColumn, TableEntry
from gata_assets.storage.catalog.glue import GlueCatalog
from gata_assets.storage.catalog.local_file import FileCatalog
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.storage.s3 import S3StoreResource
from gata_assets_tests.conftest import REGION
from gata_assets_tests.support.faulty_glue import FaultyGlue, GlueFaults

KEYS = (CatalogColumn("year", "string"), CatalogColumn("month", "string", "Two digits."))
COLUMNS = (CatalogColumn("order_id", "string", "The order."), CatalogColumn("amount", "decimal(18,2)", "Its sum."))


@pytest.fixture(scope="session")
def glue_server() -> Iterator[FaultyGlue]:
    """The server of this session."""
    with FaultyGlue() as server:
        yield server


@pytest.fixture
def glue(glue_server: FaultyGlue, aws_credentials: None) -> tuple[GlueCatalog, str, GlueFaults]:
    """A catalog, a database of its own, and the faults of its server, which has none yet."""
    glue_server.faults = GlueFaults()
    database = f"shop_{uuid4().hex[:12]}"
    client = boto3.client("glue", region_name=REGION, endpoint_url=glue_server.url)
    client.create_database(DatabaseInput={"Name": database})
    return GlueCatalog(region=REGION, endpoint_url=glue_server.url, max_attempts=2), database, glue_server.faults


@pytest.fixture(
    params=["local", pytest.param("s3", marks=pytest.mark.server), pytest.param("glue", marks=pytest.mark.server)]
)
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Catalog, str]:
    """Each kind of catalog in turn, and a database of it without tables."""
    if request.param == "glue":
        catalog, database, _ = request.getfixturevalue("glue")
        return catalog, database
    if request.param == "local":
        return FileCatalog(LocalStoreResource(directory=str(tmp_path / "target")), "shop/catalog.json"), "shop"
    store = S3StoreResource(bucket=request.getfixturevalue("bucket"), s3=S3Resource())
    return FileCatalog(store, "shop/catalog.json"), "shop"


def table_of(database: str, *more: CatalogColumn, keys: tuple[CatalogColumn, ...] = KEYS) -> TableEntry:
    """A table with the columns above and more of them."""
    place = "s3://bucket/facts/" if keys else "s3://bucket/facts/none/"
    return TableEntry(database, "facts", (*COLUMNS, *more), keys, place, "One row an item.")
