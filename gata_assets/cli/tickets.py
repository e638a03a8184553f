"""`gata tickets`: looks at the tickets of a batch on this machine. Ids go to the terminal alone, never to a log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial

from rich.table import Table

from gata_assets.cli.target import open_store
from gata_assets.cli.terminal import text_console
from gata_assets.definitions import open_source
from gata_assets.settings.governance.erased_tickets import ticket_tombstones
from gata_assets.settings.model import Settings
from gata_assets.ticket_contract.accounting import TicketAccount
from gata_assets.ticket_contract.source import WindowRead
from gata_assets.tickets.assets.prepared_read import PreparedTickets
from gata_assets.tickets.invalid import RULES, InvalidTicket, list_invalid, valid_tickets
from gata_assets.tickets.labels.label_map import LabelsOfOneRead
from gata_assets.tickets.low_volume import count_labels, decide_low_volume
from gata_assets.tickets.texts import TextEffects
from gata_assets.tickets.windows import windows_of


def check(settings: Settings, batch_id: str, *, as_table: bool) -> bool:
    """List the batch's tickets that cannot train (id, column, rule), and count those in its windows; returns whether
    there are none.

    The older window is read for the labels that are low-volume among the valid tickets, as in a batch. Raises
    SourceError, PrivacyKeyError or StoreError.
    """
    found: list[InvalidTicket] = []
    find_erased = partial(ticket_tombstones(settings).erased, open_store(settings))
    source = PreparedTickets(open_source(settings), settings.tickets.rules, LabelsOfOneRead(), find_erased)
    for name, read in _windows(source, settings, batch_id):
        invalid = list_invalid(read.tickets)
        found += invalid
        effects = TextEffects.of(read.tickets)
        account = read.counts.account() if effects is None else read.counts.account().normalized(effects.counts())
        if as_table:
            _print_window(name, account, invalid)
        else:
            for ticket in invalid:
                shown = {"id": ticket.id, "column": ticket.column, "rule": ticket.rule}
                print(json.dumps({"event": "TICKET_INVALID", "window": name, **shown}))
            counted = {"window": name, **account.as_json(), "invalid": _rows(invalid)}
            counted |= {"text_normalization": account.texts.as_json()} if account.texts else {}
            print(json.dumps({"event": "TICKETS_CHECKED", "batch_id": batch_id, **counted}))
    return not found


def _windows(source: PreparedTickets, settings: Settings, batch_id: str) -> Iterator[tuple[str, WindowRead]]:
    """The training window, and the older one if the batch has low-volume labels."""
    rules = settings.tickets.rules
    windows = windows_of(batch_id, rules)
    training = source.read_window(windows.training)
    yield "training", training
    valid = valid_tickets(training.tickets)
    if valid.empty:
        return
    counts = count_labels(valid, low_volume_threshold=rules.low_volume_threshold)
    decision = decide_low_volume(counts, min_count=rules.low_volume_min_count)
    if decision.is_needed:
        yield "older", source.read_window(windows.older, decision.low_volume_labels)


def _print_window(name: str, account: TicketAccount, invalid: Sequence[InvalidTicket]) -> None:
    console = text_console()
    if invalid:
        table = Table("id", "column", "rule", title=f"Invalid tickets of the {name} window", title_justify="left")
        for ticket in invalid:
            table.add_row(str(ticket.id), ticket.column, ticket.rule)
        console.print(table)
    excluded = "".join(f", {tickets:,} {reason}" for reason, tickets in account.excluded.items())
    rows = _rows(invalid)
    console.print(
        f"The {name} window has {account.in_window:,} tickets: {account.kept:,} that train{excluded}. "
        f"{rows:,} of those that train {'is' if rows == 1 else 'are'} invalid.",
        markup=False,
    )
    if any(ticket.rule not in RULES for ticket in invalid):
        console.print("An id must be there, and once: correct the table or its view.", markup=False)
    if any(ticket.rule in RULES for ticket in invalid):
        console.print(
            "Correct tickets in the ticket table, or leave them out, counted and kept in quarantine: "
            "ON_INVALID_TICKETS=quarantine",
            markup=False,
        )


def _rows(invalid: Sequence[InvalidTicket]) -> int:
    return len({ticket.row for ticket in invalid})
