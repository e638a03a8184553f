"""The asset checks of both lines: their names, what they say, and how their outcomes reach Dagster.

A check is evaluated on the value before it is written: where a blocking one fails, it is not. Which rows break which
rule is counted in `core`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from gata_assets.errors import ChecksFailedError
from gata_assets.tables.outcomes import Outcome, broken

TICKETS_ARE_VALID = "tickets_are_valid"
LABEL_COUNTS_ARE_VALID = "label_counts_are_valid"
COUNTS_SUM_TO_THE_TICKETS = "counts_sum_to_the_tickets"
LOW_VOLUME_TICKETS_ARE_VALID = "low_volume_tickets_are_valid"
TRAINING_ROWS_ARE_VALID = "training_rows_are_valid"
NO_TICKET_IN_TWO_SPLITS = "no_ticket_in_two_splits"
NO_TEXT_IN_TWO_SPLITS = "no_text_in_two_splits"
LABEL_SHARES_ARE_KEPT = "label_shares_are_kept"
TEST_SHARE_IS_TEN_PERCENT = "test_share_is_ten_percent"

CURATED_INTERACTIONS_ARE_VALID = "curated_interactions_are_valid"
NO_ROW_IS_LOST = "no_row_is_lost"
EVERY_RAW_FILE_WAS_READ = "every_raw_file_was_read"
CURATED_ITEMS_ARE_VALID = "curated_items_are_valid"
USER_FEATURES_ARE_VALID = "user_features_are_valid"
ITEM_FEATURES_ARE_VALID = "item_features_are_valid"
RECENT_INTERACTIONS_ARE_VALID = "recent_interactions_are_valid"
FEATURES_MATCH_THE_EVENTS = "features_match_the_events"
NOTHING_AFTER_THE_BATCH = "nothing_after_the_batch"
NEGATIVE_SAMPLES_ARE_VALID = "negative_samples_are_valid"
NEGATIVES_WERE_NEVER_INTERACTED = "negatives_were_never_interacted"
NO_NEGATIVE_TWICE = "no_negative_twice"
RATIO_IS_KEPT_OR_COUNTED_SHORT = "ratio_is_kept_or_counted_short"
NEGATIVES_COVER_THE_CATALOGUE = "negatives_cover_the_catalogue"
WITH_FEATURES_ARE_VALID = "with_features_are_valid"
WITH_FEATURES_ARE_THE_NEGATIVE_SAMPLES = "with_features_are_the_negative_samples"

_VALID_TICKETS = (
    "Types are right, no label or text is missing, every text matches what the fine-tuning job accepts, "
    "`closed` is inside the window and no id occurs twice."
)
DESCRIPTIONS = {
    TICKETS_ARE_VALID: _VALID_TICKETS,
    LOW_VOLUME_TICKETS_ARE_VALID: _VALID_TICKETS,
    LABEL_COUNTS_ARE_VALID: "Types are right, no label occurs twice, counts and shares are in range.",
    COUNTS_SUM_TO_THE_TICKETS: "The counts sum to the tickets of the window and the shares to 1.",
    TRAINING_ROWS_ARE_VALID: "Every row has a text that the fine-tuning job accepts and an integer label from 0.",
    NO_TICKET_IN_TWO_SPLITS: "Every ticket is in train or in test, and none is lost.",
    NO_TEXT_IN_TWO_SPLITS: "No text is in train and in test.",
    LABEL_SHARES_ARE_KEPT: "Every label is on both sides, and its test rows are at their quota.",
    TEST_SHARE_IS_TEN_PERCENT: "A tenth of the rows is tested on, to within rounding by label and indivisible texts.",
    CURATED_INTERACTIONS_ARE_VALID: "Types, required fields, values and ranges are right, and every row is of its day.",
    NO_ROW_IS_LOST: "Good rows, bad rows and exact repetitions are as many as the raw rows.",
    EVERY_RAW_FILE_WAS_READ: "No raw file was refused whole, for wrong columns say.",
    CURATED_ITEMS_ARE_VALID: "Types, required fields and ranges are right, and every item is there once.",
    USER_FEATURES_ARE_VALID: "Types and ranges are right, and every user is there once.",
    ITEM_FEATURES_ARE_VALID: "Types and ranges are right, and every item is there once.",
    RECENT_INTERACTIONS_ARE_VALID: "Types and values are right, and no user has more than 50 rows.",
    FEATURES_MATCH_THE_EVENTS: "Rows and sums are those of the interactions of the window.",
    NOTHING_AFTER_THE_BATCH: "Nothing comes from an interaction or an item of the batch's hour or later.",
    NEGATIVE_SAMPLES_ARE_VALID: "Types, labels and probabilities are right.",
    NEGATIVES_WERE_NEVER_INTERACTED: "No user has a negative of which an interaction is in the seen window.",
    NO_NEGATIVE_TWICE: "No user has a negative twice.",
    RATIO_IS_KEPT_OR_COUNTED_SHORT: "Every positive has NEGATIVE_SAMPLING_RATIO negatives, or they are counted short.",
    NEGATIVES_COVER_THE_CATALOGUE: "Negatives fall on the items as the strategy says, by a test statistic.",
    WITH_FEATURES_ARE_VALID: "Types and ranges of the features that the rows are joined to are right.",
    WITH_FEATURES_ARE_THE_NEGATIVE_SAMPLES: "User, item and label are those of the negative samples, as written.",
}
# What SPLIT_METHOD=sklearn does not promise: it reports there, and blocks nothing.
PROMISED_BY_TEXT_ONLY = frozenset({NO_TEXT_IN_TWO_SPLITS, LABEL_SHARES_ARE_KEPT})


def specs(
    asset: dg.AssetKey, partitions: dg.PartitionsDefinition[str] | None, *names: str, is_blocking: bool = True
) -> list[dg.AssetCheckSpec]:
    """The specifications of an asset's checks, by partition where it has them."""
    with without_maturity_warnings():
        return [
            dg.AssetCheckSpec(
                name, asset=asset, description=DESCRIPTIONS[name], blocking=is_blocking, partitions_def=partitions
            )
            for name in names
        ]


