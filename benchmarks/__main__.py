"""The command line: selects benchmarks, and prints and saves their results."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import cast

from benchmarks.harness import Machine, Result, timed
from benchmarks.report import print_result, save, write_docs

# Their modules by name, in the order of the report.
_BENCHMARKS = {
    "extraction_data_api": "tickets.extraction_data_api",
    "extraction_postgresql": "tickets.extraction_postgresql",
    "prepare_sample": "tickets.prepare_sample",
    "prepare_large": "tickets.prepare_large",
    "backfill": "tickets.backfill",
    "split": "tickets.split",
    "near_duplicates": "tickets.near_duplicates",
    "normalize_texts": "tickets.normalize_texts",
    "prepare_interactions": "interactions.prepare_interactions",
    "features": "interactions.features",
    "interaction_engines": "interactions.engines",
    "sampling": "interactions.sampling",
    "curation": "interactions.curation",
    "byte_bounds": "interactions.byte_bounds",
    "shop_curation": "shop.curation",
    "masking": "masking",
    "shop_prod": "shop.prod",
    "uploads": "ingestion.uploads",
    "lake": "lake.curation",
    "online": "lake.online",
    "consume": "ingestion.consume",
    "events_latency": "ingestion.events_latency",
    "erasure": "governance.erasure",
}


def main() -> None:
    """Run the given benchmarks (default: all), or write the report of the last results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("name", nargs="*", help=f"{', '.join(_BENCHMARKS)}, or a prefix of them")
    parser.add_argument("--quick", action="store_true", help="small inputs, to check that it runs; results not saved")
    parser.add_argument("--write-docs", action="store_true", help="only write docs/benchmarks.md")
    arguments = parser.parse_args()
    if arguments.write_docs:
        print(f"Written: {write_docs(list(_BENCHMARKS))}")
        return
    chosen = [name for name in _BENCHMARKS if not arguments.name or name.startswith(tuple(arguments.name))]
    if not chosen:
        parser.error(f"unknown benchmark {' '.join(arguments.name)}; choose from {', '.join(_BENCHMARKS)}")
    goals = []
    for name in chosen:
        run = cast(Callable[..., Result], import_module(f"benchmarks.{_BENCHMARKS[name]}").run)
        machine = Machine.this()
        seconds, result = timed(lambda run=run: run(quick=arguments.quick))  # type: ignore[misc]
        print_result(name, result, seconds)
        if not arguments.quick:
            save(name, result, machine, seconds)
        goals += result.goals
    missed = [goal for goal in goals if not goal.is_met]
    if arguments.quick:
        print("\nThese inputs are too small to evaluate the goals.")
    print(f"\n{len(goals) - len(missed)} of {len(goals)} goals met.")
    for goal in missed:
        print(goal)


if __name__ == "__main__":
    main()
