"""Read a window of tickets with the sources of whichever checkout is on the path, for `releases`.

`read_tickets.py sqlite|postgresql PLACE DAYS TIMES` prints the number of rows of all reads. A process of its own, run
by the checkout's own interpreter; it knows where each release keeps its sources.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

from gata_assets.batches import parse_batch_id

BATCH_ID = "2026010203"
# The newest layout first.
_SOURCES = {
    "sqlite": ("SqliteTickets", "path", ("tickets.sources.sqlite", "resources.sqlite_source")),
    "postgresql": ("PostgresTickets", "url", ("tickets.sources.postgres", "resources.postgres_source")),
}


def main() -> None:
    kind, place, days, times = sys.argv[1:]
    class_name, argument, modules = _SOURCES[kind]
    # A folder that a release does not have is no package to look into.
    found = [
        name
        for name in (f"gata_assets.{module}" for module in modules)
        if find_spec(".".join(name.split(".")[:2])) and find_spec(name)
    ]
    if not found:
        raise SystemExit(f"No module of {', '.join(modules)} is in this checkout: name its module in {__file__}")
    source = getattr(import_module(found[0]), class_name)(**{argument: place})
    window = parse_batch_id(BATCH_ID).training_window(int(days))
    print(sum(len(source.read_tickets(window)) for _ in range(int(times))))


if __name__ == "__main__":
    main()
