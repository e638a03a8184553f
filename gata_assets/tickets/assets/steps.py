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
from gata_assets.ticket_contract import accounting
from gata_assets.ticket_contract.accounting import TicketAccount
from gata_assets.ticket_contract.source import no_tickets
from gata_assets.tickets import checks, low_volume
from gata_assets.tickets.assets import check_names
from gata_assets.tickets.assets.batch import BatchInProgress, StepResult
from gata_assets.tickets.assets.metadata import (
    Described,
    describe_account,
    describe_split,
    describe_tickets,
    describe_twins,
)
from gata_assets.tickets.assets.windows_read import TicketsOfWindow
from gata_assets.tickets.invalid import check_few_are_invalid
from gata_assets.tickets.provenance import LABEL_NAMES, names_as_json
from gata_assets.tickets.rules import NearDuplicatePolicy, SplitMethod, TextNormalization
from gata_assets.tickets.schema import LabelCounts, Tickets, TrainingRows, tickets_schema
from gata_assets.tickets.splitting.by_rules import split_by_rules
from gata_assets.tickets.splitting.splits import Split
from gata_assets.tickets.splitting.twins import Twins
from gata_assets.tickets.texts import check_few_are_emptied
from gata_assets.tickets.training_files import GENERAL_DATASET, LOW_VOLUME_DATASET, Dataset


def build_tickets(batch: BatchInProgress) -> StepResult:
    """The closed tickets of the training window that train: `[B - TRAINING_PERIOD days, 00:00 of B's day)`."""
    window = batch.windows.training
    read = batch.read = batch.source.read_training(window)
    table = read.table
    if table.empty:
        raise NoTicketsError(batch.explain_no_tickets(read.account))
    if read.is_valid:
        outcome = checks.check_window_of_valid_tickets(table, window)
    else:
        outcome = checks.check_table(tickets_schema(window), table)
    described = describe_tickets(table, read.account, read.label_names, window=str(window))
    outcomes: dict[str, list[Outcome]] = {
        check_names.TICKETS_ARE_VALID: outcome,
        check_names.EVERY_TICKET_IS_ACCOUNTED_FOR: read.account.check(len(table)),
        check_names.FEW_TICKETS_ARE_INVALID: check_few_are_invalid(
            read.account, most_share=batch.rules.max_invalid_share
        ),
    }
    if batch.rules.text_normalization is TextNormalization.NORMALIZE:
        outcomes[check_names.FEW_TEXTS_WERE_EMPTIED] = _check_emptied(batch, read)
    warned = frozenset({check_names.FEW_TICKETS_ARE_INVALID})
    return StepResult(table, outcomes, described, warned, read.account, read.quarantined, read.label_names)


def _check_emptied(batch: BatchInProgress, read: TicketsOfWindow) -> list[Outcome]:
    return check_few_are_emptied(read.account, read.read, most_share=batch.rules.max_emptied_share)


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
            **describe_tickets(tickets, batch.account("tickets"), batch.label_names("tickets")),
            "dagster/row_count": len(counts),
            "low_volume_labels": len(decision.low_volume_labels),
            "makes_low_volume_dataset": decision.is_needed,
            "reason": decision.reason,
        },
    )


def build_general_split(batch: BatchInProgress) -> StepResult:
    """The general dataset's train and test files: low-volume tickets relabeled or removed, then split by TEST_SHARE."""
    rules = batch.rules
    tickets = batch.table("tickets")
    fallback, names = batch.fallback_label()
    general = low_volume.apply_low_volume_policy(tickets, batch.decision("tickets"), rules, fallback_label=fallback)
    ranks, near = (batch.read.text_ranks, batch.read.near) if batch.read else (None, None)
    split, twins = split_by_rules(general.tickets, rules, None if ranks is None else ranks[general.is_kept], near)
    metadata = {
        **describe_split(split, names),
        "relabelled_tickets": general.relabeled,
        "removed_tickets": general.removed,
    }
    account = batch.account("tickets").exclude({accounting.LOW_VOLUME: general.removed})
    reason = "the general dataset is made of every batch"
    return _dataset_result(
        batch,
        GENERAL_DATASET,
        "tickets",
        general.tickets,
        split,
        reason,
        metadata,
        account=account,
        twins=twins,
        names=names,
    )


