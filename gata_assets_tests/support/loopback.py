"""Ports of loopback for tests that start servers: free ones, and one that leads to a Unix socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextmanager
def silent_server() -> Iterator[int]:
    """The port of a server that accepts connections, reads what comes, and never answers."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                opened.append(client)
                Thread(target=read, args=(client,), daemon=True).start()

    def read(client: socket.socket) -> None:
        with suppress(OSError):
            while client.recv(65_536):
                pass

    opened: list[socket.socket] = []
    listening = socket.create_server(("127.0.0.1", 0))
    thread = Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
        for client in opened:
            client.close()


@contextmanager
def relay(port: int, path: str) -> Iterator[None]:
    """Connections to a port of loopback go to a Unix socket."""

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                here, _ = listening.accept()
                there = socket.socket(socket.AF_UNIX)
                there.connect(path)
                opened.extend((here, there))
                for ends in ((here, there), (there, here)):
                    Thread(target=pump, args=ends, daemon=True).start()

    opened: list[socket.socket] = []
    listening = socket.create_server(("127.0.0.1", port))
    thread = Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
        for one in opened:
            one.close()
