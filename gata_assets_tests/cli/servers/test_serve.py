"""`gata serve`: as a process that is ended by SIGTERM, and what it refuses. Real: the process, a port, a directory."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from gata_assets.cli.main import main
from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.raw_worlds import encode, interaction


def test_sigterm_lets_a_request_at_work_end_and_the_process_ends_with_0(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "target"))
    secret, _ = KeyStore(store, lambda: datetime.now(UTC)).create("acme", ["ingest"])
    body = encode([interaction()], "jsonl")
    head = (
        f"POST /internal/data/interactions HTTP/1.1\r\nHost: x\r\nX-API-Key: {secret}\r\n"
        f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    command = [sys.executable, "-m", "gata_assets", "serve", "--port", "0", "--json"]
    environment = {**os.environ, "TARGET_DIR": str(tmp_path / "target")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=tmp_path, text=True) as process:
        try:
            assert process.stdout
            ready = json.loads(process.stdout.readline())
            assert ready["event"] == "SERVICE_READY"
            port = int(ready["url"].rpartition(":")[2])
            with urllib.request.urlopen(f"{ready['url']}/health") as answer:
                assert json.load(answer)["status"] == "healthy"
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                connection.sendall(head.encode() + body[:10])
                # The request has begun once a second connection was served after it.
                urllib.request.urlopen(f"{ready['url']}/health").close()
                process.send_signal(signal.SIGTERM)
                connection.sendall(body[10:])
                assert connection.recv(100).startswith(b"HTTP/1.1 200")
            lines = [json.loads(line) for line in process.stdout]
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
    assert [line["route"] for line in lines] == ["/health", "/health", "/internal/data/{table}"]
    assert len(list(store.list_keys("acme/raw/interactions/"))) == 1


def test_a_network_is_trusted_on_private_addresses_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERVICE_AUTH", "trusted-network")
    refused = CliRunner().invoke(main, ["serve", "--host", "0.0.0.0", "--port", "0"])  # noqa: S104
    assert refused.exit_code == 2
    assert "SERVICE_TRUST_ANY_ADDRESS=yes" in refused.output


def test_a_port_that_is_taken_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = CliRunner().invoke(main, ["serve", "--port", port])
    assert refused.exit_code == 1
    assert f"Port {port} of 127.0.0.1 cannot be listened on" in refused.output


@pytest.mark.parametrize("package", ["uvicorn", "python_multipart"])
def test_without_its_extra_it_says_how_to_install_it(package: str, tmp_path: Path) -> None:
    # Python finds a package that is None nowhere.
    script = f"import sys; sys.modules[{package!r}] = None; from gata_assets.cli.main import main; main(['serve'])"
    ran = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert ran.stderr == f"Error: {package} is not installed: pip install 'gata-assets[service]'.\n"


pytestmark = [pytest.mark.process, pytest.mark.server]
