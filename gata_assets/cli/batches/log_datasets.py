"""`gata batches log-datasets`: logs the finished datasets of all batches to MLflow."""

from __future__ import annotations

import json

from gata_assets.cli.terminal import text_console
from gata_assets.definitions.stores import build_store
from gata_assets.definitions.tracking import open_dataset_log
from gata_assets.orchestration.tracking.sweep import Logged, describe_failures
from gata_assets.settings.model import Settings


def run(settings: Settings, *, as_table: bool) -> bool:
    """Log what is finished and not logged yet, and return whether all of it is.

    Raises SettingsError without a server, and StoreError if the target cannot be searched.
    """
    log = open_dataset_log(settings, build_store(settings))
    console, place = text_console(), f"{settings.mlflow.mlflow_tracking_uri} (experiment {log.experiment})"

    def note(logged: Logged) -> None:
        if as_table:
            console.print(f"{logged.name}: run {logged.run_id}", markup=False)

    result = log.sweep(note=note)
    if not as_table:
        logged = [{"dataset": one.name, "run_id": one.run_id} for one in result.logged]
        event = "DATASETS_NOT_LOGGED" if result.failures else "DATASETS_LOGGED"
        print(json.dumps({"event": event, "logged": logged, "left": result.left, "failures": result.failures}))
        return not result.failures
    if result.failures:
        text_console(stderr=True).print(describe_failures(result), markup=False)
    datasets = "dataset" if len(result.logged) == 1 else "datasets"
    console.print(f"{len(result.logged):,} {datasets} logged to {place}.", markup=False)
    return not result.failures