def build_low_volume_tickets(batch: BatchInProgress) -> StepResult:
    """The low-volume labels' tickets of the training window and of the older part of LOW_VOLUME_PERIOD."""
    rules, windows = batch.rules, batch.windows
    tickets = batch.table("tickets")
    decision = batch.decision("tickets")
    older = batch.source.read_older(windows.older, decision.low_volume_labels) if decision.is_needed else None
    selected = low_volume.select_low_volume_tickets(
        tickets, older.table if older else no_tickets(), decision, min_count=rules.low_volume_min_count
    )
    table = selected.tickets
    account = batch.account("tickets")
    if older:
        not_read = older.account.kept - len(older.table)
        account = account.plus(older.account.exclude({accounting.OTHER_LABELS: not_read}))
    left_out = {
        accounting.OTHER_LABELS if decision.is_needed else accounting.NO_DATASET: selected.other_labels,
        accounting.READ_TWICE: selected.read_twice,
        accounting.BELOW_MIN_COUNT: selected.below_min_count,
    }
    account = account.exclude(left_out)
    names = batch.label_names("tickets")
    schema = tickets_schema(windows.training, windows.older)
    outcomes: dict[str, list[Outcome]] = {
        check_names.LOW_VOLUME_TICKETS_ARE_VALID: checks.check_table(schema, table),
        check_names.EVERY_TICKET_IS_ACCOUNTED_FOR: account.check(len(table)),
    }
    if rules.text_normalization is TextNormalization.NORMALIZE:
        none_read = TicketsOfWindow(no_tickets(), TicketAccount(0, 0), read=0)
        outcomes[check_names.FEW_TEXTS_WERE_EMPTIED] = _check_emptied(batch, older or none_read)
    return StepResult(
        table,
        outcomes,
        {
            **describe_tickets(table, account, names),
            "window": str(windows.training),
            "older_window": str(windows.older),
            "makes_low_volume_dataset": decision.is_needed,
            "reason": decision.reason,
        },
        account=account,
        quarantined=older.quarantined if older else None,
        label_names=names,
    )


def build_low_volume_split(batch: BatchInProgress) -> StepResult:
    """The low-volume dataset's train and test files, or the explicit statement that this batch has none."""
    rules = batch.rules
    decision = batch.decision()
    tickets = batch.table("low_volume_tickets", "label_counts")
    split, twins = split_by_rules(tickets, rules) if decision.is_needed else (None, None)
    names = batch.label_names("low_volume_tickets")
    described = describe_split(split, names) if split else {"dagster/row_count": 0}
    metadata = {**described, "is_made": decision.is_needed, "reason": decision.reason}
    account = batch.account("low_volume_tickets")
    return _dataset_result(
        batch,
        LOW_VOLUME_DATASET,
        "low_volume_tickets",
        tickets,
        split,
        decision.reason,
        metadata,
        account=account,
        twins=twins,
        names=names,
    )


