"""The asset checks of features and training rows: their names and descriptions."""

from __future__ import annotations

from gata_assets.curation.curated.check_names import QUALITY_IS_HIGH_ENOUGH

FEATURES_MATCH_THE_EVENTS = "features_match_the_events"
ITEMS_ARE_IN_THE_CATALOGUE = "items_are_in_the_catalogue"
NOTHING_AFTER_THE_BATCH = "nothing_after_the_batch"
NEGATIVES_WERE_NEVER_INTERACTED = "negatives_were_never_interacted"
NO_NEGATIVE_TWICE = "no_negative_twice"
RATIO_IS_KEPT_OR_COUNTED_SHORT = "ratio_is_kept_or_counted_short"
NEGATIVES_COVER_THE_CATALOGUE = "negatives_cover_the_catalogue"
WITH_FEATURES_ARE_VALID = "with_features_are_valid"
WITH_FEATURES_ARE_THE_NEGATIVE_SAMPLES = "with_features_are_the_negative_samples"

DESCRIPTIONS = {
    "user_features_are_valid": "Types and ranges are right, and every user is there once.",
    "item_features_are_valid": "Types and ranges are right, and every item is there once.",
    "recent_interactions_are_valid": "Types and values are right, and no user has more than 50 rows.",
    FEATURES_MATCH_THE_EVENTS: "Rows and sums are those of the interactions of the window.",
    ITEMS_ARE_IN_THE_CATALOGUE: "The catalog has the items of interactions, but for MAX_UNKNOWN_ITEMS_SHARE of them.",
    NOTHING_AFTER_THE_BATCH: "Nothing comes from an interaction or an item of the batch's hour or later.",
    "negative_samples_are_valid": "Types, labels and probabilities are right.",
    NEGATIVES_WERE_NEVER_INTERACTED: "No user has a negative of which an interaction is in the seen window.",
    NO_NEGATIVE_TWICE: "No user has a negative twice.",
    RATIO_IS_KEPT_OR_COUNTED_SHORT: "Every positive has NEGATIVE_SAMPLING_RATIO negatives, or they are counted short.",
    NEGATIVES_COVER_THE_CATALOGUE: "Negatives fall on the items as the strategy says, by a test statistic.",
    WITH_FEATURES_ARE_VALID: "Types and ranges of the features that the rows are joined to are right.",
    WITH_FEATURES_ARE_THE_NEGATIVE_SAMPLES: "User, item and label are those of the negative samples, as written.",
    QUALITY_IS_HIGH_ENOUGH: "Each measure of the curated days and items that the batch is built from is at least "
    "QUALITY_SCORE_MIN. It only warns.",
}
