"""The settings that all jobs share."""

from __future__ import annotations

# Dagster uses the loggers of the definitions only if a run names them.
RUN_CONFIG: dict[str, dict[str, dict[str, str]]] = {"loggers": {"console": {}}}
