"""The log of datasets that the settings choose."""

from __future__ import annotations

from gata_assets.definitions.finished import find_dataset_folders
from gata_assets.errors import SettingsError
from gata_assets.orchestration.tracking.mlflow_server import MlflowServer
from gata_assets.orchestration.tracking.sweep import DatasetLog
from gata_assets.settings.model import Settings
from gata_assets.storage.objects import ObjectStore


def find_server(settings: Settings) -> MlflowServer | None:
    """The tracking server of the settings, None if they name none; nothing is asked of it yet."""
    found = settings.mlflow
    return MlflowServer(found.mlflow_tracking_uri, found.mlflow_experiment) if found.mlflow_tracking_uri else None


def open_dataset_log(settings: Settings, store: ObjectStore) -> DatasetLog:
    """The log of a target's datasets; raises SettingsError if the settings name no server."""
    server = find_server(settings)
    if server is None:
        raise SettingsError("MLFLOW_TRACKING_URI is unset, and names the tracking server: http://host:port.")
    return DatasetLog(store, find_dataset_folders, server)
