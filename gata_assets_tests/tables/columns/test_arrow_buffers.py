"""Numbers between NumPy and Arrow: the same values, and the same of them missing.

Real: Arrow's own arrays. Nothing is faked.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.tables.columns.arrow_buffers import given_of_arrow, micros, numbers_as_arrow, numbers_of_arrow

VALUES = st.lists(st.integers(-(2**40), 2**40) | st.none(), max_size=40)


@given(values=VALUES)
def test_arrow_has_the_numbers_and_the_gaps_that_numpy_had(values: list[int | None]) -> None:
    numbers = np.array([value or 0 for value in values], dtype=np.int64)
    is_given = np.array([value is not None for value in values], dtype=np.bool_)
    assert numbers_as_arrow(numbers, is_given=is_given).equals(pa.array(values, pa.int64()))
    instants = numbers_as_arrow(numbers, pa.timestamp("us", "UTC"), is_given=is_given)
    assert instants.equals(pa.array(values, pa.timestamp("us", "UTC")))


@given(values=VALUES, start=st.integers(0, 40), chunks=st.integers(1, 3))
def test_numpy_has_them_back_also_from_a_slice_or_in_pieces(values: list[int | None], start: int, chunks: int) -> None:
    array = pa.array(values, pa.int64()).slice(min(start, len(values)))
    expected = values[start:]
    assert given_of_arrow(array).tolist() == [value is not None for value in expected]
    found = numbers_of_arrow(pa.chunked_array([array] * chunks), np.int64).tolist()
    assert len(found) == chunks * len(expected)
    wanted = expected * chunks
    assert [one for one, value in zip(found, wanted, strict=True) if value is not None] == [
        value for value in wanted if value is not None
    ]


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC), 1_767_323_045_678_901),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1),
        (datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), 0),
    ],
)
def test_an_instant_is_microseconds_since_1970_in_utc(instant: datetime, expected: int) -> None:
    assert micros(instant) == expected == pa.scalar(instant, pa.timestamp("us", "UTC")).value
