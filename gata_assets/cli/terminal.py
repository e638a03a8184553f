"""How the commands print: text unchanged, with any brackets or colons; and progress on a terminal."""

from __future__ import annotations

import sys
from textwrap import fill

from rich.console import Console
from rich.progress import Progress, ProgressColumn


def text_console(*, width: int | None = None, stderr: bool = False) -> Console:
    """A console that does not wrap, highlight or turn `:secret:` of an ARN into an emoji."""
    return Console(highlight=False, soft_wrap=width is None, emoji=False, width=width, stderr=stderr)


def table_console() -> Console:
    """A console for tables: as wide as the terminal, and 130 columns where there is none."""
    return text_console(width=None if sys.stdout.isatty() else 130)


# What `wrapped` does not break at.
UNBROKEN = "\u00a0"
_WIDTH = 80


def wrapped(text: str) -> str:
    """Facts below a heading: indented lines of at most 80 characters, whatever the terminal.

    Paths are no such text: a path is printed on a line of its own, however long, so that it can be copied.
    """
    lines = fill(
        text, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return lines.replace(UNBROKEN, " ")


def progress_on_terminal(*columns: ProgressColumn, transient: bool = False) -> Progress:
    """A moving part on stderr, which shows nothing where that is no terminal."""
    console = Console(stderr=True, emoji=False, soft_wrap=not sys.stderr.isatty())
    return Progress(*columns, console=console, transient=transient, disable=not sys.stderr.isatty())
