"""What all jobs have in common."""

from __future__ import annotations

# Dagster uses the loggers of the definitions only where a run names them.
RUN_CONFIG: dict[str, dict[str, dict[str, str]]] = {"loggers": {"console": {}}}
