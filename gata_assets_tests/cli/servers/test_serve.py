"""`gata serve`: as a process that is ended by SIGTERM, and what it refuses. Real: the process, a port, a directory."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

import pytest
from click.testing import CliRunner

from gata_assets.cli.main import main
from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.http_service import MULTIPART, multipart
from gata_assets_tests.support.raw_worlds import encode, interaction


@contextmanager
def serving(directory: Path, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that serves into `target` in a directory, and its URL."""
    command = [sys.executable, "-m", "gata_assets", "serve", "--port", "0", "--json"]
    environment = {**os.environ, "TARGET_DIR": str(directory / "target"), **variables}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=directory, text=True) as process:
        try:
            assert process.stdout
            ready = json.loads(process.stdout.readline())
            assert ready["event"] == "SERVICE_READY"
            yield process, ready["url"]
        finally:
            process.kill()


def connect(url: str) -> socket.socket:
    """A connection to it."""
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=60)


def head_of(path: str, secret: str, kind: str, size: int) -> bytes:
    """The head of a request that sends something."""
    own = f"X-API-Key: {secret}\r\nContent-Type: {kind}\r\nContent-Length: {size}"
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{own}\r\n\r\n".encode()


def new_secret(store: LocalStore) -> str:
    """The secret of a new key."""
    return KeyStore(store, lambda: datetime.now(UTC)).create("acme", ["ingest"])[0]


def test_sigterm_lets_a_request_at_work_end_and_the_process_ends_with_0(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "target"))
    body = encode([interaction()], "jsonl")
    head = head_of("/internal/data/interactions", new_secret(store), "application/x-ndjson", len(body))
    with serving(tmp_path) as (process, url):
        with urllib.request.urlopen(f"{url}/health") as answer:
            assert json.load(answer)["status"] == "healthy"
        with connect(url) as connection:
            connection.sendall(head + body[:10])
            # The request has begun once a second connection was served after it.
            urllib.request.urlopen(f"{url}/health").close()
            process.send_signal(signal.SIGTERM)
            connection.sendall(body[10:])
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert process.stdout
        lines = [json.loads(line) for line in process.stdout]
        assert process.wait(timeout=60) == 0
    assert [line["route"] for line in lines] == ["/health", "/health", "/internal/data/{table}"]
    assert len(list(store.list_keys("acme/raw/interactions/"))) == 1


def test_an_upload_of_a_killed_process_counts_nowhere_and_is_removed_by_the_next_write(tmp_path: Path) -> None:
    store, scratch = LocalStore(str(tmp_path / "target")), tmp_path / "scratch"
    staging = tmp_path / "target" / ".staging"
    scratch.mkdir()
    body = multipart(encode([interaction()] * 40_000, "csv"))
    path = "/internal/data/upload-csv?data_type=interactions"
    head = head_of(path, new_secret(store), MULTIPART["Content-Type"], len(body))
    with serving(tmp_path, TMPDIR=str(scratch)) as (process, url), connect(url) as connection:
        connection.sendall(head + body[:-100_000])
        until = monotonic() + 60
        while not any(file.stat().st_size > 1_000_000 for file in staging.glob("*")):
            assert monotonic() < until, "nothing of the upload arrived"
            sleep(0.01)
        process.kill()
        process.wait()
    assert list(store.list_keys("acme/")) == list(store.list_keys("ingestion/uploads/")) == []
    until = monotonic() + 60
    while list(scratch.iterdir()):
        # The socket between its two processes, until the other one has noticed.
        assert monotonic() < until, "something is left of the process"
        sleep(0.01)
    assert len(list(staging.iterdir())) > 1
    new_secret(store)
    assert [path.name for path in staging.iterdir()] == ["lock"]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="what a process has loaded is read from /proc")
def test_the_process_that_receives_loads_nothing_that_only_rows_need(tmp_path: Path) -> None:
    secret, _ = KeyStore(LocalStore(str(tmp_path / "target")), lambda: datetime.now(UTC)).create("acme", ["admin"])
    headers = {"X-API-Key": secret}
    row = json.dumps(interaction()).encode()
    requests = {
        "/internal/data/interactions": (row, {}),
        "/v1/events?table=interactions": (row, {"Idempotency-Key": "1"}),
        "/internal/data/upload-csv?data_type=interactions": (multipart(encode([interaction()], "csv")), MULTIPART),
        "/v1/privacy/erasures": (b'{"subjects": ["u9"]}', {}),
    }
    with serving(tmp_path, PRIVACY_KEYS=f"1:{'k' * 32}") as (process, url):
        for path, (body, more) in requests.items():
            with urllib.request.urlopen(urllib.request.Request(url + path, body, {**headers, **more})) as answer:
                assert answer.status in {200, 202}
        with urllib.request.urlopen(f"{url}/metrics") as answer:
            # Measured by the other process.
            metrics = answer.read()
        assert b'gata_data_quality_score_ratio{data_type="interactions",tenant_id="acme"} 1.0' in metrics
        assert b'gata_erasure_open_requests{tenant_id="acme"} 1.0' in metrics
        loaded = Path(f"/proc/{process.pid}/maps").read_text()
    assert [name for name in ("libarrow", "numpy", "pandas", "numba", "cryptography") if name in loaded] == []
    assert "polars" in loaded


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


def test_neither_the_service_nor_its_stores_import_dagster_or_pandas() -> None:
    modules = "gata_assets.cli.servers.service, gata_assets.storage.aws.s3_store"
    heavy = ("dagster", "dagster_aws", "pandas", "pandera", "sqlalchemy", "sklearn")
    code = f"import sys, {modules}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


_LANDS = """
import sys
from pathlib import Path
from gata_assets.cli.servers import service
from gata_assets.ingestion.segments.coding.segments import encode_segment
from gata_assets_tests.support.event_worlds import event, segment_of
from gata_assets_tests.support.raw_worlds import curator_of, interaction, send
assert send(curator_of(Path("store")), [interaction()], Path(".")).valid == 1
assert encode_segment(segment_of([event(1)]))
print([name for name in ("pandas", "pyarrow.compute") if name in sys.modules])
"""


def test_rows_and_events_import_nothing_large_that_they_do_not_need(tmp_path: Path) -> None:
    variables = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([sys.executable, "-c", _LANDS], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
