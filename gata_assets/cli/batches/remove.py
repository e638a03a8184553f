"""`gata batches remove`: removes all that the target has of a batch."""

from __future__ import annotations

import json

import click

from gata_assets.cli.batches.stored import choose_pipelines
from gata_assets.cli.terminal import text_console
from gata_assets.definitions.stores import build_store
from gata_assets.orchestration.batches.stored import find_files, remove_files
from gata_assets.settings.model import Settings


def run(
    settings: Settings, batch_id: str, *, is_confirmed: bool, only: str | None, tenant: str | None, as_table: bool
) -> bool:
    """Remove a batch once it is confirmed, and return whether all of it went; raises StoreError or SettingsError."""
    store, console = build_store(settings), text_console()
    pipelines = choose_pipelines(settings, only=only, tenant=tenant)
    # A tenant may have several pipelines.
    of_pipelines = [(pipeline.scope or pipeline.name, find_files(pipeline, store, batch_id)) for pipeline in pipelines]
    found = [(scope, keys) for scope, keys in of_pipelines if keys]
    files = sum(len(keys) for _, keys in found)
    if not files:
        text_console(stderr=True).print(f"{settings.target.place} has nothing of batch {batch_id}.", markup=False)
        return False
    scopes = [scope for scope, _ in found]
    of = ", ".join(scopes)
    if not is_confirmed:
        click.confirm(
            f"Remove {files:,} files of batch {batch_id} ({of}) from {settings.target.place}?", abort=True, err=True
        )
    failures: list[str] = []
    removed = 0
    for _, keys in found:
        for _, error in remove_files(store, keys):
            removed += error is None
            failures += [str(error)] if error else []
    if as_table:
        for failure in failures:
            console.print(f"FAILED {failure}", markup=False)
        console.print(f"{removed:,} of {files:,} files of batch {batch_id} ({of}) are removed.", markup=False)
    else:
        event = "BATCH_NOT_REMOVED" if removed < files else "BATCH_REMOVED"
        print(
            json.dumps(
                {
                    "event": event,
                    "batch_id": batch_id,
                    "files": files,
                    "removed": removed,
                    "of": scopes,
                    "failures": failures,
                }
            )
        )
    return removed == files
