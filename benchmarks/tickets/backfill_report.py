"""The report of `backfill`: tables, goals and sentences from its measurements."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.harness import Cell, Goal, Result, Table

if TYPE_CHECKING:
    from benchmarks.tickets.backfill import Bench, Pair

_GOAL_CALLS = 50
_GOAL_TIME = 20
_GOAL_GB = 1.5


def describe(bench: Bench, pairs: Sequence[Pair], by_dagster: Sequence[float], tickets: str) -> Result:
    """The result of all runs; `by_dagster` are seconds of Dagster runs, `tickets` describes the input."""
    batches = len(bench.batches)
    peers = [pair.whole_peer(batches) for pair in pairs]
    times = [peer.seconds / pair.ours.seconds for pair, peer in zip(pairs, peers, strict=True)]
    calls = [peer.calls / pair.ours.calls for pair, peer in zip(pairs, peers, strict=True)]
    whole: list[list[Cell]] = []
    for pair, peer in zip(pairs, peers, strict=True):
        for how, one, of in (
            ("gata backfill", pair.ours, batches),
            ("gata prepare, each (extrapolated)", peer, len(pair.peer)),
        ):
            whole.append(
                [
                    pair.source.name,
                    pair.recorded,
                    how,
                    of,
                    one.seconds / batches,
                    one.seconds,
                    one.calls,
                    round(one.peak_bytes / 1e6),
                ]
            )
    a_run = median(by_dagster)
    whole.append(
        [
            "embedded",
            "recorded",
            "a Dagster run each (extrapolated)",
            len(by_dagster),
            a_run,
            a_run * batches,
            "not counted",
            "not taken",
        ]
    )
    unrecorded, recorded, through_api = times
    return Result(
        what=(
            f"{batches} hourly batches, {bench.batches[0].batch_id} to {bench.batches[-1].batch_id}, over {tickets}, "
            "into an empty local directory: "
            f"{bench.written_bytes / 1e9:.2f} GB. Ours: one process of `gata backfill`, run once. Peer: a process of "
            f"`gata prepare` for each of {len(bench.sample)} evenly spread batches, half of them before ours and half "
            f"after; its totals are their medians times {batches}, its memory is their maximum. Recorded: in "
            "a Dagster instance with this project's dagster.yaml (SQLite), ours in an empty one, the peer's in one "
            "with an earlier run. Calls: SQL statements on the SQLite file, counted inside each process; "
            "ExecuteStatement calls, counted by the Data API's server, whose memory is not included. "
            "A Dagster run: `dagster asset materialize --partition`, equivalent to a run that the daemon launches for "
            "a backfill with one run per batch, without the daemon's queue. All outputs for the sample, ours and the "
            "peer's, from both sources, were compared."
        ),
        says=(
            f"{batches} batches in one process take {pairs[0].ours.seconds:.0f} s embedded, "
            f"{pairs[1].ours.seconds:.0f} s if recorded, and {pairs[2].ours.seconds:.0f} s through the "
            f"Data API with {pairs[2].ours.calls} calls: {unrecorded:.1f}, {recorded:.1f} and {through_api:.1f} times "
            f"faster than one by one, and {a_run * batches / pairs[1].ours.seconds:.1f} times faster (recorded) than "
            f"with a Dagster run each. Recorded, it takes {pairs[1].ours.seconds / pairs[0].ours.seconds:.2f} times as "
            "long as unrecorded."
        ),
        tables=[
            Table(
                "All batches:",
                [
                    "source",
                    "record",
                    "command",
                    "batches run",
                    "seconds per batch",
                    f"seconds of {batches}",
                    "database calls",
                    "peak memory (MB)",
                ],
                whole,
            ),
            Table(
                "One by one / ours:",
                ["source", "record", "time", "database calls", "fastest and slowest of the sample (s)"],
                [
                    [pair.source.name, pair.recorded, time, call, _range(pair)]
                    for pair, time, call in zip(pairs, times, calls, strict=True)
                ],
            ),
        ],
        goals=[
            goal
            for pair, time, call in zip(pairs, times, calls, strict=True)
            for goal in (
                Goal(
                    f"{pair.name}: at least {_GOAL_CALLS} times fewer database calls",
                    f"{call:.0f} times",
                    call >= _GOAL_CALLS,
                ),
                Goal(f"{pair.name}: at least {_GOAL_TIME} times less time", f"{time:.1f} times", time >= _GOAL_TIME),
                Goal(
                    f"{pair.name}: peak memory under {_GOAL_GB} GB",
                    f"{pair.ours.peak_bytes / 1e9:.2f} GB",
                    pair.ours.peak_bytes < _GOAL_GB * 1e9,
                ),
            )
        ]
        + [
            Goal(
                "the outputs for the sample are equal byte for byte",
                f"{bench.compared - bench.only_rows_equal:,} of {bench.compared:,} compared files; "
                f"{bench.only_rows_equal:,} tables have equal rows in other bytes",
                not bench.only_rows_equal,
            )
        ],
    )


def _range(pair: Pair) -> str:
    seconds = [run.seconds for run in pair.peer]
    return f"{min(seconds):.2f} to {max(seconds):.2f}"
