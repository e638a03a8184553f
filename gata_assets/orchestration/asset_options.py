"""The options that assets of every domain share, as a value passed to their builders.

Rules reach assets in the same way: each builder takes them as a value. Not as a Dagster resource, since the lineage
itself depends on them (which days a batch reads, whether days wait for the catalog), so that a run with other rules
than its definitions would contradict what the UI shows; and sensors and commands decide by the same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from gata_assets.orchestration.recording import columns


@dataclass(frozen=True)
class AssetOptions:
    """Options of all assets: the hourly batches, the code version of manifests, how ranges run, who owns them, and how
    many rows of a dataset its page may show.
    """

    batches: dg.HourlyPartitionsDefinition
    code_version: str
    backfill_policy: dg.BackfillPolicy
    owners: Sequence[str] = ()
    preview_rows: int = 0

    def table_spec(
        self,
        key: dg.AssetKey,
        model: type[Any],
        *,
        group: str,
        deps: Sequence[dg.AssetDep],
        kinds: set[str],
        partitions: dg.PartitionsDefinition[str] | None,
    ) -> dg.AssetSpec:
        """The specification of a table asset, described by its pandera model."""
        return dg.AssetSpec(
            key,
            deps=deps,
            description=model.__doc__,
            metadata=columns(model),
            # Recorded partition by partition, so Dagster expects no output at the end of the op.
            skippable=True,
            group_name=group,
            code_version=self.code_version,
            owners=self.owners,
            kinds={*kinds, "parquet"},
            partitions_def=partitions,
        )
