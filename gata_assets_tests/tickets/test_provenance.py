"""What stored tables and datasets of tickets were built with and from. Plain values; nothing is faked."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from gata_assets.errors import DataRuleError
from gata_assets.orchestration.batch_status import MISSING, BatchStatus, Reason, Status
from gata_assets.tables.manifests import Manifest
from gata_assets.tickets.provenance import PROVENANCE, SHA256, batch_status, require_provenance, stamp
from gata_assets_tests.support.scenario import RULES

SETTINGS = RULES.as_settings()
GENERAL = Manifest("gata-general", settings=SETTINGS, made_from={"label_counts": "digest of the counts"})
LOW_VOLUME = replace(GENERAL, kind="gata-low-vol")
NO_COUNTS = replace(GENERAL, made_from={})


def test_datasets_of_the_same_label_counts_are_a_complete_batch() -> None:
    assert batch_status(GENERAL, LOW_VOLUME, SETTINGS) == BatchStatus(Status.COMPLETE)


@pytest.mark.parametrize(
    ("general", "low_volume"),
    [
        (None, LOW_VOLUME),
        (GENERAL, None),
        (None, None),
        (GENERAL, replace(LOW_VOLUME, made_from={"label_counts": "others"})),
        (NO_COUNTS, NO_COUNTS),
    ],
)
def test_a_missing_dataset_and_datasets_of_two_runs_are_no_batch(
    general: Manifest | None, low_volume: Manifest | None
) -> None:
    assert batch_status(general, low_volume, SETTINGS) == MISSING


def test_other_settings_are_reported_and_make_nothing_stale() -> None:
    other = replace(RULES, split_seed=7).as_settings()
    assert batch_status(GENERAL, LOW_VOLUME, other) == BatchStatus(Status.COMPLETE, frozenset({Reason.SETTINGS}))


def test_a_table_is_accepted_with_the_settings_that_shape_it_and_the_tables_it_was_built_from() -> None:
    tickets, other = pd.DataFrame({"id": [1]}), pd.DataFrame({"id": [2]})
    tickets.attrs, other.attrs = {SHA256: "of tickets"}, {SHA256: "of others"}
    counts = stamp(pd.DataFrame({"label": [101]}), "label_counts", RULES, {"tickets": tickets})
    assert counts.attrs[PROVENANCE]["made_from"] == {"tickets": "of tickets"}
    require_provenance(counts, "label_counts", replace(RULES, split_seed=7), {"tickets": tickets})
    with pytest.raises(DataRuleError, match=r"label_counts: the stored table was built with TRAINING_PERIOD=90, and"):
        require_provenance(counts, "label_counts", replace(RULES, training_period_days=30), {"tickets": tickets})
    with pytest.raises(DataRuleError, match="label_counts: the stored table was built from another `tickets`"):
        require_provenance(counts, "label_counts", RULES, {"tickets": other})
