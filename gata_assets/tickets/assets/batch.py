"""A batch while its assets are built: rules, windows, tickets, the tables that exist already, and the result of a step.

It is independent of runs and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pandas as pd

from gata_assets.tables.outcomes import Outcome
from gata_assets.ticket_contract.accounting import TicketAccount
from gata_assets.tickets.assets.metadata import Described
from gata_assets.tickets.assets.windows_read import TicketsOfBatches, TicketsOfWindow
from gata_assets.tickets.labels.label_map import LabelIds, fallback_id
from gata_assets.tickets.low_volume import ASK_LOW_VOLUME_LABEL, LowVolumeDecision, decide_low_volume
from gata_assets.tickets.provenance import require_provenance, stored_account, stored_label_names
from gata_assets.tickets.rules import PreparationRules
from gata_assets.tickets.training_files import Dataset
from gata_assets.tickets.windows import BatchWindows, windows_of


@dataclass(frozen=True)
class StepResult:
    """What a step built for a batch: the value, the outcomes of its checks, and the metadata for the UI."""

    value: pd.DataFrame | Dataset
    outcomes: Mapping[str, Sequence[Outcome]]
    metadata: Mapping[str, Described]
    only_warned_of: frozenset[str] = frozenset()
    account: TicketAccount | None = None
    quarantined: pd.DataFrame | None = None
    label_names: Mapping[int, str] | None = None


@dataclass
class BatchInProgress:
    """A batch while its assets are built: its rules and windows, and the tables that exist already.

    `load` reads a table that this run does not build; `built` are the names of those that it has built. `labels` has
    the ids of labels that are names.
    """

    batch_id: str
    rules: PreparationRules
    code_version: str
    source: TicketsOfBatches
    load: Callable[[str], pd.DataFrame]
    labels: LabelIds
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    read: TicketsOfWindow | None = None
    built: set[str] = field(default_factory=set)
    accounts: dict[str, TicketAccount | None] = field(default_factory=dict)
    _decision: LowVolumeDecision | None = None

    @property
    def windows(self) -> BatchWindows:
        """The batch's training window and the older one."""
        return windows_of(self.batch_id, self.rules)

    def table(self, name: str, *made_from: str) -> pd.DataFrame:
        """A table of this batch; raises DataRuleError for a stored one that this run would build differently."""
        if name not in self.tables:
            self.tables[name] = self.load(name)
        if name not in self.built:
            sources = {source: self.table(source) for source in made_from}
            require_provenance(self.tables[name], name, self.rules, sources)
        return self.tables[name]

    def keep(self, name: str, result: StepResult) -> None:
        """Keep a table that this run built, and the account of its tickets, for the steps that use them."""
        if isinstance(result.value, pd.DataFrame):
            self.tables[name] = result.value
            self.accounts[name] = result.account
            self.built.add(name)

    def account(self, name: str) -> TicketAccount:
        """The account of a table's tickets; raises DataRuleError for one that an earlier release stored without it."""
        if name not in self.built:
            return stored_account(self.table(name), name)
        account = self.accounts[name]
        assert account is not None  # noqa: S101 - tables of tickets have one
        return account

    def label_names(self, name: str) -> Mapping[int, str] | None:
        """The names of the labels in a table of tickets, by id; None if labels are numbers."""
        if self.read is not None:
            return self.read.label_names
        # What this run builds from stored tickets has their labels.
        return stored_label_names(self.table("tickets" if name in self.built else name))

    def fallback_label(self) -> tuple[int, Mapping[int, str] | None]:
        """The label that low-volume tickets are relabeled to, and the names of the tickets' labels with its own.

        Raises DataRuleError if it does not fit the labels.
        """
        names = self.label_names("tickets")
        label = fallback_id(self.rules.low_volume_fallback_label, self.labels, are_names=names is not None)
        if names is None or label in (ASK_LOW_VOLUME_LABEL, *names):
            return label, names
        return label, {**names, label: self.labels.names()[label]}

    def decision(self, *made_from: str) -> LowVolumeDecision:
        """Whether the batch has a low-volume dataset, from its label counts."""
        counts = self.table("label_counts", *made_from)
        if self._decision is None:
            self._decision = decide_low_volume(counts, min_count=self.rules.low_volume_min_count)
        return self._decision

    def explain_no_tickets(self, account: TicketAccount) -> str:
        """Why a batch has no tickets: all of its window are excluded, or none was closed in it."""
        where = f"{self.windows.training}, the training window of batch {self.batch_id}"
        if account.in_window:
            excluded = ", ".join(f"{tickets:,} {reason}" for reason, tickets in account.excluded.items())
            message = (
                f"tickets: none of the {account.in_window:,} tickets closed in {where} trains. Excluded: {excluded}. "
            )
            return message + f"`gata tickets check {self.batch_id}` lists invalid ones."
        report = self.source.probe()
        found = f"{report.description} has no closed ticket"
        if report.last_closed is not None:
            first, last = (datetime.fromtimestamp(at or 0, UTC) for at in (report.first_closed, report.last_closed))
            found = (
                f"{report.description} has {report.closed_tickets:,} closed tickets, closed from {first:%Y-%m-%d} to "
            )
            found += f"{last:%Y-%m-%d}"
        return (
            f"tickets: no ticket was closed in {where}. {found}. Check the batch ID, TRAINING_PERIOD and TICKETS_URL."
        )
