"""What `gata prepare` and `gata backfill` do once their pipelines have ended: they log finished datasets to MLflow.

Light, as the command line imports it: what it needs is imported where a tracking server is named.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

import click

from gata_assets.errors import GataError

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings

# Takes the IDs of batches that were prepared.
AtEnd = Callable[[Collection[str]], object]


def logging_at_end(settings: Settings) -> AtEnd | None:
    """What logs the datasets of batches, and only warns of what it could not log; None without a tracking server."""
    return partial(_log, settings) if settings.mlflow.mlflow_tracking_uri else None


def _log(settings: Settings, batch_ids: Collection[str]) -> None:
    from gata_assets.definitions.stores import build_store
    from gata_assets.definitions.tracking import open_dataset_log
    from gata_assets.orchestration.tracking.sweep import describe_failures

    try:
        result = open_dataset_log(settings, build_store(settings)).sweep(batch_ids)
    except GataError as error:
        click.echo(f"WARNING: finished datasets are not logged to MLflow: {error}", err=True)
        return
    if result.failures:
        click.echo(f"WARNING: {describe_failures(result)}", err=True)
