"""Raw pages of tickets to offline days, against the way of json, pandas and two files of Parquet.

Each path is a process of its own with the variables of the image; time is processor time of all its threads once its
modules are loaded and loops compiled, memory the process's high-water mark. A ticket is a version: a row of a page,
with its share of the lists beside.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.harness import Cell, Goal, Result, Table
from benchmarks.processes import IMAGE_VARIABLES, run_command
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
# Memory is flat if four times the tickets, and thirty times, take at most so much more.
_MOST_GROWTH = 1.25
# What the next who wants it faster need not try again.
_TRIED = (
    "What helped: texts and nested values are read once for each run of versions (a quarter of them), lists of a page "
    "are joined once and by column, days are merged, checked and converted together, the rows of all files are "
    "divided among their days together, up to 32 MB in memory, and one thread is enough: for Polars, whose calls are "
    "of few rows, and for documents, which the interpreter decodes (together a sixth). What did not help: garbage "
    "collection frozen or off, other thresholds of malloc, lz4 for Parquet (1 µs of 3), keeping a page that was "
    "looked at before it landed (1 µs), and merging twice as many rows once more (1 µs). What is left is spread: "
    "decoding and validating rows is about 30 % of the time, finding pages and rows 15 %, Parquet and dividing days "
    "20 %, texts 7 %, other columns of offline tickets 9 %; the rest is what a file and a day take however few rows "
    "they have."
)
# So that a ticket has 2 KB, and 2.8 with its share of the lists.
_SENTENCES = 6


class _Figures(NamedTuple):
    rate: float
    peak: float


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few tickets."""
    sizes, times = ((100, 200, 400), 1) if quick else ((1_500, 6_000, 50_000), 3)
    with TemporaryDirectory(prefix="gata-lake-") as place:
        few, many, most, warm = (_Pages.write(Path(place, str(size)), size) for size in (*sizes, 90))
        found: dict[str, list[_Figures]] = {name: [] for name in _CONTENDERS}
        for _ in range(times):
            for name in _CONTENDERS:
                found[name].append(_measure(name, many, warm))
        others = [
            (name, pages, _measure(name, pages, warm))
            for name, pages in (("lake", few), ("lake", most), ("pandas_twice", few))
        ]
    middle = {name: _Figures(*map(median, zip(*figures, strict=True))) for name, figures in found.items()}
    measured = [*((name, many, figures) for name, figures in middle.items()), *others]
    table: list[list[Cell]] = [
        [_CONTENDERS[name], f"{pages.versions:,}", figures.rate, 1e6 / figures.rate, figures.peak]
        for name, pages, figures in measured
    ]
    at_few, at_most, peer_at_few = (figures.peak for _, _, figures in others)
    growth, to_most = middle["lake"].peak / at_few, at_most / at_few
    lake, language, peer = (middle[name].rate for name in ("lake", "lake_with_language", "pandas_twice"))
    return Result(
        what=(
            f"{many.versions:,} versions of {sizes[1]:,} tickets of 30 days in {many.pages} pages with users, groups, "
            f"metrics and comments beside them, {many.size / many.versions:,.0f} bytes of a page for each; medians "
            f"of {times} interleaved processes (other sizes: one). Only ours flushes its files to disk."
        ),
        says=(
            f"Ours brings {lake:,.0f} tickets per second of processor time from pages to offline days, "
            f"{language:,.0f} with languages; json and pandas {peer:,.0f}, without joining lists, rejecting rows or "
            f"telling HTML from text. For four times the tickets ours takes {growth:.2f} times the memory, for "
            f"{most.versions / few.versions:.0f} times {to_most:.2f} times; pandas takes "
            f"{middle['pandas_twice'].peak / peer_at_few:.2f} times for four. {_TRIED}"
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
                f"at most {_MOST_GROWTH} times the memory for four times the tickets, and for thirty times",
                f"{growth:.2f} and {to_most:.2f} times",
                max(growth, to_most) <= _MOST_GROWTH,
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
        done = run_command(command, directory=Path(target), variables=IMAGE_VARIABLES)
    return _Figures(source.versions / float(done.stdout), done.peak_bytes / 1e6)
