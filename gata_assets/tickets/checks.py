"""Rules held against tables: how many rows break which rule, and the truths about a whole split.

Outcomes are names and counts, never the values that failed. What happens to a failed outcome is decided outside.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pyarrow
import pyarrow.compute as pc
from numpy.typing import NDArray

from gata_assets.batches import Window
from gata_assets.tables import schema_checks
from gata_assets.tables.outcomes import Outcome
from gata_assets.tables.schema_checks import Advice
from gata_assets.tickets.schema import Tickets, TrainingRows
from gata_assets.tickets.splits import Split
from gata_assets.tickets.text_groups import largest_test_text, test_quota

# By pandera's names of the rules.
_ADVICE: Advice = {
    "not_nullable": "Fill or remove the missing values in the source",
    "field_uniqueness": "The source returned a row more than once: look at its primary key",
    "closed_inside_the_window": "The source returned rows of another time: look at its clock and at `closed`",
    "str_matches": "The text must be lower-cased and reduced to [a-z0-9?.! ] before it is stored",
    "greater_than_or_equal_to": "A label is a Zendesk group id, 0 or above: look at the group mapping",
}


def check_table(schema: pa.DataFrameSchema, table: pd.DataFrame) -> list[Outcome]:
    """Check every rule of a schema of tickets against a table, see `schema_checks.check_table`."""
    return schema_checks.check_table(schema, table, _ADVICE)


def check_training_rows(rows: pd.DataFrame, *, has_checked_texts: bool) -> list[Outcome]:
    """Hold the rules of `TrainingRows`; of texts that were checked before as those of tickets, the labels only."""
    if has_checked_texts:
        return check_table(_labels_schema(), rows[["label"]])
    return check_table(TrainingRows.to_schema(), rows)


@cache
def _labels_schema() -> pa.DataFrameSchema:
    return TrainingRows.to_schema().remove_columns(["text"])


def check_part_of_tickets(part: pd.DataFrame, window: Window) -> list[Outcome]:
    """What is left to check of tickets that were found valid as part of a larger table: that they are the window's."""
    closed = part["closed"].to_numpy(dtype=np.int64)
    outside = int(((closed < window.start) | (closed >= window.end)).sum())
    inside = schema_checks.explain_rule("closed", "closed_inside_the_window", outside, len(part), _ADVICE)
    return [schema_checks.all_kept(str(Tickets.to_schema().name), len(part)), inside]


def check_counts_add_up(label_counts: pd.DataFrame, tickets: pd.DataFrame) -> list[Outcome]:
    """The counts of all labels sum to the tickets, and their shares to 1."""
    counted = int(label_counts["count"].sum())
    advice = "This is a defect of the counting; please report it."
    outcomes = [Outcome("counts sum to the tickets", abs(counted - len(tickets)), len(tickets), advice)]
    shares_off = abs(float(label_counts["share"].sum()) - 1.0) > 1e-9
    outcomes.append(Outcome("shares sum to 1", int(shares_off), 1, advice, unit="sums"))
    return outcomes


def check_no_ticket_in_two_splits(split: Split, expected_rows: int) -> list[Outcome]:
    """Every ticket is on exactly one side: none twice, none lost, none added."""
    ids = pd.concat([split.train["id"], split.test["id"]])
    advice = "This is a defect of the split; please report it."
    return [
        Outcome("no id is on both sides or twice", int(ids.duplicated().sum()), len(ids), advice),
        Outcome("no ticket is lost or added", abs(len(ids) - expected_rows), expected_rows, advice),
    ]


def check_no_text_in_two_splits(split: Split) -> list[Outcome]:
    """No text is in train and in test."""
    # Arrow's kernel: pandas' isin takes ten times as long on Arrow-backed strings.
    trained = pc.is_in(pyarrow.array(split.test["text"]), value_set=pyarrow.array(split.train["text"]))
    return [
        Outcome(
            "no text is on both sides",
            pc.sum(trained).as_py() or 0,
            len(split.test),
            "SPLIT_METHOD=by-text keeps equal texts together.",
            unit="test rows",
        )
    ]


def check_label_shares(sides: pd.DataFrame) -> list[Outcome]:
    """Every label is on both sides, and its test rows are within its indivisible text of its quota.

    Takes what `count_sides` gives.
    """
    missing = (sides["train"] == 0) | (sides["test"] == 0)
    off = (sides["test"] - sides["quota"]).abs() > sides["tolerance"]
    advice = "This is a defect of the split; please report it."
    return [
        Outcome("every label is on both sides", int(missing.sum()), len(sides), advice, unit="labels"),
        Outcome("every label's test rows are at its quota", int(off.sum()), len(sides), advice, unit="labels"),
    ]


def check_test_share(sides: pd.DataFrame) -> list[Outcome]:
    """The test rows of all labels together are 10 %, to within what rounding and indivisible texts explain.

    A label's quota is rounded (by half a row at most), is at least 1, and its boundary text may lie on either
    side; the total may be off by the sum of these. Takes what `count_sides` gives.
    """
    rows = int(sides["train"].sum() + sides["test"].sum())
    allowed = float((sides["tolerance"] + (sides["quota"] - (sides["train"] + sides["test"]) / 10).abs()).sum())
    off = abs(float(sides["test"].sum()) - rows / 10)
    return [
        Outcome(
            "test rows are a tenth of all",
            # Both are sums of tenths, which floats do not hold exactly.
            0 if off <= allowed + 1e-6 else round(off),
            rows,
            "This is a defect of the split; please report it.",
        )
    ]


def count_sides(split: Split) -> pd.DataFrame:
    """One row a label: `train` and `test` rows, `quota` of test rows, and its `tolerance`.

    The tolerance is what the division by texts may miss the quota by: half of the largest text that may be tested on;
    the tickets whose text occurs under several labels, since another label may decide on them; and for a label that
    has fewer small texts of its own than twice its quota, its quota or its largest text.
    """
    tables = (split.train, split.test)
    labels, label = np.unique(
        np.concatenate([table["label"].to_numpy(dtype=np.int64) for table in tables]), return_inverse=True
    )
    count = partial(np.bincount, minlength=len(labels))
    train, test = count(label[: len(split.train)]), count(label[len(split.train) :])
    quota = np.array([test_quota(int(rows)) for rows in train + test], dtype=np.int64)
    limit = np.array([largest_test_text(int(rows)) for rows in quota], dtype=np.int64)

    # Groups of tickets of one label and text.
    texts, text = np.unique(_text_codes(split), return_inverse=True)
    pairs, tickets = np.unique(label * len(texts) + text, return_counts=True)
    of_label, of_text = np.divmod(pairs, max(len(texts), 1))
    is_shared = np.bincount(of_text, minlength=len(texts))[of_text] > 1
    is_small = tickets <= limit[of_label]
    shared = count(of_label[is_shared], weights=tickets[is_shared])
    is_thin = count(of_label[is_small & ~is_shared]) < 2 * quota
    largest = np.zeros(len(labels), dtype=np.int64)
    np.maximum.at(largest, of_label, tickets)
    tolerance = np.maximum(limit / 2, 1) + shared + np.where(is_thin, np.maximum(largest, quota), 0)
    return pd.DataFrame(
        {"train": train, "test": test, "quota": quota, "tolerance": tolerance}, index=pd.Index(labels, name="label")
    )


def _text_codes(split: Split) -> NDArray[np.int64]:
    if split.text_codes is not None:
        return split.text_codes
    codes, _ = pd.factorize(pd.concat([split.train["text"], split.test["text"]]))
    return np.asarray(codes, dtype=np.int64)
