"""`gata batches list` and `show`: what the target has of batches, for people or as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from gata_assets.cli.batches import preview
from gata_assets.cli.batches.registry import build_pipelines
from gata_assets.cli.terminal import table_console, text_console, wrapped
from gata_assets.definitions.stores import build_store
from gata_assets.errors import SettingsError
from gata_assets.logs import default_logger
from gata_assets.orchestration.batches.stored import StoredBatch, StoredDataset, read_batches
from gata_assets.orchestration.pipelines import Pipeline, describe_size
from gata_assets.settings.model import Settings
from gata_assets.storage.objects import ObjectStore


def choose_pipelines(settings: Settings, *, only: str | None, tenant: str | None) -> list[Pipeline]:
    """The pipelines with batches; raises SettingsError if there is none of that name or tenant."""
    found = build_pipelines(settings, default_logger("ERROR"), only=only)
    if tenant is None:
        return found
    of_tenant = [pipeline for pipeline in found if pipeline.scope == tenant]
    if not of_tenant:
        scopes = ", ".join(sorted({pipeline.scope for pipeline in found if pipeline.scope})) or "there are none"
        raise SettingsError(f"--tenant: {tenant} is not prepared. Tenants: {scopes}.")
    return of_tenant


def list_batches(settings: Settings, *, limit: int, only: str | None, tenant: str | None, as_table: bool) -> None:
    """List the newest batches of each pipeline; raises StoreError or SettingsError."""
    store = build_store(settings)
    of_pipelines = [
        (pipeline, pipeline.stored_batch_ids()) for pipeline in choose_pipelines(settings, only=only, tenant=tenant)
    ]
    known = sorted({batch_id for _, batch_ids in of_pipelines for batch_id in batch_ids}, reverse=True)
    shown = set(known[:limit])
    found = [
        batch
        for pipeline, batch_ids in of_pipelines
        for batch in read_batches(pipeline, store, [batch_id for batch_id in batch_ids if batch_id in shown])
    ]
    # Newest first; of a batch, the pipelines in their order.
    found.sort(key=lambda batch: batch.batch_id, reverse=True)
    if as_table:
        _print_list(found, shown=len(shown), known=len(known), target=settings.target.place)
        return
    for batch in found:
        print(json.dumps(describe(batch)))
    print(json.dumps({"event": "BATCHES_LISTED", "batches": len(known), "shown": len(shown)}))


def show_batch(
    settings: Settings, batch_id: str, *, rows: int | None, only: str | None, tenant: str | None, as_table: bool
) -> bool:
    """Show a batch of each pipeline, and return whether there is any; raises StoreError or SettingsError.

    For people, with the first `rows` of each table, as far as they are allowed.
    """
    store, shown_rows = build_store(settings), preview.allowed_rows(settings, rows)
    found = [
        batch
        for pipeline in choose_pipelines(settings, only=only, tenant=tenant)
        for batch in (read_batches(pipeline, store, [batch_id]) if batch_id in pipeline.stored_batch_ids() else ())
    ]
    for batch in found:
        if as_table:
            _print_batch(batch, store, shown_rows)
        else:
            print(json.dumps(describe(batch, store=store)))
    if found and as_table and rows is not None and rows > shown_rows:
        preview.print_forbidden()
    if not found:
        text_console(stderr=True).print(f"{settings.target.place} has nothing of batch {batch_id}.", markup=False)
    return bool(found)


def describe(batch: StoredBatch, *, store: ObjectStore | None = None) -> dict[str, object]:
    """A batch for machines; with `store`, also where its datasets are, their windows and settings."""
    return {
        "event": "BATCH",
        "batch_id": batch.batch_id,
        "pipeline": batch.pipeline,
        **({"tenant": batch.scope} if batch.scope else {}),
        "state": batch.state,
        "reasons": batch.reasons,
        "datasets": [_describe_dataset(dataset, store) for dataset in batch.datasets],
    }


def _describe_dataset(dataset: StoredDataset, store: ObjectStore | None) -> dict[str, object]:
    more: dict[str, object] = {}
    if store and dataset.manifest:
        manifest = dataset.manifest
        more = {
            "folder": store.uri(dataset.folder),
            "windows": manifest.details.get("windows"),
            "settings": dict(manifest.settings),
            "code_version": manifest.code_version,
            "labels": dataset.labels,
            "label_names": dataset.label_names,
        }
    return {
        "dataset": dataset.name,
        "rows": dataset.rows,
        "bytes": dataset.size,
        "label_count": len(dataset.labels),
        "reason": dataset.reason or None,
        **more,
    }


def _print_list(batches: Sequence[StoredBatch], *, shown: int, known: int, target: str) -> None:
    console = text_console()
    if not batches:
        console.print(f"There is no batch in {target}. `gata prepare latest` prepares the first.", markup=False)
        return
    for batch in batches:
        console.print(f"{batch.batch_id}, {batch.scope or batch.pipeline}: {batch.state}", markup=False)
        for dataset in batch.datasets:
            labels = f"{len(dataset.labels):,} labels" if dataset.labels else ""
            size = describe_size(dataset.size) if dataset.size else ""
            facts = (_rows(dataset) or dataset.reason, labels, size)
            console.print(wrapped(f"{dataset.name}: {', '.join(filter(None, facts))}"), markup=False)
    not_up_to_date = {batch.batch_id for batch in batches if batch.reasons}
    if not_up_to_date:
        console.print(f"{len(not_up_to_date):,} are not up to date: `gata batches show` says why.", markup=False)
    if known > shown:
        console.print(f"The newest {shown:,} of {known:,} batches; --limit shows more.", markup=False)


def _print_batch(batch: StoredBatch, store: ObjectStore, rows: int) -> None:
    console = table_console()
    why = f": {'; '.join(batch.reasons)}" if batch.reasons else ""
    console.print(f"Batch {batch.batch_id}, {batch.scope or batch.pipeline}: {batch.state}{why}", markup=False)
    for dataset in batch.datasets:
        console.print(f"\n{dataset.name}: {_rows(dataset) or dataset.reason}", markup=False)
        if dataset.manifest is None:
            continue
        console.print(f"  {store.uri(dataset.folder)}", markup=False)
        for line in _facts(dataset):
            console.print(wrapped(line), markup=False)
        if dataset.labels:
            console.print(_label_table(dataset))
        if rows:
            preview.print_rows(store, dataset, rows)


def _facts(dataset: StoredDataset) -> Iterator[str]:
    if dataset.manifest is None:
        return
    windows = dataset.manifest.details.get("windows") or {}
    for name, window in windows.items():
        yield f"{name}: {window['start_at']} to {window['end_at']}"
    settings = ", ".join(f"{name}={value}" for name, value in sorted(dataset.manifest.settings.items()))
    yield f"built by release {dataset.manifest.code_version} with {settings}"


def _label_table(dataset: StoredDataset) -> Table:
    """The label distribution, most rows first."""
    parts = list(dataset.rows)
    table = Table("label", *(["name"] if dataset.label_names else []))
    for part in (*parts, "share"):
        table.add_column(part, justify="right")
    total = sum(dataset.rows.values())
    by_rows = sorted(dataset.labels.items(), key=lambda entry: (-sum(entry[1].values()), entry[0]))
    for label, rows in by_rows:
        name = [Text(dataset.label_names.get(label, ""))] if dataset.label_names else []
        counts = [f"{rows.get(part, 0):,}" for part in parts]
        table.add_row(label, *name, *counts, f"{sum(rows.values()) / total:.1%}")
    return table


def _rows(dataset: StoredDataset) -> str:
    return ", ".join(f"{rows:,} {part}" for part, rows in dataset.rows.items())
