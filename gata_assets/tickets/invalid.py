"""Tickets that cannot train: which rules each breaks, and the table that keeps them.

A rule states what is wrong with one ticket. What is wrong with a table (an id that occurs twice, a row outside of the
window) is found by `checks` and fails the batch whatever the settings say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gata_assets.tables.outcomes import Outcome
from gata_assets.ticket_contract.accounting import TicketAccount
from gata_assets.tickets.texts import TICKET_COLUMNS, TextEffects, as_arrow, single_spaced

# The rules with the column that breaks them, in the order in which a ticket is counted: under the first that it breaks.
RULES: Mapping[str, str] = {
    "no_label": "label",
    "negative_label": "label",
    "no_text": "text",
    "invalid_characters": "text",
    "no_letter_or_digit": "text",
}


@dataclass(frozen=True)
class InvalidTickets:
    """Which rows of a table of tickets break which rule; `broken` has an array of booleans for each of RULES."""

    broken: Mapping[str, NDArray[np.bool_]]

    @property
    def rows(self) -> NDArray[np.bool_]:
        """Whether each row breaks a rule."""
        found: NDArray[np.bool_] = np.logical_or.reduce(list(self.broken.values()))
        return found

    def cut(self, part: slice) -> InvalidTickets:
        """The same for a part of the rows."""
        return InvalidTickets({rule: rows[part] for rule, rows in self.broken.items()})

    def without(self, others: NDArray[np.bool_]) -> InvalidTickets:
        """The same without rows that are left out for another reason."""
        return InvalidTickets({rule: rows & ~others for rule, rows in self.broken.items()})

    def by_reason(self) -> dict[str, int]:
        """The number of invalid tickets by the first rule that they break."""
        counted = np.zeros(len(self.rows), dtype=np.bool_)
        found = {}
        for rule, rows in self.broken.items():
            if tickets := int((rows & ~counted).sum()):
                found[rule] = tickets
            counted |= rows
        return found

    def quarantine(self, tickets: pd.DataFrame) -> pd.DataFrame:
        """The invalid tickets with a column `rules`, which lists the rules that each breaks."""
        places = np.flatnonzero(self.rows)
        rules = [[rule for rule, rows in self.broken.items() if rows[place]] for place in places.tolist()]
        kept = tickets.iloc[places].reset_index(drop=True)
        return kept.assign(rules=pd.Series(rules, dtype=pd.ArrowDtype(pa.list_(pa.string()))))


def find_invalid(tickets: pd.DataFrame) -> InvalidTickets:
    """Find the rows of a ticket table (`Tickets` columns, with normalized texts) that break a rule."""
    label, text = pa.array(tickets["label"]), as_arrow(tickets["text"])
    return InvalidTickets(
        {
            "no_label": _true(pc.is_null(label)),
            "negative_label": _true(pc.less(label, 0)),
            "no_text": _true(pc.is_null(text)),
            "invalid_characters": _true(pc.match_substring_regex(text, r"[^a-z0-9\s.?!]")),
            "no_letter_or_digit": ~_true(pc.match_substring_regex(text, "[^ .?!]")) & ~_true(pc.is_null(text)),
        }
    )


def check_few_are_invalid(account: TicketAccount, *, most_share: float) -> list[Outcome]:
    """Check that at most that share of the tickets which would train are invalid and in quarantine."""
    invalid = sum(account.excluded.get(rule, 0) for rule in RULES)
    tickets = account.kept + invalid
    failed = invalid if invalid > most_share * tickets else 0
    advice = "`gata tickets check` lists them with the rules that they break."
    return [Outcome(f"at most {most_share:.1%} of the tickets are invalid", failed, tickets, advice, unit="tickets")]


class InvalidTicket(NamedTuple):
    """A rule that a row breaks, and the column that breaks it; the id may be missing or repeated."""

    row: int
    id: int | None
    column: str
    rule: str


def valid_tickets(tickets: pd.DataFrame) -> pd.DataFrame:
    """The valid ones of tickets as they were read, with the texts that train, without those that are emptied."""
    spaced = _single_spaced(tickets)
    return spaced[~find_invalid(spaced).rows & ~_emptied(tickets)]


def list_invalid(tickets: pd.DataFrame) -> list[InvalidTicket]:
    """Each rule that a ticket breaks, as it was read, in the order of rows; an id that occurs again is listed too.

    A ticket whose text normalization emptied is left out of a batch, and breaks no rule about its label or text.
    """
    broken = dict(find_invalid(_single_spaced(tickets)).without(_emptied(tickets)).broken)
    ids = tickets["id"]
    broken["repeated_id"] = ids.duplicated().to_numpy() & ids.notna().to_numpy()
    broken["no_id"] = ids.isna().to_numpy()
    columns = {**RULES, "repeated_id": "id", "no_id": "id"}
    found = []
    for place in np.flatnonzero(np.logical_or.reduce(list(broken.values()))).tolist():
        ticket = None if pd.isna(ids.iloc[place]) else int(ids.iloc[place])
        found += [InvalidTicket(place, ticket, columns[rule], rule) for rule, rows in broken.items() if rows[place]]
    return found


def _single_spaced(tickets: pd.DataFrame) -> pd.DataFrame:
    return tickets[TICKET_COLUMNS].assign(text=single_spaced(tickets["text"]))


def _emptied(tickets: pd.DataFrame) -> NDArray[np.bool_]:
    effects = TextEffects.of(tickets)
    return np.zeros(len(tickets), np.bool_) if effects is None else effects.emptied


def _true(rows: Any) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = pc.fill_null(rows, fill_value=False).to_numpy(zero_copy_only=False)
    return found
