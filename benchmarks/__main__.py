"""The command line: which benchmarks run, and what becomes of their results."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import cast

from benchmarks.harness import Machine, Result, timed
from benchmarks.report import print_result, save, write_docs

# In the order of the report.
_BENCHMARKS = (
    "extraction_data_api",
    "extraction_postgresql",
    "prepare_sample",
    "prepare_large",
    "backfill",
    "split",
    "prepare_interactions",
    "features",
    "interaction_engines",
    "sampling",
    "curation",
)


def main() -> None:
    """Run the named benchmarks (all of them if none is named), or write the report of the last results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("name", nargs="*", help=f"{', '.join(_BENCHMARKS)}, or how some of them begin")
    parser.add_argument("--quick", action="store_true", help="a few tickets only, to see that it runs; not kept")
    parser.add_argument("--write-docs", action="store_true", help="measure nothing, write docs/benchmarks.md")
    arguments = parser.parse_args()
    if arguments.write_docs:
        print(f"Written: {write_docs(list(_BENCHMARKS))}")
        return
    chosen = [one for one in _BENCHMARKS if not arguments.name or one.startswith(tuple(arguments.name))]
    if not chosen:
        parser.error(f"there is no benchmark {' '.join(arguments.name)}; there are {', '.join(_BENCHMARKS)}")
    goals = []
    for name in chosen:
        run = cast(Callable[..., Result], import_module(f"benchmarks.{name}").run)
        machine = Machine.this()
        seconds, result = timed(lambda run=run: run(quick=arguments.quick))  # type: ignore[misc]
        print_result(name, result, seconds)
        if not arguments.quick:
            save(name, result, machine, seconds)
        goals += result.goals
    missed = [goal for goal in goals if not goal.is_met]
    if arguments.quick:
        print("\nThese sizes are too small to say anything of the goals.")
    print(f"\n{len(goals) - len(missed)} of {len(goals)} goals met.")
    for goal in missed:
        print(goal)


if __name__ == "__main__":
    main()
