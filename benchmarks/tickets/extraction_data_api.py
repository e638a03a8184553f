"""Tickets through the RDS Data API: the package's census and keyset pages against LIMIT 50 OFFSET n.

Both use boto3 and the same local Data API server and PostgreSQL. Measured: seconds, calls and rows per second, for
windows with a quarter, half and all of the tickets, without and with a latency of 10 ms per call.
Not measured: the real service, its network and its throttling.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta

import boto3
from botocore.config import Config

from benchmarks.harness import BATCH, Cell, Goal, Result, Table, environment, timed
from benchmarks.servers import REGION, data_api, postgres, postgres_version
from benchmarks.tickets import make_tickets
from gata_assets.batches import Window
from gata_assets.sandbox.data_api.server import DEFAULT_CLUSTER_ARN, DEFAULT_SECRET_ARN
from gata_assets.tickets.sources.data_api import DataApiTickets

_DAYS = 90
_WINDOW_DAYS = (_DAYS / 4, _DAYS / 2, _DAYS)
# Windows small enough to run OFFSET to its end.
_CHECKED_DAYS = (_DAYS / 20, _DAYS / 4)
_PAGE_ROWS = 50
_LATENCY_SECONDS = 0.010
_GOAL_RATIO = 40
# As the tool that this project replaces pages.
_OFFSET_SQL = (
    "SELECT id, closed, closed_group_id_mapped AS label, processed_data AS text FROM ticket "
    "WHERE closed >= :start AND closed < :end AND NOT (via_channel = 'api' AND COALESCE(initial_group_id, 0) <> 0) "
    f"AND routed_by <> 'gata-mapped' ORDER BY closed LIMIT {_PAGE_ROWS} OFFSET :offset"
)


@dataclass(frozen=True)
class _Measured:
    rows: int
    calls: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.rows / self.seconds


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few tickets."""
    tickets = 3_500 if quick else 140_000
    times = 1 if quick else 3
    every = 5 if quick else 40
    whole = _last_days(_DAYS)
    tickets_table = make_tickets(whole, tickets, labels=17, seed=1)
    with postgres(tickets_table) as url:
        version = postgres_version(url)
        with data_api(url) as variables, environment(variables):
            # Interleaved: each round reads the three windows and a part of the sampled OFFSET pages.
            rounds: list[list[_Measured]] = []
            sampled: list[_Measured] = []
            for turn in range(times):
                rounds.append([_read_with_ours(_last_days(days)) for days in _WINDOW_DAYS])
                sampled.append(_sample_offset(whole, rows=tickets, every=every * times, first=turn * every))
            ours = [_median(list(runs)) for runs in zip(*rounds, strict=True)]
            peer = _joined(sampled, tickets)
            checks = [_check_estimate(_last_days(days)) for days in _CHECKED_DAYS]
        with data_api(url, latency_seconds=_LATENCY_SECONDS) as variables, environment(variables):
            late = _read_with_ours(whole)
            late_peer = _joined([_sample_offset(whole, rows=tickets, every=every * 2, first=0)], tickets)
    ratio, late_ratio = ours[-1].rate / peer.rate, late.rate / late_peer.rate
    linearity = ours[-1].rate / ours[0].rate
    shorter: list[list[Cell]] = [["ours", "0 ms", m.rows, m.calls, m.seconds, m.rate, ""] for m in ours[:-1]]
    return Result(
        what=(
            f"{tickets:,} training tickets (and a tenth more that are excluded), about 600 characters each, closed "
            f"over {_DAYS} days, in PostgreSQL {version} with the documented indexes, read through the local Data API. "
            f"Ours: DataApiTickets, including both censuses and the comparison of fingerprints, median of {times}. "
            f"Peer: the statement of the tool that this replaces, ORDER BY closed LIMIT {_PAGE_ROWS} OFFSET n until "
            f"no rows are left. Its {peer.calls:,} calls are estimated from every {every}th page, spread evenly over "
            "all offsets; the check compares the estimate with complete runs."
        ),
        says=(
            f"Through the Data API a window of {tickets:,} tickets is read in {ours[-1].seconds:.1f} s and "
            f"{ours[-1].calls} calls, including verification, {ratio:.0f} times as fast as with OFFSET; the rate at "
            f"all tickets is {linearity:.2f} of the rate at a quarter of them (1 is linear in rows, 0.25 quadratic)."
        ),
        tables=[
            Table(
                "Ours, and the estimated OFFSET run:",
                ["reader", "latency per call", "tickets", "calls", "seconds", "tickets/s", "ratio of rates"],
                [
                    *shorter,
                    ["ours", "0 ms", ours[-1].rows, ours[-1].calls, ours[-1].seconds, ours[-1].rate, ratio],
                    ["OFFSET (estimated)", "0 ms", peer.rows, peer.calls, peer.seconds, peer.rate, 1.0],
                    ["ours (one run)", "10 ms", late.rows, late.calls, late.seconds, late.rate, late_ratio],
                    ["OFFSET (estimated)", "10 ms", peer.rows, late_peer.calls, late_peer.seconds, late_peer.rate, 1.0],
                ],
            ),
            Table(
                "Check of the estimate, on windows of the same table with a complete OFFSET run:",
                [
                    "tickets",
                    "complete OFFSET run: calls",
                    "seconds",
                    "estimated from every 5th page: seconds",
                    "ratio",
                ],
                checks,
            ),
        ],
        goals=[
            Goal(
                f"at least {_GOAL_RATIO} times the OFFSET reader's rate at {tickets:,} tickets",
                f"{ratio:.0f} times",
                ratio >= _GOAL_RATIO,
            ),
            Goal(
                "linear in rows: at all tickets at least 0.7 of the rate at a quarter of them",
                f"{linearity:.2f}",
                linearity >= 0.7,
            ),
        ],
    )


