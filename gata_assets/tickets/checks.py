"""Checks of the ticket tables and of the train/test split: how many rows break which rule.

Outcomes are rule names and counts, never the failing values. The caller decides what a failed outcome does.
"""

from __future__ import annotations

import warnings
from functools import cache, partial

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pyarrow
import pyarrow.compute as pc
from numpy.typing import NDArray

from gata_assets.batches import Window
from gata_assets.tables.outcomes import Advice, Outcome, explain_rule, passed_all_rules
from gata_assets.tickets.schema import Tickets, TrainingRows
from gata_assets.tickets.splitting.splits import Split
from gata_assets.tickets.splitting.text_groups import largest_test_text, quota_for_test

_LISTED = "`gata tickets check` lists the tickets"

# Keys are pandera's check names.
_ADVICE: Advice = {
    "not_nullable": f"Fill or remove the missing values in the source; {_LISTED}",
    "field_uniqueness": f"The source returned a row more than once: check its primary key; {_LISTED}",
    "closed_inside_the_window": "The source returned rows outside the window: check its clock and the column `closed`",
    "str_matches": f"The text must be lower-cased and reduced to [a-z0-9?.! ] before it is stored; {_LISTED}",
    "str_contains": f"A text without a letter or digit cannot train; {_LISTED}",
    "greater_than_or_equal_to": f"A label is a Zendesk group id, 0 or above: check the group mapping; {_LISTED}",
}
_BUG_IN_SPLIT = "This is a bug in the split; please report it."


def check_table(schema: pa.DataFrameSchema, table: pd.DataFrame) -> list[Outcome]:
    """Check a table against a ticket schema: a failed outcome per broken rule, or a passed one for all of them."""
    try:
        with warnings.catch_warnings():
            # pandera concatenates failures of which some columns are all null.
            warnings.simplefilter("ignore", FutureWarning)
            schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        broken = error.failure_cases.groupby(["column", "check"], dropna=False, observed=True).size()
        return [
            explain_rule(column, str(check), int(count), len(table), _ADVICE)
            for (column, check), count in broken.items()
        ]
    return [passed_all_rules(str(schema.name), len(table))]


def check_training_rows(rows: pd.DataFrame, *, has_checked_texts: bool) -> list[Outcome]:
    """Check rows against `TrainingRows`; only the labels if the texts passed the ticket checks before."""
    if has_checked_texts:
        return check_table(_labels_schema(), rows[["label"]])
    return check_table(TrainingRows.to_schema(), rows)


@cache
def _labels_schema() -> pa.DataFrameSchema:
    return TrainingRows.to_schema().remove_columns(["text"])


def check_window_of_valid_tickets(tickets: pd.DataFrame, window: Window) -> list[Outcome]:
    """Check that tickets from a table that passed the schema checks are inside the window."""
    closed = tickets["closed"].to_numpy(dtype=np.int64)
    outside = int(((closed < window.start) | (closed >= window.end)).sum())
    inside = explain_rule("closed", "closed_inside_the_window", outside, len(tickets), _ADVICE)
    return [passed_all_rules(str(Tickets.to_schema().name), len(tickets)), inside]


def check_counts_add_up(label_counts: pd.DataFrame, tickets: pd.DataFrame) -> list[Outcome]:
    """The labels' counts sum to the number of tickets, and their shares to 1."""
    counted = int(label_counts["count"].sum())
    advice = "This is a bug in the label counts; please report it."
    is_share_off = abs(float(label_counts["share"].sum()) - 1.0) > 1e-9
    return [
        Outcome("counts sum to the tickets", abs(counted - len(tickets)), len(tickets), advice),
        Outcome("shares sum to 1", int(is_share_off), 1, advice, unit="sums"),
    ]


def check_no_ticket_in_two_splits(split: Split, expected_rows: int) -> list[Outcome]:
    """Every ticket is on exactly one side: no duplicates, none lost, none added."""
    ids = pd.concat([split.train["id"], split.test["id"]])
    return [
        Outcome("no id is on both sides or twice", int(ids.duplicated().sum()), len(ids), _BUG_IN_SPLIT),
        Outcome("no ticket is lost or added", abs(len(ids) - expected_rows), expected_rows, _BUG_IN_SPLIT),
    ]


