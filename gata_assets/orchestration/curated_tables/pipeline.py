"""The pipeline of one tenant's own tables: no batches are built from them, so it only brings them up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

import dagster as dg

from gata_assets.batches import day_ranges
from gata_assets.errors import GataError
from gata_assets.orchestration.batch_status import Plan
from gata_assets.orchestration.curated_tables.run import asset_key
from gata_assets.orchestration.failures import BatchFailure
from gata_assets.orchestration.instances import is_recorded
from gata_assets.orchestration.pipelines import BatchRun
from gata_assets.orchestration.runs import Runs, Written

if TYPE_CHECKING:
    from gata_assets.curation.curated.curator import TableCurator


@dataclass(frozen=True)
class TablePipeline:
    """Curates a tenant's own tables from raw files by `job`; `open_curator` opens their present state."""

    tenant: str
    tables: Sequence[str]
    open_curator: Callable[[], TableCurator]
    job: Callable[[], dg.JobDefinition]

    name: ClassVar[str] = "tables"

    @property
    def scope(self) -> str:
        """The tenant."""
        return self.tenant

    @property
    def last_asset(self) -> str:
        """The table that is curated last."""
        return asset_key(self.tenant, self.tables[-1]).to_user_string()

    def refresh(self, runs: Runs, batch_ids: Sequence[str]) -> bool:
        """Validate new files, and write stale tables, referenced ones first; failures are recorded in `runs`."""
        earlier = len(runs.failures)
        for table in self.tables:
            try:
                self._curate(runs, table)
            except GataError as error:
                asset = asset_key(self.tenant, table).to_user_string()
                runs.failures.append(BatchFailure(batch_ids[0], asset, (), str(error)))
        return len(runs.failures) == earlier

    def plan(self, batch_ids: Sequence[str], *, again: bool) -> Plan:  # noqa: ARG002 (the protocol's)
        """No plan: there are no batches."""
        return Plan({}, ())

    def estimate(self, plan: Plan) -> Mapping[str, str]:  # noqa: ARG002 (the protocol's)
        """The files that are not validated yet; raises StoreError."""
        waiting = len(self.open_curator().unvalidated(self.tables))
        return {"files": f"{waiting:,} raw files of {self.tenant} wait to be validated"} if waiting else {}

    def runs(self, batch_ids: Sequence[str]) -> Iterator[BatchRun]:  # noqa: ARG002 (the protocol's)
        """No runs: no batch is due."""
        yield from ()

    def summarize(self, written: Sequence[Written]) -> list[Written]:
        """All days of a table as one row: the number of days, and their rows."""
        assets: dict[str, list[Written]] = {}
        for output in written:
            assets.setdefault(output.asset, []).append(output)
        found = []
        for asset, partitions in assets.items():
            last = max(partitions, key=lambda output: output.partition or "")
            names = last.numbers.keys() - {"files"}
            numbers = {name: sum(output.numbers.get(name, 0) for output in partitions) for name in sorted(names)}
            days = {"days": len(partitions)} if last.partition else {}
            found.append(Written(asset, None, numbers | days, "", last.places))
        return found

    def _curate(self, runs: Runs, table: str) -> None:
        curator, key = self.open_curator(), asset_key(self.tenant, table)
        is_waiting, stale = bool(curator.unvalidated([table])), curator.stale(table)
        if curator.tables[table].partition_by is None:
            if is_waiting or stale or not is_recorded(runs.instance, key, curator.written_digest(table)):
                runs.execute(self.job(), None, assets=[key], otherwise=table)
            return
        # The days of new files are known once the run has validated them; it curates all stale days. So the first stale
        # day is requested, or the present day.
        present = [datetime.now(UTC).date()] if is_waiting else []
        days = [day for day in stale if day] or present
        if days:
            first, last = day_ranges(days)[0]
            runs.execute(self.job(), (str(first), str(last)), assets=[key])
