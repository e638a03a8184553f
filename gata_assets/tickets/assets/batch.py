"""A batch while its assets are built: rules, windows, tickets, the tables that exist already, and the result of a step.

It is independent of runs and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from gata_assets.tables.outcomes import Outcome
from gata_assets.tickets.accounting import TicketAccount
from gata_assets.tickets.assets.metadata import Described
from gata_assets.tickets.assets.windows_read import TicketsOfBatches, TicketsOfWindow
from gata_assets.tickets.low_volume import LowVolumeDecision, decide_low_volume
from gata_assets.tickets.provenance import require_provenance, stored_account
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


@dataclass
class BatchInProgress:
    """A batch while its assets are built: its rules and windows, and the tables that exist already.

    `load` reads a table that this run does not build; `built` are the names of those that it has built.
    """

    batch_id: str
    rules: PreparationRules
    code_version: str
    source: TicketsOfBatches
    load: Callable[[str], pd.DataFrame]
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

    def decision(self, *made_from: str) -> LowVolumeDecision:
        """Whether the batch has a low-volume dataset, from its label counts."""
        counts = self.table("label_counts", *made_from)
        if self._decision is None:
            self._decision = decide_low_volume(counts, min_count=self.rules.low_volume_min_count)
        return self._decision
