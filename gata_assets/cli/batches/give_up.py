"""`gata batches give-up`: marks a batch that failed, so that it is no longer shown as failed."""

from __future__ import annotations

import json

from gata_assets.cli.batches.stored import choose_pipelines
from gata_assets.cli.terminal import text_console
from gata_assets.environment import dagster_home
from gata_assets.errors import SettingsError
from gata_assets.orchestration.batches.given_up import give_up
from gata_assets.orchestration.instances import open_instance
from gata_assets.settings.model import Settings


def run(
    settings: Settings, batch_id: str, reason: str, *, only: str | None, tenant: str | None, as_table: bool
) -> bool:
    """Mark what failed of a batch, and return whether anything had failed; raises SettingsError or DataRuleError."""
    if dagster_home() is None:
        raise SettingsError("DAGSTER_HOME is unset: no run is recorded, so there is nothing to mark.")
    pipelines = choose_pipelines(settings, only=only, tenant=tenant)
    with open_instance() as instance:
        marked = [asset for pipeline in pipelines for asset in give_up(pipeline, instance, batch_id, reason)]
    if not as_table:
        event = "BATCH_GIVEN_UP" if marked else "NO_FAILED_BATCH"
        print(json.dumps({"event": event, "batch_id": batch_id, "assets": marked}))
    elif marked:
        text_console().print(f"Batch {batch_id} is given up: {', '.join(marked)}.", markup=False)
    else:
        text_console(stderr=True).print(f"No run of batch {batch_id} failed last: nothing to give up.", markup=False)
    return bool(marked)