def _dataset_result(
    batch: BatchInProgress,
    name: str,
    source: str,
    tickets: pd.DataFrame,
    split: Split | None,
    reason: str,
    metadata: Mapping[str, Described],
    *,
    account: TicketAccount,
    twins: Twins | None,
    names: Mapping[int, str] | None,
) -> StepResult:
    """The dataset of a split of tickets (None: it does not exist, for that reason) with its checks.

    `source` is the table that the tickets come from: its texts are not checked again if this run has built it.
    """
    windows = {"training": batch.windows.training}
    if name == LOW_VOLUME_DATASET:
        windows["older"] = batch.windows.older
    rules = batch.rules
    details: dict[str, object] = {"tickets": account.as_json()}
    if account.texts:
        details["text_normalization"] = account.texts.as_json()
    if names is not None:
        details[LABEL_NAMES] = names_as_json(names, tickets["label"] if split else tickets["label"][:0])
    if twins:
        details["near_duplicates"] = twins.as_json()
    dataset = Dataset(name, batch.batch_id, split, reason, windows, rules, batch.code_version, details)
    checked = split or Split(tickets, tickets)
    rows = pd.concat([checked.train, checked.test], ignore_index=True)[["text", "label"]]
    sides = checks.count_sides(checked)
    outcomes: dict[str, list[Outcome]] = {
        check_names.TRAINING_ROWS_ARE_VALID: checks.check_training_rows(rows, has_checked_texts=source in batch.built),
        check_names.NO_TICKET_IN_TWO_SPLITS: checks.check_no_ticket_in_two_splits(checked, len(tickets)),
        check_names.NO_TEXT_IN_TWO_SPLITS: checks.check_no_text_in_two_splits(checked),
        check_names.LABEL_SHARES_ARE_KEPT: checks.check_label_shares(sides),
        check_names.TEST_SHARE_IS_KEPT: checks.check_test_share(sides),
        check_names.EVERY_TICKET_IS_ACCOUNTED_FOR: account.check(len(rows)),
    }
    is_grouped = rules.near_duplicates is NearDuplicatePolicy.GROUP and rules.split_method is SplitMethod.BY_TEXT
    if rules.near_duplicates is not NearDuplicatePolicy.OFF:
        # Without a dataset there are no rows, as in the other checks.
        counted = twins or Twins.of_no_rows(rules.near_duplicate_similarity)
        found = counted.check(most_share=rules.max_twin_share, is_grouped=is_grouped)
        outcomes[check_names.FEW_TEST_ROWS_HAVE_A_TWIN] = found
    warned = {check_names.FEW_TEST_ROWS_HAVE_A_TWIN}
    if rules.split_method is SplitMethod.SKLEARN:
        warned |= check_names.PROMISED_BY_TEXT_ONLY
    described = {**metadata, **describe_account(account), **(describe_twins(twins) if twins else {})}
    return StepResult(dataset, outcomes, described, frozenset(warned))


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
    check_names.TEST_SHARE_IS_KEPT,
    check_names.EVERY_TICKET_IS_ACCOUNTED_FOR,
    check_names.FEW_TEST_ROWS_HAVE_A_TWIN,
)

_SOURCES = ("tickets", "label_counts")

# In the order in which they are built.
STEPS: Mapping[str, TicketStep] = {
    "tickets": TicketStep(
        build_tickets,
        (),
        Tickets,
        (
            check_names.TICKETS_ARE_VALID,
            check_names.EVERY_TICKET_IS_ACCOUNTED_FOR,
            check_names.FEW_TICKETS_ARE_INVALID,
            check_names.FEW_TEXTS_WERE_EMPTIED,
        ),
    ),
    "label_counts": TicketStep(
        build_label_counts,
        ("tickets",),
        LabelCounts,
        (check_names.LABEL_COUNTS_ARE_VALID, check_names.COUNTS_SUM_TO_THE_TICKETS),
    ),
    "general_split": TicketStep(build_general_split, _SOURCES, TrainingRows, _SPLIT_CHECKS, is_dataset=True),
    "low_volume_tickets": TicketStep(
        build_low_volume_tickets,
        _SOURCES,
        Tickets,
        (
            check_names.LOW_VOLUME_TICKETS_ARE_VALID,
            check_names.EVERY_TICKET_IS_ACCOUNTED_FOR,
            check_names.FEW_TEXTS_WERE_EMPTIED,
        ),
    ),
    "low_volume_split": TicketStep(
        build_low_volume_split, ("low_volume_tickets", "label_counts"), TrainingRows, _SPLIT_CHECKS, is_dataset=True
    ),
}
