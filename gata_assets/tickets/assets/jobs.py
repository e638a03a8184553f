"""The job that prepares tickets."""

from __future__ import annotations

import dagster as dg

from gata_assets.orchestration.jobs import build_job

PREPARE_TICKETS = "prepare_tickets"
# The group of the ticket assets.
GROUP = "tickets"


def build_ticket_job(*, without: dg.AssetChecksDefinition) -> dg.UnresolvedAssetJobDefinition:
    """The job of tickets; its partitions are those of its assets.

    `without` is a check of the dataset that belongs to no batch: each batch's run would execute it as an extra step.
    """
    assets = dg.AssetSelection.groups(GROUP) - dg.AssetSelection.checks(without)
    return build_job(
        PREPARE_TICKETS, assets, "Prepare one batch or a range of them: from closed tickets to training files."
    )
