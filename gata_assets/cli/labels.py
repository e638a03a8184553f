"""`gata labels`: the ids of labels that are names, with the tickets of the newest prepared batch."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from gata_assets.batches import is_batch_id
from gata_assets.cli.terminal import text_console
from gata_assets.definitions.stores import build_store
from gata_assets.settings.model import Settings
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import Manifest
from gata_assets.tickets.labels.stored_labels import LABELS_KEY, StoredLabels
from gata_assets.tickets.training_files import GENERAL_DATASET, batches_folder, dataset_folder


def show(settings: Settings, *, as_table: bool) -> None:
    """Show each label's id and name, and its rows in the newest general dataset; raises StoreError."""
    store = build_store(settings)
    names = StoredLabels(store).names()
    batch_id, rows = _newest_rows(store) if names else ("", {})
    if not as_table:
        for label, name in names.items():
            print(json.dumps({"event": "LABEL", "id": label, "name": name, "rows": rows.get(str(label), 0)}))
        print(json.dumps({"event": "LABELS_LISTED", "labels": len(names), "batch_id": batch_id or None}))
        return
    console = text_console()
    if not names:
        console.print(f"No label has a name: there is no {store.uri(LABELS_KEY)}.", markup=False)
        return
    title = f"Labels, with their rows in the general dataset of batch {batch_id}" if batch_id else "Labels"
    table = Table("id", "name", title=title, title_justify="left")
    table.add_column("rows", justify="right")
    for label, name in names.items():
        table.add_row(str(label), Text(name), f"{rows.get(str(label), 0):,}")
    console.print(table)


def _newest_rows(store: ObjectStore) -> tuple[str, Mapping[str, int]]:
    """The newest batch with a general dataset, and the dataset's rows by label."""
    for batch_id in sorted(filter(is_batch_id, store.list_folders(batches_folder(GENERAL_DATASET))), reverse=True):
        manifest = find_manifest(store, dataset_folder(GENERAL_DATASET, batch_id)).manifest
        if manifest is not None:
            return batch_id, _rows(manifest)
    return "", {}


def _rows(manifest: Manifest) -> Mapping[str, int]:
    labels = manifest.details["labels"]
    if not isinstance(labels, Mapping):
        return {}
    return {label: sum(rows.values()) for label, rows in labels.items()}
