"""The asset checks of tickets: their names and descriptions."""

from __future__ import annotations

TICKETS_ARE_VALID = "tickets_are_valid"
LABEL_COUNTS_ARE_VALID = "label_counts_are_valid"
COUNTS_SUM_TO_THE_TICKETS = "counts_sum_to_the_tickets"
LOW_VOLUME_TICKETS_ARE_VALID = "low_volume_tickets_are_valid"
TRAINING_ROWS_ARE_VALID = "training_rows_are_valid"
NO_TICKET_IN_TWO_SPLITS = "no_ticket_in_two_splits"
NO_TEXT_IN_TWO_SPLITS = "no_text_in_two_splits"
LABEL_SHARES_ARE_KEPT = "label_shares_are_kept"
TEST_SHARE_IS_KEPT = "test_share_is_kept"
FEW_TICKETS_ARE_INVALID = "few_tickets_are_invalid"
FEW_TEXTS_WERE_EMPTIED = "few_texts_were_emptied"
EVERY_TICKET_IS_ACCOUNTED_FOR = "every_ticket_is_accounted_for"
FEW_TEST_ROWS_HAVE_A_TWIN = "few_test_rows_have_a_twin_in_train"

_VALID_TICKETS = (
    "Types are right, no label or text is missing, every text matches what the fine-tuning job accepts and has a "
    "letter or digit, `closed` is inside the window and no id occurs twice."
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
    TEST_SHARE_IS_KEPT: "TEST_SHARE of the rows is tested on, to within rounding by label and indivisible texts.",
    EVERY_TICKET_IS_ACCOUNTED_FOR: "Every ticket in the window is kept, or excluded for a reason that is counted.",
    FEW_TICKETS_ARE_INVALID: "Few tickets are in quarantine (MAX_INVALID_TICKETS_SHARE). It only warns.",
    FEW_TEXTS_WERE_EMPTIED: "Few texts have no letter or digit left (MAX_EMPTIED_TEXTS_SHARE; TEXT_NORMALIZATION).",
    FEW_TEST_ROWS_HAVE_A_TWIN: "Few test rows have a near-duplicate text in train (MAX_TWIN_SHARE). It only warns.",
}
# SPLIT_METHOD=sklearn does not guarantee these: with it they report and do not block.
PROMISED_BY_TEXT_ONLY = frozenset({NO_TEXT_IN_TWO_SPLITS, LABEL_SHARES_ARE_KEPT})
