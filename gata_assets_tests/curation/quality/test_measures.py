"""The measures of quality: formulas over counts. Real: all. The oracle counts rows one by one, in plain Python."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pandera.polars as pa
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.quality.measures import (
    CuratedRows,
    Tally,
    check_quality,
    measure,
    recent_files,
    tally_files,
)
from gata_assets.curation.readers.raw_block import RawBlock
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.curation.reports import Report, RowFigures, StagedPart
from gata_assets.curation.validation import validate_block
from gata_assets.interactions.tables import TABLES
from gata_assets.tables.columns.column_spec import ReferenceMode
from gata_assets.tables.declaration import row_rule, spec_of
from gata_assets.tables.outcomes import broken
from gata_assets.tables.row_rules import RowContext

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
INTERACTIONS, ITEMS = TABLES["interactions"], TABLES["items"]


@dataclass(frozen=True)
class Row:
    """What is known of a row: which of three required and two optional values it has, and what became of it."""

    missing: int
    unfilled: int
    is_inconsistent: bool
    is_rejected: bool


ROWS = st.builds(Row, st.integers(0, 3), st.integers(0, 2), st.booleans(), st.booleans())


def report(name: str, rows: Sequence[Row] = (), *, landed: datetime = NOW, **more: object) -> Report:
    """The report of a file of such rows."""
    valid = sum(not row.is_rejected for row in rows)
    figures = RowFigures(
        sum(row.missing for row in rows), sum(row.unfilled for row in rows), sum(row.is_inconsistent for row in rows)
    )
    found = Report(
        "things",
        name,
        f"raw/{name}.csv",
        landed,
        "rules",
        rows=len(rows),
        parts=(StagedPart("part", valid, "0"),) if valid else (),
        quarantine=StagedPart("kept", len(rows) - valid, "0") if valid < len(rows) else None,
        figures=figures,
    )
    return replace(found, **more)  # type: ignore[arg-type]


class Things(pa.DataFrameModel):
    """Three required columns, and two optional ones."""

    a: str
    b: str
    c: pl.Int64 = pa.Field(metadata={"references": "others.c"})
    d: pl.Int64 = pa.Field(nullable=True)
    e: str = pa.Field(nullable=True)
    d_is_less = row_rule("d_is_less_than_c", pl.col("d") < pl.col("c"))

    class Config:
        """A table of exact repetitions."""

        metadata = {"table": "things"}  # noqa: RUF012


THINGS = spec_of(Things)


def share(faults: int, of: int) -> float | None:
    return 1 - faults / of if of else None


def near(found: float | None, expected: float | None) -> bool:
    return found == expected or (found is not None and expected is not None and abs(found - expected) < 1e-12)


@given(st.lists(st.lists(ROWS, max_size=6), max_size=4), st.integers(0, 9), st.integers(0, 9), st.floats(0, 100))
def test_measures_are_shares_of_what_the_rows_have(
    files: list[list[Row]], kept: int, repeated: int, hours: float
) -> None:
    tally = tally_files(THINGS, [report(str(n), rows) for n, rows in enumerate(files)], CuratedRows(kept, repeated))
    found = measure(tally, NOW + timedelta(hours=hours), DAY)
    rows = [row for file in files for row in file]
    expected = {
        "completeness": share(sum(row.missing for row in rows), 3 * len(rows)),
        "validity": share(sum(row.is_rejected for row in rows), len(rows)),
        "uniqueness": share(repeated, kept + repeated),
        "consistency": share(sum(row.is_inconsistent for row in rows), len(rows)),
        "freshness": (1.0 if hours <= 24 else 24 / hours) if files else None,
    }
    for name, value in expected.items():
        assert abs((getattr(found, name) or 0) - (value or 0)) < 1e-6, name
        assert (getattr(found, name) is None) == (value is None), name
    assert near(found.filled, share(sum(row.missing + row.unfilled for row in rows), 5 * len(rows)))
    known = [value for value in expected.values() if value is not None]
    if rows:
        assert found.score is not None
        assert abs(found.score - min(known)) < 1e-6
    else:
        assert found.score is None


@given(st.lists(ROWS, min_size=1, max_size=9), st.floats(0.01, 1))
def test_a_score_is_good_enough_if_each_part_is(rows: list[Row], least: float) -> None:
    found = measure(tally_files(THINGS, [report("a", rows)]), NOW, DAY)
    assert found.score is not None
    assert bool(broken(check_quality(found, least))) == (found.score < least)


def test_nothing_is_checked_without_a_row_that_was_read() -> None:
    found = measure(tally_files(THINGS, [report("a", refused="has other columns.")]), NOW, DAY)
    assert (found.score, check_quality(found, 1)) == (None, [])


def test_an_earlier_row_of_a_key_is_no_repetition() -> None:
    rows = CuratedRows(5, 5)
    assert tally_files(INTERACTIONS, [], rows).curated == rows
    assert tally_files(ITEMS, [], rows).curated is None


def test_files_are_recent_within_a_day_of_the_newest_that_was_read_and_not_superseded() -> None:
    files = [
        report("old", landed=NOW - DAY),
        report("young", landed=NOW - DAY + timedelta(seconds=1)),
        report("superseded", landed=NOW - timedelta(hours=1)),
        report("newest", [Row(0, 0, is_inconsistent=False, is_rejected=False)], landed=NOW, replaces=("superseded",)),
        report("refused", landed=NOW + DAY * 3, refused="has other columns."),
    ]
    recent = recent_files(files)
    assert [file.file_id for file in recent] == ["young", "newest", "refused"]
    assert tally_files(THINGS, recent).landed_at == NOW
    assert tally_files(THINGS, recent).refused == 1


def test_files_of_earlier_releases_count_as_far_as_their_reports_know() -> None:
    rows = [Row(3, 2, is_inconsistent=True, is_rejected=True), Row(0, 0, is_inconsistent=False, is_rejected=False)]
    old = replace(report("old", rows), figures=None)
    content = json.loads(old.encode())
    del content["figures"]
    decoded = Report.decode(json.dumps(content).encode(), "the report")
    assert decoded == old
    tally = tally_files(THINGS, [decoded, report("new", rows[1:])])
    assert (tally.rows, tally.rejected, tally.figured) == (3, 1, 1)
    found = measure(tally, NOW, DAY)
    assert (found.completeness, found.consistency, found.filled) == (1, 1, 1)
    assert found.validity == 2 / 3
    alone = measure(tally_files(THINGS, [decoded]), NOW, DAY)
    assert (alone.completeness, alone.consistency, alone.score) == (None, None, 0.5)


def test_figures_survive_the_report() -> None:
    written = report("a", [Row(1, 2, is_inconsistent=True, is_rejected=True)])
    assert Report.decode(written.encode(), "the report") == written
    assert written.figures == RowFigures(1, 2, 1)


def test_a_table_that_lost_columns_since_has_no_measure_below_0() -> None:
    found = measure(Tally(rows=1, figured=1, figures=RowFigures(9, 9, 0), required=1, optional=1), NOW, DAY)
    assert (found.completeness, found.filled) == (0, 0)


CELLS = st.sampled_from(["1", "2", "3", "x", " ", ""])


@given(st.lists(st.fixed_dictionaries(dict.fromkeys("abcde", CELLS)), min_size=1, max_size=8), st.booleans())
def test_validation_counts_what_rows_lack_and_contradict(rows: list[dict[str, str]], rejects: bool) -> None:
    text = "a,b,c,d,e\n" + "".join(",".join(f'"{row[name]}"' for name in "abcde") + "\n" for row in rows)
    known = {"c": pl.Series([1, 2])}
    mode = ReferenceMode.REJECT if rejects else ReferenceMode.WARN
    context = RowContext(known=known, modes={"c": mode})
    found = RowFigures()
    for block in blocks_of(text.encode()):
        found += validate_block(THINGS, block, context, "file.csv").figures

    def number(text: str) -> int | None:
        return int(text) if text in "123" and text else None

    missing = sum(not row[name].strip() for row in rows for name in "abc")
    unfilled = sum(number(row["d"]) is None for row in rows) + sum(row["e"] == "" for row in rows)
    inconsistent = 0
    for row in rows:
        c, d = number(row["c"]), number(row["d"])
        contradicting = c is not None and d is not None and d >= c
        unknown = rejects and c == 3
        inconsistent += contradicting or unknown
    assert found == RowFigures(missing, unfilled, inconsistent)


def blocks_of(content: bytes) -> list[RawBlock]:
    """The blocks of a CSV file."""
    return [pending() for pending in read_blocks(BytesIO(content), parse_format("file.csv").format, THINGS)]
