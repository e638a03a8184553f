"""Raw texts become values: strictly, and the same as Python reads them.

All real, nothing is faked; Python's datetime module is the oracle.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.tables.columns.column_spec import ColumnSpec
from gata_assets.tables.columns.conversion import convert

INSTANT = pl.Datetime("us", "UTC")


def column(kind: pl.DataType, *instants: str, words: dict[str, str] | None = None) -> ColumnSpec:
    return ColumnSpec("a", kind, True, False, "", (), instants=instants, words=words or {})


def instants(texts: list[str | None], *formats: str) -> list[datetime | None]:
    return convert(pl.Series("a", texts, dtype=pl.String), column(INSTANT, *(formats or ("iso8601",)))).to_list()


@given(instant=st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_an_instant_is_read_as_python_reads_it(instant: datetime) -> None:
    texts = [instant.isoformat(), instant.isoformat(" "), instant.isoformat().replace("+00:00", "Z")]
    assert instants([*texts, None]) == [instant, instant, instant, None]
    assert instants([texts[2]]) == [instant]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-01-02T03:04+02:00", "2026-01-02T01:04:00+00:00"),
        ("2026-01-02T03:04:05-0530", "2026-01-02T08:34:05+00:00"),
        ("2026-01-02T23:04:05+01", "2026-01-02T22:04:05+00:00"),
        ("2026-01-02T03:04:05.1234567Z", "2026-01-02T03:04:05.123456+00:00"),
        ("2024-02-29T00:00:00", "2024-02-29T00:00:00+00:00"),
    ],
)
def test_offsets_and_fine_fractions_are_understood(text: str, same: str) -> None:
    assert instants([text]) == [datetime.fromisoformat(same)]


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-01-02", "2026-02-29T00:00:00Z", "2026-13-01T00:00Z", "0000-01-01T00:00", "20260102T030405Z"),
        *("2026-01-02T24:00:00Z", "2026-01-02T03:60:00Z", "2026-01-02T03:04:60Z", "2026-01-02T3:04", "2026-1-2T03:04Z"),
        *(
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05 Z",
            "2026-01-02T03:04:05+2",
            "2026-01-02T03:04ZZ",
            "1767323045",
        ),
    ],
)
def test_other_texts_are_no_instants(text: str) -> None:
    assert instants([text, "2026-01-02T03:04:05Z"])[0] is None


def test_days_epochs_and_patterns_are_instants_where_they_are_wanted() -> None:
    midnight = datetime(2026, 1, 2, tzinfo=UTC)
    assert instants(["2026-01-02", "2026-02-30"], "iso8601", "day") == [midnight, None]
    seconds = int(midnight.timestamp())
    assert instants([f"{seconds}", f"{seconds}.5", "1e9"], "epoch_s") == [
        midnight,
        midnight.replace(microsecond=500_000),
        None,
    ]
    assert instants([f"{seconds}000", "soon"], "epoch_ms") == [midnight, None]
    assert instants(["02.01.2026 00:00", "2026-01-02"], "%d.%m.%Y %H:%M", "day") == [midnight, midnight]
    assert instants(["2026-01-02T02:00:00+0200"], "%Y-%m-%dT%H:%M:%S%z") == [midnight]
    assert instants(["9" * 12], "epoch_s") == [None], "beyond the calendar"


def test_a_day_is_read_as_a_date() -> None:
    assert convert(pl.Series(["2026-01-02", "2026-1-2"]), column(pl.Date(), "day")).to_list() == [
        date(2026, 1, 2),
        None,
    ]


@pytest.mark.parametrize(
    ("kind", "texts", "values"),
    [
        (pl.Float64(), ["4.5", "1e3", "-0", "nan", "inf", "1e400", "4,5", " 1", "x"], [4.5, 1000.0, 0.0] + [None] * 6),
        (pl.Float32(), ["4.35", ".5"], [pytest.approx(4.35), 0.5]),
        (pl.Int64(), ["7", "-7", "7.0", "1e3", "9" * 20], [7, -7, None, None, None]),
        (pl.UInt8(), ["255", "256", "-1"], [255, None, None]),
        (pl.Boolean(), ["true", "FALSE", "1", "0", "yes"], [True, False, True, False, None]),
        (
            pl.Decimal(10, 2),
            ["1.10", "1", "1.005", "1e3", "9" * 12],
            [Decimal("1.10"), Decimal("1.00"), None, None, None],
        ),
    ],
)
def test_numbers_and_booleans_are_read_strictly(kind: pl.DataType, texts: list[str], values: list[object]) -> None:
    assert convert(pl.Series(texts), column(kind)).to_list() == values


def test_other_words_mean_the_values_of_the_table() -> None:
    words = column(pl.String(), words={"Kauf": "purchase"})
    assert convert(pl.Series(["Kauf", "view", None]), words).to_list() == ["purchase", "view", None]
