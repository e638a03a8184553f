"""What stored tables and datasets of tickets were built with and from. Plain values; nothing is faked."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from gata_assets.errors import DataRuleError
from gata_assets.orchestration.batch_status import MISSING, BatchStatus, Reason, Status
from gata_assets.tables.manifests import Manifest
from gata_assets.ticket_contract.accounting import TextCounts, TicketAccount
from gata_assets.tickets.provenance import (
    PROVENANCE,
    SHA256,
    batch_status,
    require_provenance,
    stamp,
    stored_account,
    stored_label_names,
)
from gata_assets.tickets.rules import NEW_SETTINGS, NearDuplicatePolicy, PreparationRules, TextNormalization
from gata_assets_tests.support.scenario import RULES

SETTINGS = RULES.as_settings()
GENERAL = Manifest(
    "gata-general",
    settings=SETTINGS,
    made_from={"label_counts": "digest of the counts"},
    details={"tickets": {"in_window": 1, "kept": 1, "excluded": {}}},
)
LOW_VOLUME = replace(GENERAL, kind="gata-low-vol")
NO_COUNTS = replace(GENERAL, made_from={})


def test_datasets_of_the_same_label_counts_are_a_complete_batch() -> None:
    assert batch_status(GENERAL, LOW_VOLUME, RULES) == BatchStatus(Status.COMPLETE)


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
    assert batch_status(general, low_volume, RULES) == MISSING


def test_other_settings_are_reported_and_make_nothing_stale() -> None:
    other = replace(RULES, split_seed=7)
    assert batch_status(GENERAL, LOW_VOLUME, other) == BatchStatus(Status.COMPLETE, frozenset({Reason.SETTINGS}))


def test_a_setting_that_an_earlier_release_did_not_have_had_its_default() -> None:
    earlier = {name: value for name, value in SETTINGS.items() if name not in NEW_SETTINGS}
    general, low_volume = replace(GENERAL, settings=earlier), replace(LOW_VOLUME, settings=earlier)
    assert batch_status(general, low_volume, RULES) == BatchStatus(Status.COMPLETE)
    grouped = replace(RULES, near_duplicates=NearDuplicatePolicy.GROUP)
    assert batch_status(general, low_volume, grouped).reasons == {Reason.SETTINGS}
    assert batch_status(GENERAL, LOW_VOLUME, replace(RULES, max_twin_share=0.5)) == BatchStatus(Status.COMPLETE)
    off = replace(RULES, near_duplicates=NearDuplicatePolicy.OFF, near_duplicate_similarity=0.7)
    assert batch_status(GENERAL, LOW_VOLUME, off) == BatchStatus(Status.COMPLETE)


def test_a_manifest_without_an_account_is_of_an_earlier_release_and_reported() -> None:
    assert batch_status(replace(GENERAL, details={}), LOW_VOLUME, RULES).reasons == {Reason.SETTINGS}


def test_a_stored_table_keeps_the_account_of_its_tickets() -> None:
    account = TicketAccount(5, 3, {"routed_by_api": 2})
    assert stored_account(stamp(pd.DataFrame({"id": [1]}), "tickets", RULES, {}, account), "tickets") == account
    with pytest.raises(DataRuleError, match="tickets: the stored table does not say how many tickets were left out"):
        stored_account(stamp(pd.DataFrame({"id": [1]}), "tickets", RULES, {}), "tickets")


def test_a_stored_table_keeps_what_was_done_to_its_texts_and_the_names_of_its_labels() -> None:
    account = TicketAccount(5, 3, {"emptied_by_normalization": 2}, TextCounts(4, 9, 2))
    table = pd.DataFrame({"label": pd.array([2, 1, 2], "Int64")})
    stored = stamp(table, "tickets", RULES, {}, account, {1: "billing", 2: "sales", 3: "of others"})
    assert stored_account(stored, "tickets") == account
    assert stored_label_names(stored) == {1: "billing", 2: "sales"}
    assert stored.attrs[PROVENANCE]["label_names"] == {"1": "billing", "2": "sales"}
    plain = stamp(table, "tickets", RULES, {}, TicketAccount(3, 3))
    assert stored_account(plain, "tickets").texts is None
    assert stored_label_names(plain) is None
    assert plain.attrs[PROVENANCE].keys() == {"settings", "made_from", "tickets"}


def test_tables_of_earlier_releases_had_strict_texts() -> None:
    table = stamp(pd.DataFrame({"label": [101]}), "tickets", RULES, {})
    assert "TEXT_NORMALIZATION" not in table.attrs[PROVENANCE]["settings"]
    require_provenance(table, "tickets", RULES)
    normalized = replace(RULES, text_normalization=TextNormalization.NORMALIZE)
    with pytest.raises(DataRuleError, match="built with TEXT_NORMALIZATION=strict, and this run has normalize"):
        require_provenance(table, "tickets", normalized)
    changed = stamp(pd.DataFrame({"label": [101]}), "tickets", normalized, {})
    require_provenance(changed, "tickets", normalized)
    with pytest.raises(DataRuleError, match="built with TEXT_NORMALIZATION=normalize, and this run has strict"):
        require_provenance(changed, "tickets", RULES)


@pytest.mark.parametrize(
    "rules", [replace(RULES, text_normalization=TextNormalization.NORMALIZE), replace(RULES, test_share=0.2)]
)
def test_datasets_of_earlier_releases_differ_from_new_settings(rules: PreparationRules) -> None:
    earlier = {name: value for name, value in SETTINGS.items() if name not in NEW_SETTINGS}
    general, low_volume = replace(GENERAL, settings=earlier), replace(LOW_VOLUME, settings=earlier)
    assert batch_status(general, low_volume, rules).reasons == {Reason.SETTINGS}
    assert batch_status(general, low_volume, replace(RULES, max_emptied_share=0.5)) == BatchStatus(Status.COMPLETE)


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
