"""The metadata of a batch's written tables for the UI: counts, places, and a preview of rows where it is allowed."""

from __future__ import annotations

from typing import Any

import dagster as dg

from gata_assets.errors import GataError
from gata_assets.interactions.assets.write_tables import WrittenTables
from gata_assets.interactions.datasets import BatchDataset
from gata_assets.orchestration.asset_pages.preview import preview
from gata_assets.storage.objects import ObjectStore


def describe_table(
    store: ObjectStore, tables: BatchDataset, written: WrittenTables, table: str, *, preview_rows: int
) -> dict[str, Any]:
    """A table's counts, files and reason; with `preview_rows` its first rows, which are read again, or why they cannot
    be read.
    """
    files = written.files.get(table, ())
    numbers = {name: value for name, value in tables.numbers[table].items() if name != "row_count"}
    place = {"path": dg.MetadataValue.path(store.uri(f"{written.prefix}{table}/"))} if files else {}
    return {
        "dagster/row_count": int(tables.numbers[table]["row_count"]),
        **numbers,
        **(_preview(store, files[0].key, preview_rows) if preview_rows and files else {}),
        "bytes": sum(file.size for file in files),
        "window": str(tables.windows["interactions"]),
        "is_made": tables.has_rows,
        "reason": tables.reason,
        **place,
        "manifest": dg.MetadataValue.path(store.uri(written.manifest_key)),
        **({"files_left": written.files_left} if written.files_left else {}),
    }


def _preview(store: ObjectStore, key: str, rows: int) -> dict[str, Any]:
    # Definitions load no Arrow.
    from gata_assets.storage.parquet_parts import read_first_rows

    try:
        return preview(read_first_rows(store, key, rows), most_rows=rows)
    except GataError as error:
        # The table is written: it is recorded without it.
        return {"preview": str(error)}
