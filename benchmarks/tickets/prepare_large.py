"""`gata prepare` of a large batch: 100,000 tickets in the training window, 400,000 in the low-volume window.

Processes, from a SQLite file and through the local Data API (whose server is another process): wall time, peak memory,
and each asset's seconds with and without reading tickets. Reads are timed by calling the source alone, interleaved with
the runs. Not measured: S3; files go to a local directory.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import pandas as pd

from benchmarks.harness import BATCH, Cell, Goal, Result, Table, environment, timed
from benchmarks.processes import ASSETS, Run, median_steps, run_gata
from benchmarks.servers import REGION, data_api, postgres
from benchmarks.tickets import FIRST_LABEL, make_tickets
from gata_assets.sandbox.data_api.server import DEFAULT_CLUSTER_ARN, DEFAULT_SECRET_ARN
from gata_assets.settings.model import parse_settings
from gata_assets.ticket_contract.source import TicketSource
from gata_assets.tickets.low_volume import count_labels, decide_low_volume
from gata_assets.tickets.rules import PreparationRules
from gata_assets.tickets.sources.data_api import DataApiTickets
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets.tickets.sources.sqlite import SqliteTickets

_GOAL_GIB = 1.5
_GOAL_SECONDS = 15.0
_FALLBACK = str(FIRST_LABEL)


@dataclass(frozen=True)
class _Measured:
    """A source's runs, and the seconds of its reads alone (training window; older tickets by label)."""

    source: str
    runs: list[Run]
    read_seconds: list[tuple[float, float]]

    @property
    def seconds(self) -> float:
        return median(run.seconds for run in self.runs)

    @property
    def steps(self) -> dict[str, float]:
        return median_steps(self.runs)

    @property
    def reads(self) -> dict[str, float]:
        training, older = zip(*self.read_seconds, strict=True)
        return {"tickets": median(training), "low_volume_tickets": median(older)}

    @property
    def after_extraction(self) -> float:
        return sum(self.steps.values()) - sum(self.reads.values())

    @property
    def wall_without_reading(self) -> float:
        return self.seconds - sum(self.reads.values())

    @property
    def peak_gib(self) -> float:
        return max(run.peak_bytes for run in self.runs) / 2**30


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few tickets."""
    training, older = (4_000, 12_000) if quick else (100_000, 300_000)
    times = 1 if quick else 3
    rules = parse_settings({"LOW_VOLUME_FALLBACK_LABEL": _FALLBACK}).tickets.rules
    made = _make_tickets(training, older, rules)
    with TemporaryDirectory() as temporary:
        directory = Path(temporary)
        path = directory / "tickets.sqlite"
        create_sqlite(path, made)
        variables = {"TICKETS_URL": f"sqlite:///{path}"}
        measured = [_measure("SQLite", SqliteTickets(path=str(path)), variables, rules, times, directory)]
        path.unlink()
        with postgres(made) as url, data_api(url) as variables, environment(variables):
            source = DataApiTickets(cluster_arn=DEFAULT_CLUSTER_ARN, secret_arn=DEFAULT_SECRET_ARN, region=REGION)
            measured.append(_measure("Data API", source, variables, rules, times, directory))
    written = {entry["asset"]: entry for entry in json.loads(measured[0].runs[0].stdout)["written"]}
    low = written["label_counts"]["low_volume_labels"]
    low_tickets = written["low_volume_tickets"]["row_count"]
    sqlite, through_api = measured
    return Result(
        what=(
            f"`gata prepare {BATCH.batch_id}`, {written['tickets']['row_count']:,} tickets of about 600 characters in "
            f"the training window and {older:,} older ones, 25 labels, {low} of them low-volume with {low_tickets:,} "
            f"tickets ({low_tickets / (training + older):.0%}), 8% repeated texts; medians of {times} processes, peak "
            "memory is their maximum, without the Data API's server."
        ),
        says=(
            f"A large batch takes {sqlite.seconds:.0f} s from SQLite and {through_api.seconds:.0f} s through the Data "
            f"API, with at most {max(sqlite.peak_gib, through_api.peak_gib):.2f} GiB; without reading tickets, the "
            f"steps take {sqlite.after_extraction:.1f} s and {through_api.after_extraction:.1f} s."
        ),
        tables=[
            Table(
                "Whole processes:",
                [
                    "source",
                    "wall seconds",
                    "slowest",
                    "reading tickets",
                    "steps without reading",
                    "wall without reading",
                    "peak memory (GiB)",
                ],
                [
                    [
                        measurement.source,
                        measurement.seconds,
                        max(run.seconds for run in measurement.runs),
                        sum(measurement.reads.values()),
                        measurement.after_extraction,
                        measurement.wall_without_reading,
                        measurement.peak_gib,
                    ]
                    for measurement in measured
                ],
            ),
            Table(
                "Seconds by asset (in brackets the seconds of reading from the source, measured alone):",
                ["asset", *(measurement.source for measurement in measured)],
                [[asset, *(_step(measurement, asset) for measurement in measured)] for asset in ASSETS],
            ),
        ],
        goals=[goal for measurement in measured for goal in _goals(measurement)],
    )


def _goals(measurement: _Measured) -> list[Goal]:
    return [
        Goal(
            f"{measurement.source}: peak memory under {_GOAL_GIB} GiB",
            f"{measurement.peak_gib:.2f} GiB",
            measurement.peak_gib < _GOAL_GIB,
        ),
        Goal(
            f"{measurement.source}: the process without reading tickets under {_GOAL_SECONDS:.0f} s",
            f"{measurement.wall_without_reading:.1f} s",
            measurement.wall_without_reading < _GOAL_SECONDS,
        ),
    ]


def _step(measurement: _Measured, asset: str) -> Cell:
    seconds = measurement.steps[asset]
    return f"{seconds:.2f} ({measurement.reads[asset]:.2f})" if asset in measurement.reads else f"{seconds:.2f}"


def _make_tickets(training: int, older: int, rules: PreparationRules) -> pd.DataFrame:
    windows = (
        (BATCH.older_window(rules.low_volume_period_days, rules.training_period_days), older),
        (BATCH.training_window(rules.training_period_days), training),
    )
    tables: list[pd.DataFrame] = []
    for window, count in windows:
        first_id = 1 + sum(len(table) for table in tables)
        tables.append(
            make_tickets(window, count, labels=25, seed=first_id, first_id=first_id, repeated_share=0.08, imbalance=1.4)
        )
    return pd.concat(tables, ignore_index=True)


def _measure(
    name: str,
    source: TicketSource,
    variables: Mapping[str, str],
    rules: PreparationRules,
    times: int,
    directory: Path,
) -> _Measured:
    runs, reads = [], []
    for _ in range(times):
        target = directory / "gata-data"
        runs.append(
            run_gata(
                "prepare",
                BATCH.batch_id,
                directory=directory,
                variables={**variables, "LOW_VOLUME_FALLBACK_LABEL": _FALLBACK, "TARGET_DIR": str(target)},
            )
        )
        shutil.rmtree(target)
        reads.append(_time_reads(source, rules))
    return _Measured(name, runs, reads)


def _time_reads(source: TicketSource, rules: PreparationRules) -> tuple[float, float]:
    """The seconds of a batch's two reads."""
    seconds, tickets = timed(lambda: source.read_tickets(BATCH.training_window(rules.training_period_days)))
    counts = count_labels(tickets, low_volume_threshold=rules.low_volume_threshold)
    labels = decide_low_volume(counts, min_count=rules.low_volume_min_count).low_volume_labels
    older = BATCH.older_window(rules.low_volume_period_days, rules.training_period_days)
    return seconds, timed(lambda: source.read_tickets(older, labels))[0]