def check_no_text_in_two_splits(split: Split) -> list[Outcome]:
    """No text is in train and in test."""
    # Arrow's kernel, since pandas' isin takes ten times as long on Arrow-backed strings.
    trained = pc.is_in(pyarrow.array(split.test["text"]), value_set=pyarrow.array(split.train["text"]))
    repeated = pc.sum(trained).as_py() or 0
    advice = "SPLIT_METHOD=by-text keeps equal texts together."
    return [Outcome("no text is on both sides", repeated, len(split.test), advice, unit="test rows")]


def check_label_shares(sides: pd.DataFrame) -> list[Outcome]:
    """Every label is on both sides, and its test rows match its quota within its tolerance.

    Args:
        sides: The result of `count_sides`.
    """
    missing = (sides["train"] == 0) | (sides["test"] == 0)
    off = (sides["test"] - sides["quota"]).abs() > sides["tolerance"]
    return [
        Outcome("every label is on both sides", int(missing.sum()), len(sides), _BUG_IN_SPLIT, unit="labels"),
        Outcome("every label's test rows are at its quota", int(off.sum()), len(sides), _BUG_IN_SPLIT, unit="labels"),
    ]


def check_test_share(sides: pd.DataFrame) -> list[Outcome]:
    """The test rows of all labels together are TEST_SHARE of them, within the error of rounding and of texts that are
    never divided.

    A label's quota is rounded (by at most half a row), is at least 1, and its boundary text may be on either side; the
    total may be off by the sum of these.

    Args:
        sides: The result of `count_sides`.
    """
    rows = int(sides["train"].sum() + sides["test"].sum())
    allowed = float((sides["tolerance"] + (sides["quota"] - sides["expected"]).abs()).sum())
    off = abs(float(sides["test"].sum() - sides["expected"].sum()))
    # Sums of products with a share, which floats do not represent exactly.
    failed = 0 if off <= allowed + 1e-6 else round(off)
    return [Outcome("test rows are TEST_SHARE of all", failed, rows, _BUG_IN_SPLIT)]


def count_sides(split: Split) -> pd.DataFrame:
    """Count each label's rows on both sides.

    Returns:
        One row per label: `train` and `test` rows, the `expected` test rows before rounding, the `quota` of test rows,
        and its `tolerance`. The tolerance is how far a split by text may miss the quota, the sum of: half of the
        largest text allowed in test; the tickets whose text occurs under several labels, since another label may
        decide their side; and, for a label with fewer small texts of its own than twice its quota, its quota or its
        largest text.
    """
    tables = (split.train, split.test)
    labels, label = np.unique(
        np.concatenate([table["label"].to_numpy(dtype=np.int64) for table in tables]), return_inverse=True
    )
    count = partial(np.bincount, minlength=len(labels))
    train, test = count(label[: len(split.train)]), count(label[len(split.train) :])
    quota = np.array([quota_for_test(int(rows), split.test_share) for rows in train + test], dtype=np.int64)
    limit = np.array([largest_test_text(int(rows)) for rows in quota], dtype=np.int64)

    # Tickets grouped by label and text.
    texts, text = np.unique(_group_codes(split), return_inverse=True)
    pairs, tickets = np.unique(label * len(texts) + text, return_counts=True)
    of_label, of_text = np.divmod(pairs, max(len(texts), 1))
    is_shared = np.bincount(of_text, minlength=len(texts))[of_text] > 1
    is_small = tickets <= limit[of_label]
    shared = count(of_label[is_shared], weights=tickets[is_shared])
    is_sparse = count(of_label[is_small & ~is_shared]) < 2 * quota
    largest = np.zeros(len(labels), dtype=np.int64)
    np.maximum.at(largest, of_label, tickets)
    tolerance = np.maximum(limit / 2, 1) + shared + np.where(is_sparse, np.maximum(largest, quota), 0)
    expected = (train + test) * split.test_share
    return pd.DataFrame(
        {"train": train, "test": test, "expected": expected, "quota": quota, "tolerance": tolerance},
        index=pd.Index(labels, name="label"),
    )


def _group_codes(split: Split) -> NDArray[np.int64]:
    if split.group_codes is not None:
        return split.group_codes
    codes, _ = pd.factorize(pd.concat([split.train["text"], split.test["text"]]))
    return np.asarray(codes, dtype=np.int64)
