"""How the commands print: text unchanged, with any brackets or colons."""

from __future__ import annotations

from rich.console import Console


def text_console(*, width: int | None = None, stderr: bool = False) -> Console:
    """A console that does not wrap, highlight or turn `:secret:` of an ARN into an emoji."""
    return Console(highlight=False, soft_wrap=width is None, emoji=False, width=width, stderr=stderr)
