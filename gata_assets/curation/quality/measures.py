"""Freshness, completeness, validity, uniqueness and consistency of a table, as formulas over counts.

Pure. The counts are those of reports and manifests: no row is read. docs/quality.md has the same formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from gata_assets.curation.reports import NO_FIGURES, Report, RowFigures
from gata_assets.curation.superseding import replaced_files
from gata_assets.tables.outcomes import Outcome
from gata_assets.tables.spec import Repetitions, TableSpec

# A table is as good as the files that landed so long before its newest one.
RECENT = timedelta(days=1)


@dataclass(frozen=True)
class QualityRules:
    """The least score that is good enough, and the age up to which data is fresh; `pushgateway` is the URL of a
    Prometheus Pushgateway, None for none.
    """

    score_min: float = 0.95
    fresh_within: timedelta = timedelta(hours=24)
    pushgateway: str | None = None


@dataclass(frozen=True)
class CuratedRows:
    """Curated rows, and how many others were dropped as their exact repetitions."""

    kept: int = 0
    repeated: int = 0

    def __add__(self, other: CuratedRows) -> CuratedRows:
        return CuratedRows(self.kept + other.kept, self.repeated + other.repeated)


@dataclass(frozen=True)
class Tally:
    """The counts of files: how many, how many of them were refused, and their rows; `figures` are those of `figured`
    rows, which have `required` and `optional` columns. `curated` is None where no repetition is counted.
    """

    files: int = 0
    refused: int = 0
    rows: int = 0
    rejected: int = 0
    figured: int = 0
    figures: RowFigures = NO_FIGURES
    required: int = 0
    optional: int = 0
    landed_at: datetime | None = None
    curated: CuratedRows | None = None


@dataclass(frozen=True)
class Measures:
    """Ratios from 0 (worst) to 1, and the age of the newest file; None where nothing is known."""

    age: timedelta | None
    freshness: float | None
    completeness: float | None
    validity: float | None
    uniqueness: float | None
    consistency: float | None
    filled: float | None

    @property
    def parts(self) -> Mapping[str, float]:
        """The measures that the score is the least of, by name, as far as they are known."""
        names = ("freshness", "completeness", "validity", "uniqueness", "consistency")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @property
    def score(self) -> float | None:
        """The least of the known parts; None without a row that was read."""
        return min(self.parts.values()) if self.validity is not None else None


def counting_files(reports: Sequence[Report]) -> list[Report]:
    """The reports of files that no other superseded, refused ones included."""
    replaced = replaced_files(reports)
    return [report for report in reports if report.file_id not in replaced]


def recent_files(reports: Sequence[Report]) -> list[Report]:
    """The files that count and landed within a day before the newest of them that was read, or after it."""
    counting = counting_files(reports)
    newest = newest_landing(counting)
    return [report for report in counting if newest is None or report.landed_at > newest - RECENT]


def newest_landing(reports: Iterable[Report]) -> datetime | None:
    """When the newest of these files landed that was read; None if none was."""
    return max((report.landed_at for report in reports if report.refused is None), default=None)


def tally_files(spec: TableSpec, reports: Iterable[Report], curated: CuratedRows | None = None) -> Tally:
    """The counts of files of a table; `curated` are the rows that became of them, where exact repetitions are dropped:
    where the latest row of a key counts, an earlier one is no repetition.
    """
    found = list(reports)
    figured = [report for report in found if report.figures]
    return Tally(
        files=len(found),
        refused=sum(report.refused is not None for report in found),
        rows=sum(report.rows for report in found),
        rejected=sum(report.rejected for report in found),
        figured=sum(report.rows for report in figured),
        figures=sum((report.figures for report in figured if report.figures), NO_FIGURES),
        required=len(spec.required),
        optional=len(spec.optional),
        landed_at=newest_landing(found),
        curated=curated if spec.repetitions is Repetitions.EXACT and not spec.changes else None,
    )


def measure(tally: Tally, at: datetime, fresh_within: timedelta) -> Measures:
    """The measures of counts as of an instant."""
    age = max(at - tally.landed_at, timedelta()) if tally.landed_at else None
    figures, curated = tally.figures, tally.curated
    return Measures(
        age=age,
        freshness=None if age is None else 1.0 if age <= fresh_within else fresh_within / age,
        completeness=share_without(figures.missing, tally.figured * tally.required),
        validity=share_without(tally.rejected, tally.rows),
        uniqueness=share_without(curated.repeated, curated.kept + curated.repeated) if curated else None,
        consistency=share_without(figures.inconsistent, tally.figured),
        filled=share_without(figures.missing + figures.unfilled, tally.figured * (tally.required + tally.optional)),
    )


def least_of(found: Iterable[Measures]) -> Measures:
    """The least of each measure, and the greatest age, of what has a score; nothing is known if nothing has."""
    scored = [measures for measures in found if measures.score is not None]

    def known(name: str) -> list[Any]:
        return [value for measures in scored if (value := getattr(measures, name)) is not None]

    ratios = (field.name for field in fields(Measures) if field.name != "age")
    return Measures(age=max(known("age"), default=None), **{name: min(known(name), default=None) for name in ratios})


def check_quality(measures: Measures, score_min: float, *, of: str = "") -> list[Outcome]:
    """Check that each part of the score, and so the score, is at least `score_min`; `of` says what is measured."""
    advice = "`gata quarantine` shows the rules that rows broke. QUALITY_SCORE_MIN is the least score."
    if measures.score is None:
        return []
    return [
        Outcome(
            f"{name}{of} is at least {score_min:g}, and is {value:.4f}",
            int(value < score_min),
            1,
            advice,
            unit="scores",
        )
        for name, value in measures.parts.items()
    ]


def share_without(faults: int, of: int) -> float | None:
    """The share that is left without faults; None of nothing. A table that lost columns since may have more faults."""
    return max(0, of - faults) / of if of else None
