"""Runs `gata` like `python -m gata_assets`, and writes the number of SQL statements on its ticket store to a file.

Counted in the process itself: `sqlite3.connect` is wrapped to set a trace callback on connections to the ticket store.
Dagster's own SQLite files are not counted. `python counted_gata.py RESULT TICKETS COMMAND…`
"""

from __future__ import annotations

import atexit
import os
import runpy
import sqlite3
import sys
from typing import Any

result, tickets, *command = sys.argv[1:]
connect = sqlite3.connect
statements = 0


def count(_statement: str) -> None:
    global statements
    statements += 1


def connect_counted(database: Any, *arguments: Any, **options: Any) -> sqlite3.Connection:
    connection: sqlite3.Connection = connect(database, *arguments, **options)
    if os.path.basename(tickets) in str(database):
        connection.set_trace_callback(count)
    return connection


def write() -> None:
    with open(result, "w") as file:
        file.write(str(statements))


sqlite3.connect = connect_counted  # type: ignore[assignment]
atexit.register(write)
# Remove this script's directory, whose modules are not the package's.
sys.path.pop(0)
sys.argv = ["gata", *command]
runpy.run_module("gata_assets", run_name="__main__", alter_sys=True)
