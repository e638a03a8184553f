"""Two checkouts, the same workloads: what each costs in processor time and memory, and the ratios.

`python -m benchmarks.releases OLD [NEW]`. Checkouts alternate, and change their order every round, so that a busy
machine slows both; ratios are medians of the rounds' pairs. Everything runs as processes of the checkout's own
interpreter (its `.venv`): `gata`, or a part of its own `benchmarks` package, since modules have other names in other
releases. A small run of the same kind comes before each large one; what is beyond it has no imports in it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.harness import BATCH, PROJECT, Cell, Table, as_markdown
from benchmarks.interactions.curation import write_interactions
from benchmarks.processes import IMAGE_VARIABLES, Run, run_command
from benchmarks.servers import postgres
from benchmarks.tickets import make_tickets
from gata_assets.tickets.rules import SAMPLE_FALLBACK_LABEL
from gata_assets.tickets.sources.ddl import create_sqlite

_MIB = 2**20
_DAYS, _TICKETS = 90, 140_000
_FIRST_BATCH_ID, _BACKFILL_LAST = "2026010100", {1: "2026010100", 48: "2026010223"}
_MAKE_INTERACTIONS = """
import sys
from pathlib import Path
from benchmarks.interactions import Size, make_interactions
count = int(sys.argv[2])
make_interactions(Path(sys.argv[1]), Size(count, max(count // 50, 1), 50_000), seed=1)
"""
_MAKE_PAIRS = """
import sys
from importlib import import_module
from pathlib import Path
import numpy as np
sampling = import_module(sys.argv.pop())
make_pairs, write_curated = sampling.make_pairs, sampling.write_curated
folder, users, items, count = Path(sys.argv[1]), *map(int, sys.argv[2:])
met = make_pairs(users, items, count)
np.save(folder / "pairs.npy", np.stack(met))
write_curated(met, users, items, folder)
"""


@dataclass(frozen=True)
class Checkout:
    """A release to measure: a directory with the code and a `.venv` with what it needs."""

    path: Path

    def run(self, *arguments: str, directory: Path | None = None, **variables: str) -> Run:
        """Run this checkout's interpreter; raises RuntimeError when it fails."""
        # Only this checkout's modules, whatever the virtual environment has installed.
        ours = {"PYTHONPATH": str(self.path), "PYTHONSAFEPATH": "1", **IMAGE_VARIABLES}
        command = [str(self.path / ".venv" / "bin" / "python"), *arguments]
        return run_command(command, directory=directory or self.path, variables={**ours, **variables})

    def module(self, name: str) -> str:
        """The module of its benchmarks of that name, whatever folder it is in."""
        [path] = (self.path / "benchmarks").rglob(f"{name}.py")
        return ".".join(path.relative_to(self.path).with_suffix("").parts)

    def gata(self, *arguments: str, directory: Path, **variables: str) -> Run:
        """Run this checkout's `gata` in a directory."""
        return self.run("-m", "gata_assets", *arguments, directory=directory, **variables)


@dataclass(frozen=True)
class Workload:
    """What is measured at `size`, and at `small` for the part that does not grow (None: there is no such part).

    `make` writes a checkout's own input to a folder, `serve` opens what both use; `run` is the measured process.
    """

    size: int
    small: int | None
    run: Callable[[Checkout, Path, int, str], Run]
    make: Callable[[Checkout, Path, int], object] = lambda _checkout, _folder, _size: None
    serve: Callable[[Path], AbstractContextManager[str]] = lambda _folder: nullcontext("")

    @property
    def sizes(self) -> list[int]:
        """Small first."""
        return [self.size] if self.small is None else [self.small, self.size]


@dataclass
class Measured:
    """A checkout's runs of a workload, a round each."""

    runs: list[Run] = field(default_factory=list)
    small_runs: list[Run] = field(default_factory=list)

    @property
    def processor_seconds(self) -> list[float]:
        """User and system time of each round's process and its children."""
        return [run.processor_seconds for run in self.runs]

    @property
    def seconds_beyond_small(self) -> list[float]:
        """What each round's run took more than its small run."""
        return [
            run.processor_seconds - small.processor_seconds
            for run, small in zip(self.runs, self.small_runs, strict=True)
        ]

    @property
    def peak_bytes(self) -> list[float]:
        """The most memory of each round's process."""
        return [run.peak_bytes for run in self.runs]


def main() -> None:
    """Measure two checkouts in turns and print a table of medians and ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.releases", description=main.__doc__)
    parser.add_argument("old", type=Path, help="a checkout of the earlier release, with its .venv")
    parser.add_argument("new", type=Path, nargs="?", default=PROJECT, help="the other checkout (default: this one)")
    parser.add_argument("--rounds", type=int, default=7, help="how often each checkout runs each workload (default: 7)")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=WORKLOADS, help=", ".join(WORKLOADS))
    arguments = parser.parse_args()
    old, new = Checkout(arguments.old.resolve()), Checkout(arguments.new.resolve())
    if old == new:
        parser.error(f"{old.path} is both checkouts: name another")
    for checkout in (old, new):
        if not (checkout.path / ".venv" / "bin" / "python").exists():
            parser.error(f"{checkout.path} has no .venv/bin/python: run `make .venv/.ready-to-test` there")
    rows = []
    for name in arguments.only or WORKLOADS:
        rows.append(_row(name, *measure(WORKLOADS[name], old, new, rounds=arguments.rounds)))
        print(f"{name}: {rows[-1][3]} of the old time", file=sys.stderr, flush=True)
    columns = ["workload", "old CPU s", "new CPU s", "new / old", "without the fixed part", "old MiB", "new MiB"]
    print(as_markdown(Table(f"Medians of {arguments.rounds} rounds:", [*columns, "new / old"], rows)))


def measure(workload: Workload, old: Checkout, new: Checkout, *, rounds: int) -> tuple[Measured, Measured]:
    """Run a workload in both checkouts in turns, after one unmeasured run of each that compiles what there is."""
    pair = {old: Measured(), new: Measured()}
    with TemporaryDirectory(prefix="gata-releases-") as temporary, workload.serve(Path(temporary)) as served:
        folders = {
            (checkout, size): Path(temporary, f"{number}-{size}")
            for number, checkout in enumerate(pair)
            for size in workload.sizes
        }
        for (checkout, size), folder in folders.items():
            folder.mkdir()
            workload.make(checkout, folder, size)
        for (checkout, size), folder in folders.items():
            workload.run(checkout, folder, size, served)
        for turn in range(rounds):
            for checkout in (old, new) if turn % 2 == 0 else (new, old):
                for size in workload.sizes:
                    runs = pair[checkout].runs if size == workload.size else pair[checkout].small_runs
                    runs.append(workload.run(checkout, folders[checkout, size], size, served))
    return pair[old], pair[new]


def _row(name: str, old: Measured, new: Measured) -> list[Cell]:
    beyond = _ratio(old.seconds_beyond_small, new.seconds_beyond_small) if old.small_runs else ""
    return [
        name,
        median(old.processor_seconds),
        median(new.processor_seconds),
        _ratio(old.processor_seconds, new.processor_seconds),
        beyond,
        round(median(old.peak_bytes) / _MIB),
        round(median(new.peak_bytes) / _MIB),
        _ratio(old.peak_bytes, new.peak_bytes),
    ]


def _ratio(old: Sequence[float], new: Sequence[float]) -> str:
    if min(*old, *new) <= 0:
        return "unclear"
    return f"{median(after / before for before, after in zip(old, new, strict=True)):.2f}"


def _make_sample(checkout: Checkout, folder: Path, _size: int) -> None:
    checkout.gata("sample-data", "--since", "2025-01-01", "--until", "2026-01-02", "--days", "367", directory=folder)


def _prepare(*options: str) -> Callable[[Checkout, Path, int, str], Run]:
    return lambda checkout, folder, _size, _served: checkout.gata("prepare", BATCH.batch_id, *options, directory=folder)


def _make_many_tickets(checkout: Checkout, folder: Path, _size: int) -> None:
    days = ("--since", "2025-01-01", "--until", "2026-01-02")
    checkout.gata("sample-data", *days, "--tickets-per-day", "255", "--interactions", "0", directory=folder)


def _backfill(checkout: Checkout, folder: Path, size: int, _served: str) -> Run:
    last = _BACKFILL_LAST[size]
    with _empty(folder / "target") as target:
        return checkout.gata(
            "backfill",
            *(_FIRST_BATCH_ID, last, "--only", "tickets"),
            directory=folder,
            TICKETS_URL=f"sqlite:///{folder / 'gata-sample.sqlite'}",
            TARGET_DIR=str(target),
            LOW_VOLUME_FALLBACK_LABEL=str(SAMPLE_FALLBACK_LABEL),
        )


@contextmanager
def _sqlite_of_tickets(folder: Path) -> Iterator[str]:
    path = folder / "tickets.sqlite"
    create_sqlite(path, make_tickets(BATCH.training_window(_DAYS), _TICKETS, labels=17, seed=1))
    yield str(path)


def _postgres_of_tickets(_folder: Path) -> AbstractContextManager[str]:
    return postgres(make_tickets(BATCH.training_window(_DAYS), _TICKETS, labels=17, seed=1))


def _extract(kind: str) -> Callable[[Checkout, Path, int, str], Run]:
    def run(checkout: Checkout, folder: Path, times: int, served: str) -> Run:
        arguments = (kind, served, str(_DAYS), str(times))
        done = checkout.run(str(PROJECT / "benchmarks" / "tickets" / "read_tickets.py"), *arguments, directory=folder)
        if int(done.stdout) != times * _TICKETS:
            raise RuntimeError(f"{checkout.path} read {done.stdout.strip()} tickets in place of {times * _TICKETS}")
        return done

    return run


def _make_interactions(checkout: Checkout, folder: Path, size: int) -> None:
    checkout.run("-c", _MAKE_INTERACTIONS, str(folder), str(size))


def _features(checkout: Checkout, folder: Path, _size: int, _served: str) -> Run:
    with _empty(folder / "made-engine"):
        return checkout.run("-m", checkout.module("feature_makers"), "engine", str(folder))


def _users_and_items(pairs: int) -> tuple[str, str]:
    return str(pairs // 50), str(pairs // 100)


def _make_pairs(checkout: Checkout, folder: Path, size: int) -> None:
    checkout.run("-c", _MAKE_PAIRS, str(folder), *_users_and_items(size), str(size), checkout.module("sampling"))


def _negatives(mode: str) -> Callable[[Checkout, Path, int, str], Run]:
    return lambda checkout, folder, size, _served: checkout.run(
        "-m", checkout.module("sampling"), mode, str(folder), *_users_and_items(size)
    )


def _make_csv(_checkout: Checkout, folder: Path, size: int) -> None:
    write_interactions(folder / "interactions.csv", size)
    write_interactions(folder / "warm.csv", 1_000)


def _curate(checkout: Checkout, folder: Path, _size: int, _served: str) -> Run:
    files = (str(folder / "interactions.csv"), str(folder / "warm.csv"))
    with _empty(folder / "target") as target:
        return checkout.run("-m", checkout.module("curation_paths"), "ours", *files, str(target))


def _ingest(checkout: Checkout, folder: Path, size: int, _served: str) -> Run:
    with _empty(folder / "target") as target:
        done = checkout.gata(
            *("ingest", "interactions", "interactions.csv", "--tenant", "bench"),
            directory=folder,
            TENANTS="bench",
            FIRST_BATCH_ID="2025010100",
            TARGET_DIR=str(target),
        )
    if sum(json.loads(line).get("rows", 0) for line in done.stdout.splitlines()) != size:
        raise RuntimeError(f"{checkout.path} has not ingested {size:,} rows: {done.stdout}")
    return done


@contextmanager
def _empty(folder: Path) -> Iterator[Path]:
    """An empty directory, removed afterwards: no run finds what another wrote."""
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


WORKLOADS = {
    "prepare_tickets": Workload(1, None, _prepare("--only", "tickets"), _make_sample),
    "prepare_both": Workload(1, None, _prepare(), _make_sample),
    "backfill": Workload(48, 1, _backfill, _make_many_tickets),
    "extraction_sqlite": Workload(10, 1, _extract("sqlite"), serve=_sqlite_of_tickets),
    "extraction_postgresql": Workload(10, 1, _extract("postgresql"), serve=_postgres_of_tickets),
    "features": Workload(1_000_000, 10_000, _features, _make_interactions),
    "negatives_memory": Workload(5_000_000, 50_000, _negatives("memory"), _make_pairs),
    "negatives_parquet": Workload(5_000_000, 50_000, _negatives("parquet"), _make_pairs),
    "csv_to_curated": Workload(1_000_000, 10_000, _curate, _make_csv),
    "csv_ingest": Workload(1_000_000, 10_000, _ingest, _make_csv),
}


if __name__ == "__main__":
    main()
