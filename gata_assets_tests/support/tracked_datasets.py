"""Finished datasets to log, and a process that is killed while it logs them. All real but the rows, which are bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gata_assets.definitions.finished import find_dataset_folders
from gata_assets.orchestration.tracking.mlflow_server import MlflowServer
from gata_assets.orchestration.tracking.sweep import DatasetLog
from gata_assets.storage.datasets import DatasetWrite
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import Manifest

BATCHES = ("2026010103", "2026010104", "2026010105")


def write_batch(store: ObjectStore, batch_id: str, **more: Any) -> Manifest:
    """A finished general dataset, as far as its manifest says."""
    labels = {"25000000000101": {"train": 3, "test": 1}, "25000000000118": {"train": 2, "test": 1}}
    with DatasetWrite(store, f"training/gata-general/{batch_id}/") as write:
        files = dict(
            write.write(f"{channel}/data.json", b"{}\n", rows) for channel, rows in (("train", 5), ("test", 2))
        )
        details = {"batch_id": batch_id, "is_made": True, "reason": "", "labels": labels, **more}
        schema = {"text": "string", "label": "integer"}
        return write.publish(Manifest("gata-general", files, schema, {"SEED": 1}, {}, "1.2", details)).manifest


def log_of(store: ObjectStore, url: str, experiment: str) -> DatasetLog:
    """The log of a target at a real server."""
    return DatasetLog(store, find_dataset_folders, MlflowServer(url, experiment))


def run_killed(target: Path, url: str, experiment: str, points: Iterable[int]) -> list[int]:
    """Sweep in a process for each point, which is killed before its n-th request; at 0, before its first mark.

    Each has a folder of the target and an experiment of its own, see `at_point`. Returns the exit codes, negative for
    the signal that ended one.
    """
    words = [sys.executable, "-m", __name__, str(target), url, experiment, *map(str, points)]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true"}
    ran = subprocess.run(words, env={**os.environ, **quiet}, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return [int(code) for code in ran.stdout.split()]


def at_point(target: Path, experiment: str, point: int) -> tuple[Path, str]:
    """The folder and the experiment of what is killed there."""
    return target / str(point), f"{experiment}-{point}"


class _KillingStore(LocalStore):
    def write(self, key: str, *arguments: Any, **named: Any) -> Any:
        if key.startswith("intermediate/mlflow/"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().write(key, *arguments, **named)


def _main(target: str, url: str, experiment: str, *points: str) -> None:
    """Import once, and sweep in a fork for each point."""
    import mlflow  # noqa: F401

    for point in map(int, points):
        child = os.fork()
        if not child:
            place, name = at_point(Path(target), experiment, point)
            _kill_before(point)
            log_of(LocalStore(str(place)) if point else _KillingStore(str(place)), url, name).sweep()
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _kill_before(request: int) -> None:
    left = request

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        # The head of a request; its body is sent on its own.
        if event == "http.client.send" and bytes(arguments[1]).startswith((b"GET /", b"POST /")):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(note)


if __name__ == "__main__":
    _main(*sys.argv[1:])
