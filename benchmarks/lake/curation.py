"""Raw pages of tickets to offline days, against the way of json, pandas and two files of Parquet.

Each path is a process of its own; time is processor time of all its threads once modules are loaded and loops compiled,
memory the process's high-water mark. A ticket is a version: a row of a page, with its share of the lists beside.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.harness import Cell, Goal, Result, Table
from benchmarks.processes import run_command
from gata_assets.sandbox.lake.pages import export_pages
from gata_assets.sandbox.lake.stories import LakeParameters

_PATHS = Path(__file__).with_name("curation_paths.py")
_CONTENDERS = {
    "lake": "ours: landed, bronze, offline days",
    "lake_landed": "ours: landed and bronze alone",
    "lake_with_language": "ours, with languages",
    "pandas_twice": "json, pandas, two files of Parquet",
}
_TICKETS, _WITH_LANGUAGE = 12_000, 5_000
# Memory is flat if ten times the tickets take at most so much more.
_MOST_GROWTH = 1.25
# So that a ticket has 2 KB, and 2.8 with its share of the lists.
_SENTENCES = 6


class _Figures(NamedTuple):
    rate: float
    peak: float


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few tickets."""
    tickets, more, times = (100, 300, 1) if quick else (2_000, 20_000, 3)
    with TemporaryDirectory(prefix="gata-lake-") as place:
        small, large, warm = (_Pages.write(Path(place, str(size)), size) for size in (tickets, more, 90))
        found: dict[str, list[_Figures]] = {name: [] for name in _CONTENDERS}
        for _ in range(times):
            for name in _CONTENDERS:
                found[name].append(_measure(name, small, warm))
        at_large = {name: _measure(name, large, warm) for name in ("lake", "pandas_twice")}
    middle = {name: _Figures(*map(median, zip(*figures, strict=True))) for name, figures in found.items()}
    table: list[list[Cell]] = [
        [what, f"{small.versions:,}", middle[name].rate, 1e6 / middle[name].rate, middle[name].peak]
        for name, what in _CONTENDERS.items()
    ]
    table += [
        [_CONTENDERS[name], f"{large.versions:,}", figures.rate, 1e6 / figures.rate, figures.peak]
        for name, figures in at_large.items()
    ]
    growth, of_peer = (at_large[name].peak / middle[name].peak for name in ("lake", "pandas_twice"))
    lake, language, peer = (middle[name].rate for name in ("lake", "lake_with_language", "pandas_twice"))
    return Result(
        what=(
            f"{small.versions:,} versions of {tickets:,} tickets of 30 days in {small.pages} pages with users, groups, "
            f"metrics and comments beside them, {small.size / small.versions:,.0f} bytes of a page for each; medians "
            f"of {times} interleaved processes ({large.versions:,} versions: one). Only ours flushes its files to disk."
        ),
        says=(
            f"Ours brings {lake:,.0f} tickets per second of processor time from pages to offline days, "
            f"{language:,.0f} with languages; json and pandas {peer:,.0f}, without joining lists, rejecting rows or "
            f"telling HTML from text. For ten times the tickets ours takes {growth:.2f} times the memory, pandas "
            f"{of_peer:.2f} times."
        ),
        tables=[
            Table("From pages:", ["path", "tickets", "tickets per CPU second", "µs of CPU a ticket", "peak MB"], table)
        ],
        goals=[
            Goal(f"at least {_TICKETS:,} tickets per CPU second", f"{lake:,.0f}", lake >= _TICKETS),
            Goal(
                f"at least {_WITH_LANGUAGE:,} with languages",
                f"{language:,.0f}",
                language >= _WITH_LANGUAGE,
            ),
            Goal(
                f"at most {_MOST_GROWTH} times the memory for ten times the tickets",
                f"{growth:.2f} times",
                growth <= _MOST_GROWTH,
            ),
        ],
    )


class _Pages(NamedTuple):
    """A folder of pages."""

    folder: Path
    versions: int
    pages: int
    size: int

    @classmethod
    def write(cls, folder: Path, tickets: int) -> _Pages:
        """Write the pages of tickets."""
        folder.mkdir()
        versions = pages = size = 0
        for content in export_pages(LakeParameters(tickets=tickets, days=30, sentences=_SENTENCES)):
            (folder / f"page-{pages:05}.json").write_bytes(content)
            versions, pages, size = versions + json.loads(content)["count"], pages + 1, size + len(content)
        return cls(folder, versions, pages, size)


def _measure(name: str, source: _Pages, warm: _Pages) -> _Figures:
    with TemporaryDirectory(prefix="gata-lake-") as target:
        command = [sys.executable, str(_PATHS), name, str(source.folder), str(warm.folder), target]
        done = run_command(command, directory=Path(target))
    return _Figures(source.versions / float(done.stdout), done.peak_bytes / 1e6)
