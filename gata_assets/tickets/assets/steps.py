"""The five steps of the ticket line for one batch: which core functions make each asset, and what is shown of it.

A step reads what it needs through the batch at work, and gives a value with its check outcomes and its metadata. It
writes nothing and knows no run; `assets.tickets` does. An `if` about data belongs in `core`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import dagster as dg
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandera.pandas import DataFrameModel

from gata_assets.batches import Window
from gata_assets.errors import NoTicketsError
from gata_assets.tables.outcomes import Outcome
from gata_assets.tickets.assets import check_names
from gata_assets.tickets.checks import (
    check_counts_add_up,
    check_label_shares,
    check_no_text_in_two_splits,
    check_no_ticket_in_two_splits,
    check_table,
    check_test_share,
    check_training_rows,
    check_window_of_valid_tickets,
    count_sides,
)
from gata_assets.tickets.label_chart import draw_label_chart
from gata_assets.tickets.label_counts import LowVolumeDecision, count_labels, decide_low_volume
from gata_assets.tickets.low_volume import apply_low_volume_policy, select_low_volume_tickets
from gata_assets.tickets.provenance import require_making
from gata_assets.tickets.rules import PreparationRules, SplitMethod
from gata_assets.tickets.schema import LabelCounts, Tickets, TrainingRows, tickets_schema
from gata_assets.tickets.sources.base import no_tickets
from gata_assets.tickets.splits import Split, split_tickets
from gata_assets.tickets.training_files import GENERAL_DATASET, LOW_VOLUME_DATASET, Dataset
from gata_assets.tickets.windows import BatchWindows, windows_of

Described = int | float | str | bool | dg.MarkdownMetadataValue


@dataclass(frozen=True)
class WindowOfTickets:
    """A training window's tickets, and what is known of them from the larger table that they were read with.

    `text_ranks` are what `rank_texts` gave, where tickets are divided by text; `is_valid` says that all of its rows
    keep the rules of `Tickets`.
    """

    table: pd.DataFrame
    text_ranks: NDArray[np.int64] | None
    is_valid: bool


class TicketsOfBatches(Protocol):
    """Where a batch's tickets come from, as a step sees it."""

    seconds_a_batch: float

    def read_training(self, window: Window) -> WindowOfTickets:
        """The window's tickets."""

    def read_older(self, window: Window, labels: Sequence[int]) -> pd.DataFrame:
        """The older window's tickets of these labels."""


@dataclass(frozen=True)
class Made:
    """What a step made of a batch: the value, what its checks say and what is shown of it."""

    value: pd.DataFrame | Dataset
    outcomes: Mapping[str, Sequence[Outcome]]
    metadata: Mapping[str, Described]
    only_warned_of: frozenset[str] = frozenset()


@dataclass
class BatchAtWork:
    """One batch while its assets are made: its rules and windows, and the tables that are there already.

    `load` reads a table that this run does not make.
    """

    batch_id: str
    rules: PreparationRules
    code_version: str
    source: TicketsOfBatches
    load: Callable[[str], pd.DataFrame]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    text_ranks: NDArray[np.int64] | None = None
    made: set[str] = field(default_factory=set)
    _decision: LowVolumeDecision | None = None

    @property
    def windows(self) -> BatchWindows:
        """The batch's training window and the older one."""
        return windows_of(self.batch_id, self.rules)

    def table(self, name: str, *made_from: str) -> pd.DataFrame:
        """A table of this batch; raises DataRuleError for a stored one that was made otherwise."""
        if name not in self.tables:
            self.tables[name] = self.load(name)
        if name not in self.made:
            sources = {source: self.table(source) for source in made_from}
            require_making(self.tables[name], name, self.rules, sources)
        return self.tables[name]

    def keep(self, name: str, table: pd.DataFrame) -> None:
        """Have a table that was made at hand for what is made from it."""
        self.tables[name] = table
        self.made.add(name)

    def decision(self, *made_from: str) -> LowVolumeDecision:
        """Whether the batch has a low-volume dataset, from its label counts."""
        counts = self.table("label_counts", *made_from)
        if self._decision is None:
            self._decision = decide_low_volume(counts, min_count=self.rules.low_volume_min_count)
        return self._decision


