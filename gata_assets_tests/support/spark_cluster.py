"""A real Spark cluster on loopback: a standalone master and two workers of one core each, as processes of their own.

Started by the classes that pyspark brings; ended by their pids.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gata_assets_tests.support.loopback import free_port

if TYPE_CHECKING:
    from gata_assets.interactions.engines.spark.engine import SparkEngine

# These machines live for seconds: code that is compiled well pays for itself later than that.
BRIEF_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_DEPLOY = "org.apache.spark.deploy"
_START_SECONDS = 300


@pytest.fixture(scope="session")
def spark_master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the cluster of this session; the process's Spark session is ended before it."""
    from gata_assets.interactions.engines.spark.session import close_session

    with standalone_cluster(tmp_path_factory.mktemp("spark")) as url:
        yield url
        close_session()


@pytest.fixture(scope="session")
def spark_engine(spark_master: str, moto_url: str) -> SparkEngine:
    """The engine on that cluster, whose executors know the S3 endpoint; a part is made from few interactions."""
    from gata_assets.interactions.engines.spark.engine import SparkEngine

    settings = {
        "spark.driver.extraJavaOptions": BRIEF_JAVA,
        "spark.executorEnv.AWS_ENDPOINT_URL": moto_url,
        "spark.executorEnv.AWS_ACCESS_KEY_ID": "testing",
        "spark.executorEnv.AWS_SECRET_ACCESS_KEY": "testing",
        "spark.executorEnv.AWS_DEFAULT_REGION": "us-east-1",
    }
    return SparkEngine(master=spark_master, rows_per_part=200, settings=settings)


@contextmanager
def standalone_cluster(directory: Path, *, workers: int = 2, memory: str = "1g") -> Iterator[str]:
    """The URL of a master with workers that have joined it; its logs and work stand in a directory."""
    port = free_port()
    url = f"spark://127.0.0.1:{port}"
    with ExitStack() as running:
        master = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", "0"]
        log = running.enter_context(daemon(f"{_DEPLOY}.master.Master", master, directory / "master.log"))
        wait_for_port(port)
        for number in range(workers):
            worker = ["--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", memory]
            place = directory / f"worker-{number}"
            place.mkdir(parents=True)
            running.enter_context(daemon(f"{_DEPLOY}.worker.Worker", [*worker, "-d", str(place), url], place / "log"))
        _wait_until(lambda: log.read_text().count("Registering worker") >= workers, "the workers have joined")
        yield url


@contextmanager
def connect_server(directory: Path, master: str) -> Iterator[str]:
    """The URL of a Spark Connect server on loopback, which runs on a master (or by itself: `local[1]`)."""
    port = free_port()
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
    }
    flags = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    submit = [
        "--master",
        master,
        "--driver-memory",
        "600m",
        *flags,
        "--class",
        f"{_CONNECT}.SparkConnectServer",
        "spark-internal",
    ]
    with daemon(f"{_DEPLOY}.SparkSubmit", submit, directory / "connect.log", memory="600m"):
        wait_for_port(port)
        yield f"sc://127.0.0.1:{port}"


_CONNECT = "org.apache.spark.sql.connect.service"


@contextmanager
def daemon(java_class: str, arguments: Sequence[str], log: Path, *, memory: str = "256m") -> Iterator[Path]:
    """A class of Spark's as a process that listens on loopback; gives the file of its log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    [home] = importlib.util.find_spec("pyspark").submodule_search_locations  # type: ignore[union-attr]
    environment = {
        **os.environ,
        "SPARK_HOME": home,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": memory,
        # Its port would be the same for every master of the machine.
        "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",
        "SPARK_CONNECT_MODE": "0",
        # Workers hand it on to their executors.
        "JAVA_TOOL_OPTIONS": BRIEF_JAVA,
        "PYSPARK_PYTHON": sys.executable,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(Path(home, "bin", "spark-class")), java_class, *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    try:
        yield log
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait()


def wait_for_port(port: int) -> None:
    def answers() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    _wait_until(answers, f"port {port} answers")


def _wait_until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"It was waited in vain for: {what}.")
        time.sleep(0.1)
