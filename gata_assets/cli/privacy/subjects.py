"""Whom a command is about: ids of options, of a file or of standard input; and what a request is called."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import click

_REQUEST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOST_IDS, _LONGEST_ID = 100_000, 1_000


def given_ids(subjects: Sequence[str], file: Path | None) -> list[str]:
    """The ids of options and of a file; raises click.UsageError for none, too many, or what cannot be one."""
    ids = [*subjects, *_read(file)]
    if not ids:
        raise click.UsageError("Nobody is named: give --subject ID, or --subjects-file FILE.")
    if len(ids) > _MOST_IDS or any(not 0 < len(one) <= _LONGEST_ID for one in ids):
        raise click.UsageError(f"At most {_MOST_IDS:,} ids are taken at once, each of 1 to {_LONGEST_ID:,} characters.")
    return ids


def request_name(given: str | None) -> str:
    """The name of a request, a new one if none is given; raises click.UsageError for what cannot be one."""
    if given is not None and not _REQUEST.fullmatch(given):
        raise click.UsageError(
            "The name of a request is 1 to 100 of letters, digits, . _ -, and begins with the first two."
        )
    return given or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(4)}"


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
