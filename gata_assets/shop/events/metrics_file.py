"""The file of a textfile collector: read, added to and replaced, one process after another on this machine."""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from pathlib import Path

from gata_assets.shop.events.prometheus import Series, add_series


def add_to_metrics_file(path: Path, series: Sequence[Series]) -> None:
    """Add samples to a file, which readers see before or after, and never in between.

    Raises:
        OSError: If it cannot be written.
    """
    # No name that a collector reads (*.prom).
    with path.with_name(f".{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        part = path.with_name(f".{path.name}.part")
        part.write_text(add_series(text, series), encoding="utf-8")
        part.replace(path)
