"""`gata backfill` of 30 days of hourly batches, against a `gata prepare` process per batch.

From a SQLite file and through the local Data API (whose server is another process), recorded in a Dagster instance
(DAGSTER_HOME) or not. Measured: wall time, database calls, peak memory. The peer runs for a sample of the batches, half
before ours and half after; its total is the median times the number of batches. The outputs of both for the sample are
compared. Not measured: S3; files go to a local directory.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from benchmarks.harness import PROJECT, Result
from benchmarks.processes import run_command
from benchmarks.servers import counting_data_api, postgres
from benchmarks.tickets.backfill_report import describe
from gata_assets.batches import Batch, batches_between, parse_batch_id
from gata_assets.sandbox.sample_tickets import generate_tickets
from gata_assets.tickets.rules import SAMPLE_FALLBACK_LABEL
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets.tickets.training_files import GENERAL_DATASET, LOW_VOLUME_DATASET, manifest_key

_FIRST, _LAST = parse_batch_id("2026010100"), parse_batch_id("2026013023")
# The days in the windows of these batches: from 365 days before the first to the last midnight.
_FIRST_DAY, _LAST_DAY = date(2025, 1, 1), date(2026, 1, 29)
_NEEDED_BYTES = 10_000_000_000


@dataclass(frozen=True)
class Measured:
    """A process's measurements, or an extrapolation of several."""

    seconds: float
    calls: int
    peak_bytes: int


@dataclass(frozen=True)
class Source:
    """A ticket source, and how to run `gata` on it and count its calls."""

    name: str
    run: Callable[[Sequence[str], Mapping[str, str]], Measured]


@dataclass
class Pair:
    """Ours and the peer on a source, both recorded (each in its own DAGSTER_HOME) or both not."""

    source: Source
    home: Path | None = None
    peer_home: Path | None = None
    ours: Measured = field(init=False)
    peer: list[Measured] = field(default_factory=list)

    @property
    def recorded(self) -> str:
        return "unrecorded" if self.home is None else "recorded"

    @property
    def name(self) -> str:
        return f"{self.source.name}, {self.recorded}"

    def whole_peer(self, batches: int) -> Measured:
        return Measured(
            median(run.seconds for run in self.peer) * batches,
            round(median(run.calls for run in self.peer) * batches),
            max(run.peak_bytes for run in self.peer),
        )


@dataclass
class Bench:
    """The batches, their sample, and the working directory."""

    batches: list[Batch]
    sample: list[str]
    directory: Path
    written_bytes: int = 0
    compared: int = 0
    only_rows_equal: int = 0

    def ours(self, pair: Pair) -> None:
        """Run the backfill, and compare its outputs for the sample."""
        with self._target() as target:
            variables = _variables_of_run(target, pair.home)
            first, last = self.batches[0].batch_id, self.batches[-1].batch_id
            pair.ours = pair.source.run(["backfill", first, last], variables)
            whole = [target / manifest_key(name, batch.batch_id) for name in _DATASETS for batch in self.batches]
            if missing := sum(not path.is_file() for path in whole):
                raise RuntimeError(f"{pair.name}: {missing} of {len(whole)} datasets are missing")
            self.written_bytes = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
            self._compare(pair.name, target, self.sample)

    def peer(self, pairs: Sequence[Pair], batch_ids: Sequence[str]) -> None:
        """Prepare batches of the sample one by one, the pairs interleaved."""
        for batch_id in batch_ids:
            for pair in pairs:
                with self._target() as target:
                    variables = _variables_of_run(target, pair.peer_home)
                    pair.peer.append(pair.source.run(["prepare", batch_id], variables))
                    self._compare(f"{pair.name}, one by one", target, [batch_id])

    def _compare(self, name: str, target: Path, batch_ids: Sequence[str]) -> None:
        """Compare a target's files of the given batches with those of the first run that wrote them."""
        for batch_id in batch_ids:
            kept = self.directory / "seen" / batch_id
            found = {path.relative_to(target): path for path in target.rglob("*") if _is_of(path, target, batch_id)}
            if not kept.is_dir():
                for relative, path in found.items():
                    (kept / relative).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, kept / relative)
                continue
            if found.keys() != {path.relative_to(kept) for path in kept.rglob("*") if path.is_file()}:
                raise RuntimeError(f"{name}: wrote other files for {batch_id} than an earlier run")
            for relative, path in found.items():
                self.compared += 1
                if path.read_bytes() == (kept / relative).read_bytes():
                    continue
                if path.suffix != ".parquet" or not pq.read_table(path).equals(pq.read_table(kept / relative)):
                    raise RuntimeError(f"{name}: wrote other content to {relative} than an earlier run")
                self.only_rows_equal += 1

    @contextmanager
    def _target(self) -> Iterator[Path]:
        target = self.directory / "target"
        target.mkdir()
        try:
            yield target
        finally:
            shutil.rmtree(target)


