"""Saves what `make soak` found, from pytest's JUnit report, for docs/benchmarks.md: by module, with commit and seed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.harness import PROJECT, RESULTS, Machine, Table, as_markdown

REPORT = RESULTS / "soak.xml"
SAVED = RESULTS / "soak.json"
# Tests draw from their own numbers; Hypothesis from the tests themselves (`derandomize`).
SEED = "fixed in each test"


def save(report: Path) -> dict[str, object]:
    """Save the counts of a JUnit report."""
    modules: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0.0])
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - pytest has just written it
        # A class of tests is the last part of the name, and has a capital.
        module = ".".join(part for part in str(case.get("classname")).split(".")[1:] if not part[:1].isupper())
        failed = any(child.tag in ("failure", "error") for child in case)
        found = modules[module]
        modules[module] = [found[0] + 1, found[1] + failed, found[2] + float(case.get("time", 0))]
    git = shutil.which("git") or "git"
    command = [git, "rev-parse", "--short", "HEAD"]
    asked = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    commit = asked.stdout.strip()
    rows = [[name, int(tests), int(failed), round(seconds)] for name, (tests, failed, seconds) in modules.items()]
    saved: dict[str, object] = {
        "commit": commit or "unknown",
        "seed": SEED,
        "at": Machine.this().at,
        "rows": sorted(rows),
    }
    SAVED.write_text(json.dumps(saved, indent=2) + "\n")
    return saved


def section() -> str:
    """The section of docs/benchmarks.md."""
    if not SAVED.exists():
        return "## Soak tests\n\n`make soak` runs them; no results are saved yet."
    saved = json.loads(SAVED.read_text())
    title = f"`make soak` at commit {saved['commit']}, {saved['at']}; seed: {saved['seed']}."
    return f"## Soak tests\n\n{as_markdown(Table(title, ['module', 'tests', 'failed', 'seconds'], saved['rows']))}"


if __name__ == "__main__":
    save(REPORT)
    print(section())
