"""What the assets of every domain have in common, as a value that is handed to whoever builds them.

Rules reach assets in the same way: each builder takes them as a value. Not as a Dagster resource, since the lineage
itself depends on them (which days a batch reads, whether days wait for the catalog), so that a run with other rules
than its definitions would contradict what the UI shows; and sensors and commands decide by the same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg


@dataclass(frozen=True)
class AssetOptions:
    """Options of all assets: the hourly batches, the code version of manifests, how ranges run, and who owns them."""

    batches: dg.HourlyPartitionsDefinition
    code_version: str
    backfill_policy: dg.BackfillPolicy
    owners: Sequence[str] = ()