def make_tickets(batch: BatchAtWork) -> Made:
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
    outcome = (
        check_window_of_valid_tickets(table, window) if read.is_valid else check_table(tickets_schema(window), table)
    )
    return Made(
        table,
        {check_names.TICKETS_ARE_VALID: outcome},
        _described(table, "Tickets by label", window=str(window)),
    )


def make_label_counts(batch: BatchAtWork) -> Made:
    """How the window's tickets fall on labels, which of these are low-volume, and what follows from that."""
    rules = batch.rules
    tickets = batch.table("tickets")
    counts = count_labels(tickets, low_volume_threshold=rules.low_volume_threshold)
    decision = decide_low_volume(counts, min_count=rules.low_volume_min_count)
    return Made(
        counts,
        {
            check_names.LABEL_COUNTS_ARE_VALID: check_table(LabelCounts.to_schema(), counts),
            check_names.COUNTS_SUM_TO_THE_TICKETS: check_counts_add_up(counts, tickets),
        },
        {
            **_described(tickets, "Tickets by label"),
            "dagster/row_count": len(counts),
            "low_volume_labels": len(decision.low_volume_labels),
            "makes_low_volume_dataset": decision.is_needed,
            "reason": decision.reason,
        },
    )


def make_general_split(batch: BatchAtWork) -> Made:
    """The general dataset's train and test files: low-volume tickets relabelled or removed, then 90/10."""
    rules = batch.rules
    tickets = batch.table("tickets")
    general = apply_low_volume_policy(tickets, batch.decision("tickets"), rules)
    split = split_tickets(
        general.tickets,
        method=rules.split_method,
        seed=rules.split_seed,
        text_ranks=None if batch.text_ranks is None else batch.text_ranks[general.is_kept],
    )
    dataset = Dataset(
        name=GENERAL_DATASET,
        batch_id=batch.batch_id,
        split=split,
        reason="the general dataset is made of every batch",
        windows={"training": batch.windows.training},
        rules=rules,
        code_version=batch.code_version,
    )
    metadata = {
        **_described_split(split),
        "relabelled_tickets": general.relabeled,
        "removed_tickets": general.removed,
    }
    return _made_dataset(dataset, split, len(general.tickets), metadata, is_checked="tickets" in batch.made)


def make_low_volume_tickets(batch: BatchAtWork) -> Made:
    """The low-volume labels' tickets of the training window and of the older part of LOW_VOLUME_PERIOD."""
    rules, windows = batch.rules, batch.windows
    tickets = batch.table("tickets")
    decision = batch.decision("tickets")
    older = batch.source.read_older(windows.older, decision.low_volume_labels) if decision.is_needed else no_tickets()
    table = select_low_volume_tickets(tickets, older, decision, min_count=rules.low_volume_min_count)
    schema = tickets_schema(windows.training, windows.older)
    return Made(
        table,
        {check_names.LOW_VOLUME_TICKETS_ARE_VALID: check_table(schema, table)},
        {
            **_described(table, "Low-volume tickets by label"),
            "window": str(windows.training),
            "older_window": str(windows.older),
            "makes_low_volume_dataset": decision.is_needed,
            "reason": decision.reason,
        },
    )


