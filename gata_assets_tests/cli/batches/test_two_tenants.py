"""Two tenants, one of whom has every malicious file: the other's batch is what it is alone, byte for byte.

Real: the commands, files, a FIFO, a socket, links. Nothing is faked.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import stat
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gata_assets_tests.cli.batches.test_interactions import SETTINGS, prepare, workplace
from gata_assets_tests.interactions.assets.test_batch_run import interactions
from gata_assets_tests.support.command import gata

__all__ = ["workplace"]

HEADER = b"user_id,item_id,interaction_type,timestamp\n"
VALID = b"u1,i1,click,2025-12-01T00:00:00Z\n"


def long_texts() -> bytes:
    """A few kilobytes of Parquet whose rows have texts of 2 MB each."""
    users = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array(["x" * 2_000_000]))
    others = {"item_id": "i1", "interaction_type": "click", "timestamp": "2025-12-01T00:00:00Z"}
    file = BytesIO()
    columns = {"user_id": users, **{name: pa.array([value] * 20_000) for name, value in others.items()}}
    pq.write_table(pa.table(columns), file, compression="zstd", dictionary_pagesize_limit=1 << 22)
    return file.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "long.parquet": long_texts,
    "invalid.csv.gz": lambda: gzip.compress(HEADER + b",i1,click,yesterday\n" * 200_000),
    "9999-12-31/far.csv": lambda: HEADER + VALID,
    "0000-00-00/none.csv": lambda: HEADER + VALID,
    ".ipynb_checkpoints/a.csv": lambda: HEADER + VALID,
    "_temporary/0/part-0.csv": lambda: HEADER + VALID,
    f"{'n' * 240}.csv": lambda: HEADER + VALID,
    "latin.csv": lambda: HEADER + VALID * 1_000 + b"u\xe9,i1,click,2025-12-01T00:00:00Z\n" + VALID * 1_000,
    "header-latin.csv": lambda: b"user_id,item_id,interaction_type,timestamp,caf\xe9\n" + VALID,
    "truncated.csv.gz": lambda: gzip.compress(HEADER + VALID * 5_000)[:60],
    "damaged.parquet": lambda: b"PAR1" + os.urandom(400) + b"PAR1",
    "nul.csv": lambda: b"\0" * 5_000,
    "endless.csv": lambda: HEADER + b"x" * 17_000_000,
    "quote.csv": lambda: HEADER + b'"' + VALID * 2_000,
    "deep.jsonl": lambda: b'{"context":' + b"[" * 100_000 + b"\n",
    "page.csv": lambda: b"<!DOCTYPE html><html></html>",
    "archive.csv": lambda: b"PK\x03\x04" + b"\0" * 100,
    "empty.csv": lambda: b"",
    "directory.csv/valid.csv": lambda: HEADER + VALID,
}


def make_malicious_files(raw: Path) -> None:
    """Write all of FILES, and what is no file at all."""
    for name, content in FILES.items():
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_bytes(content())
    (raw / "link.csv").symlink_to(raw / "nowhere.csv")
    (raw / "circle.csv").symlink_to(raw / "circle.csv")
    os.mkfifo(raw / "fifo.csv")
    os.mknod(raw / "socket.csv", stat.S_IFSOCK | 0o600)


def content_of(folder: Path) -> dict[str, bytes]:
    """A tenant's curated days and batches, without writers' tokens and the manifests that name them. Names of staged
    files depend on the instant at which a file landed.
    """
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        re.sub(r"-[0-9a-f]{16}(?=\.parquet$)", "", name): path.read_bytes()
        for name, path in files.items()
        if name.endswith(".parquet") and name.startswith(("curated/", "features/", "training_data/"))
    }


@pytest.mark.slow
def test_every_malicious_file_of_a_tenant_changes_nothing_of_the_others(workplace: Path) -> None:
    (workplace / "clicks.csv").write_bytes(interactions(["2025-12-01", "2025-12-02", "2025-12-31"]))
    for target in ("alone", "together"):
        for table, file in (("items", "items.csv"), ("interactions", "clicks.csv")):
            settings = {**SETTINGS, "TARGET_DIR": target}
            assert gata(workplace, "ingest", table, file, "--tenant", "acme", **settings).returncode == 0
    prepare(workplace, "--only", "interactions", TENANTS="acme", TARGET_DIR="alone")
    make_malicious_files(workplace / "together/globex/raw/interactions")
    summary = prepare(workplace, "--only", "interactions", TARGET_DIR="together")
    assert summary["event"] == "BATCH_PREPARED"
    alone, together = (content_of(workplace / target / "acme") for target in ("alone", "together"))
    assert any("with_features" in name for name in alone)
    assert alone == together
    again = prepare(workplace, "--only", "interactions", TARGET_DIR="together")
    assert again["event"] == "BATCH_PREPARED"
    shown = gata(workplace, "quarantine", "--tenant", "globex", **{**SETTINGS, "TARGET_DIR": "together"})
    refused = [line for line in map(json.loads, shown.stdout.splitlines()) if line["event"] == "FILE_REFUSED"]
    for name in ("header-latin", "truncated", "damaged", "nul", "page", "archive", "empty", "link", "fifo", "socket"):
        assert any(name in line["file_id"] for line in refused), name
    assert all(not line["file_id"].startswith(("a-", "part-0-")) for line in refused)
