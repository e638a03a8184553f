"""The jobs, named for what people do."""

from __future__ import annotations

import dagster as dg

from gata_assets.assets.tickets import GROUP

PREPARE_TICKETS = "prepare_tickets"
# Dagster uses the loggers of the definitions only where a run names them.
RUN_CONFIG: dict[str, dict[str, dict[str, str]]] = {"loggers": {"console": {}}}


def build_jobs(*, without: dg.AssetChecksDefinition) -> list[dg.UnresolvedAssetJobDefinition]:
    """All jobs; their partitions are those of their assets.

    `without` is a check of the dataset that is of no batch: each batch's run would execute it as a step of its own.
    """
    return [
        dg.define_asset_job(
            PREPARE_TICKETS,
            selection=dg.AssetSelection.groups(GROUP) - dg.AssetSelection.checks(without),
            config=RUN_CONFIG,
            description="Prepare one batch or a range of them: from closed tickets to training files.",
        )
    ]
