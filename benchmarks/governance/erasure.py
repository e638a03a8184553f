"""People erased from a tenant's interactions, batches and tickets, against rewriting the touched files once.

Each path is a process of its own on a copy of the same target, with the variables of the image. The peer knows which
files to rewrite, and whose rows are in them; ours finds them, refuses the old content, rebuilds reports, curated days
and manifests, logs, and then reads and searches everything, which is measured by itself.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.governance.erasure_world import TENANT, VARIABLES, World
from benchmarks.harness import Cell, Goal, Result, Table
from benchmarks.processes import IMAGE_VARIABLES, run_command, run_gata

_PATHS = Path(__file__).with_name("erasure_paths.py")
_MOST_RATIO, _MOST_MB = 2.0, 600
_PEOPLE = 50


class _Figures(NamedTuple):
    """Of one erasure: seconds to erase, to scan, and of the peer; its peak memory; how many files were touched."""

    erasing: float
    scanning: float
    rewriting: float
    peak: float
    touched: int


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few rows."""
    world = World(1_000, 3, 2, 300) if quick else World(100_000, 90, 30, 28_000)
    counts, times = ((1, 5, 50), 1) if quick else ((1, _PEOPLE, 5_000), 3)
    with TemporaryDirectory(prefix="gata-erasure-") as place:
        start = Path(place, "start")
        versions = world.build(start)
        found: dict[int, list[_Figures]] = {count: [] for count in counts}
        for _ in range(times):
            for count in counts:
                found[count].append(_measure(Path(place), start, world.people(count)))
    middle = {count: _Figures(*map(median, zip(*figures, strict=True))) for count, figures in found.items()}
    table: list[list[Cell]] = [
        [count, int(one.touched), one.erasing, one.rewriting, one.erasing / one.rewriting, one.scanning, one.peak]
        for count, one in middle.items()
    ]
    usual = middle[counts[1]]
    return Result(
        what=(
            f"{world.days} days of {world.rows:,} interactions in a CSV file each, features and training rows of "
            f"{world.batches} batches of a day, and {versions:,} versions of {world.tickets:,} tickets in pages, of "
            f"{len(world.lake.requesters):,} people (Zipf), in a directory; medians of {times} interleaved rounds."
        ),
        says=(
            f"{counts[1]:,} people are erased in {usual.erasing:.1f} s, {usual.erasing / usual.rewriting:.2f} times "
            f"what it takes to rewrite the {usual.touched:,.0f} files once with Polars, PyArrow and json; "
            f"{counts[2]:,} in {middle[counts[2]].erasing:.1f} s, one in {middle[counts[0]].erasing:.1f} s."
        ),
        tables=[
            Table(
                "People erased at once:",
                ["people", "touched files", "erased (s)", "rewritten once (s)", "ratio", "scanned (s)", "peak MB"],
                table,
            )
        ],
        goals=[
            Goal(
                f"{counts[1]} people erased in at most {_MOST_RATIO:.0f} times the time of rewriting once",
                f"{usual.erasing / usual.rewriting:.2f} times",
                usual.erasing <= _MOST_RATIO * usual.rewriting,
            ),
            Goal(
                f"under {_MOST_MB} MB", f"{max(one.peak for one in middle.values()):,.0f} MB",
                max(one.peak for one in middle.values()) < _MOST_MB,
            ),
        ],
    )  # fmt: skip


def _measure(place: Path, start: Path, people: list[str]) -> _Figures:
    """Erase people in one copy of the target, and rewrite what that touched in another."""
    ids, names = place / "ids.txt", place / "names.txt"
    ids.write_text("\n".join(people))
    own, other = place / "own", place / "other"
    for copy in (own, other):
        # No file is ever changed in its place: links are copies.
        shutil.copytree(start, copy, copy_function=os.link)
    erased = run_gata(
        "privacy", "erase", "--tenant", TENANT, "--subjects-file", str(ids), directory=own, variables=VARIABLES
    )
    logged = run_gata("privacy", "log", "--tenant", TENANT, directory=own, variables=VARIABLES)
    entries = [json.loads(line) for line in logged.stdout.splitlines()]
    at = {entry["kind"]: datetime.fromisoformat(entry["at"]) for entry in entries}
    files = (path.relative_to(start) for path in start.rglob("*") if path.is_file())
    touched = [str(name) for name in files if _is_changed(start / name, own / name)]
    names.write_text("\n".join(touched))
    peer = run_command(
        [sys.executable, str(_PATHS), str(other), str(ids), str(names)], directory=place, variables=IMAGE_VARIABLES
    )
    for copy in (own, other):
        shutil.rmtree(copy)
    return _Figures(
        (at["cleared"] - at["requested"]).total_seconds(),
        (at["scanned"] - at["cleared"]).total_seconds(),
        float(peer.stdout),
        erased.peak_bytes / 1e6,
        len(touched),
    )


def _is_changed(before: Path, after: Path) -> bool:
    return not after.exists() or not after.samefile(before)
