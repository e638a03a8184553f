"""How the commands print: text unchanged, with any brackets or colons; and progress on a terminal."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import Progress, ProgressColumn


def text_console(*, width: int | None = None, stderr: bool = False) -> Console:
    """A console that does not wrap, highlight or turn `:secret:` of an ARN into an emoji."""
    return Console(highlight=False, soft_wrap=width is None, emoji=False, width=width, stderr=stderr)


def table_console() -> Console:
    """A console for tables: as wide as the terminal, and 130 columns where there is none."""
    return text_console(width=None if sys.stdout.isatty() else 130)


def progress_on_terminal(*columns: ProgressColumn, transient: bool = False) -> Progress:
    """A moving part on stderr, which shows nothing where that is no terminal."""
    console = Console(stderr=True, emoji=False)
    return Progress(*columns, console=console, transient=transient, disable=not sys.stderr.isatty())
