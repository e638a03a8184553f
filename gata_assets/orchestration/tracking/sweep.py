"""Logs the finished datasets that MLflow does not have, and marks them in the target.

A server that is away ends the sweep; a dataset that it refuses does not. Neither has a mark, so the next sweep logs it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from gata_assets.errors import GataError, SettingsError, TrackingError
from gata_assets.orchestration.tracking.record import DatasetRecord, dataset_record
from gata_assets.storage.finished import DatasetFolder, FinishedDataset, FinishedDatasets
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import Manifest

_MARKS = "intermediate/mlflow/"
_MOST_REASONS = 5


class Server(Protocol):
    """Where datasets are logged."""

    uri: str
    experiment: str

    def log(self, record: DatasetRecord) -> str:
        """Log a dataset once; returns the ID of its run. Raises SettingsError or TrackingError."""


FindFolders = Callable[[ObjectStore], Iterable[DatasetFolder]]


@dataclass(frozen=True)
class Logged:
    """A dataset that MLflow has: its name and batch, and the ID of its run."""

    name: str
    run_id: str


@dataclass
class SweepResult:
    """What a sweep logged, the reasons why something was not, and how many datasets it left at the end of its way."""

    logged: list[Logged] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    left: int = 0


class DatasetLog:
    """The datasets of a target and the server that they are logged to."""

    def __init__(self, store: ObjectStore, find_folders: FindFolders, server: Server) -> None:
        self._store, self._find_folders, self._server = store, find_folders, server
        self.experiment = server.experiment
        # Another server, or experiment, has none of them.
        of_server = sha256(f"{server.uri.rstrip('/')} {server.experiment}".encode()).hexdigest()[:16]
        self.marks = f"{_MARKS}{of_server}/"

    def find_waiting(self) -> list[FinishedDataset]:
        """All datasets that are not marked as logged; raises StoreError."""
        return list(FinishedDatasets(self._store, self.marks).find_waiting(self._find_folders(self._store)))

    def sweep(
        self, batch_ids: Collection[str] | None = None, note: Callable[[Logged], object] = lambda _: None
    ) -> SweepResult:
        """Log what waits, of these batches or of all; raises StoreError if it cannot be looked for, and SettingsError.

        `note` is called with each dataset that is logged.
        """
        finished, folders = FinishedDatasets(self._store, self.marks), self._find_folders(self._store)
        waiting = [
            *(finished.find_waiting(folders) if batch_ids is None else finished.find_waiting_of(folders, batch_ids))
        ]
        result = SweepResult()
        for number, found in enumerate(waiting):
            try:
                # One that was replaced meanwhile waits for the next sweep.
                finished.finish(found, partial(self._log, found, result, note))
            except TrackingError as error:
                result.failures.append(str(error))
                if not error.is_of_dataset:
                    result.left = len(waiting) - number
                    break
                result.left += 1
            except SettingsError:
                raise
            except GataError as error:
                result.failures.append(str(error))
                result.left += 1
        return result

    def _log(
        self, found: FinishedDataset, result: SweepResult, note: Callable[[Logged], object], manifest: Manifest
    ) -> None:
        uri = self._store.uri(found.key)
        # A relative path means nothing to who reads it in MLflow.
        place = uri if "://" in uri else str(Path(uri).absolute())
        record = dataset_record(manifest, place, found.of.use, found.of.tenant)
        logged = Logged(record.run_name, self._server.log(record))
        result.logged.append(logged)
        note(logged)


def describe_failures(result: SweepResult) -> str:
    """How many datasets were not logged, the first reasons, and what happens next."""
    reasons = list(dict.fromkeys(result.failures))
    shown = " ".join(reasons[:_MOST_REASONS])
    more = f" And {len(reasons) - _MOST_REASONS:,} other reasons." if len(reasons) > _MOST_REASONS else ""
    datasets = "1 finished dataset is" if result.left == 1 else f"{result.left:,} finished datasets are"
    return f"{datasets} not logged to MLflow: {shown}{more} `gata batches log-datasets` logs what is missing."
