"""A small bar chart of counts, as text in Markdown.

The UI shows Markdown of less than 1,000 characters in its place, and a longer one only after a click. An SVG picture of
ten bars has more, and the event log keeps a chart for every batch.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

# What the UI shows at first sight.
MOST_CHARACTERS = 999
_BAR_WIDTH = 16
_MOST_NAME_WIDTH = 32
_FENCES = len("```\n\n```")
# The last cell of a bar is filled by eighths.
_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = "█"


def draw_bars(counts: Mapping[str, int]) -> str:
    """A line for each name, largest count first: its name, a bar, the count, and its share of all.

    Names that do not fit into `MOST_CHARACTERS` are one line together; names of more than 32 characters are cut.
    """
    ordered = sorted(((_cut(name), count) for name, count in counts.items()), key=lambda bar: (-bar[1], bar[0]))
    total = sum(counts.values())
    width = max(len(name) for name in [*(name for name, _ in ordered), _more(len(ordered))])
    digits = len(f"{total:,}")
    # A line has spaces between its four columns, and its end.
    lines = (MOST_CHARACTERS - _FENCES) // (width + _BAR_WIDTH + digits + len("100.0%") + 4)
    if rest := ordered[lines - 1 :] if len(ordered) > lines else []:
        ordered = [*ordered[: lines - 1], (_more(len(rest)), sum(count for _, count in rest))]
    most = max((count for _, count in ordered), default=0) or 1
    return "\n".join(
        f"{name:<{width}} {_bar(count / most)} {count:>{digits},} {count / (total or 1):>6.1%}"
        for name, count in ordered
    )


def bar_chart(counts: Mapping[str, int]) -> dg.MarkdownMetadataValue:
    """The chart as a code block, so that its columns are aligned."""
    return dg.MetadataValue.md(f"```\n{draw_bars(counts) or 'nothing to count'}\n```")


def _more(names: int) -> str:
    return f"{names:,} more"


def _cut(name: str) -> str:
    # A line break or a fence in a name would end its line or the block.
    name = " ".join(name.replace("`", "'").split())
    return name if len(name) <= _MOST_NAME_WIDTH else name[: _MOST_NAME_WIDTH - 1] + "…"


def _bar(share: float) -> str:
    eighths = max(1, round(share * _BAR_WIDTH * 8)) if share > 0 else 0
    full, rest = divmod(eighths, 8)
    return f"{_FULL * full}{_EIGHTHS[rest] if rest else ''}".ljust(_BAR_WIDTH)