def _last_days(days: float) -> Window:
    end = BATCH.training_window(_DAYS).end_at
    return Window(max(end - timedelta(days=days), BATCH.training_window(_DAYS).start_at), end)


def _read_with_ours(window: Window) -> _Measured:
    source = DataApiTickets(cluster_arn=DEFAULT_CLUSTER_ARN, secret_arn=DEFAULT_SECRET_ARN, region=REGION)
    calls: list[str] = []
    boto3.setup_default_session()
    if boto3.DEFAULT_SESSION is not None:
        boto3.DEFAULT_SESSION.events.register("before-call.rds-data", lambda event_name, **_: calls.append(event_name))
    seconds, table = timed(lambda: source.read_tickets(window))
    return _Measured(len(table), len(calls), seconds)


def _median(runs: list[_Measured]) -> _Measured:
    return sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]


class _OffsetReader:
    """The peer: one page at a time."""

    def __init__(self, window: Window) -> None:
        self._client = boto3.client("rds-data", config=Config(region_name=REGION))
        self._window = window

    def read_page(self, offset: int) -> int:
        """Read a page; returns its number of rows."""
        values = {"start": self._window.start, "end": self._window.end, "offset": offset}
        answer = self._client.execute_statement(
            resourceArn=DEFAULT_CLUSTER_ARN,
            secretArn=DEFAULT_SECRET_ARN,
            database="gata",
            sql=_OFFSET_SQL,
            parameters=[{"name": name, "value": {"longValue": value}} for name, value in values.items()],
            formatRecordsAs="JSON",
        )
        return len(json.loads(answer["formattedRecords"]))


def _check_estimate(window: Window) -> list[Cell]:
    """A row of the check: the complete run between two halves of the sample."""
    rows = _read_with_ours(window).rows
    samples = [_sample_offset(window, rows=rows, every=10, first=0)]
    whole = _read_with_offset(window)
    samples.append(_sample_offset(window, rows=rows, every=10, first=5))
    estimate = _joined(samples, whole.rows)
    return [whole.rows, whole.calls, whole.seconds, estimate.seconds, estimate.seconds / whole.seconds]


def _read_with_offset(window: Window) -> _Measured:
    """Read all pages, including the empty one at the end."""
    reader = _OffsetReader(window)

    def read() -> tuple[int, int]:
        rows = calls = 0
        while True:
            found = reader.read_page(rows)
            calls += 1
            if not found:
                return rows, calls
            rows += found

    reader.read_page(0)
    seconds, (rows, calls) = timed(read)
    return _Measured(rows, calls, seconds)


def _sample_offset(window: Window, *, rows: int, every: int, first: int) -> _Measured:
    """Read every `every`th page from page `first` on."""
    reader = _OffsetReader(window)
    pages = range(first, _pages(rows), every)
    reader.read_page(0)
    seconds, rows = timed(lambda: sum(reader.read_page(page * _PAGE_ROWS) for page in pages))
    return _Measured(rows, len(pages), seconds)


def _joined(samples: list[_Measured], rows: int) -> _Measured:
    """Estimate the complete run from samples of its pages."""
    calls = _pages(rows)
    seconds = sum(sample.seconds for sample in samples) / sum(sample.calls for sample in samples) * calls
    return _Measured(rows, calls, seconds)


def _pages(rows: int) -> int:
    """The number of calls until a page is empty."""
    return -(-rows // _PAGE_ROWS) + 1
