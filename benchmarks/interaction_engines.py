"""How the cost of features and training rows grows on each engine: one machine, and Spark with as many cores.

Measured: seconds from curated days to written tables with all checks, each engine as a process of its own; for Spark
apart from the seconds until its session stands; and the most memory that the process and all its children (the JVM,
the Python beside it) have at once. Not measured: a cluster of several machines, which is what Spark is for.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.feature_makers import TENANT, WINDOW
from benchmarks.harness import Cell, Result, Table, timed
from benchmarks.interactions import Size, make_interactions
from gata_assets.core.interaction_places import TenantPlaces
from gata_assets.core.interaction_rules import InteractionType, SamplingRules, SamplingStrategy
from gata_assets.resources.interaction_engine import CuratedWindow, InteractionEngine
from gata_assets.resources.object_store import LocalObjectStore
from gata_assets.resources.polars_engine import PolarsEngine
from gata_assets.resources.spark_engine import SparkEngine
from gata_assets.resources.spark_session import open_session

_CURATED = CuratedWindow(TenantPlaces(TENANT), WINDOW, WINDOW)
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
_ENGINES = ("polars", "spark")
_SIZES = (Size(1_000_000, 20_000, 10_000), Size(10_000_000, 200_000, 50_000), Size(50_000_000, 1_000_000, 100_000))
_MASTER, _SPARK_SETTINGS = "local[2]", {"spark.driver.memory": "4g"}


@dataclass(frozen=True)
class Measured:
    """One process."""

    session: float
    features: float
    training: float
    peak_bytes: int


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few interactions."""
    rows: list[list[Cell]] = []
    for size in (Size(20_000, 500, 300),) if quick else _SIZES:
        with tempfile.TemporaryDirectory() as folder:
            make_interactions(Path(folder), size, seed=5)
            for engine in _ENGINES:
                one = _measure(engine, Path(folder))
                seconds = one.features + one.training
                rows.append(
                    [
                        f"{size.interactions:,}",
                        engine,
                        one.session,
                        one.features,
                        one.training,
                        size.interactions / seconds,
                        one.peak_bytes / 2**30,
                    ]
                )
    polars, spark = rows[-2], rows[-1]
    return Result(
        what=(
            "Features and training rows from curated days to written parts, with all checks; Spark as "
            f"{_MASTER}, so that both engines have the same cores. One run each."
        ),
        says=(
            f"At {polars[0]} interactions one machine makes {polars[5]:,.0f} a second and Spark on the same cores "
            f"{spark[5]:,.0f}. Spark pays where the interactions do not fit into one machine's memory, or with more than "
            f"{float(polars[5]) / float(spark[5]):.0f} times its cores, if it grows with them."
        ),
        tables=[
            Table(
                "Cost by engine",
                ["interactions", "engine", "session s", "features s", "training rows s", "interactions/s", "peak GiB"],
                rows,
            )
        ],
        goals=[],
    )


def _measure(engine: str, folder: Path) -> Measured:
    command = [sys.executable, "-m", "benchmarks.interaction_engines", engine, str(folder)]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        while process.poll() is None:
            peak = max(peak, _memory_of_tree(process.pid))
            time.sleep(0.1)
        printed = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}.")
    return Measured(**json.loads(printed.splitlines()[-1]), peak_bytes=peak)


def _memory_of_tree(pid: int) -> int:
    """The memory of a process and its descendants; what they share is counted once (PSS)."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(place.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(place.parent.name))
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        waiting += children.get(one, [])
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def _make(name: str, folder: Path) -> dict[str, float]:
    session = 0.0
    engine: InteractionEngine = PolarsEngine()
    if name == "spark":
        engine = SparkEngine(master=_MASTER, settings=_SPARK_SETTINGS)
        session, _ = timed(lambda: open_session(master=_MASTER, remote=None, settings=_SPARK_SETTINGS))
    store = LocalObjectStore(directory=str(folder))
    prefix = f"{name}/features/"
    features, _ = timed(lambda: engine.make_features(_CURATED, store).write(prefix))
    training, _ = timed(
        lambda: engine.make_training_data(_CURATED, _RULES, store, features=prefix).write(f"{name}/training_data/")
    )
    return {"session": session, "features": features, "training": training}


if __name__ == "__main__":
    print(json.dumps(_make(sys.argv[1], Path(sys.argv[2]))))
