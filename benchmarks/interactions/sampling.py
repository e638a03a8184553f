"""Negative sampling: 5M positives to 20M negatives in memory, and from Parquet to Parquet.

Measured: seconds from two arrays of codes to two arrays of negatives, ours and vectorized rejection with NumPy
interleaved; the errors of each; seconds from curated files to written training rows, by step; the seconds of our
checks; peak memory in separate processes. Not measured: the quality of a recommender.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.harness import PROJECT, Cell, Goal, Result, Table, in_turns, timed
from benchmarks.processes import IMAGE_VARIABLES, run_command
from gata_assets.interactions.features.events import EventTable, code_events
from gata_assets.interactions.rules import InteractionType, SamplingRules, SamplingStrategy
from gata_assets.interactions.sampling.candidates import choose_candidates
from gata_assets.interactions.sampling.checks import check_samples
from gata_assets.interactions.sampling.evidence import gather_evidence, weigh_items
from gata_assets.interactions.sampling.negatives import gather_histories, sample_negatives
from gata_assets.interactions.sampling.samples import SampledRows, sample_rows
from gata_assets.interactions.warm_up import warm_up
from gata_assets.tables.columns.hashing import hash_ids
from gata_assets.tables.outcomes import broken

RATIO = 4
UNIFORM = SamplingRules(
    positive_types=frozenset({InteractionType.CLICK}),
    min_interactions_per_user=1,
    min_interactions_per_item=1,
    max_interactions_per_user=10**6,
    ratio=RATIO,
    strategy=SamplingStrategy.UNIFORM,
    power=0.75,
    seed=42,
)
BY_POPULARITY = replace(UNIFORM, strategy=SamplingStrategy.POPULARITY)
_OURS, _OURS_ALONE, _OURS_POPULAR = "ours, two threads", "ours, one thread", "ours by popularity, two threads"
_NUMPY, _NUMPY_DISTINCT = "NumPy rejection (keys, searchsorted)", "NumPy rejection, without duplicates"

_TABLE = "negative_samples"

Codes = NDArray[np.int32]
Pairs = tuple[Codes, Codes]


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few pairs."""
    users, items, pairs, times = (2_000, 1_000, 50_000, 2) if quick else (100_000, 50_000, 5_000_000, 7)
    warm_up()
    positives = make_pairs(users, items, pairs)
    methods: dict[str, Callable[[], Pairs]] = {
        _OURS: partial(sample_in_memory, positives, users, items, UNIFORM, threads=2),
        _OURS_ALONE: partial(sample_in_memory, positives, users, items, UNIFORM, threads=1),
        _OURS_POPULAR: partial(sample_in_memory, positives, users, items, BY_POPULARITY, threads=2),
        _NUMPY: partial(reject_with_numpy, positives, users, items),
    }
    seconds = in_turns(methods, times=times)
    methods[_NUMPY_DISTINCT] = partial(reject_with_numpy, positives, users, items, distinct=True)
    faults = {}
    for name, method in methods.items():
        taken, drawn = timed(method)
        seconds.setdefault(name, taken)
        faults[name] = count_faults(positives, drawn, items)
    rows: list[list[Cell]] = [
        [name, seconds[name], faults[name][0] / seconds[name] / 1e6, faults[name][1], faults[name][2]]
        for name in methods
    ]
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        write_curated(positives, users, items, folder)
        np.save(folder / "pairs.npy", np.stack(positives))
        ours = [sys.executable, "-m", "benchmarks.interactions.sampling"]
        size = [str(users), str(items)]
        peaks = {}
        for mode in ("memory", "parquet"):
            command = [*ours, mode, str(folder), *size]
            peaks[mode] = run_command(command, directory=PROJECT, variables=IMAGE_VARIABLES).peak_bytes / 1e6
        from_files([folder, folder], {})
        steps: list[dict[str, float]] = [{} for _ in range(times)]
        for step in steps:
            sampled, _ = from_files([folder, folder], step)
        written = sum(path.stat().st_size for path in folder.glob(f"{_TABLE}/part-*.parquet"))
    taken_by = {name: median(step[name] for step in steps) for name in steps[0]}
    whole = median(sum(step[name] for name in step if name != "our checks") for step in steps)
    ratio, rate = seconds[_NUMPY] / seconds[_OURS], len(sampled.negatives.places) / whole / 1e6
    return Result(
        what=(
            f"{pairs:,} distinct positives of {users:,} users and {items:,} items, Zipf-like on both sides; {RATIO} "
            "negatives per positive. In memory: from two arrays of codes in random order to two arrays of codes, "
            f"including grouping by user. Medians of {times}; NumPy without duplicates ran once. From Parquet to "
            "Parquet: from a curated file with string ids and hashes, and its ids, to the rows of NegativeSamples as a "
            "batch writes them, with checksums."
        ),
        says=(
            f"{faults[_OURS][0] / seconds[_OURS] / 1e6:.0f}M negatives/s in memory, {ratio:.0f} times NumPy rejection, "
            f"which draws {faults[_NUMPY][2]:,} duplicates; ours draws none, and no seen items. From Parquet "
            f"to Parquet {rate:.1f}M negatives/s ({whole:.2f} s for {len(sampled):,} rows, "
            f"{written / len(sampled):.1f} bytes each); our checks of them take {taken_by['our checks']:.2f} s."
        ),
        tables=[
            Table("In memory:", ["method", "seconds", "M negatives/s", "seen items", "duplicates"], rows),
            Table("Parquet to Parquet:", ["step", "seconds"], [[name, taken] for name, taken in taken_by.items()]),
            Table("Peak memory of a process:", ["process", "MB"], [[name, peak] for name, peak in peaks.items()]),
        ],
        goals=[
            Goal("at least 15 times NumPy rejection in memory", f"{ratio:.1f} times", ratio >= 15),
            Goal(
                "no seen items and no duplicates among the negatives",
                f"{faults[_OURS][1]} and {faults[_OURS][2]}",
                faults[_OURS][1:] == (0, 0),
            ),
            Goal("in memory below 600 MB", f"{peaks['memory']:.0f} MB", peaks["memory"] < 600),
            Goal("at least 10M negatives/s from Parquet to Parquet", f"{rate:.1f}M", rate >= 10),
        ],
    )


