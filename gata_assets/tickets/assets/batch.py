"""A batch while its assets are built: rules, windows, the tables that exist already, and the result of a step.

It is independent of runs and writes nothing; the source of tickets is a protocol here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gata_assets.batches import Window
from gata_assets.tables.outcomes import Outcome
from gata_assets.tickets.assets.metadata import Described
from gata_assets.tickets.label_counts import LowVolumeDecision, decide_low_volume
from gata_assets.tickets.provenance import require_making
from gata_assets.tickets.rules import PreparationRules
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


class TicketsOfBatches(Protocol):
    """The source of a batch's tickets for a step."""

    seconds_a_batch: float

    def read_training(self, window: Window) -> WindowOfTickets:
        """The window's tickets."""

    def read_older(self, window: Window, labels: Sequence[int]) -> pd.DataFrame:
        """The older window's tickets of these labels."""


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
            require_making(self.tables[name], name, self.rules, sources)
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
