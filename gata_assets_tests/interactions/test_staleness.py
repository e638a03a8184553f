"""How a batch's stored datasets compare with what would be built now: the decision alone. Plain values, no fakes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gata_assets.interactions.datasets import (
    CURATED_INTERACTIONS,
    CURATED_ITEMS,
    DatasetKind,
    StoredTables,
    digest_days,
)
from gata_assets.interactions.staleness import Present, batch_status, find_differences
from gata_assets.orchestration.batch_status import BatchStatus, Reason, Status

SETTINGS: dict[str, str | int | float | list[str]] = {"INTERACTION_PERIOD": 3, "NEGATIVE_SAMPLING_RATIO": 4}
DAYS, OTHER, LONGER = digest_days(["a", "b"]), digest_days(["a", "c"]), digest_days(["z", "a", "b"])
COMPLETE = BatchStatus(Status.COMPLETE)
STALE = BatchStatus(Status.STALE, frozenset({Reason.ROWS}))


def stored(sha256: str, **made_from: object) -> StoredTables:
    present = {CURATED_INTERACTIONS: DAYS, CURATED_ITEMS: "items"}
    return StoredTables(True, "", SETTINGS, {**present, **made_from}, sha256)


FEATURES, TRAINING = stored("f"), stored("t", features="f")


def present(
    days: object = DAYS, seen: object = DAYS, items: str | None = "items", *, waits: bool = False, **settings: int
) -> Present:
    return Present(
        {
            DatasetKind.FEATURES: {CURATED_INTERACTIONS: days, CURATED_ITEMS: items},
            DatasetKind.TRAINING_DATA: {CURATED_INTERACTIONS: seen, CURATED_ITEMS: items},
        },
        {**SETTINGS, **settings},
        is_to_be_curated=waits,
    )


def test_datasets_of_what_there_is_are_complete() -> None:
    assert batch_status(FEATURES, TRAINING, present()) == COMPLETE


@pytest.mark.parametrize(
    ("features", "training"),
    [(None, TRAINING), (FEATURES, None), (stored("other"), TRAINING), (FEATURES, stored("t"))],
)
def test_a_missing_dataset_and_training_data_of_other_features_are_no_batch(
    features: StoredTables | None, training: StoredTables | None
) -> None:
    assert batch_status(features, training, present()) == BatchStatus(Status.MISSING, frozenset({Reason.INCOMPLETE}))


@pytest.mark.parametrize("now", [present(days=OTHER, seen=OTHER), present(seen=OTHER), present(waits=True)])
def test_other_rows_of_a_day_and_rows_that_wait_for_curation_make_a_batch_stale(now: Present) -> None:
    assert batch_status(FEATURES, TRAINING, now) == STALE


def test_another_catalog_and_other_settings_are_reported_and_make_nothing_stale() -> None:
    assert batch_status(FEATURES, TRAINING, present(items="more")) == BatchStatus(
        Status.COMPLETE, frozenset({Reason.CATALOG})
    )
    ratio = present(NEGATIVE_SAMPLING_RATIO=8)
    assert batch_status(FEATURES, TRAINING, ratio) == BatchStatus(Status.COMPLETE, frozenset({Reason.SETTINGS}))
    assert find_differences(FEATURES, DatasetKind.FEATURES, ratio) == frozenset(), "no feature depends on it"


def test_features_that_differ_are_reported_beside_training_data_that_do_not() -> None:
    assert batch_status(stored("f", **{CURATED_INTERACTIONS: OTHER}), TRAINING, present()) == STALE
    earlier = stored("f", **{CURATED_ITEMS: "fewer"})
    assert batch_status(earlier, TRAINING, present()) == BatchStatus(Status.COMPLETE, frozenset({Reason.CATALOG}))


def test_a_window_of_another_length_is_a_matter_of_settings_and_not_of_rows() -> None:
    longer = present(days=LONGER, seen=LONGER, INTERACTION_PERIOD=4)
    assert batch_status(FEATURES, TRAINING, longer) == BatchStatus(Status.COMPLETE, frozenset({Reason.SETTINGS}))
    earlier = present(seen=LONGER)
    assert batch_status(FEATURES, TRAINING, earlier).reasons == {Reason.SETTINGS}


def test_a_manifest_without_days_differs_by_settings_and_catalog() -> None:
    nameless = replace(FEATURES, made_from={})
    assert find_differences(nameless, DatasetKind.FEATURES, present()) == {Reason.SETTINGS, Reason.CATALOG}
