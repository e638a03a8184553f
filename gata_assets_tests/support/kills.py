"""A log handler that kills its process after so many records of batches, for `python_logs` of a dagster.yaml.

Dagster calls it once an event is stored, so that the process ends between two events of one batch.
"""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

import dagster as dg

KILL_AFTER = "KILL_AFTER"
_RECORDS = (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION)


class KillsItself(logging.Handler):
    """Kills the process when it has stored as many records as the variable KILL_AFTER says; never without it."""

    def __init__(self) -> None:
        super().__init__()
        self._left = int(os.environ.get(KILL_AFTER, "-1"))

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_meta", {}).get("dagster_event")
        if isinstance(event, dg.DagsterEvent) and event.event_type in _RECORDS:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def home_that_kills(home: Path, configuration: Path) -> Path:
    """A Dagster home of that configuration, whose runs have the handler in place of the project's."""
    home.mkdir()
    name = f"{KillsItself.__module__}.{KillsItself.__qualname__}"
    text = configuration.read_text().replace("gata_assets.logs.JsonLinesHandler", name)
    assert name in text
    (home / "dagster.yaml").write_text(text)
    return home
