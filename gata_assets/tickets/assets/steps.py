"""The five steps of a batch of tickets: which pure functions build each asset, and what the UI shows of it.

A step reads what it needs through the batch, and returns a value with its check outcomes and its metadata. It writes
nothing and is independent of runs (`assets.run`). A decision about data belongs in the pure modules of `tickets`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd
from pandera.pandas import DataFrameModel

from gata_assets.errors import NoTicketsError
from gata_assets.tables.outcomes import Outcome
from gata_assets.tickets import checks, low_volume
from gata_assets.tickets.assets import check_names
from gata_assets.tickets.assets.batch import BatchInProgress, StepResult
from gata_assets.tickets.assets.metadata import Described, describe_split, describe_tickets
from gata_assets.tickets.rules import SplitMethod
from gata_assets.tickets.schema import LabelCounts, Tickets, TrainingRows, tickets_schema
from gata_assets.tickets.sources.base import no_tickets
from gata_assets.tickets.splits import Split, split_tickets
from gata_assets.tickets.training_files import GENERAL_DATASET, LOW_VOLUME_DATASET, Dataset


def build_tickets(batch: BatchInProgress) -> StepResult:
    """The closed tickets of the training window that train: `[B - TRAINING_PERIOD days, 00:00 of B's day)`."""
    window = batch.windows.training
    read = batch.source.read_training(window)
    table, batch.text_ranks = read.table, read.text_ranks
    if table.empty:
        raise NoTicketsError(
            f"tickets: no ticket that trains was closed in {window}, the training window of batch "
            f"{batch.batch_id}. Check the batch ID, TRAINING_PERIOD, and (`gata doctor`) which database "
            "is read and until when its tickets reach."
        )
    if read.is_valid:
        outcome = checks.check_window_of_valid_tickets(table, window)
    else:
        outcome = checks.check_table(tickets_schema(window), table)
    described = describe_tickets(table, "Tickets by label", window=str(window))
    return StepResult(table, {check_names.TICKETS_ARE_VALID: outcome}, described)


def build_label_counts(batch: BatchInProgress) -> StepResult:
    """How many of the window's tickets have each label, which labels are low-volume, and what follows from that."""
    rules = batch.rules
    tickets = batch.table("tickets")
    counts = low_volume.count_labels(tickets, low_volume_threshold=rules.low_volume_threshold)
    decision = low_volume.decide_low_volume(counts, min_count=rules.low_volume_min_count)
    return StepResult(
        counts,
        {
            check_names.LABEL_COUNTS_ARE_VALID: checks.check_table(LabelCounts.to_schema(), counts),
            check_names.COUNTS_SUM_TO_THE_TICKETS: checks.check_counts_add_up(counts, tickets),
        },
        {
            **describe_tickets(tickets, "Tickets by label"),
            "dagster/row_count": len(counts),
            "low_volume_labels": len(decision.low_volume_labels),
            "makes_low_volume_dataset": decision.is_needed,
            "reason": decision.reason,
        },
    )


def build_general_split(batch: BatchInProgress) -> StepResult:
    """The general dataset's train and test files: low-volume tickets relabeled or removed, then 90/10."""
    rules = batch.rules
    tickets = batch.table("tickets")
    general = low_volume.apply_low_volume_policy(tickets, batch.decision("tickets"), rules)
    split = split_tickets(
        general.tickets,
        method=rules.split_method,
        seed=rules.split_seed,
        text_ranks=None if batch.text_ranks is None else batch.text_ranks[general.is_kept],
    )
    metadata = {**describe_split(split), "relabelled_tickets": general.relabeled, "removed_tickets": general.removed}
    reason = "the general dataset is made of every batch"
    return _dataset_result(batch, GENERAL_DATASET, "tickets", general.tickets, split, reason, metadata)


def build_low_volume_tickets(batch: BatchInProgress) -> StepResult:
    """The low-volume labels' tickets of the training window and of the older part of LOW_VOLUME_PERIOD."""
    rules, windows = batch.rules, batch.windows
    tickets = batch.table("tickets")
    decision = batch.decision("tickets")
    older = batch.source.read_older(windows.older, decision.low_volume_labels) if decision.is_needed else no_tickets()
    table = low_volume.select_low_volume_tickets(tickets, older, decision, min_count=rules.low_volume_min_count)
    schema = tickets_schema(windows.training, windows.older)
    return StepResult(
        table,
        {check_names.LOW_VOLUME_TICKETS_ARE_VALID: checks.check_table(schema, table)},
        {
            **describe_tickets(table, "Low-volume tickets by label"),
            "window": str(windows.training),
            "older_window": str(windows.older),
            "makes_low_volume_dataset": decision.is_needed,
            "reason": decision.reason,
        },
    )


