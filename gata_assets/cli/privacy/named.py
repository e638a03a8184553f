"""Who is named by the options of a command: people, and tickets."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import click

from gata_assets.tickets.erasure.tombstones import subject_of


def read_ids(file: Path | None) -> Iterator[str]:
    """The ids of a file, a line each, `-` for standard input."""
    if file is None:
        return
    with nullcontext(sys.stdin) if str(file) == "-" else file.open(encoding="utf-8") as lines:
        try:
            for line in lines:
                if text := line.rstrip("\r\n"):
                    yield text
        except UnicodeDecodeError:
            raise click.UsageError("The file of ids is not UTF-8.") from None


def named_tickets(tickets: Sequence[int], file: Path | None) -> Iterator[str]:
    """Tickets, and those of a file, as subjects of a request."""
    yield from map(subject_of, tickets)
    for number, line in enumerate(read_ids(file), start=1):
        try:
            yield subject_of(int(line))
        except ValueError:
            raise click.UsageError(f"Line {number:,} of the file of tickets is no whole number.") from None
