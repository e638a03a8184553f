"""The quality of the partitions that a run writes: their measures, check and score, and the metrics that are pushed.

From the reports and counts that the run has anyway; `curation.quality.measures` has the formulas.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from time import monotonic
from typing import TYPE_CHECKING, Any

import dagster as dg

from gata_assets.curation.curated.check_names import QUALITY_IS_HIGH_ENOUGH
from gata_assets.curation.quality.measures import (
    CuratedRows,
    Measures,
    QualityRules,
    check_quality,
    measure,
    recent_files,
    tally_files,
)
from gata_assets.curation.reports import Report
from gata_assets.curation.superseding import valid_reports
from gata_assets.tables.outcomes import Outcome

if TYPE_CHECKING:
    # Only where they are used: they load compiled kernels, and definitions are loaded all the time.
    from gata_assets.curation.curated.curator import CuratedPartition
    from gata_assets.curation.validator import FileValidator

JOB = "gata_curation"
QUALITY_SCORE = "quality_score"
_DIGITS = 6


class RunQuality:
    """Measures what one run writes of a tenant's tables."""

    def __init__(self, curator: FileValidator, rules: QualityRules, warn: Callable[[str], object]) -> None:
        self._curator, self._rules, self._warn = curator, rules, warn
        self._begun = monotonic()
        self._by_day: dict[str, Mapping[date | None, Sequence[Report]]] = {}
        self._curated: dict[str, CuratedRows] = defaultdict(CuratedRows)

    def measure(self, curated: CuratedPartition) -> Measures:
        """The measures of a partition that was written: of the files with rows of a day, as of the day's end; of an
        unpartitioned table, of its recent files.
        """
        rows = CuratedRows(curated.rows, curated.dropped)
        self._curated[curated.table] += rows
        now, day = self._curator.now, curated.day
        return self.measure_stored(curated.table, day, rows, min(now, end_of(day)) if day else now)

    def measure_stored(self, table: str, day: date | None, rows: CuratedRows, at: datetime) -> Measures:
        """The measures of a partition that is stored, with these rows, as of an instant."""
        if table not in self._by_day:
            # Once a run: each listing takes a call of the store.
            self._by_day[table] = _files_by_day(self._curator.reports(table))
        tally = tally_files(self._curator.tables[table], self._by_day[table].get(day, ()), rows)
        return measure(tally, at, self._rules.fresh_within)

    def check(self, found: Mapping[str, Measures]) -> Mapping[str, Sequence[Outcome]]:
        """The outcomes of the check of a score; the measures are by the table that they are of, or by an empty name."""
        least = self._rules.score_min
        outcomes = [check_quality(measures, least, of=name and f" of {name}") for name, measures in found.items()]
        return {QUALITY_IS_HIGH_ENOUGH: [*chain.from_iterable(outcomes)]}

    def push(self, table: str) -> None:
        """Push the metrics of a table's recent files, if there is a gateway; a push that fails is a warning."""
        if self._rules.pushgateway is None:
            return
        try:
            # Only where it is used: what imports it is an extra.
            from gata_assets.curation.quality.exposition import duration_metric, quality_metrics
            from gata_assets.curation.quality.pushgateway import push
        except ModuleNotFoundError as error:
            self._warn(f"Metrics were not pushed: {error.name} is not installed: pip install 'gata-assets[service]'.")
            return
        tenant, spec = self._curator.places.tenant, self._curator.tables[table]
        tally = tally_files(spec, recent_files(self._curator.reports(table)), self._curated.get(table))
        seconds = duration_metric(
            "gata_curation_duration_seconds", "Time that the last run took.", monotonic() - self._begun
        )
        metrics = quality_metrics({(tenant, table): tally}, self._rules, self._curator.now, with_ages=False)
        group = {"tenant_id": tenant, "data_type": table}
        if reason := push(self._rules.pushgateway, JOB, group, iter([*metrics, seconds])):
            self._warn(reason)


def end_of(day: date) -> datetime:
    """When a day was over."""
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def quality_metadata(measures: Measures) -> dict[str, Any]:
    """The score, as a number that the UI plots, and its parts; nothing without a row that was read."""
    if measures.score is None:
        return {}
    parts = {name: round(value, _DIGITS) for name, value in measures.parts.items()}
    return {QUALITY_SCORE: round(measures.score, _DIGITS), "quality": dg.MetadataValue.json(parts)}


def _files_by_day(reports: Sequence[Report]) -> Mapping[date | None, Sequence[Report]]:
    found: dict[date | None, list[Report]] = {None: recent_files(reports)}
    for report in valid_reports(reports):
        for day in report.days:
            found.setdefault(day, []).append(report)
    return found
