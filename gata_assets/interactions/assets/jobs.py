"""The jobs of interactions: curate days, and prepare batches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg

from gata_assets.interactions.datasets import curation_op
from gata_assets.orchestration.jobs import RUN_CONFIG

CURATE_INTERACTIONS = "curate_interactions"
PREPARE_INTERACTIONS = "prepare_interactions"


def keep_to_days(tenant: str, first: date, last: date) -> dict[str, Any]:
    """The configuration of a curation run that leaves alone what is out of date outside of these days."""
    return {"ops": {curation_op(tenant): {"config": {"first_day": str(first), "last_day": str(last)}}}}


def build_interaction_jobs(
    curated: Sequence[dg.AssetKey], batches: Sequence[dg.AssetKey]
) -> list[dg.UnresolvedAssetJobDefinition]:
    """The jobs of the interaction line, each for all tenants: `curated` are days and catalogues, `batches` hourly.

    A job of their own, and not `prepare_tickets`: what fails or waits in one half of the lineage does not hold up the
    other.
    """
    return [
        dg.define_asset_job(
            CURATE_INTERACTIONS,
            selection=dg.AssetSelection.assets(*curated),
            config=RUN_CONFIG,
            description="Sort the raw files that have come, and curate a day or a range of them, and the catalogue.",
        ),
        dg.define_asset_job(
            PREPARE_INTERACTIONS,
            selection=dg.AssetSelection.assets(*batches),
            config=RUN_CONFIG,
            description="Prepare one batch or a range of them: from curated days to features and training data.",
        ),
    ]