def build_low_volume_split(batch: BatchInProgress) -> StepResult:
    """The low-volume dataset's train and test files, or the explicit statement that this batch has none."""
    rules = batch.rules
    decision = batch.decision()
    tickets = batch.table("low_volume_tickets", "label_counts")
    split = split_tickets(tickets, method=rules.split_method, seed=rules.split_seed) if decision.is_needed else None
    described = describe_split(split) if split else {"dagster/row_count": 0}
    metadata = {**described, "is_made": decision.is_needed, "reason": decision.reason}
    return _dataset_result(batch, LOW_VOLUME_DATASET, "low_volume_tickets", tickets, split, decision.reason, metadata)


def _dataset_result(
    batch: BatchInProgress,
    name: str,
    source: str,
    tickets: pd.DataFrame,
    split: Split | None,
    reason: str,
    metadata: Mapping[str, Described],
) -> StepResult:
    """The dataset of a split of tickets (None: it does not exist, for that reason) with its checks.

    `source` is the table that the tickets come from: its texts are not checked again if this run has built it.
    """
    windows = {"training": batch.windows.training}
    if name == LOW_VOLUME_DATASET:
        windows["older"] = batch.windows.older
    dataset = Dataset(name, batch.batch_id, split, reason, windows, batch.rules, batch.code_version)
    checked = split or Split(tickets, tickets)
    rows = pd.concat([checked.train, checked.test], ignore_index=True)[["text", "label"]]
    sides = checks.count_sides(checked)
    outcomes: Mapping[str, list[Outcome]] = {
        check_names.TRAINING_ROWS_ARE_VALID: checks.check_training_rows(rows, has_checked_texts=source in batch.built),
        check_names.NO_TICKET_IN_TWO_SPLITS: checks.check_no_ticket_in_two_splits(checked, len(tickets)),
        check_names.NO_TEXT_IN_TWO_SPLITS: checks.check_no_text_in_two_splits(checked),
        check_names.LABEL_SHARES_ARE_KEPT: checks.check_label_shares(sides),
        check_names.TEST_SHARE_IS_TEN_PERCENT: checks.check_test_share(sides),
    }
    is_sklearn = batch.rules.split_method is SplitMethod.SKLEARN
    return StepResult(dataset, outcomes, metadata, check_names.PROMISED_BY_TEXT_ONLY if is_sklearn else frozenset())


@dataclass(frozen=True)
class TicketStep:
    """One ticket asset: how it is built, from which others, what its rows are and which checks guard it."""

    build: Callable[[BatchInProgress], StepResult]
    made_from: tuple[str, ...]
    rows: type[DataFrameModel]
    checks: tuple[str, ...]
    is_dataset: bool = False


_SPLIT_CHECKS = (
    check_names.TRAINING_ROWS_ARE_VALID,
    check_names.NO_TICKET_IN_TWO_SPLITS,
    check_names.NO_TEXT_IN_TWO_SPLITS,
    check_names.LABEL_SHARES_ARE_KEPT,
    check_names.TEST_SHARE_IS_TEN_PERCENT,
)

_SOURCES = ("tickets", "label_counts")

# In the order in which they are built.
STEPS: Mapping[str, TicketStep] = {
    "tickets": TicketStep(build_tickets, (), Tickets, (check_names.TICKETS_ARE_VALID,)),
    "label_counts": TicketStep(
        build_label_counts,
        ("tickets",),
        LabelCounts,
        (check_names.LABEL_COUNTS_ARE_VALID, check_names.COUNTS_SUM_TO_THE_TICKETS),
    ),
    "general_split": TicketStep(build_general_split, _SOURCES, TrainingRows, _SPLIT_CHECKS, is_dataset=True),
    "low_volume_tickets": TicketStep(
        build_low_volume_tickets, _SOURCES, Tickets, (check_names.LOW_VOLUME_TICKETS_ARE_VALID,)
    ),
    "low_volume_split": TicketStep(
        build_low_volume_split, ("low_volume_tickets", "label_counts"), TrainingRows, _SPLIT_CHECKS, is_dataset=True
    ),
}