_DATASETS = (GENERAL_DATASET, LOW_VOLUME_DATASET)


def _is_of(path: Path, target: Path, batch_id: str) -> bool:
    return path.is_file() and any(part.startswith(batch_id) for part in path.relative_to(target).parts)


def run(*, quick: bool) -> Result:
    """Measure; `quick` with a day of batches and few tickets."""
    batches = batches_between(_FIRST, _LAST)[: 24 if quick else None]
    sample = _evenly([batch.batch_id for batch in batches], 2 if quick else 12)
    tickets = generate_tickets(_FIRST_DAY, _LAST_DAY, tickets_per_day=20 if quick else 255)
    with TemporaryDirectory() as temporary:
        directory = Path(temporary)
        if not quick and shutil.disk_usage(directory).free < _NEEDED_BYTES:
            raise RuntimeError(f"{_NEEDED_BYTES / 1e9:.0f} GB of free space are needed below {directory.parent}")
        bench = Bench(batches, sample, directory)
        path = directory / "tickets.sqlite"
        create_sqlite(path, tickets)
        embedded = _embedded(path, directory)
        home, peer_home = (_dagster_home(directory, name) for name in ("home-ours", "home-peer"))
        pairs = [Pair(embedded), Pair(embedded, home, peer_home)]
        # Creates the databases of the peer's instance before its measured runs.
        bench.peer([Pair(embedded, None, peer_home)], sample[:1])
        _measure(bench, pairs)
        by_dagster = [_materialize(batch_id, path, peer_home) for batch_id in _evenly(sample, 1 if quick else 3)]
        with postgres(tickets) as url, counting_data_api(url) as server:

            def through_api(arguments: Sequence[str], variables: Mapping[str, str]) -> Measured:
                before = server.calls()
                command = [sys.executable, "-m", "gata_assets", *arguments]
                done = run_command(command, directory=directory, variables={**server.variables, **_RULES, **variables})
                return Measured(done.seconds, server.calls() - before, done.peak_bytes)

            pairs.append(Pair(Source("Data API", through_api)))
            _measure(bench, pairs[-1:])
    closed = int((tickets["closed"] > 0).sum())
    characters = tickets["processed_data"].str.len().mean()
    described = (
        f"{closed:,} closed tickets of {characters:.0f} characters on average ({_FIRST_DAY} to {_LAST_DAY}, from the "
        "generator of `gata sample-data`)"
    )
    return describe(bench, pairs, by_dagster, described)


def _measure(bench: Bench, pairs: Sequence[Pair]) -> None:
    """Half of the peer's sample, all of ours, the other half: a busy period of the machine affects both."""
    bench.peer(pairs, bench.sample[::2])
    for pair in pairs:
        bench.ours(pair)
    bench.peer(pairs, bench.sample[1::2])


_RULES = {"LOW_VOLUME_FALLBACK_LABEL": str(SAMPLE_FALLBACK_LABEL)}


def _variables_of_run(target: Path, home: Path | None) -> dict[str, str]:
    return {"TARGET_DIR": str(target), **({"DAGSTER_HOME": str(home)} if home else {})}


def _variables_of_sqlite(path: Path) -> dict[str, str]:
    return {"TICKETS_URL": f"sqlite:///{path}", **_RULES}


def _embedded(path: Path, directory: Path) -> Source:
    counted = str(PROJECT / "benchmarks" / "counted_gata.py")
    aside = directory / "statements.txt"

    def measure(arguments: Sequence[str], variables: Mapping[str, str]) -> Measured:
        done = run_command(
            [sys.executable, counted, str(aside), str(path), *arguments],
            directory=directory,
            variables={**_variables_of_sqlite(path), **variables},
        )
        return Measured(done.seconds, int(aside.read_text()), done.peak_bytes)

    return Source("embedded", measure)


def _materialize(batch_id: str, tickets: Path, home: Path) -> float:
    """The seconds of a batch as a Dagster run: a process that loads the code and runs the five assets."""
    directory = home.parent
    variables = {**_variables_of_sqlite(tickets), **_variables_of_run(directory / "by-dagster", home)}
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "gata_assets.definitions"]
    command += ["--select", "*", "--partition", batch_id]
    return run_command(command, directory=directory, variables=variables).seconds


def _dagster_home(directory: Path, name: str) -> Path:
    home = directory / name
    home.mkdir()
    shutil.copy(PROJECT / "dagster.yaml", home)
    return home


def _evenly(batch_ids: Sequence[str], number: int) -> list[str]:
    """Choose `number` of them, each from the middle of an equal part."""
    return [batch_ids[(2 * place + 1) * len(batch_ids) // (2 * number)] for place in range(number)]
