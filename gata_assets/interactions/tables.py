"""The tables of the pipeline as values: those of raw files, and all by their names in pandera.

`schema` declares them. They are read from tables.json, so that rows are validated without pandera;
`python -m gata_assets_tests.reference` writes it, and a test fails while it is out of date.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

from gata_assets.tables.spec import TableSpec, tables_from_json

INTERACTIONS, ITEMS = "interactions", "items"
SPECS: Mapping[str, TableSpec] = tables_from_json((resources.files(__package__) / "tables.json").read_bytes())
# Items first: interactions refer to them.
TABLES: Mapping[str, TableSpec] = {ITEMS: SPECS["curated_items"], INTERACTIONS: SPECS["curated_interactions"]}
