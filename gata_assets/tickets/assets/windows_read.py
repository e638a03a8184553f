"""The tickets of batches that are read together, and what is computed once for all of them.

Texts get single spaces, are ranked and compared, and rows are validated, for the table that the batches share; each
batch gets its part. It writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gata_assets.batches import Window
from gata_assets.tables.outcomes import broken
from gata_assets.ticket_contract.accounting import TicketAccount
from gata_assets.ticket_contract.source import SourceReport
from gata_assets.tickets.checks import check_table
from gata_assets.tickets.invalid import InvalidTickets, find_invalid
from gata_assets.tickets.labels.label_map import names_of
from gata_assets.tickets.rules import NearDuplicatePolicy, OnInvalidTickets, PreparationRules, SplitMethod
from gata_assets.tickets.schema import Tickets
from gata_assets.tickets.sources.shared_read import SharedTickets, TicketReader
from gata_assets.tickets.splitting.splits import rank_texts
from gata_assets.tickets.splitting.twins import find_near_duplicates
from gata_assets.tickets.texts import TICKET_COLUMNS, TextEffects, single_spaced
from gata_assets.tickets.windows import windows_of

if TYPE_CHECKING:
    from gata_assets.tickets.splitting.near_duplicates import NearDuplicates


@dataclass(frozen=True)
class TicketsOfWindow:
    """The tickets of a window: those that are kept, those in quarantine, and the account of all.

    `read` is the number of tickets that the source returned. For a training window also what was computed for the
    larger table that it was read with: `label_names` by id (None: labels are numbers), `text_ranks` (`rank_texts`) and
    `near` duplicates, if the rules need them, and `is_valid`: all rows of that table are valid `Tickets`.
    """

    table: pd.DataFrame
    account: TicketAccount
    read: int
    quarantined: pd.DataFrame | None = None
    label_names: Mapping[int, str] | None = None
    text_ranks: NDArray[np.int64] | None = None
    near: NearDuplicates | None = None
    is_valid: bool = False


@dataclass(frozen=True)
class _Analyzed:
    """A table that batches share, with the texts that train, and what normalization did to them."""

    raw: pd.DataFrame
    table: pd.DataFrame
    effects: TextEffects | None
    invalid: InvalidTickets | None
    label_names: Mapping[int, str] | None
    ranks: NDArray[np.int64] | None
    near: NearDuplicates | None
    is_valid: bool


class TicketsOfBatches:
    """The tickets of batches that are read together."""

    def __init__(self, source: TicketReader, batch_ids: Sequence[str], rules: PreparationRules) -> None:
        self._tickets = SharedTickets(source, [windows_of(batch_id, rules) for batch_id in batch_ids])
        self._rules = rules
        self._batches = len(batch_ids)
        self._shared: _Analyzed | None = None
        self.seconds_per_batch = 0.0

    def probe(self) -> SourceReport:
        """What the source contains; raises SourceError."""
        return self._tickets.probe()

    def read_training(self, window: Window) -> TicketsOfWindow:
        """The training window's tickets."""
        started = perf_counter()
        if not self._tickets.is_loaded(window):
            # Free their memory before the next read.
            self._shared = None
        raw, part, counts = self._tickets.locate(window)
        if self._shared is None or raw is not self._shared.raw:
            self.seconds_per_batch = (perf_counter() - started) / self._batches
            self._shared = self._analyze(raw)
        shared = self._shared
        effects = None if shared.effects is None else shared.effects.cut(part)
        invalid = None if shared.invalid is None else shared.invalid.cut(part)
        table = shared.table.iloc[part].reset_index(drop=True)
        ranks = None if shared.ranks is None else shared.ranks[part][_kept(len(table), effects, invalid)]
        read = _left(table, counts.account(), effects, invalid)
        return replace(
            read, label_names=shared.label_names, text_ranks=ranks, near=shared.near, is_valid=shared.is_valid
        )

    def read_older(self, window: Window, labels: Sequence[int]) -> TicketsOfWindow:
        """The older window's tickets of these labels."""
        read = self._tickets.read_window(window, labels)
        table, effects = _with_texts(read.tickets)
        return _left(table, read.counts.account(), effects, self._find_invalid(table, effects))

    def _analyze(self, raw: pd.DataFrame) -> _Analyzed:
        """Rank the texts, and validate the rows, once for all windows of the table."""
        rules = self._rules
        table, effects = _with_texts(raw)
        invalid = self._find_invalid(table, effects)
        kept = table[_kept(len(table), effects, invalid)]
        is_valid = not broken(check_table(Tickets.to_schema(), kept))
        compares = rules.near_duplicates is not NearDuplicatePolicy.OFF
        ranks = near = None
        if compares or rules.split_method is SplitMethod.BY_TEXT:
            ranks = rank_texts(table["text"], seed=rules.split_seed)
        if compares and ranks is not None:
            near = find_near_duplicates(table["text"], ranks, similarity=rules.near_duplicate_similarity)
        return _Analyzed(raw, table, effects, invalid, names_of(raw), ranks, near, is_valid)

    def _find_invalid(self, table: pd.DataFrame, effects: TextEffects | None) -> InvalidTickets | None:
        """The invalid rows if they go to quarantine; otherwise the checks find them, and the batch fails."""
        if self._rules.on_invalid_tickets is OnInvalidTickets.FAIL:
            return None
        found = find_invalid(table)
        if effects is not None:
            found = found.without(effects.emptied)
        return found if found.rows.any() else None


def _with_texts(tickets: pd.DataFrame) -> tuple[pd.DataFrame, TextEffects | None]:
    """The columns of `Tickets` with single spaces in texts, and what normalization did to them before."""
    table = tickets[TICKET_COLUMNS].assign(text=single_spaced(tickets["text"]))
    return table, TextEffects.of(tickets)


def _kept(rows: int, effects: TextEffects | None, invalid: InvalidTickets | None) -> NDArray[np.bool_]:
    """Whether each row trains: its text is not emptied, and it is not in quarantine."""
    is_kept = np.ones(rows, dtype=np.bool_)
    if effects is not None:
        is_kept &= ~effects.emptied
    if invalid is not None:
        is_kept &= ~invalid.rows
    return is_kept


def _left(
    table: pd.DataFrame, account: TicketAccount, effects: TextEffects | None, invalid: InvalidTickets | None
) -> TicketsOfWindow:
    """A window's tickets that train, with its account and its quarantine."""
    kept = table[_kept(len(table), effects, invalid)].reset_index(drop=True)
    if effects is not None:
        account = account.normalized(effects.counts())
    if invalid is None:
        return TicketsOfWindow(kept, account, len(table))
    return TicketsOfWindow(kept, account.exclude(invalid.by_reason()), len(table), invalid.quarantine(table))
