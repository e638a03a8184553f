"""Every ticket in a window is kept, or excluded for one reason: the counts that sources take and datasets report.

Pure arithmetic over counts; `sources` counts tickets, `invalid` finds the invalid ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from gata_assets.batches import Window
from gata_assets.tables.outcomes import Outcome

SECONDS_PER_HOUR = 3_600

# Why a source does not return a ticket, in the order in which the reasons are tried: a ticket counts under the first.
ROUTED_BY_API = "routed_by_api"
ROUTED_BY_MAPPING = "routed_by_mapping"
TOO_LARGE = "too_large"
# Why a batch leaves out a ticket that the source returned, before all others: whoever asked was erased since.
ERASED = "erased"
# Before the invalid ones: its text had only content that normalization removes.
EMPTIED = "emptied_by_normalization"
# Why a dataset does not contain a ticket that the source returned, or that has another label than those read.
LOW_VOLUME = "low_volume"
OTHER_LABELS = "other_labels"
NO_DATASET = "no_dataset"
BELOW_MIN_COUNT = "below_min_count"
READ_TWICE = "read_twice"


@dataclass(frozen=True)
class HourlyCounts:
    """Tickets of a window by hour and reason; windows of batches begin and end with an hour.

    Arrays have an element per hour and reason: `hours` since 1970 (UTC), `tickets`, and the `reasons`, which are empty
    for tickets that train.
    """

    hours: NDArray[np.int64]
    reasons: NDArray[np.object_]
    tickets: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, int | str | None]]) -> HourlyCounts:
        """From rows with `hour`, `reason` (null for tickets that train) and `tickets`."""
        found = [(row["hour"], row["reason"] or "", row["tickets"]) for row in rows]
        hours, reasons, tickets = zip(*found, strict=True) if found else ((), (), ())
        return cls(np.array(hours, np.int64), np.array(reasons, np.object_), np.array(tickets, np.int64))

    def cut(self, window: Window) -> HourlyCounts:
        """The hours of a window."""
        first, last = window.start // SECONDS_PER_HOUR, -(-window.end // SECONDS_PER_HOUR)
        inside = (self.hours >= first) & (self.hours < last)
        return HourlyCounts(self.hours[inside], self.reasons[inside], self.tickets[inside])

    def joined(self, other: HourlyCounts) -> HourlyCounts:
        """The sum of both."""
        return HourlyCounts(
            np.concatenate([self.hours, other.hours]),
            np.concatenate([self.reasons, other.reasons]),
            np.concatenate([self.tickets, other.tickets]),
        )

    def left_out(self, closed: NDArray[np.int64], reason: str) -> HourlyCounts:
        """The counts after tickets that train are left out for a reason; `closed` has the epoch seconds of each."""
        hours, tickets = np.unique(closed // SECONDS_PER_HOUR, return_counts=True)
        kept, others = (np.full(len(hours), name, np.object_) for name in ("", reason))
        moved = np.concatenate([hours, hours]), np.concatenate([kept, others]), np.concatenate([-tickets, tickets])
        return self.joined(HourlyCounts(*moved))

    def account(self) -> TicketAccount:
        """The account of the window: tickets that train are kept."""
        by_reason: dict[str, int] = {}
        for reason, tickets in zip(self.reasons.tolist(), self.tickets.tolist(), strict=True):
            by_reason[reason] = by_reason.get(reason, 0) + tickets
        kept = by_reason.pop("", 0)
        return TicketAccount(kept + sum(by_reason.values()), kept, dict(sorted(by_reason.items())))


@dataclass(frozen=True)
class TextCounts:
    """What normalization did to the texts of a window: those that it changed, the letters and digits that were lost in
    all of them, and those that it emptied.
    """

    changed: int = 0
    characters_lost: int = 0
    emptied: int = 0

    @classmethod
    def from_json(cls, found: Mapping[str, int]) -> TextCounts:
        """From `as_json`."""
        return cls(**found)

    def as_json(self) -> dict[str, int]:
        """As in manifests and in metadata."""
        return asdict(self)

    def plus(self, other: TextCounts) -> TextCounts:
        """The counts of two windows together."""
        return TextCounts(
            self.changed + other.changed, self.characters_lost + other.characters_lost, self.emptied + other.emptied
        )


@dataclass(frozen=True)
class TicketAccount:
    """The tickets in a window: how many are kept, and how many are excluded, by reason; and what was done to the texts
    that were read, if they are normalized.
    """

    in_window: int
    kept: int
    excluded: Mapping[str, int] = field(default_factory=dict)
    texts: TextCounts | None = None

    @classmethod
    def from_json(cls, found: Mapping[str, object]) -> TicketAccount:
        """From `as_json`; raises TypeError, ValueError or KeyError for anything else."""
        in_window, kept, excluded = found["in_window"], found["kept"], found["excluded"]
        if not (isinstance(in_window, int) and isinstance(kept, int) and isinstance(excluded, Mapping)):
            raise TypeError("an account has numbers")
        return cls(in_window, kept, {str(reason): int(tickets) for reason, tickets in excluded.items()})

    def as_json(self) -> dict[str, object]:
        """As in manifests and in metadata, which have the counts of texts beside it."""
        return {"in_window": self.in_window, "kept": self.kept, "excluded": dict(self.excluded)}

    def exclude(self, reasons: Mapping[str, int]) -> TicketAccount:
        """The account after tickets that were kept are excluded, by reason."""
        return replace(self, kept=self.kept - sum(reasons.values()), excluded=_sum(self.excluded, reasons))

    def normalized(self, texts: TextCounts) -> TicketAccount:
        """The account after the texts of the tickets that were kept are normalized, and those emptied are excluded."""
        return replace(self.exclude({EMPTIED: texts.emptied}), texts=texts)

    def plus(self, other: TicketAccount) -> TicketAccount:
        """The account of two windows together."""
        excluded = _sum(self.excluded, other.excluded)
        texts = self.texts.plus(other.texts) if self.texts and other.texts else self.texts or other.texts
        return TicketAccount(self.in_window + other.in_window, self.kept + other.kept, excluded, texts)

    def check(self, rows: int) -> list[Outcome]:
        """Check that the rows of a table are the tickets that are kept, and that no ticket is without a reason."""
        advice = "Tickets changed while they were read: run the batch again."
        unexplained = abs(self.in_window - self.kept - sum(self.excluded.values()))
        negative = sum(tickets for tickets in (self.kept, *self.excluded.values()) if tickets < 0)
        return [
            Outcome("kept + excluded = in the window", unexplained, self.in_window, _DEFECT, unit="tickets"),
            Outcome("the rows are the tickets that are kept", abs(self.kept - rows) - negative, rows, advice),
        ]


_DEFECT = "This is a defect of the accounting; please report it."


def _sum(counts: Mapping[str, int], others: Mapping[str, int]) -> dict[str, int]:
    """The sums by reason, ascending, without reasons that no ticket has."""
    sums = {reason: counts.get(reason, 0) + others.get(reason, 0) for reason in sorted({*counts, *others})}
    return {reason: tickets for reason, tickets in sums.items() if tickets}