def make_low_volume_split(batch: BatchAtWork) -> Made:
    """The low-volume dataset's train and test files, or the explicit word that this batch has none."""
    rules = batch.rules
    decision = batch.decision()
    tickets = batch.table("low_volume_tickets", "label_counts")
    split = split_tickets(tickets, method=rules.split_method, seed=rules.split_seed) if decision.is_needed else None
    dataset = Dataset(
        name=LOW_VOLUME_DATASET,
        batch_id=batch.batch_id,
        split=split,
        reason=decision.reason,
        windows={"training": batch.windows.training, "older": batch.windows.older},
        rules=rules,
        code_version=batch.code_version,
    )
    described = _described_split(split) if split else {"dagster/row_count": 0}
    metadata = {**described, "is_made": decision.is_needed, "reason": decision.reason}
    checked = split or Split(tickets, tickets)
    return _made_dataset(dataset, checked, len(tickets), metadata, is_checked="low_volume_tickets" in batch.made)


@dataclass(frozen=True)
class TicketStep:
    """One asset of the line: how it is made, from which others, what its rows are and which checks guard it."""

    make: Callable[[BatchAtWork], Made]
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

# In the order in which they are made.
STEPS: Mapping[str, TicketStep] = {
    "tickets": TicketStep(make_tickets, (), Tickets, (check_names.TICKETS_ARE_VALID,)),
    "label_counts": TicketStep(
        make_label_counts,
        ("tickets",),
        LabelCounts,
        (check_names.LABEL_COUNTS_ARE_VALID, check_names.COUNTS_SUM_TO_THE_TICKETS),
    ),
    "general_split": TicketStep(
        make_general_split, ("tickets", "label_counts"), TrainingRows, _SPLIT_CHECKS, is_dataset=True
    ),
    "low_volume_tickets": TicketStep(
        make_low_volume_tickets, ("tickets", "label_counts"), Tickets, (check_names.LOW_VOLUME_TICKETS_ARE_VALID,)
    ),
    "low_volume_split": TicketStep(
        make_low_volume_split, ("low_volume_tickets", "label_counts"), TrainingRows, _SPLIT_CHECKS, is_dataset=True
    ),
}


def _made_dataset(
    dataset: Dataset, checked: Split, rows: int, metadata: Mapping[str, Described], *, is_checked: bool
) -> Made:
    all_rows = pd.concat([checked.train, checked.test], ignore_index=True)[["text", "label"]]
    sides = count_sides(checked)
    outcomes: Mapping[str, list[Outcome]] = {
        check_names.TRAINING_ROWS_ARE_VALID: check_training_rows(all_rows, has_checked_texts=is_checked),
        check_names.NO_TICKET_IN_TWO_SPLITS: check_no_ticket_in_two_splits(checked, rows),
        check_names.NO_TEXT_IN_TWO_SPLITS: check_no_text_in_two_splits(checked),
        check_names.LABEL_SHARES_ARE_KEPT: check_label_shares(sides),
        check_names.TEST_SHARE_IS_TEN_PERCENT: check_test_share(sides),
    }
    is_sklearn = dataset.rules.split_method is SplitMethod.SKLEARN
    return Made(dataset, outcomes, metadata, check_names.PROMISED_BY_TEXT_ONLY if is_sklearn else frozenset())


def _described(table: pd.DataFrame, title: str, **more: str) -> dict[str, Described]:
    counts = table["label"].value_counts()
    return {
        "dagster/row_count": len(table),
        "tickets": len(table),
        "labels": len(counts),
        "label_distribution": _picture(counts, title),
        **more,
    }


def _described_split(split: Split) -> dict[str, Described]:
    counts = pd.concat([split.train["label"], split.test["label"]]).value_counts()
    rows = len(split.train) + len(split.test)
    return {
        "dagster/row_count": rows,
        "train_rows": len(split.train),
        "test_rows": len(split.test),
        "test_share": round(len(split.test) / rows, 4),
        "labels": len(counts),
        "label_distribution": _picture(counts, "Training rows by label"),
    }


def _picture(counts: pd.Series[int], title: str) -> dg.MarkdownMetadataValue:
    svg = draw_label_chart({str(label): int(count) for label, count in counts.items()}, title=title)
    encoded = base64.b64encode(svg.encode()).decode()
    return dg.MetadataValue.md(f"![{title}](data:image/svg+xml;base64,{encoded})")
