"""A batch while its assets are built: rules, windows, tickets, the tables that exist already, and the result of a step.

It is independent of runs and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gata_assets.batches import Window
from gata_assets.tables.outcomes import Outcome, broken
from gata_assets.tickets.assets.metadata import Described
from gata_assets.tickets.checks import check_table
from gata_assets.tickets.low_volume import LowVolumeDecision, decide_low_volume
from gata_assets.tickets.provenance import require_provenance
from gata_assets.tickets.rules import PreparationRules, SplitMethod
from gata_assets.tickets.schema import Tickets
from gata_assets.tickets.sources.shared_read import SharedTickets, TicketReader
from gata_assets.tickets.splits import rank_texts
from gata_assets.tickets.training_files import Dataset
from gata_assets.tickets.windows import BatchWindows, windows_of


@dataclass(frozen=True)
class WindowOfTickets:
    """A training window's tickets, and what was computed for the larger table that they were read with.

    `text_ranks` come from `rank_texts`, if tickets are split by text; `is_valid` says that all rows are valid
    `Tickets`.
    """

    table: pd.DataFrame
    text_ranks: NDArray[np.int64] | None
    is_valid: bool


class TicketsOfBatches:
    """The tickets of batches that are read together, and what is computed once for all of them."""

    def __init__(self, source: TicketReader, batch_ids: Sequence[str], rules: PreparationRules) -> None:
        self._tickets = SharedTickets(source, [windows_of(batch_id, rules) for batch_id in batch_ids])
        self._rules = rules
        self._batches = len(batch_ids)
        self._table: pd.DataFrame | None = None
        self._ranks: NDArray[np.int64] | None = None
        self._is_valid = False
        self.seconds_per_batch = 0.0

    def read_training(self, window: Window) -> WindowOfTickets:
        """The window's tickets."""
        started = perf_counter()
        if not self._tickets.is_loaded(window):
            # Free their memory before the next read.
            self._table = self._ranks = None
        table, part = self._tickets.locate(window)
        if table is not self._table:
            self.seconds_per_batch = (perf_counter() - started) / self._batches
            self._analyze(table)
        ranks = None if self._ranks is None else self._ranks[part]
        return WindowOfTickets(table.iloc[part].reset_index(drop=True), ranks, self._is_valid)

    def _analyze(self, table: pd.DataFrame) -> None:
        """Rank the texts and validate the rows once, for all windows of the table."""
        is_ranked = self._rules.split_method is SplitMethod.BY_TEXT
        self._table = table
        self._ranks = rank_texts(table["text"], seed=self._rules.split_seed) if is_ranked else None
        self._is_valid = not broken(check_table(Tickets.to_schema(), table))

    def read_older(self, window: Window, labels: Sequence[int]) -> pd.DataFrame:
        """The older window's tickets of these labels."""
        return self._tickets.read_tickets(window, labels)


@dataclass(frozen=True)
class StepResult:
    """What a step built for a batch: the value, the outcomes of its checks, and the metadata for the UI."""

    value: pd.DataFrame | Dataset
    outcomes: Mapping[str, Sequence[Outcome]]
    metadata: Mapping[str, Described]
    only_warned_of: frozenset[str] = frozenset()


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
    text_ranks: NDArray[np.int64] | None = None
    built: set[str] = field(default_factory=set)
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

    def keep(self, name: str, table: pd.DataFrame) -> None:
        """Keep a table that this run built, for the steps that use it."""
        self.tables[name] = table
        self.built.add(name)

    def decision(self, *made_from: str) -> LowVolumeDecision:
        """Whether the batch has a low-volume dataset, from its label counts."""
        counts = self.table("label_counts", *made_from)
        if self._decision is None:
            self._decision = decide_low_volume(counts, min_count=self.rules.low_volume_min_count)
        return self._decision
