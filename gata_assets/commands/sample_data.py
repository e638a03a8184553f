"""`gata sample-data`: a SQLite ticket store of generated tickets."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from gata_assets.commands.terminal import text_console
from gata_assets.core.sample_tickets import generate_tickets
from gata_assets.errors import StoreError
from gata_assets.resources.ticket_table import create_sqlite
from gata_assets.settings import SAMPLE_TICKETS_FILE


def run(output: Path | None, first: date, last: date, *, tickets_per_day: int, seed: int, force: bool) -> None:
    """Generate the tickets that closed from `first` to `last` and write them; raises StoreError."""
    path = output or SAMPLE_TICKETS_FILE
    if path.exists() and not force:
        raise StoreError(f"{path} is there already. --force replaces it; --output names another file.")
    tickets = generate_tickets(first, last, tickets_per_day=tickets_per_day, seed=seed)
    try:
        rows = create_sqlite(path, tickets)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from None
    text_console().print(f"{rows:,} sample tickets, closed from {first} to {last}, written to {path}.", markup=False)
