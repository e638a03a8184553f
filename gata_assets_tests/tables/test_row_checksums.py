"""The number by which rows are told to be those of another table.

Real: Arrow tables, drawn by Hypothesis. Nothing is faked.
"""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.tables.manifests import check_same_rows
from gata_assets.tables.outcomes import broken
from gata_assets.tables.row_checksums import add_rows

Row = tuple[str, str, float]
ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from([0.0, 1.0])), max_size=8)


def row_sum(rows: list[Row], total: int = 0) -> int:
    users, items, labels = zip(*rows, strict=True) if rows else ((), (), ())
    ids = pa.dictionary(pa.int32(), pa.string())
    table = {"user_id": pa.array(users, ids), "item_id": pa.array(items, ids), "label": pa.array(labels, pa.float32())}
    return add_rows(total, pa.table(table), tuple(table))


@given(one=ROWS, other=ROWS)
def test_it_is_the_same_for_the_same_rows_alone(one: list[Row], other: list[Row]) -> None:
    assert (row_sum(one) == row_sum(other)) is (one == other)


@given(one=ROWS.filter(bool), other=ROWS.filter(bool))
def test_groups_in_another_order_have_another(one: list[Row], other: list[Row]) -> None:
    assert (row_sum(other, row_sum(one)) == row_sum(one, row_sum(other))) is (one == other)


@given(rows=ROWS)
def test_it_fits_into_a_number_with_a_sign(rows: list[Row]) -> None:
    assert 0 <= row_sum(rows) < 1 << 63


def test_how_ids_are_numbered_makes_no_difference() -> None:
    def of(items: list[str], codes: list[int]) -> int:
        column = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(items))
        return add_rows(0, pa.table({"item_id": column}), ["item_id"])

    assert of(["x", "y"], [0, 1, 0]) == of(["y", "unused", "x"], [2, 0, 2])


@pytest.mark.parametrize(
    ("joined", "rows", "parts"),
    [([(3, 7), (2, 8)], 0, 0), ([(3, 7), (2, 9)], 0, 1), ([(3, 7)], 2, 1), ([(2, 8), (3, 7)], 0, 2), ([], 5, 2)],
)
def test_rows_that_lack_and_parts_that_differ_are_counted(joined: list[tuple[int, int]], rows: int, parts: int) -> None:
    outcomes = check_same_rows([(3, 7), (2, 8)], joined)
    assert [one.failed for one in outcomes] == [rows, parts]
    assert bool(broken(outcomes)) is bool(rows or parts)
