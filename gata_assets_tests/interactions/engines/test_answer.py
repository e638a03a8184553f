"""Whether a Spark master or Connect server answers is found out within seconds, before pyspark waits for it.

Real: sockets. The servers are not Spark's: one says nothing, others begin HTTP/2 or speak no TLS.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from gata_assets.errors import EngineError
from gata_assets.interactions.engines.spark.session import require_answer
from gata_assets_tests.support.loopback import free_port, silent_server

pytestmark = pytest.mark.server


@contextmanager
def server_that_says(answer: bytes) -> Iterator[int]:
    """The port of a server that answers one client's first bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            client, _ = listening.accept()
            with client:
                client.recv(65_536)
                client.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        yield int(listening.getsockname()[1])
        thread.join()


@pytest.mark.parametrize("parameters", ["", "/;user_id=a", "/;use_ssl=true;token=secret"])
def test_a_connect_server_that_accepts_and_says_nothing_does_not_answer(parameters: str) -> None:
    with silent_server() as port, pytest.raises(EngineError, match="No answer from sc://") as caught:
        require_answer(f"sc://127.0.0.1:{port}{parameters}", 0.3)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("where", ["sc", "spark"])
def test_nobody_does_not_answer(where: str) -> None:
    with pytest.raises(EngineError, match="No answer from"):
        require_answer(f"{where}://127.0.0.1:{free_port()}", 0.3)


@pytest.mark.parametrize(
    ("parameters", "answer"), [("", bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])), ("/;use_ssl=true", b"no")]
)
def test_a_connect_server_that_says_anything_answers(parameters: str, answer: bytes) -> None:
    with server_that_says(answer) as port:
        require_answer(f"sc://127.0.0.1:{port}{parameters}", 20)


def test_a_master_answers_when_it_accepts() -> None:
    with silent_server() as port:
        require_answer(f"spark://127.0.0.1:{port}", 20)
