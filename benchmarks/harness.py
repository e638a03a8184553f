"""Shared by the benchmarks: results and goals, timing, and a description of the machine.

Times are wall-clock seconds, medians of several runs; compared functions are interleaved in one run, so that a busy
machine slows all of them equally. `servers` and `processes` start servers and processes.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TypeVar

import boto3

from gata_assets.batches import Batch, parse_batch_id

BATCH: Batch = parse_batch_id("2026010203")
PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "benchmarks" / "results"

_LIBRARIES = (
    "adbc-driver-postgresql",
    "boto3",
    "dagster",
    "numba",
    "numpy",
    "pandas",
    "pandera",
    "polars",
    "psycopg",
    "pyarrow",
    "scikit-learn",
    "scipy",
)

Cell = str | int | float
T = TypeVar("T")


@dataclass(frozen=True)
class Goal:
    """A goal, the measured value, and whether it meets the goal."""

    goal: str
    measured: str
    is_met: bool

    def __str__(self) -> str:
        return f"Goal {'met' if self.is_met else 'NOT MET'}: {self.goal}; measured: {self.measured}"


@dataclass(frozen=True)
class Table:
    """A table of a result."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]


@dataclass(frozen=True)
class Result:
    """A benchmark's result: `what` was measured, `says` is the summary for readers, built from the numbers."""

    what: str
    says: str
    tables: list[Table]
    goals: list[Goal]


@dataclass(frozen=True)
class Machine:
    """Where and when a benchmark ran."""

    at: str
    cores: int
    memory_gib: float
    cpu: str
    system: str
    python: str
    libraries: dict[str, str] = field(default_factory=dict)

    @classmethod
    def this(cls) -> Machine:
        """Describe this machine."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(
            at=datetime.now(UTC).isoformat(timespec="minutes"),
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            memory_gib=round(memory / 2**30, 1),
            cpu=_cpu_model(),
            system=f"{platform.system()} {platform.machine()}",
            python=platform.python_version(),
            libraries={name: version(name) for name in _LIBRARIES},
        )

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def timed(function: Callable[[], T]) -> tuple[float, T]:
    """Call a function; returns its seconds and its value."""
    started = perf_counter()
    value = function()
    return perf_counter() - started, value


def in_turns(functions: Mapping[str, Callable[[], object]], *, times: int) -> dict[str, float]:
    """The median seconds of each function over `times` rounds, each of which calls every function."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(times):
        for name, function in functions.items():
            seconds[name].append(timed(function)[0])
    return {name: median(measured) for name, measured in seconds.items()}


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables of this process inside the `with` block, also for boto3, whose session keeps them."""
    before = dict(os.environ)
    os.environ.update(variables)
    boto3.DEFAULT_SESSION = None
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        boto3.DEFAULT_SESSION = None


def shown(cell: Cell) -> str:
    """Format a cell: thousands separators, fractions to three digits."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 100:
        return f"{cell:,.0f}"
    return f"{cell:.3g}" if abs(cell) < 10 else f"{cell:.1f}"


def as_markdown(table: Table) -> str:
    """Format a table in Markdown, with numbers right-aligned."""
    is_text = [all(isinstance(row[i], str) for row in table.rows) for i in range(len(table.columns))]
    lines = [table.columns, ["---" if text else "---:" for text in is_text]]
    lines += [[shown(cell) for cell in row] for row in table.rows]
    return f"{table.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)
