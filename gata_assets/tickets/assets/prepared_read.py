"""A source's tickets in the form that batches share: texts normalized by the rules, once for each row that is read.

Between a source and a shared read; it writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gata_assets.batches import Window
from gata_assets.tickets.rules import PreparationRules, TextNormalization
from gata_assets.tickets.sources.base import SourceReport, WindowRead
from gata_assets.tickets.sources.shared_read import TicketReader
from gata_assets.tickets.texts import with_normalized_texts


class PreparedTickets:
    """A source whose tickets have normalized texts with what was done to them, if the rules say so."""

    def __init__(self, source: TicketReader, rules: PreparationRules) -> None:
        self._source = source
        self._rules = rules

    def read_window(self, window: Window, labels: Sequence[int] | None = None) -> WindowRead:
        """See TicketSource; the tickets have further columns (`tickets.texts`)."""
        read = self._source.read_window(window, labels)
        if self._rules.text_normalization is TextNormalization.NORMALIZE:
            read = replace(read, tickets=with_normalized_texts(read.tickets))
        return read

    def probe(self) -> SourceReport:
        """See TicketSource."""
        return self._source.probe()
