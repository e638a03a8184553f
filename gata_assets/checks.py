"""The asset checks of the ticket line: their names, what they say, and how their outcomes reach Dagster.

A check is evaluated on the value before it is written: where a blocking one fails, it is not. Which rows break which
rule is counted in `core.quality`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from gata_assets.core.outcomes import Outcome, broken
from gata_assets.errors import ChecksFailedError

TICKETS_ARE_VALID = "tickets_are_valid"
LABEL_COUNTS_ARE_VALID = "label_counts_are_valid"
COUNTS_SUM_TO_THE_TICKETS = "counts_sum_to_the_tickets"
LOW_VOLUME_TICKETS_ARE_VALID = "low_volume_tickets_are_valid"
TRAINING_ROWS_ARE_VALID = "training_rows_are_valid"
NO_TICKET_IN_TWO_SPLITS = "no_ticket_in_two_splits"
NO_TEXT_IN_TWO_SPLITS = "no_text_in_two_splits"
LABEL_SHARES_ARE_KEPT = "label_shares_are_kept"
TEST_SHARE_IS_TEN_PERCENT = "test_share_is_ten_percent"

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
}
# What SPLIT_METHOD=sklearn does not promise: it reports there, and blocks nothing.
PROMISED_BY_TEXT_ONLY = frozenset({NO_TEXT_IN_TWO_SPLITS, LABEL_SHARES_ARE_KEPT})


def specs(asset: str, partitions: dg.PartitionsDefinition[str], *names: str) -> list[dg.AssetCheckSpec]:
    """The specifications of an asset's checks, by partition and blocking."""
    with without_maturity_warnings():
        return [
            dg.AssetCheckSpec(
                name, asset=asset, description=DESCRIPTIONS[name], blocking=True, partitions_def=partitions
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
    asset: str,
    batch_id: str,
    outcomes: Mapping[str, Sequence[Outcome]],
    *,
    only_warned_of: frozenset[str] = frozenset(),
    target: dg.EventLogRecord | None = None,
) -> Iterator[dg.AssetCheckEvaluation]:
    """What the checks of one batch's asset say, as events; `target` is the record of what was checked, once written.

    An `AssetCheckResult` belongs to a run's only partition or to none; in a run over a range, each batch has its own.
    """
    for name, outcome in outcomes.items():
        failed = broken(outcome)
        is_blocking = name not in only_warned_of
        yield dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(asset),
            check_name=name,
            partition=batch_id,
            passed=not failed,
            severity=dg.AssetCheckSeverity.ERROR if is_blocking else dg.AssetCheckSeverity.WARN,
            blocking=True,
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
    asset: str, outcomes: Mapping[str, Sequence[Outcome]], *, only_warned_of: frozenset[str] = frozenset()
) -> None:
    """Raise ChecksFailedError if a blocking check has failed: which rules, how many rows break them, what to do."""
    faults = {name: broken(outcome) for name, outcome in outcomes.items() if name not in only_warned_of}
    rules = [str(fault) for outcome in faults.values() for fault in outcome]
    if rules:
        said = f"{asset} breaks {len(rules)} rule{'s' if len(rules) > 1 else ''}, and nothing was written. "
        raise ChecksFailedError(said + " | ".join(rules), tuple(name for name, outcome in faults.items() if outcome))
