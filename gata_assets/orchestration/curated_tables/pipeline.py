"""The pipeline of one tenant's own tables: no batches are built from them, so it only brings them up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import dagster as dg

from gata_assets.batches import day_ranges
from gata_assets.errors import GataError
from gata_assets.orchestration.batch_status import Plan
from gata_assets.orchestration.curated_tables.due import CURATED, AssetNames, due_days, is_table_due
from gata_assets.orchestration.curated_tables.quality import QUALITY_SCORE
from gata_assets.orchestration.failures import BatchFailure
from gata_assets.orchestration.pipelines import BatchRun, WithoutBatches
from gata_assets.orchestration.runs import Runs, Written

if TYPE_CHECKING:
    from gata_assets.curation.curated.curator import TableCurator


@dataclass(frozen=True)
class TablePipeline(WithoutBatches):
    """Curates a tenant's own tables (`scope` is the tenant) by `job`; `open_curator` opens their present state."""

    scope: str
    tables: Sequence[str]
    days: dg.PartitionsDefinition[str]
    open_curator: Callable[[], TableCurator]
    job: Callable[[], dg.JobDefinition]
    names: AssetNames = CURATED

    name: ClassVar[str] = "tables"
    # No batch has one.
    last_asset: ClassVar[str] = ""

    def refresh(self, runs: Runs, batch_ids: Sequence[str]) -> bool:
        """Validate new files, and write stale tables, referenced ones first; failures are recorded in `runs`."""
        earlier = len(runs.failures)
        for table in self.tables:
            try:
                self._curate(runs, table)
            except GataError as error:
                asset = self.names.key(self.scope, table).to_user_string()
                runs.failures.append(BatchFailure(batch_ids[0], asset, (), str(error)))
        return len(runs.failures) == earlier

    def plan(self, batch_ids: Sequence[str], *, again: bool) -> Plan:  # noqa: ARG002 (the protocol's)
        """No plan: there are no batches."""
        return Plan({}, ())

    def estimate(self, plan: Plan) -> Mapping[str, str]:  # noqa: ARG002 (the protocol's)
        """The files that are not validated yet; raises StoreError."""
        waiting = len(self.open_curator().unvalidated(self.tables, is_compared=True))
        return {"files": f"{waiting:,} raw files of {self.scope} wait to be validated"} if waiting else {}

    def runs(self, batch_ids: Sequence[str]) -> Iterator[BatchRun]:  # noqa: ARG002 (the protocol's)
        """No runs: no batch is due."""
        yield from ()

    def summarize(self, written: Sequence[Written]) -> list[Written]:
        """All days of a table as one row: the number of days, their rows, and the least score."""
        found = []
        for asset in dict.fromkeys(output.asset for output in written):
            partitions = [output for output in written if output.asset == asset]
            last = max(partitions, key=lambda output: output.partition or "")
            names = sorted(last.numbers.keys() - {"files", QUALITY_SCORE})
            numbers = {name: sum(output.numbers.get(name, 0) for output in partitions) for name in names}
            scores = [output.numbers[QUALITY_SCORE] for output in partitions if QUALITY_SCORE in output.numbers]
            numbers |= {QUALITY_SCORE: min(scores)} if scores else {}
            # Of a run over days also those without a row are recorded, since they were asked for.
            days = sum(bool(output.numbers.get("row_count")) for output in partitions)
            numbers |= {"days": days or len(partitions)} if last.partition else {}
            found.append(Written(asset, None, numbers, "", last.places))
        return found

    def _curate(self, runs: Runs, table: str) -> None:
        curator, assets = self.open_curator(), self.names.keys(self.scope, table)
        # A copied target has other versions of the same bytes.
        is_waiting = bool(curator.unvalidated([table], is_compared=True))
        if curator.tables[table].partition_by is None:
            if is_waiting or is_table_due(curator, table, runs.instance):
                runs.execute(self.job(), None, assets=assets, otherwise=table)
            return
        # The days of new files are known once the run has validated them; it curates all stale days. So the first stale
        # day is requested, or the present day.
        days = due_days(curator, table, self.days) or ([curator.now.date()] if is_waiting else [])
        if days:
            first, last = day_ranges(days)[0]
            expected = None if is_waiting else len(days)
            runs.execute(self.job(), (str(first), str(last)), assets=assets, expected=expected)
