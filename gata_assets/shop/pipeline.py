"""The pipeline of one source: no batches are built from it, so it only brings its tables up to date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import dagster as dg

from gata_assets.errors import GataError
from gata_assets.orchestration.batch_status import Plan
from gata_assets.orchestration.failures import BatchFailure
from gata_assets.orchestration.pipelines import BatchRun, WithoutBatches
from gata_assets.orchestration.runs import Runs, Written
from gata_assets.shop.prod_assets import MONTH_ROWS

if TYPE_CHECKING:
    from gata_assets.shop.engine import ShopEngine


@dataclass(frozen=True)
class ShopPipeline(WithoutBatches):
    """Curates a source (`scope`) and builds its tables for analysts by `job`; `engine` opens their present state."""

    scope: str
    engine: Callable[[], ShopEngine]
    job: Callable[[], dg.JobDefinition]

    name: ClassVar[str] = "shop"
    # No batch has one.
    last_asset: ClassVar[str] = ""

    def refresh(self, runs: Runs, batch_ids: Sequence[str]) -> bool:
        """Validate new files, and write what is out of date; failures are recorded in `runs`."""
        earlier = len(runs.failures)
        try:
            engine = self.engine()
            curator = engine.curator(self.scope)
            if curator.is_due() or not engine.is_built(self.scope):
                day = str(curator.newest_day())
                runs.execute(self.job(), (day, day))
        except GataError as error:
            runs.failures.append(BatchFailure(batch_ids[0], f"shop/{self.scope}", (), str(error)))
        return len(runs.failures) == earlier

    def plan(self, batch_ids: Sequence[str], *, again: bool) -> Plan:  # noqa: ARG002 (the protocol's)
        """No plan: there are no batches."""
        return Plan({}, ())

    def estimate(self, plan: Plan) -> Mapping[str, str]:  # noqa: ARG002 (the protocol's)
        """The files that are not validated yet; raises StoreError."""
        waiting = len(self.engine().curator(self.scope).unvalidated(is_compared=True))
        return {"files": f"{waiting:,} raw files of {self.scope} wait to be validated"} if waiting else {}

    def runs(self, batch_ids: Sequence[str]) -> Iterator[BatchRun]:  # noqa: ARG002 (the protocol's)
        """No runs: no batch is due."""
        yield from ()

    def summarize(self, written: Sequence[Written]) -> list[Written]:
        """All days of a table as one row."""
        found = []
        for asset in dict.fromkeys(output.asset for output in written):
            of_asset = [output for output in written if output.asset == asset]
            numbers: Counter[str] = Counter()
            for output in of_asset:
                numbers.update(output.numbers)
            # What a day says of its month counts once.
            months = {(day.partition or "")[:7]: day.numbers for day in of_asset if MONTH_ROWS in day.numbers}
            rows = {"row_count": sum(of_month[MONTH_ROWS] for of_month in months.values())} if months else {}
            del numbers[MONTH_ROWS]
            days = {"days": len(of_asset)} if of_asset[-1].partition else {}
            found.append(Written(asset, None, {**numbers, **rows, **days}, "", of_asset[-1].places))
        return found
