"""What all jobs share: their settings, and how a job over assets is declared."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

# Dagster uses the loggers of the definitions only if a run names them.
RUN_CONFIG: dict[str, dict[str, dict[str, str]]] = {"loggers": {"console": {}}}


def build_job(name: str, keys: Iterable[dg.AssetKey], description: str) -> dg.UnresolvedAssetJobDefinition:
    """A job over assets."""
    selection = dg.AssetSelection.assets(*keys)
    return dg.define_asset_job(name, selection=selection, config=RUN_CONFIG, description=description)
