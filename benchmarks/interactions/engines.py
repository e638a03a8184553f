"""The cost of features and training rows by engine and size: a single machine, and Spark with the same cores.

Measured: seconds from curated days to written tables with all checks, each engine as a process; for Spark, the seconds
to start its session separately; and the peak memory of the process with its children (the JVM and Python workers).
Spark runs as `local[2]`: on two cores, a master and two workers would be four more JVMs competing for them, and workers
exchange only packed pieces of a few megabytes. Not measured: a cluster of several machines, Spark's actual use case.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Cell, Machine, Result, Table, timed
from benchmarks.interactions import Size, make_interactions
from benchmarks.interactions.feature_makers import TENANT, WINDOW
from gata_assets.curation.layout import TenantLayout
from gata_assets.interactions.engines.base import CuratedWindow, InteractionEngine
from gata_assets.interactions.engines.polars import PolarsEngine
from gata_assets.interactions.engines.spark.engine import SparkEngine
from gata_assets.interactions.engines.spark.session import open_session
from gata_assets.interactions.rules import InteractionType, SamplingRules, SamplingStrategy
from gata_assets.storage.resource import LocalStoreResource

_CURATED = CuratedWindow(TenantLayout(TENANT), WINDOW, WINDOW)
_RULES = SamplingRules(
    positive_types=frozenset({InteractionType.CLICK, InteractionType.PURCHASE, InteractionType.LIKE}),
    min_interactions_per_user=5,
    min_interactions_per_item=5,
    max_interactions_per_user=50,
    ratio=4,
    strategy=SamplingStrategy.UNIFORM,
    power=0.75,
    seed=42,
)
# A cluster's cores as multiples of the single machine's.
_MORE_CORES = (8, 16)
_ENGINES = ("polars", "spark")
_SIZES = (Size(1_000_000, 20_000, 10_000), Size(10_000_000, 200_000, 50_000), Size(50_000_000, 1_000_000, 100_000))
# The time limit of a process at each size: all of them with their data stay below half an hour.
_LIMIT_SECONDS = (120, 240, 480)
_MASTER = "local[2]"
# Spark spills to the data's folder.
_SPARK_SETTINGS = {"spark.driver.memory": "6g"}


@dataclass(frozen=True)
class Measured:
    """A process's measurements."""

    session: float
    features: float
    training: float
    peak_bytes: int

    @property
    def seconds(self) -> float:
        """The seconds of both steps; a session is started once for many batches."""
        return self.features + self.training


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few interactions."""
    sizes = (Size(20_000, 500, 300), Size(40_000, 1_000, 300)) if quick else _SIZES
    measured: dict[str, list[tuple[int, Measured]]] = {engine: [] for engine in _ENGINES}
    rows: list[list[Cell]] = []
    stopped = []
    for size, limit in zip(sizes, _LIMIT_SECONDS, strict=False):
        with tempfile.TemporaryDirectory() as folder:
            make_interactions(Path(folder), size, seed=5)
            for engine in _ENGINES:
                result = _measure(engine, Path(folder), limit)
                if result is None:
                    stopped.append(f"{engine} with {size.interactions:,} interactions was stopped after {limit} s.")
                    print(stopped[-1], file=sys.stderr, flush=True)
                    continue
                measured[engine].append((size.interactions, result))
                cells = (
                    result.session,
                    result.features,
                    result.training,
                    size.interactions / result.seconds,
                    result.peak_bytes / 2**30,
                )
                rows.append([f"{size.interactions:,}", engine, *cells])
                listed = ", ".join(f"{name} {cell:,.1f}" for name, cell in zip(_COLUMNS[2:], cells, strict=True))
                print(f"{engine} with {size.interactions:,} interactions: {listed}", file=sys.stderr, flush=True)
    has_growth = all(len(results) > 1 for results in measured.values())
    polars, spark = (Growth.of(measured[engine]) if has_growth else None for engine in _ENGINES)
    growth = _describe(polars, spark, Machine.this().memory_gib) if polars and spark else "Too few sizes for a fit."
    return Result(
        what=(
            "Features and training rows from curated days to written parts, with all checks; Spark as "
            f"{_MASTER}, so that both engines use the same cores. One run each."
        ),
        says=" ".join([growth, *stopped]),
        tables=[Table("Cost by engine", list(_COLUMNS), rows)],
        goals=[],
    )


_COLUMNS = ("interactions", "engine", "session s", "features s", "training rows s", "interactions/s", "peak GiB")


@dataclass(frozen=True)
class Growth:
    """A linear fit through the smallest and largest size: fixed seconds, and seconds and bytes per interaction."""

    fixed: float
    seconds: float
    bytes: float

    @classmethod
    def of(cls, measured: Sequence[tuple[int, Measured]]) -> Growth:
        """Fit measurements by the number of interactions."""
        (few, small), *_, (many, large) = measured
        seconds = (large.seconds - small.seconds) / (many - few)
        return cls(
            max(small.seconds - few * seconds, 0.0), seconds, (large.peak_bytes - small.peak_bytes) / (many - few)
        )

    def meets(self, other: Growth, *, faster: float) -> float | None:
        """The number of interactions from which this, sped up by a factor, is faster than the other; None if never."""
        gained = other.seconds - self.seconds / faster
        return max(self.fixed - other.fixed, 0.0) / gained if gained > 0 else None


def _describe(polars: Growth, spark: Growth, memory_gib: float) -> str:
    sentences = [
        (
            f"Each additional million interactions takes {polars.seconds * 1e6:.1f} s and "
            f"{polars.bytes * 1e6 / 2**20:,.0f} MiB on a single machine, and {spark.seconds * 1e6:.1f} s on Spark with "
            f"the same cores, which has a fixed cost of {spark.fixed:.0f} s per batch."
        )
    ]
    for times in (1, *_MORE_CORES):
        where = "On the same cores" if times == 1 else f"With {times} times the cores and linear scaling,"
        size = spark.meets(polars, faster=times)
        sentences.append(
            f"{where} Spark is " + ("never faster." if size is None else f"faster from {size / 1e6:,.0f} million on.")
        )
    if polars.bytes > 0:
        limit = memory_gib * 2**30 / polars.bytes
        sentences.append(f"A single machine with {memory_gib:.0f} GiB fits about {limit / 1e6:,.0f} million.")
    return " ".join(sentences)


def _measure(engine: str, folder: Path, limit: float) -> Measured | None:
    """Measure in a process; None if it exceeded the limit and was stopped with its children."""
    command = [sys.executable, "-m", "benchmarks.interactions.engines", engine, str(folder)]
    peak, deadline = 0, time.monotonic() + limit
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        try:
            while process.poll() is None:
                if time.monotonic() > deadline:
                    return None
                peak = max(peak, _memory_of_tree(process.pid))
                time.sleep(0.1)
        finally:
            # Its JVM is in its process group and stops the workers; after a success all have ended already.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        printed = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}.")
    return Measured(**json.loads(printed.splitlines()[-1]), peak_bytes=peak)


def _memory_of_tree(pid: int) -> int:
    """The memory of a process and its descendants; shared memory is counted once (PSS)."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(place.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(place.parent.name))
    total, waiting = 0, [pid]
    while waiting:
        descendant = waiting.pop()
        waiting += children.get(descendant, [])
        try:
            lines = Path(f"/proc/{descendant}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def _make(name: str, folder: Path) -> dict[str, float]:
    session = 0.0
    engine: InteractionEngine = PolarsEngine()
    if name == "spark":
        settings = {**_SPARK_SETTINGS, "spark.local.dir": str(folder / "spark-local")}
        engine = SparkEngine(master=_MASTER, settings=settings)
        session, _ = timed(lambda: open_session(master=_MASTER, remote=None, settings=settings))
    store = LocalStoreResource(directory=str(folder))
    features, written = timed(lambda: engine.make_features(_CURATED, store).write(f"{name}/features/", "token"))
    parts = {table: [file.key for file in files] for table, files in written.items()}
    training, _ = timed(
        lambda: engine.make_training_data(_CURATED, _RULES, store, features=parts).write(
            f"{name}/training_data/", "token"
        )
    )
    return {"session": session, "features": features, "training": training}


if __name__ == "__main__":
    print(json.dumps(_make(sys.argv[1], Path(sys.argv[2]))))
