"""The metadata of a batch's written tables for the UI: counts, places, and a preview of rows where it is allowed."""

from __future__ import annotations

from typing import Any

import dagster as dg

from gata_assets.interactions.assets.write_tables import WrittenTables
from gata_assets.interactions.datasets import BatchDataset
from gata_assets.orchestration.asset_pages.preview import preview
from gata_assets.storage.objects import ObjectStore


def describe_table(
    store: ObjectStore, tables: BatchDataset, written: WrittenTables, table: str, *, preview_rows: int
) -> dict[str, Any]:
    """A table's counts, files and reason; with `preview_rows` its first rows, which are read again.

    Raises StoreError or DamagedTableError if these rows cannot be read.
    """
    files = written.files.get(table, ())
    numbers = {name: value for name, value in tables.numbers[table].items() if name != "row_count"}
    place = {"path": dg.MetadataValue.path(store.uri(f"{written.prefix}{table}/"))} if files else {}
    shown = {}
    if preview_rows and files:
        # Definitions load no Arrow.
        from gata_assets.storage.parquet_parts import read_first_rows

        shown = preview(read_first_rows(store, files[0].key, preview_rows), most_rows=preview_rows)
    return {
        "dagster/row_count": int(tables.numbers[table]["row_count"]),
        **numbers,
        **shown,
        "bytes": sum(file.size for file in files),
        "window": str(tables.windows["interactions"]),
        "is_made": tables.has_rows,
        "reason": tables.reason,
        **place,
        "manifest": dg.MetadataValue.path(store.uri(written.manifest_key)),
        **({"files_left": written.files_left} if written.files_left else {}),
    }
