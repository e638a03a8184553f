"""The tables of a batch's two datasets as data: their order, checks and what each is built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gata_assets.interactions.assets import check_names
from gata_assets.interactions.datasets import CURATED_INTERACTIONS, CURATED_ITEMS, DatasetKind
from gata_assets.interactions.engines.base import (
    ITEM_FEATURES,
    NEGATIVE_SAMPLES,
    RECENT_INTERACTIONS,
    USER_FEATURES,
    WITH_FEATURES,
)


@dataclass(frozen=True)
class BatchTable:
    """A table of a batch: its checks, and the tables that it is built from."""

    checks: tuple[str, ...]
    made_from: tuple[str, ...]


# The tables of each dataset, in order; a dataset is empty when its first table has no rows.
TABLES: Mapping[DatasetKind, Mapping[str, BatchTable]] = {
    DatasetKind.FEATURES: {
        USER_FEATURES: BatchTable(
            (
                check_names.USER_FEATURES_ARE_VALID,
                check_names.FEATURES_MATCH_THE_EVENTS,
                check_names.NOTHING_AFTER_THE_BATCH,
            ),
            made_from=(CURATED_INTERACTIONS,),
        ),
        ITEM_FEATURES: BatchTable(
            (check_names.ITEM_FEATURES_ARE_VALID, check_names.FEATURES_MATCH_THE_EVENTS),
            made_from=(CURATED_INTERACTIONS, CURATED_ITEMS),
        ),
        RECENT_INTERACTIONS: BatchTable(
            (
                check_names.RECENT_INTERACTIONS_ARE_VALID,
                check_names.FEATURES_MATCH_THE_EVENTS,
                check_names.NOTHING_AFTER_THE_BATCH,
            ),
            made_from=(CURATED_INTERACTIONS,),
        ),
    },
    DatasetKind.TRAINING_DATA: {
        NEGATIVE_SAMPLES: BatchTable(
            (
                check_names.NEGATIVE_SAMPLES_ARE_VALID,
                check_names.NEGATIVES_WERE_NEVER_INTERACTED,
                check_names.NO_NEGATIVE_TWICE,
                check_names.RATIO_IS_KEPT_OR_COUNTED_SHORT,
                check_names.NEGATIVES_COVER_THE_CATALOGUE,
                check_names.NOTHING_AFTER_THE_BATCH,
            ),
            made_from=(CURATED_INTERACTIONS, CURATED_ITEMS),
        ),
        WITH_FEATURES: BatchTable(
            (check_names.WITH_FEATURES_ARE_VALID, check_names.WITH_FEATURES_ARE_THE_NEGATIVE_SAMPLES),
            made_from=(NEGATIVE_SAMPLES, USER_FEATURES, ITEM_FEATURES),
        ),
    },
}
# The check of the written files, made before their manifest is written.
OF_WRITTEN = check_names.WITH_FEATURES_ARE_THE_NEGATIVE_SAMPLES
# Why a dataset is empty.
EMPTY_REASONS: Mapping[DatasetKind, str] = {
    DatasetKind.FEATURES: "the window has no interactions",
    DatasetKind.TRAINING_DATA: "the window has no positives: POSITIVE_INTERACTION_TYPES, MIN_INTERACTIONS_PER_USER and "
    "MIN_INTERACTIONS_PER_ITEM say what makes one",
}
