"""A source's tickets in the form that batches share, worked out once for each row that is read.

Erased tickets are left out, names of labels become ids, and texts are normalized by the rules. Between a source and a
shared read; what new names get is kept by the `LabelIds` that are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gata_assets.batches import Window
from gata_assets.ticket_contract.source import Label, SourceReport, TicketSource, WindowRead
from gata_assets.tickets.erasure.tombstones import ErasedTickets
from gata_assets.tickets.labels.label_map import LabelIds, clean_name, has_names, with_label_ids
from gata_assets.tickets.rules import PreparationRules, TextNormalization
from gata_assets.tickets.texts import with_normalized_texts


class PreparedTickets:
    """A source without erased tickets; labels are integers, and texts are normalized if the rules say so."""

    def __init__(
        self,
        source: TicketSource,
        rules: PreparationRules,
        labels: LabelIds,
        find_erased: Callable[[], ErasedTickets],
    ) -> None:
        """`find_erased` gives the tickets that were erased up to now."""
        self._source, self._find_erased = source, find_erased
        self._rules = rules
        self._labels = labels
        self._has_names: bool | None = None

    def read_window(self, window: Window, labels: Sequence[Label] | None = None) -> WindowRead:
        """See TicketSource; the tickets have further columns (`labels.label_map`, `tickets.texts`).

        Raises:
            DataRuleError: Names cannot be those of labels.
            SourceError: The database cannot be read.
            PrivacyKeyError: Which tickets were erased cannot be known without a key.
            StoreError: The ids of names cannot be read or kept, or the tombstones not be read.
        """
        read = self._source.read_window(window, self._asked_for(window, labels))
        # After the read: of what is erased from then on, the batch loses its rows once it is written.
        read = self._find_erased().without(read)
        tickets = read.tickets
        self._has_names = has_names(tickets)
        if self._has_names:
            tickets = with_label_ids(tickets, self._labels)
        if self._rules.text_normalization is TextNormalization.NORMALIZE:
            tickets = with_normalized_texts(tickets)
        return replace(read, tickets=tickets)

    def probe(self) -> SourceReport:
        """See TicketSource."""
        return self._source.probe()

    def _asked_for(self, window: Window, labels: Sequence[Label] | None) -> Sequence[Label] | None:
        """The labels as the source has them, numbers or names: several spellings of a name may have one id."""
        if not labels:
            return labels
        if self._has_names is None:
            self._has_names = has_names(self._source.read_window(window, ()).tickets)
        if not self._has_names:
            return labels
        names = self._labels.names()
        wanted = {names[label] for label in labels if isinstance(label, int) and label in names}
        spellings = [volume.label for volume in self._source.measure(window) if volume.label is not None]
        return sorted(name for name in map(str, spellings) if clean_name(name) in wanted)
