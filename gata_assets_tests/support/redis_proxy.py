"""A proxy in front of a Redis that counts commands, and at one of them ends a process or the connection.

Real: both connections. It reads what clients send command by command, so that the server has all commands before the
chosen one, and nothing of it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from gata_assets_tests.support.redis_servers import RedisServer


class Fate(StrEnum):
    """What becomes of a command."""

    PASSED = "it is passed on, with its reply"
    LOST = "the connection ends before the server has it"
    UNANSWERED = "the server carries it out, and the connection ends before the reply"


Judge = Callable[[int, bytes], Fate]


class RedisProxy:
    """Passes commands on; `judge` decides about each by its number, from 1 over all connections, and its name."""

    def __init__(self, server: RedisServer, judge: Judge) -> None:
        self._server, self.judge = server, judge
        self.commands: list[bytes] = []
        self._lock = threading.Lock()
        self._path = server.directory / f"proxy-{id(self)}.sock"
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self._path))
        self._listening.listen(16)
        self._start(self._accept)

    @property
    def path(self) -> Path:
        """Its socket."""
        return self._path

    @property
    def url(self) -> str:
        """Its URL."""
        return f"unix://{self._path}"

    def client(self) -> Redis:
        """A client that tries nothing again."""
        client: Redis = Redis(unix_socket_path=str(self._path), protocol=2, retry=Retry(NoBackoff(), 0))
        return client

    def close(self) -> None:
        """End all connections."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for one in self._sockets:
            one.close()
        self._path.unlink(missing_ok=True)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server.path))
                self._sockets += [client, server]
                is_silent = threading.Event()
                self._start(self._pass_commands, client, server, is_silent)
                self._start(self._pass_replies, client, server, is_silent)

    def _pass_commands(self, client: socket.socket, server: socket.socket, is_silent: threading.Event) -> None:
        with suppress(OSError), client.makefile("rb") as reading:
            for name, command in _commands(reading):
                with self._lock:
                    self.commands.append(name)
                    number = len(self.commands)
                fate = self.judge(number, name)
                if fate is Fate.LOST:
                    _end(client)
                    break
                if fate is Fate.UNANSWERED:
                    is_silent.set()
                server.sendall(command)
                if fate is Fate.UNANSWERED:
                    break
        with suppress(OSError):
            # The server carries out what it has, and then ends the connection.
            server.shutdown(socket.SHUT_WR)

    def _pass_replies(self, client: socket.socket, server: socket.socket, is_silent: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65_536):
                if not is_silent.is_set():
                    client.sendall(data)
        _end(client)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


def _commands(reading: object) -> Iterator[tuple[bytes, bytes]]:
    """The name and the bytes of each command that a client sends."""
    readline, read = reading.readline, reading.read  # type: ignore[attr-defined]
    while head := readline():
        parts, name = [head], b""
        for number in range(int(head[1:])):
            size = readline()
            value = read(int(size[1:]) + 2)
            parts += [size, value]
            if number == 0:
                name = value.strip().upper()
        yield name, b"".join(parts)


@contextmanager
def proxy_of(server: RedisServer, judge: Judge = lambda _, __: Fate.PASSED) -> Iterator[RedisProxy]:
    """A proxy in front of a server."""
    proxy = RedisProxy(server, judge)
    try:
        yield proxy
    finally:
        proxy.close()
