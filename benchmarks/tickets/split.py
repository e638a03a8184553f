"""The 90/10 split: by text, with scikit-learn's train_test_split, and with its StratifiedGroupKFold.

Measured: seconds; texts on both sides; the largest deviation of a label's test share from a tenth; and the number of
other tickets that change sides when a ticket is removed. Our checks of a split are timed separately. Not measured: the
effect on a model.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from benchmarks.harness import BATCH, Cell, Goal, Result, Table, in_turns, timed
from benchmarks.tickets import as_read, make_tickets
from gata_assets.tables.outcomes import Outcome
from gata_assets.tickets.checks import (
    check_label_shares,
    check_no_text_in_two_splits,
    check_no_ticket_in_two_splits,
    check_table,
    check_test_share,
    count_sides,
)
from gata_assets.tickets.schema import TrainingRows
from gata_assets.tickets.splitting.splits import SKLEARN_SEED, Split, split_by_text, split_with_sklearn

_REPEATED_SHARE = 0.08
_OURS = "by text (ours)"
_SKLEARN = "train_test_split (ours, SPLIT_METHOD=sklearn)"
_FOLD = "StratifiedGroupKFold, first of 10 folds"

Method = Callable[[pd.DataFrame], Split]


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few tickets."""
    count, times, removals, slow_removals = (3_000, 1, 3, 1) if quick else (100_000, 3, 20, 2)
    tickets_table = make_tickets(
        BATCH.training_window(90), count, labels=17, seed=3, repeated_share=_REPEATED_SHARE, imbalance=0.9
    )
    tickets = as_read(tickets_table.sample(count, random_state=3))
    fast: dict[str, Method] = {_OURS: lambda table: split_by_text(table, seed=42), _SKLEARN: split_with_sklearn}
    rows: list[list[Cell]] = []
    shared: dict[str, int] = {}
    moved: dict[str, list[int]] = {}
    seconds = in_turns({name: partial(method, tickets) for name, method in fast.items()}, times=times)
    for name, method in {**fast, _FOLD: _first_fold}.items():
        is_slow = name not in fast
        taken, split = timed(partial(method, tickets))
        seconds.setdefault(name, taken)
        shared[name] = _texts_on_both_sides(split)
        moved[name] = _moved_by_removals(method, tickets, split, slow_removals if is_slow else removals)
        rows.append(
            [
                name,
                seconds[name],
                shared[name],
                100 * _largest_deviation(split),
                f"{median(moved[name]):,.0f}",
                f"{max(moved[name]):,}",
                len(moved[name]),
            ]
        )
    checks = _check_seconds(split_by_text(tickets, seed=42), len(tickets), times)
    return Result(
        what=(
            f"{count:,} tickets of about 600 characters with 17 labels, {_REPEATED_SHARE:.0%} of them with another "
            f"ticket's text (nine in ten of these with the same label). Seconds are medians of {times}; "
            "StratifiedGroupKFold ran once. "
            "It uses texts as groups, shuffles with a fixed seed, and its first fold of ten is the test side; it is "
            "scikit-learn's closest equivalent."
        ),
        says=(
            f"The split by text keeps all equal texts together ({shared[_SKLEARN]:,} texts are on both sides with "
            f"train_test_split), and removing a ticket moves at most {max(moved[_OURS])} other tickets instead of "
            f"{median(moved[_SKLEARN]):,.0f}; it takes {seconds[_OURS]:.2f} s, StratifiedGroupKFold "
            f"{seconds[_FOLD]:.1f} s. Our checks of it take {checks['all']:.2f} s."
        ),
        tables=[
            Table(
                "Splits:",
                [
                    "method",
                    "seconds",
                    "texts on both sides",
                    "largest deviation of a label's test share (points)",
                    "tickets that change sides when one is removed: median",
                    "most",
                    "removals tried",
                ],
                rows,
            ),
            Table("Our checks of the split by text:", ["check", "seconds"], [[k, v] for k, v in checks.items()]),
        ],
        goals=[Goal("no text on both sides of the split by text", str(shared[_OURS]), shared[_OURS] == 0)],
    )


def _first_fold(tickets: pd.DataFrame) -> Split:
    ordered = tickets.sort_values(["closed", "id"], ignore_index=True)
    texts, _ = pd.factorize(ordered["text"])
    labels = ordered["label"].to_numpy(dtype=np.int64)
    folds = StratifiedGroupKFold(n_splits=10, shuffle=True, random_state=SKLEARN_SEED)
    train, test = next(iter(folds.split(texts, labels, groups=texts)))
    return Split(train=ordered.iloc[train].reset_index(drop=True), test=ordered.iloc[test].reset_index(drop=True))


def _texts_on_both_sides(split: Split) -> int:
    return len(set(split.train["text"]) & set(split.test["text"]))


def _largest_deviation(split: Split) -> float:
    """The largest deviation of a label's test share from a tenth, as a fraction."""
    test, train = split.test["label"].value_counts(), split.train["label"].value_counts()
    shares = test.div(test.add(train, fill_value=0)).fillna(0)
    return float((shares - 0.1).abs().max())


def _moved_by_removals(method: Method, tickets: pd.DataFrame, split: Split, removals: int) -> list[int]:
    """For random removals of single tickets, the number of other tickets that change sides."""
    before = set(split.test["id"])
    moved = []
    for removed in np.random.default_rng(7).choice(len(tickets), removals, replace=False):
        after = set(method(tickets.drop(index=removed).reset_index(drop=True)).test["id"])
        moved.append(len(after.symmetric_difference(before - {tickets["id"].iloc[removed]})))
    return moved


def check_shares(split: Split) -> list[Outcome]:
    """Both share checks, with a single count of the sides."""
    sides = count_sides(split)
    return [*check_label_shares(sides), *check_test_share(sides)]


def _check_seconds(split: Split, expected_rows: int, times: int) -> dict[str, float]:
    schema = TrainingRows.to_schema()
    rows = pd.concat([split.train, split.test], ignore_index=True)[["text", "label"]]
    seconds = in_turns(
        {
            "rows against the schema": lambda: check_table(schema, rows),
            "no ticket on two sides": lambda: check_no_ticket_in_two_splits(split, expected_rows),
            "no text on two sides": lambda: check_no_text_in_two_splits(split),
            "label and test shares": lambda: check_shares(split),
        },
        times=times,
    )
    return {**seconds, "all": sum(seconds.values())}
