"""What is said when there is no Spark to run on, and what goes to its machines.

Real: processes without pyspark, without Java, a port of loopback where nobody listens, and a cluster without a worker.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.errors import EngineError
from gata_assets.interactions.engines.spark.session import open_session
from gata_assets.interactions.engines.spark.task_outputs import report_of, sum_reports
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.storage.s3 import S3StoreResource
from gata_assets.tables.outcomes import Outcome
from gata_assets_tests.support.loopback import free_port
from gata_assets_tests.support.spark_cluster import connect_server, standalone_cluster

_OPEN = """
import sys
from gata_assets.errors import EngineError
from gata_assets.interactions.engines.spark.session import open_session
try:
    open_session(master="local[1]", remote=None, settings={})
except EngineError as error:
    print(error)
"""


def said(program: str, environment: dict[str, str]) -> str:
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("address", ["spark://127.0.0.1:{}", "sc://127.0.0.1:{}/;token=secret"])
@pytest.mark.server
def test_an_address_where_nobody_listens_is_reported_at_once_and_without_its_token(address: str) -> None:
    where = address.format(free_port())
    master, remote = (where, None) if where.startswith("spark") else (None, where)
    with pytest.raises(EngineError, match=r"No answer from s\w+://127\.0\.0\.1:[0-9]+\. Check SPARK_MASTER"):
        open_session(master=master, remote=remote, settings={})


@pytest.mark.process
def test_without_pyspark_it_is_said_how_to_get_it() -> None:
    program = "import sys; sys.modules['pyspark'] = None\n" + _OPEN
    assert said(program, {}) == "INTERACTION_ENGINE=spark needs pyspark: pip install 'gata-assets[spark]'"


@pytest.mark.process
def test_without_java_it_is_said_that_it_is_needed(tmp_path: Path) -> None:
    """With the tools that Spark's own script calls, and no Java among them."""
    for name in ("bash", "dirname", "ps", "basename", "env", "cat", "sed", "tr"):
        for folder in ("/bin", "/usr/bin"):
            if Path(folder, name).exists() and not (tmp_path / name).exists():
                (tmp_path / name).symlink_to(Path(folder, name))
    message = said(_OPEN, {"PATH": str(tmp_path)})
    assert message.startswith("Spark needs Java 17 or later")


_RUN_NOTHING = """
import sys
from gata_assets.errors import EngineError
from gata_assets.interactions.engines.spark.session import open_session
where = dict(master=None, remote=None) | {sys.argv[1]: sys.argv[2]}
try:
    open_session(**where, settings={}, wait_seconds=5)
except EngineError as error:
    print(error)
"""


@pytest.mark.spark
@pytest.mark.parametrize("setting", ["master", pytest.param("remote", marks=pytest.mark.soak)])
def test_a_cluster_that_runs_nothing_is_reported(tmp_path: Path, setting: str) -> None:
    """A master that no worker has joined, asked by itself and through a Connect server."""
    with ExitStack() as running:
        where = running.enter_context(standalone_cluster(tmp_path, workers=0))
        if setting == "remote":
            where = running.enter_context(connect_server(tmp_path, where))
        done = subprocess.run(
            [sys.executable, "-c", _RUN_NOTHING, setting, where],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
    message = done.stdout.splitlines()[-1]
    assert message.startswith(f"No task ran on {where} within 5 s: no executor started. The cluster has no worker, or")


def test_a_directory_goes_to_another_process_with_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = LocalStoreResource(directory="target")
    store.write("a/b", b"content")
    packed = pickle.dumps(store)
    monkeypatch.chdir("/")
    assert pickle.loads(packed).read("a/b") == b"content"


def test_a_store_goes_to_another_process(bucket: str) -> None:
    store = S3StoreResource(bucket=bucket, s3=S3Resource(region_name="us-east-1"))
    store.write("a/b", b"content")
    again = pickle.loads(pickle.dumps(store))
    assert again.read("a/b") == b"content"
    assert again.s3.region_name == "us-east-1"


def test_what_ranges_say_adds_up_by_rule() -> None:
    def said_of(part: int, failed: int) -> bytes:
        outcomes = {"t": {"c": [Outcome("r", failed, 10, "a", unit="users"), Outcome("s", 0, 1, "")]}}
        return report_of(part, outcomes, {"rows": 5}).content

    total = sum_reports([said_of(0, 0), said_of(1, 2), said_of(2, 1)])
    assert total.outcomes == {"t": {"c": [Outcome("r", 3, 30, "a", unit="users"), Outcome("s", 0, 3, "")]}}
    assert total.counts == {"rows": 15}
