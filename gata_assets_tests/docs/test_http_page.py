"""The curl commands of docs/ingestion-http.md, run on a service. Real: curl, the service on a port, a directory."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.storage.local import LocalStore
from gata_assets_tests.docs.pages import DOCS, blocks
from gata_assets_tests.support.http_service import TENANT, RunningService
from gata_assets_tests.support.raw_worlds import NOW, encode, interaction

PAGE = DOCS / "ingestion-http.md"


def test_every_curl_command_of_the_page_is_taken(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "target"))
    (tmp_path / "acme.key").write_text(KeyStore(store, lambda: NOW).create(TENANT, ["ingest", "validate"])[0] + "\n")
    (tmp_path / "privacy.key").write_text(KeyStore(store, lambda: NOW).create(TENANT, ["privacy"])[0] + "\n")
    (tmp_path / "january.csv").write_bytes(encode([interaction()], "csv"))
    found = [block for block in blocks(PAGE) if block.language == "bash"]
    with RunningService(store) as service:
        for block in found:
            command = block.text.replace("curl ", "curl -sS --fail-with-body -w '\\n' ")
            command = command.replace("127.0.0.1:8002", f"127.0.0.1:{service.port}")
            ran = subprocess.run(
                ["bash", "-e", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60
            )
            assert ran.returncode == 0, f"{block.place}: {ran.stdout}{ran.stderr}"
            assert all(json.loads(line) for line in ran.stdout.splitlines() if line)
        assert len(service.logged(7)) == 7


def test_the_page_shows_the_answers_of_the_service(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "target"))
    secret, _ = KeyStore(store, lambda: NOW).create(TENANT, ["ingest", "privacy"])
    shown = [json.loads(block.text) for block in blocks(PAGE) if block.language == "json"]
    with RunningService(store, secret=secret) as service:
        landed = service.post("/internal/data/interactions", [interaction()]).json
        accepted = service.post("/v1/events?table=interactions", interaction()).json
        asked = service.post("/v1/privacy/erasures", {"subjects": ["u1"]}).json
    assert [list(answer) for answer in shown] == [list(landed), list(accepted), list(asked)]
    counted = ("status", "rows_accepted", "rows_rejected", "validation_errors", "warnings", "was_there")
    assert {name: shown[0][name] for name in counted} == {name: landed[name] for name in counted}


def test_the_python_of_the_page_prints_what_it_shows(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "target"))
    (tmp_path / "acme.key").write_text(KeyStore(store, lambda: NOW).create(TENANT, ["ingest", "validate"])[0] + "\n")
    (tmp_path / "january.csv").write_bytes(encode([interaction()], "csv"))
    [(snippet, shown)] = [pair for pair in pairwise(blocks(PAGE)) if pair[0].language == "python"]
    with RunningService(store) as service:
        code = snippet.text.replace("127.0.0.1:8002", f"127.0.0.1:{service.port}")
        ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == shown.text.strip()


pytestmark = [pytest.mark.process, pytest.mark.server]
