"""The table of raw tickets as a value, read from tables.json, so that rows are validated without pandera.

`schema` declares it; `python -m gata_assets_tests.reference` writes the file, and a test fails while it is out of date.
"""

from __future__ import annotations

from importlib import resources

from gata_assets.tables.spec import TableSpec, tables_from_json

TICKETS = "tickets"
PRIORITIES = ("low", "normal", "high", "urgent")
RAW_TICKETS: TableSpec = tables_from_json((resources.files(__package__) / "tables.json").read_bytes())[TICKETS]


def is_of_lake(spec: TableSpec) -> bool:
    """Whether a table is the lake's, and no other of its name."""
    return bool(spec.declared_by == RAW_TICKETS.declared_by)
