"""How a batch's stored tables stand against what would be made now: the decision alone, of plain values."""

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
from gata_assets.interactions.staleness import Difference, Lack, Present, Standing, find_differences, judge

SETTINGS: dict[str, str | int | float | list[str]] = {"INTERACTION_PERIOD": 3, "NEGATIVE_SAMPLING_RATIO": 4}
DAYS, OTHER, LONGER = digest_days(["a", "b"]), digest_days(["a", "c"]), digest_days(["z", "a", "b"])
WHOLE = Standing(None)


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


def test_what_was_made_from_what_there_is_is_whole() -> None:
    assert judge(FEATURES, TRAINING, present()) == WHOLE


@pytest.mark.parametrize(
    ("features", "training"),
    [(None, TRAINING), (FEATURES, None), (stored("other"), TRAINING), (FEATURES, stored("t"))],
)
def test_a_set_that_lacks_and_training_data_of_other_features_are_not_whole(
    features: StoredTables | None, training: StoredTables | None
) -> None:
    assert judge(features, training, present()).lack is Lack.NOT_WHOLE


@pytest.mark.parametrize("now", [present(days=OTHER, seen=OTHER), present(seen=OTHER), present(waits=True)])
def test_other_rows_of_a_day_and_rows_that_wait_for_curation_make_a_batch_out_of_date(now: Present) -> None:
    assert judge(FEATURES, TRAINING, now) == Standing(Lack.OTHER_ROWS)


def test_another_catalogue_and_other_settings_are_said_and_nothing_is_made_for_them() -> None:
    assert judge(FEATURES, TRAINING, present(items="more")) == Standing(None, frozenset({Difference.CATALOGUE}))
    ratio = present(NEGATIVE_SAMPLING_RATIO=8)
    assert judge(FEATURES, TRAINING, ratio) == Standing(None, frozenset({Difference.SETTINGS}))
    assert find_differences(FEATURES, DatasetKind.FEATURES, ratio) == frozenset(), "no feature depends on it"


def test_features_that_differ_alone_are_told_beside_training_data_that_do_not() -> None:
    assert judge(stored("f", **{CURATED_INTERACTIONS: OTHER}), TRAINING, present()) == Standing(Lack.OTHER_ROWS)
    earlier = stored("f", **{CURATED_ITEMS: "fewer"})
    assert judge(earlier, TRAINING, present()) == Standing(None, frozenset({Difference.CATALOGUE}))


def test_a_window_of_another_length_is_a_matter_of_settings_and_not_of_rows() -> None:
    longer = present(days=LONGER, seen=LONGER, INTERACTION_PERIOD=4)
    assert judge(FEATURES, TRAINING, longer) == Standing(None, frozenset({Difference.SETTINGS}))
    earlier = present(seen=LONGER)
    assert judge(FEATURES, TRAINING, earlier).differences == {Difference.SETTINGS}


def test_a_manifest_that_names_no_days_is_not_taken_for_one_of_these() -> None:
    nameless = replace(FEATURES, made_from={})
    assert find_differences(nameless, DatasetKind.FEATURES, present()) == {Difference.SETTINGS, Difference.CATALOGUE}
