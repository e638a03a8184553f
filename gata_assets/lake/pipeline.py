"""The pipeline of one tenant's lake: bronze and offline tickets are brought up to date, then the slice in Redis.

No batches are built from it here; those of tickets may be, and come after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import dagster as dg

from gata_assets.errors import GataError
from gata_assets.lake.assets import NAMES, online_key
from gata_assets.lake.tables import TICKETS
from gata_assets.orchestration.curated_tables.pipeline import TablePipeline
from gata_assets.orchestration.failures import BatchFailure
from gata_assets.orchestration.runs import Runs, Written

if TYPE_CHECKING:
    from gata_assets.lake.curator import LakeCurator


@dataclass(frozen=True)
class LakePipeline(TablePipeline):
    """Curates a tenant's tickets; `publish` is the job that publishes the slice, None where no Redis is configured."""

    publish: Callable[[], dg.JobDefinition] | None = None

    name: ClassVar[str] = "lake"

    @classmethod
    def of(
        cls,
        tenant: str,
        days: dg.PartitionsDefinition[str],
        open_curator: Callable[[], LakeCurator],
        job: Callable[[], dg.JobDefinition],
        publish: Callable[[], dg.JobDefinition] | None,
    ) -> LakePipeline:
        """The pipeline of a tenant, by the jobs that curate and publish."""
        return cls(tenant, (TICKETS,), days, open_curator, job, NAMES, publish)

    def summarize(self, written: Sequence[Written]) -> list[Written]:
        """All days of bronze and of offline tickets as a row each, and the slice as it is."""
        online = online_key(self.scope).to_user_string()
        days = super().summarize([output for output in written if output.asset != online])
        return [*days, *(output for output in written if output.asset == online)]

    def refresh(self, runs: Runs, batch_ids: Sequence[str]) -> bool:
        """Bring the days up to date, and publish the slice with the last batch; failures are recorded in `runs`."""
        if not super().refresh(runs, batch_ids):
            return False
        if self.publish is None:
            return True
        earlier, last = len(runs.failures), batch_ids[-1]
        try:
            if self.open_curator().curated_partitions(TICKETS):
                runs.execute(self.publish(), (last, last), assets=[online_key(self.scope)])
        except GataError as error:
            runs.failures.append(BatchFailure(last, online_key(self.scope).to_user_string(), (), str(error)))
        return len(runs.failures) == earlier
