"""How good a batch is: as good as the worst of the curated days and of the catalog that it is built from.

From the reports and manifests that a run has read anyway; `curation.quality.measures` has the formulas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gata_assets.curation.quality.measures import CuratedRows, least_of
from gata_assets.interactions.datasets import CURATED_INTERACTIONS, CURATED_ITEMS
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.orchestration.curated_tables.quality import RunQuality, end_of, quality_metadata
from gata_assets.tables.outcomes import Outcome

if TYPE_CHECKING:
    from gata_assets.interactions.curated.status import StoredDays


@dataclass(frozen=True)
class BatchQuality:
    """The score of a batch with its parts, for the UI, and the outcomes of its check."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    outcomes: Mapping[str, Sequence[Outcome]] = field(default_factory=dict)


def measure_batch(quality: RunQuality, days: StoredDays, at: datetime) -> BatchQuality:
    """The quality of the batch of an instant that is built from these days; it has no score if none of them has.

    A day counts as of its end, as its partition does. The last one with rows counts as of the batch: what has come
    since is missing.
    """
    filled = [stored for stored in days.found if stored.rows]
    of_days = least_of(
        quality.measure_stored(
            INTERACTIONS,
            stored.day,
            CuratedRows(stored.rows, stored.repeated),
            at if stored is filled[-1] else min(at, end_of(stored.day)),
        )
        for stored in filled
    )
    if of_days.score is None:
        return BatchQuality(outcomes=quality.check({}))
    found = {CURATED_INTERACTIONS: of_days, CURATED_ITEMS: quality.measure_stored(ITEMS, None, CuratedRows(), at)}
    return BatchQuality(quality_metadata(least_of(found.values())), quality.check(found))
