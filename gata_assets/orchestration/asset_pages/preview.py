"""The first rows of a dataset, for its page in the UI: only as many as PREVIEW_ROWS allows.

Rows may hold texts and ids of people, and the event log keeps what a page shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import dagster as dg

_MOST_CHARACTERS = 80
_HARMLESS = str.maketrans("`|", "'¦")


def preview(rows: Iterable[Mapping[str, Any]], *, most_rows: int) -> dict[str, dg.MarkdownMetadataValue]:
    """The metadata of a preview: a table of the first rows, with long values cut; empty if none may be shown."""
    shown = list(islice(rows, most_rows))
    if not shown:
        return {}
    lines = [_line(shown[0].keys()), "| --- " * len(shown[0]) + "|", *(_line(row.values()) for row in shown)]
    return {"preview": dg.MetadataValue.md("\n".join(lines))}


def _line(cells: Iterable[Any]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(value: Any) -> str:
    text = " ".join(("" if value is None else str(value)).split())
    text = text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"
    # Text in code is not read as Markdown: an address in it would otherwise be loaded as a picture. No character of the
    # text may end the code or the cell; an escaped `|` does after a backslash.
    return f"`{text.translate(_HARMLESS)}`" if text else ""
