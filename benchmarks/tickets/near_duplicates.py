"""Near-duplicates across the split: processor time, memory and recall, by number of tickets, and what a backfill costs.

Each size runs in a process of its own; "more" is what its peak memory is above that of a process that only reads the
same texts. The peer, and the oracle of recall, is a comparison of all pairs that share a 3-gram, where that ends in
minutes.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
import polars as pl

from benchmarks.harness import BATCH, PROJECT, Cell, Goal, Result, Table
from benchmarks.processes import run_command, run_gata
from benchmarks.tickets import as_read, make_tickets
from gata_assets.tickets.splitting.near_duplicates import NearDuplicates, Sketches

_SIMILARITY = 0.8
_GOAL_SECONDS, _GOAL_MEGABYTES, _GOAL_RECALL, _GOAL_BACKFILL = 20, 600, 0.99, 1.5


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few tickets."""
    sizes = (2_000, 4_000) if quick else (25_000, 50_000, 100_000, 400_000)
    compared = 4_000 if quick else 50_000
    measured = {size: _measure(size, with_recall=size <= compared) for size in sizes}
    rows: list[list[Cell]] = [
        [
            f"{size:,}",
            found["seconds"],
            1_000_000 * found["seconds"] / size,
            found["megabytes"],
            f"{found['pairs']:,.0f}",
            found["uncertain"],
            found.get("recall", ""),
            found.get("peer_seconds", ""),
        ]
        for size, found in measured.items()
    ]
    ratios, seconds = _backfill(batches=6 if quick else 720)
    at = measured[max(size for size in sizes if size <= 100_000)]
    recall = min(found["recall"] for found in measured.values() if "recall" in found)
    growth = (measured[sizes[-1]]["seconds"] / sizes[-1]) / (measured[sizes[0]]["seconds"] / sizes[0])
    return Result(
        what=(
            "Tickets of about 600 characters, 8 % of them with another ticket's text, and a tenth of them copies of "
            f"another in which one to six words differ. Pairs with a Jaccard similarity of word 3-grams of at least "
            f"{_SIMILARITY}. Backfill: {ratios['batches']:,} hourly batches of the sample, off and count in turns."
        ),
        says=(
            f"100,000 tickets take {at['seconds']:.1f} s of processor time and {at['megabytes']:.0f} MB more; the time "
            f"per ticket at the largest size is {growth:.2f} of that at the smallest. A backfill takes "
            f"{ratios['ratio']:.2f} times the processor time with NEAR_DUPLICATES=count."
        ),
        tables=[
            Table(
                "Near-duplicates:",
                [
                    "tickets",
                    "processor seconds",
                    "microseconds per ticket",
                    "MB more",
                    "pairs",
                    "uncertain texts",
                    "recall",
                    "all pairs in Python: processor seconds",
                ],
                rows,
            ),
            Table("Backfill:", ["NEAR_DUPLICATES", "processor seconds"], [[k, v] for k, v in seconds.items()]),
        ],
        goals=[
            Goal(
                f"100,000 tickets: at most {_GOAL_SECONDS} s of processor time",
                f"{at['seconds']:.1f} s",
                at["seconds"] <= _GOAL_SECONDS,
            ),
            Goal(
                f"100,000 tickets: at most {_GOAL_MEGABYTES} MB more",
                f"{at['megabytes']:.0f} MB",
                at["megabytes"] <= _GOAL_MEGABYTES,
            ),
            Goal(f"recall of at least {_GOAL_RECALL}", f"{recall:.4f}", recall >= _GOAL_RECALL),
            Goal("linear to the largest size: at most 1.5 times the time per ticket", f"{growth:.2f}", growth <= 1.5),
            Goal(
                f"a backfill takes at most {_GOAL_BACKFILL} times as long with count",
                f"{ratios['ratio']:.2f}",
                ratios["ratio"] <= _GOAL_BACKFILL,
            ),
        ],
    )


