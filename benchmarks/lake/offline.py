"""Bronze to offline tickets: versions per second of processor time, with and without languages, and where it goes.

Rows are those of the sample export: a third are HTML of Outlook and Gmail, most have characters outside of ASCII. Time
is processor time of all threads, the median of rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from statistics import median
from time import process_time

import polars as pl
import pyarrow as pa

from benchmarks.harness import Goal, Result, Table
from gata_assets.lake.offline import nested
from gata_assets.lake.offline.cleaning import clean_bodies
from gata_assets.lake.offline.merge import offline_merge
from gata_assets.lake.offline.rules import OfflineRules, SlaTargets
from gata_assets.sandbox.lake.pages import export_pages
from gata_assets.sandbox.lake.stories import LakeParameters
from gata_assets.tables.masking.tokens import Tokens
from gata_assets.tables.text_normalization import normalize_texts
from gata_assets_tests.support.bronze import bronze_of_page

_MOST_MICROSECONDS = 35
_TARGETS = SlaTargets.parse("urgent=60/480,high=240/1440,normal=480/2880,low=-/10080")


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few tickets."""
    tickets, times = (200, 1) if quick else (10_000, 5)
    pages = list(export_pages(LakeParameters(tickets=tickets, days=4, sentences=18)))
    rows = pl.concat([bronze_of_page(page, f"page-{number}") for number, page in enumerate(pages)], rechunk=True)
    days = {day: [part.to_arrow()] for day, part in _by_day(rows)}

    def merging(*, has_language: bool) -> Callable[[], object]:
        merge = offline_merge(OfflineRules(tokens=Tokens(b"k" * 32), targets=_TARGETS, has_language=has_language))
        return lambda: merge(days)

    def reading(column: str, decode: Callable[[bytes], object]) -> Callable[[], object]:
        return lambda: nested.NestedReader(len(rows)).read(rows[column], decode, None)

    steps: dict[str, Callable[[], object]] = {
        "all, without languages": merging(has_language=False),
        "all, with languages": merging(has_language=True),
        "normalizing texts": lambda: normalize_texts(rows["description"]),
        "cleaning bodies": lambda: clean_bodies(rows["description"]),
        "reading comments": reading("comments", nested.read_comments),
        "reading metrics": reading("metric_set", nested.read_metrics),
        "reading custom fields": reading("custom_fields", nested.read_custom_fields),
        "leaving people out of other fields": reading("more", nested.without_people),
    }
    taken = {name: median(_seconds(step) for _ in range(times)) / len(rows) * 1e6 for name, step in steps.items()}
    plain, told = taken["all, without languages"], taken["all, with languages"]
    bodies = pl.Series(rows["description"])
    mean, html = float(bodies.str.len_bytes().sum()) / len(rows), int(bodies.str.contains("</").sum()) / len(rows)
    return Result(
        what=(
            f"{len(rows):,} versions of {tickets:,} tickets in {len(pages)} pages; a version's page has "
            f"{sum(map(len, pages)) / len(rows):,.0f} bytes, its body {mean:,.0f}, and {html:.0%} are HTML."
        ),
        says=(
            f"A version takes {plain:.1f} µs of processor time from bronze to offline, and {told:.1f} µs where its "
            "language is told."
        ),
        tables=[Table("Microseconds a version", ["step", "µs"], [[name, taken[name]] for name in steps])],
        goals=[
            Goal(
                f"at most {_MOST_MICROSECONDS} µs a version without languages",
                f"{plain:.1f} µs",
                plain <= _MOST_MICROSECONDS,
            )
        ],
    )


def _by_day(rows: pl.DataFrame) -> list[tuple[date | None, pl.DataFrame]]:
    dated = rows.with_columns(day=pl.col("created_at").dt.date())
    return [(day, part.drop("day")) for (day,), part in sorted(dated.group_by("day"), key=lambda of: str(of[0]))]


def _seconds(step: Callable[[], object]) -> float:
    start = process_time()
    step()
    # What Arrow keeps for itself is not the next step's.
    pa.default_memory_pool().release_unused()
    return process_time() - start
