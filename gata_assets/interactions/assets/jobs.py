"""The jobs of interactions: curate days, and prepare batches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg

from gata_assets.interactions.datasets import curation_op
from gata_assets.orchestration.jobs import build_job

CURATE_INTERACTIONS = "curate_interactions"
PREPARE_INTERACTIONS = "prepare_interactions"


def keep_to_days(tenant: str, first: date, last: date) -> dict[str, Any]:
    """The configuration of a curation run that skips stale days outside this range."""
    return {"ops": {curation_op(tenant): {"config": {"first_day": str(first), "last_day": str(last)}}}}


def build_interaction_jobs(
    curated: Sequence[dg.AssetKey], batches: Sequence[dg.AssetKey]
) -> list[dg.UnresolvedAssetJobDefinition]:
    """The jobs of interactions, each for all tenants: `curated` are days and catalogs, `batches` are hourly assets.

    They are not part of `prepare_tickets`, so that a failure or a wait in one pipeline does not delay the other.
    """
    curate = "Validate new raw files, and curate a day or a range of days, and the catalog."
    prepare = "Prepare one batch or a range of them: from curated days to features and training data."
    return [build_job(CURATE_INTERACTIONS, curated, curate), build_job(PREPARE_INTERACTIONS, batches, prepare)]