def _measure(size: int, *, with_recall: bool) -> dict[str, float]:
    """Measure a size in a process of its own, against one that only reads the texts."""
    with TemporaryDirectory() as directory:
        texts, file = Path(directory, "texts.parquet"), Path(directory, "found.json")
        _texts(size).alias("text").to_frame().write_parquet(texts)
        peaks = {}
        for what in ("read", "compare", "compare with recall") if with_recall else ("read", "compare"):
            command = [sys.executable, "-m", "benchmarks.tickets.near_duplicates", what, str(texts), str(file)]
            run_command(command, directory=PROJECT)
            found: dict[str, float] = json.loads(file.read_text())
            peaks[what] = found["peak_megabytes"]
    return {**found, "megabytes": peaks["compare"] - peaks["read"]}


def _texts(size: int) -> pl.Series:
    """Distinct texts of tickets, a tenth of them near-duplicates of another."""
    tickets = as_read(make_tickets(BATCH.training_window(90), size, labels=17, seed=3, repeated_share=0.08)[:size])
    texts, rng = tickets["text"].tolist(), np.random.default_rng(3)
    for source, target, changes in rng.integers([0, 0, 1], [size, size, 7], (size // 10, 3)).tolist():
        words = texts[source].split(" ")
        for place in rng.integers(0, len(words), changes).tolist():
            words[place] = f"x{rng.integers(10**6)}"
        texts[target] = " ".join(words)
    return pl.Series(texts, dtype=pl.String).unique(maintain_order=True)


def _peak_megabytes() -> float:
    """The peak memory of this process; not that of its parent, which getrusage includes."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1_024


def _compare(texts: pl.Series, *, with_recall: bool) -> dict[str, float]:
    started = process_time()
    near = NearDuplicates(texts, similarity=_SIMILARITY)
    pairs = near.among(np.arange(len(texts)))
    found: dict[str, float] = {"seconds": process_time() - started, "peak_megabytes": _peak_megabytes()}
    found |= {"pairs": len(pairs.first), "uncertain": int(pairs.is_uncertain.sum())}
    if with_recall:
        started = process_time()
        expected = _all_pairs(texts.to_list())
        found["peer_seconds"] = process_time() - started
        ours = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
        found["recall"] = len(ours & expected) / len(expected)
        if ours - expected:
            raise RuntimeError("a pair that is not similar was found")
    return found


def _all_pairs(texts: list[str]) -> set[tuple[int, int]]:
    """Compare all pairs that share a 3-gram, in plain Python."""
    texts_with: dict[tuple[str, ...], list[int]] = defaultdict(list)
    sizes, found = [], set()
    for place, text in enumerate(texts):
        words = text.split(" ")
        shingles = {tuple(words[at : at + 3]) for at in range(max(len(words) - 2, 1))}
        sizes.append(len(shingles))
        shared = Counter(earlier for shingle in shingles for earlier in texts_with[shingle])
        for earlier, count in shared.items():
            if count >= _SIMILARITY * (sizes[earlier] + len(shingles) - count) - 1e-9:
                found.add((earlier, place))
        for shingle in shingles:
            texts_with[shingle].append(place)
    return found


def _backfill(*, batches: int) -> tuple[dict[str, float], dict[str, float]]:
    """Processor seconds of a backfill of the sample, off and count in turns, the better of two."""
    seconds = {"off": float("inf"), "count": float("inf")}
    days, hours = divmod(batches - 1, 24)
    with TemporaryDirectory() as directory:
        folder = Path(directory)
        run_gata("sample-data", "--interactions", "0", "--until", "2026-02-01", directory=folder)
        for turn in range(2):
            for policy in seconds:
                variables = {"NEAR_DUPLICATES": policy, "TARGET_DIR": f"{policy}-{turn}"}
                span = ("2026010100", f"202601{1 + days:02}{hours:02}")
                done = run_gata("backfill", *span, "--only", "tickets", directory=folder, variables=variables)
                seconds[policy] = min(seconds[policy], done.processor_seconds)
    return {"ratio": seconds["count"] / seconds["off"], "batches": batches}, seconds


if __name__ == "__main__":
    chosen, source, target = sys.argv[1:]
    column = pl.read_parquet(source)["text"]
    # Loops are compiled, and libraries loaded, before anything is measured.
    Sketches.of(pl.Series(["a b c d", "e f g h"]), similarity=_SIMILARITY).find_pairs()
    result = {"peak_megabytes": _peak_megabytes()}
    if chosen != "read":
        result = _compare(column, with_recall=chosen == "compare with recall")
    Path(target).write_text(json.dumps(result))
