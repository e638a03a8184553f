"""Saves results as JSON, and writes docs/benchmarks.md from them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import soak
from benchmarks.harness import PROJECT, RESULTS, Goal, Machine, Result, Table, as_markdown

DOCS = PROJECT / "docs" / "benchmarks.md"


def save(name: str, result: Result, machine: Machine, seconds: float) -> None:
    """Save a result, replacing an earlier one."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    content = {"name": name, "machine": machine.as_dict(), "took_seconds": round(seconds, 1), **asdict(result)}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


def print_result(name: str, result: Result, seconds: float) -> None:
    """Print a result."""
    print(f"\n## {name} ({seconds:.0f} s)\n\n{result.says}\n", flush=True)
    for table in result.tables:
        print(as_markdown(table), end="\n\n")
    for goal in result.goals:
        print(goal)


def write_docs(names: list[str]) -> Path:
    """Write docs/benchmarks.md from the saved results; raises FileNotFoundError for a missing one."""
    results = [json.loads((RESULTS / f"{name}.json").read_text()) for name in names]
    parts = [_header(results), *(_section(result) for result in results), soak.section()]
    DOCS.parent.mkdir(exist_ok=True)
    DOCS.write_text("\n\n".join(parts) + "\n")
    return DOCS


def _header(results: list[dict[str, Any]]) -> str:
    machine = results[-1]["machine"]
    if len({_without_time(result["machine"]) for result in results}) > 1:
        raise ValueError("the results are from several machines or library versions: run all benchmarks on one machine")
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    goals = [goal for result in results for goal in result["goals"]]
    missed = sum(not goal["is_met"] for goal in goals)
    return "\n".join(
        [
            "# Benchmarks",
            "",
            (
                "Written by `python -m benchmarks --write-docs`; do not edit. `make bench` runs all benchmarks "
                "(benchmarks/results/) on this machine, with databases and servers started for them. Seconds are "
                "wall-clock; compared values were measured in the same run."
            ),
            "",
            (
                "Two releases are compared by `python -m benchmarks.releases OLD_CHECKOUT [NEW_CHECKOUT]`, each with "
                "its own `.venv`: both run the same workloads in turns, and it prints medians of the processor time "
                "(of the process and its children) and of the peak memory, and the ratios of each round's pair. "
                "`--only` names workloads, `--rounds` says how often they run."
            ),
            "",
            "| | |",
            "| --- | --- |",
            f"| Date | {machine['at']} |",
            (
                f"| Machine | {machine['cores']} cores, {machine['memory_gib']} GiB of memory, {machine['cpu']}, "
                f"{machine['system']} |"
            ),
            f"| Python | {machine['python']} |",
            f"| Libraries | {libraries} |",
            f"| Goals | {len(goals) - missed} of {len(goals)} met |",
        ]
    )


def _without_time(machine: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in machine.items() if name != "at"}, sort_keys=True)


def _section(result: dict[str, Any]) -> str:
    tables = [as_markdown(Table(**table)) for table in result["tables"]]
    goals = "\n".join(f"- {Goal(**goal)}." for goal in result["goals"])
    return "\n\n".join(
        [
            f"## {result['name']}",
            f"What: {result['what']}",
            f"Command: `python -m benchmarks {result['name']}` ({result['took_seconds']:.0f} s)",
            *tables,
            result["says"],
            goals,
        ]
    )