def make_pairs(users: int, items: int, count: int) -> Pairs:
    """Distinct pairs in random order; the nth user's share is proportional to 1/sqrt(n), the nth item's to 1/n."""
    random = np.random.default_rng(11)
    keys = np.zeros(0, dtype=np.int64)
    while len(keys) < count:
        drawn = _zipf(random, users, 0.5, count // 2) * items + _zipf(random, items, 1.0, count // 2)
        keys = np.unique(np.concatenate([keys, drawn]))
    user, item = np.divmod(random.permutation(keys)[:count], items)
    return user.astype(np.int32), item.astype(np.int32)


def _zipf(random: np.random.Generator, values: int, exponent: float, size: int) -> NDArray[np.int64]:
    sums = np.cumsum(np.arange(1, values + 1) ** -exponent)
    drawn: NDArray[np.int64] = random.permutation(values)[np.searchsorted(sums, random.random(size) * sums[-1])]
    return drawn


def sample_in_memory(positives: Pairs, users: int, items: int, rules: SamplingRules, *, threads: int) -> Pairs:
    """Ours: returns the negatives' users and items."""
    user, item = positives
    by_popularity = rules.strategy is SamplingStrategy.POPULARITY
    interactions = np.bincount(item, minlength=items) if by_popularity else np.zeros(items, dtype=np.int64)
    candidates = choose_candidates(np.ones(items, dtype=np.bool_), interactions, rules)
    histories = gather_histories(
        user,
        item,
        candidates,
        keys=np.arange(users, dtype=np.uint64),
        wanted=np.bincount(user, minlength=users) * RATIO,
    )
    negatives = sample_negatives(histories, candidates, rules, threads=threads)
    return np.repeat(np.arange(users, dtype=np.int32), np.diff(negatives.starts)), negatives.places


def reject_with_numpy(positives: Pairs, users: int, items: int, *, distinct: bool = False) -> Pairs:
    """Draw all negatives at once, look up each pair in the sorted seen pairs, and redraw those found."""
    user, item = positives
    random = np.random.default_rng(42)
    seen = np.sort(user.astype(np.int64) * items + item)
    who = np.repeat(np.arange(users, dtype=np.int32), np.bincount(user, minlength=users) * RATIO)
    drawn = np.empty(len(who), dtype=np.int32)
    left = np.arange(len(who))
    while len(left):
        drawn[left] = random.integers(0, items, len(left), dtype=np.int32)
        if distinct:
            keys = who.astype(np.int64) * items + drawn
            order = np.argsort(keys, kind="stable")
            is_rejected = _are_in(keys, seen)
            is_rejected[order[1:][keys[order[1:]] == keys[order[:-1]]]] = True
            left = np.flatnonzero(is_rejected)
        else:
            left = left[_are_in(who[left].astype(np.int64) * items + drawn[left], seen)]
    return who, drawn


def _are_in(keys: NDArray[np.int64], seen: NDArray[np.int64]) -> NDArray[np.bool_]:
    places = np.searchsorted(seen, keys)
    places[places == len(seen)] = 0
    is_seen: NDArray[np.bool_] = seen[places] == keys
    return is_seen


def count_faults(positives: Pairs, drawn: Pairs, items: int) -> tuple[int, int, int]:
    """Count the negatives, the seen items among them, and the duplicates."""
    seen = np.sort(positives[0].astype(np.int64) * items + positives[1])
    keys = np.sort(drawn[0].astype(np.int64) * items + drawn[1])
    return len(keys), int(_are_in(keys, seen).sum()), int((keys[1:] == keys[:-1]).sum())


def write_curated(positives: Pairs, users: int, items: int, folder: Path) -> None:
    """Write a curated file of clicks a second apart, with ids and the columns that sampling reads, and the id files."""
    user_ids = pl.Series("user_id", [f"user-{number:08d}" for number in range(users)])
    item_ids = pl.Series("item_id", [f"item-{number:08d}" for number in range(items)])
    all_users, all_items = (
        pl.DataFrame([ids, hash_ids(ids).alias(f"{ids.name[:4]}_key")]) for ids in (user_ids, item_ids)
    )
    all_users.write_parquet(folder / "users.parquet")
    all_items.write_parquet(folder / "items.parquet")
    pl.concat(
        [
            all_users[positives[0]],
            all_items[positives[1]],
            pl.DataFrame(
                {
                    "timestamp": pl.Series(np.arange(len(positives[0])) * 10**6).cast(pl.Datetime("us", "UTC")),
                    "type_code": pl.Series(np.full(len(positives[0]), InteractionType.CLICK.code, dtype=np.uint8)),
                    "rating": pl.Series([None], dtype=pl.Float32).new_from_index(0, len(positives[0])),
                }
            ),
        ],
        how="horizontal",
    ).write_parquet(folder / "interactions.parquet", compression="zstd")


def from_files(folders: list[Path], seconds: dict[str, float]) -> tuple[SampledRows, EventTable]:
    """Read curated files, sample, and write the table; adds each step's seconds to `seconds`."""
    source, target = folders
    columns = ["user_key", "item_key", "timestamp", "type_code", "rating"]
    seconds["read"], read = timed(
        lambda: (
            pl.read_parquet(source / "interactions.parquet", columns=columns),
            pl.read_parquet(source / "users.parquet"),
            pl.read_parquet(source / "items.parquet"),
        )
    )
    seconds["code"], events = timed(lambda: code_events(*read))
    is_available = np.ones(len(events.items), dtype=np.bool_)
    seconds["sample"], rows = timed(
        lambda: sample_rows(events, first=0, is_available=is_available, rules=UNIFORM, threads=2)
    )
    seconds["write"], _ = timed(lambda: _write(rows, target))
    seconds["our checks"], _ = timed(lambda: _check(events, rows, is_available))
    return rows, events


def _write(rows: SampledRows, target: Path) -> None:
    # Imported here: the process that only samples in memory is measured without Dagster.
    from gata_assets.interactions.engines.polars import row_source
    from gata_assets.storage.local import LocalStore
    from gata_assets.storage.parquet_parts import write_tables

    write_tables(LocalStore(str(target)), "", {_TABLE: row_source(rows, rows.table)}, token=_TABLE, threads=2)


def _check(events: EventTable, rows: SampledRows, is_available: NDArray[np.bool_]) -> None:
    weights = weigh_items(np.bincount(events.item, minlength=len(events.items)), is_available, UNIFORM)
    evidence = gather_evidence(events, rows, weights, UNIFORM.ratio, threads=2)
    outcomes = check_samples(evidence, weights, reported_shortfall=rows.numbers["shortfall"])
    failed = broken(outcome for checked in outcomes.values() for outcome in checked)
    if failed:
        raise RuntimeError(f"{len(failed)} checks have failed: {failed[0]}")


def _main(mode: str, folder: str, users: str, items: str) -> None:
    if mode == "memory":
        user, item = np.load(Path(folder, "pairs.npy"))
        sample_in_memory((user, item), int(users), int(items), UNIFORM, threads=2)
    else:
        from_files([Path(folder), Path(folder)], {})


if __name__ == "__main__":
    _main(*sys.argv[1:])
