"""Whom a command is about: people and tickets, of options, files or standard input; and what a request is called."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import click

from gata_assets.governance.privacy.requests.record import (
    LONGEST_ID,
    MOST_PEOPLE,
    NAME_RULE,
    is_request_name,
    new_request_name,
)
from gata_assets.tickets.erasure.tombstones import subject_of


def given_ids(
    subjects: Sequence[str],
    file: Path | None,
    tickets: Sequence[int] = (),
    tickets_file: Path | None = None,
    *,
    is_needed: bool = True,
) -> list[str]:
    """The ids of options and of files, those of tickets as subjects; raises click.UsageError for too many, for what
    cannot be one, and for none, unless they are not needed and no file is given.
    """
    ids = [*subjects, *_read(file), *_named(tickets, tickets_file)]
    if not ids and (is_needed or file is not None or tickets_file is not None):
        raise click.UsageError("Nobody is named: give --subject ID, or --subjects-file FILE.")
    if len(ids) > MOST_PEOPLE or any(not 0 < len(one) <= LONGEST_ID for one in ids):
        raise click.UsageError(
            f"At most {MOST_PEOPLE:,} ids are taken at once, each of 1 to {LONGEST_ID:,} characters."
        )
    return ids


def request_name(given: str | None) -> str:
    """The name of a request, a new one if none is given; raises click.UsageError for what cannot be one."""
    if given is not None and not is_request_name(given):
        raise click.UsageError(NAME_RULE)
    return given or new_request_name(datetime.now(UTC))


def _named(tickets: Sequence[int], file: Path | None) -> Iterator[str]:
    yield from map(subject_of, tickets)
    for number, line in enumerate(_read(file), start=1):
        try:
            yield subject_of(int(line))
        except ValueError:
            raise click.UsageError(f"Line {number:,} of the file of tickets is no whole number.") from None


def _read(file: Path | None) -> Iterator[str]:
    """The ids of a file, a line each."""
    if file is None:
        return
    with nullcontext(sys.stdin) if str(file) == "-" else file.open(encoding="utf-8") as lines:
        try:
            for line in lines:
                if text := line.rstrip("\r\n"):
                    yield text
        except UnicodeDecodeError:
            raise click.UsageError("The file of ids is not UTF-8.") from None
