"""A tenant's raw files of a table as a node of the lineage: not built here, only observed.

Each run that curates the table observes them, so the node's page shows how many files and rows there are, and why rows
are in quarantine; the numbers plot over runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from gata_assets.curation.superseding import replaced_files
from gata_assets.orchestration.asset_pages.bar_chart import bar_chart
from gata_assets.tables.spec import TableSpec

if TYPE_CHECKING:
    from gata_assets.curation.reports import Report


def raw_files_key(tenant: str, table: str) -> dg.AssetKey:
    """The node of the raw files of a tenant's table."""
    return dg.AssetKey([tenant, f"raw_{table}"])


def raw_files_spec(tenant: str, spec: TableSpec, *, group: str, folder: str | None = None) -> dg.AssetSpec:
    """The specification of that node; `folder` is where others deliver the files, if `gata ingest` does not."""
    if folder:
        description = f"The raw files of `{spec.table}` below `{folder}`, as they are delivered."
    else:
        description = (
            f"The raw files of `{spec.table}`, which `gata ingest` or an upload puts below `{tenant}/raw/`. "
            f"`gata files --tenant {tenant}` lists them with what became of each, and `gata quarantine rows --tenant "
            f"{tenant}` shows rejected rows."
        )
    key = raw_files_key(tenant, spec.table)
    return dg.AssetSpec(key, description=description, group_name=group, kinds={"file"})


def observe_raw_files(tenant: str, table: str, reports: Sequence[Report]) -> dg.AssetObservation:
    """The files that count (not superseded) and their rows: valid, in quarantine, and by broken rule."""
    replaced = replaced_files(reports)
    counting = [report for report in reports if report.file_id not in replaced]
    rules: Counter[str] = Counter()
    for report in counting:
        rules.update(report.rejected_by_rule)
    rows, rejected = sum(report.rows for report in counting), sum(report.rejected for report in counting)
    return dg.AssetObservation(
        raw_files_key(tenant, table),
        metadata={
            "quarantined_rows_by_rule": bar_chart(rules),
            "quarantined_rows": rejected,
            "quarantined_share": round(rejected / rows, 6) if rows else 0.0,
            "valid_rows": sum(report.valid for report in counting),
            "files": len(counting),
            "refused_files": sum(report.refused is not None for report in counting),
            "superseded_files": len(replaced),
        },
    )
