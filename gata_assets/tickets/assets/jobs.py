"""The job that prepares tickets."""

from __future__ import annotations

import dagster as dg

from gata_assets.orchestration.jobs import RUN_CONFIG

PREPARE_TICKETS = "prepare_tickets"
# The group of the ticket assets.
GROUP = "tickets"


def build_jobs(*, without: dg.AssetChecksDefinition) -> list[dg.UnresolvedAssetJobDefinition]:
    """The jobs of tickets; their partitions are those of their assets.

    `without` is a check of the dataset that belongs to no batch: each batch's run would execute it as an extra step.
    """
    return [
        dg.define_asset_job(
            PREPARE_TICKETS,
            selection=dg.AssetSelection.groups(GROUP) - dg.AssetSelection.checks(without),
            config=RUN_CONFIG,
            description="Prepare one batch or a range of them: from closed tickets to training files.",
        )
    ]
