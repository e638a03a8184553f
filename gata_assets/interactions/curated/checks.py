"""Checks the curated interactions of days against the rules of CuratedInteractions.

Days are checked together, since each table checked costs a millisecond however small it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np

from gata_assets.interactions.curated.merge import CuratedDay
from gata_assets.interactions.tables import INTERACTIONS, TABLES
from gata_assets.tables.arrow_checks import check_arrow_tables, keep_every_rule
from gata_assets.tables.columns.arrow_buffers import MICROS_OF_A_DAY, numbers_of_arrow
from gata_assets.tables.outcomes import Outcome, passed_all_rules

_EPOCH = date(1970, 1, 1)
_ADVICE = "This is a defect of the curation; please report it."


def check_curated_interactions(days: Mapping[date, CuratedDay]) -> dict[date, list[Outcome]]:
    """Check for each day that every rule of CuratedInteractions holds and that every interaction is on the day."""
    spec = TABLES[INTERACTIONS]
    is_kept = keep_every_rule(spec, [curated.coded for curated in days.values()])
    outcomes = {}
    for day, curated in days.items():
        instants = numbers_of_arrow(curated.coded["timestamp"], np.int64)
        outside = int((instants // MICROS_OF_A_DAY != (day - _EPOCH).days).sum())
        rules = [passed_all_rules(spec.name, len(instants))] if is_kept else check_arrow_tables(spec, [curated.coded])
        outcomes[day] = [*rules, Outcome("timestamp is of the day", outside, len(instants), _ADVICE)]
    return outcomes