@contextmanager
def without_maturity_warnings() -> Iterator[None]:
    """Keep Dagster from saying, for every use, that a part of it is in preview or beta.

    Partitioned check specifications and the pandera integration are; the versions are pinned, and tests hold what
    is relied upon.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield


def evaluations(
    asset: dg.AssetKey,
    partition: str | None,
    outcomes: Mapping[str, Sequence[Outcome]],
    *,
    only_warned_of: frozenset[str] = frozenset(),
    is_blocking: bool = True,
    target: dg.EventLogRecord | None = None,
) -> Iterator[dg.AssetCheckEvaluation]:
    """What the checks of an asset's partition say, as events; `target` is the record of what was checked, once written.

    An `AssetCheckResult` belongs to a run's only partition or to none; in a run over a range, each of them has its own.
    """
    for name, outcome in outcomes.items():
        failed = broken(outcome)
        is_error = is_blocking and name not in only_warned_of
        yield dg.AssetCheckEvaluation(
            asset_key=asset,
            check_name=name,
            partition=partition,
            passed=not failed,
            severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
            blocking=is_blocking,
            metadata={
                # A number, which the UI plots over batches.
                "broken": dg.MetadataValue.int(sum(one.failed for one in outcome)),
                **{one.rule: dg.MetadataValue.text(_said(one)) for one in outcome},
            },
            description="; ".join(str(one) for one in failed) or None,
            target_materialization_data=None if target is None else point_to(target),
        )


def point_to(record: dg.EventLogRecord) -> AssetCheckEvaluationTargetMaterializationData:
    """The materialization that an evaluation is of; without it the UI takes the check for one of an earlier."""
    # Not among Dagster's public names.
    return AssetCheckEvaluationTargetMaterializationData(
        storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
    )


def _said(outcome: Outcome) -> str:
    return f"broken by {outcome.failed:,} of {outcome.checked:,} {outcome.unit}"


def require_passed(
    asset: str,
    outcomes: Mapping[str, Sequence[Outcome]],
    *,
    only_warned_of: frozenset[str] = frozenset(),
    so: str = "and nothing was written.",
) -> None:
    """Raise ChecksFailedError if a blocking check has failed: which rules, how many rows break them, what to do.

    `so` ends the sentence: what came of it.
    """
    faults = {name: broken(outcome) for name, outcome in outcomes.items() if name not in only_warned_of}
    rules = [str(fault) for outcome in faults.values() for fault in outcome]
    if rules:
        said = f"{asset} breaks {len(rules)} rule{'s' if len(rules) > 1 else ''}, {so} "
        raise ChecksFailedError(said + " | ".join(rules), tuple(name for name, outcome in faults.items() if outcome))
