"""The rules of tables: what a glance passes, pandera passes, and what breaks a rule is counted as pandera counts it.

All real, nothing is faked: pandera says of each table that Hypothesis thinks of what is right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandera.errors
import pandera.polars as pandera
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.tables.arrow_checks import check_arrow_tables, keep_every_rule
from gata_assets.tables.columns.dictionaries import decoded
from gata_assets.tables.declaration import read_model, row_rule
from gata_assets.tables.spec import TableSpec


class Shelf(pandera.DataFrameModel):
    """A table with every kind of rule that tables of the interaction line have."""

    name: str = pandera.Field(unique=True)
    kind: str = pandera.Field(isin=("a", "b"))
    count: pl.UInt8 = pandera.Field(ge=1, le=5)
    share: float = pandera.Field(nullable=True, gt=0, lt=1)
    label: pl.Float32 = pandera.Field(isin=(0.0, 1.0))
    names: pl.List = pandera.Field(dtype_kwargs={"inner": pl.String()})

    class Config:
        """Exactly these columns, in this order."""

        name = "shelf"
        strict = True
        ordered = True


SCHEMA = Shelf.to_schema()
SHELF = read_model(Shelf)
NAN = float("nan")
A_ROW = ("n", "a", 1, 0.5, 0.0, ["x"])

any_row = st.tuples(
    st.sampled_from(["a", "b", "c", "d", "é"]) | st.none(),
    st.sampled_from(["a", "b"]) | st.sampled_from(["c", None]),
    st.integers(1, 5) | st.sampled_from([0, 6, None]),
    st.sampled_from([None, 0.5, 1e-9]) | st.sampled_from([0.0, 1.0, NAN, -1.0]),
    st.sampled_from([0.0, 1.0]) | st.sampled_from([0.5, NAN, None]),
    st.just(["x"]) | st.sampled_from([[], None, ["x", "y"]]),
)
good_rows = st.lists(
    st.tuples(
        st.text("abcé", max_size=4),
        st.sampled_from(["a", "b"]),
        st.integers(1, 5),
        st.none() | st.floats(0, 1, exclude_min=True, exclude_max=True),
        st.sampled_from([0.0, 1.0]),
        st.lists(st.sampled_from("xy"), max_size=3),
    ),
    max_size=6,
    unique_by=lambda row: row[0].encode(),
).map(lambda rows: sorted(rows, key=lambda row: row[0].encode()))


def table_of(rows: list[tuple[object, ...]], *, as_codes: bool = True) -> pa.Table:
    names, kinds, counts, shares, labels, lists = zip(*rows, strict=True) if rows else ([],) * 6
    ids = pa.dictionary(pa.int32(), pa.large_string()) if as_codes else pa.large_string()
    return pa.table(
        {
            "name": pa.array(names, pa.large_string()),
            "kind": pa.array(kinds, pa.large_string()).cast(ids),
            "count": pa.array(counts, pa.uint8()),
            "share": pa.array(shares, pa.float64(), from_pandas=False),
            "label": pa.array(labels, pa.float32(), from_pandas=False),
            "names": pa.array(lists, pa.list_(pa.large_string())).cast(pa.list_(ids)),
        }
    )


def broken_rows(table: pa.Table) -> dict[str, int]:
    """What pandera counts, by rule."""
    [frame] = decoded(table, max(table.num_rows, 1))
    try:
        SCHEMA.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases.group_by("column", "check").len()
        return {f"{column} {check}": count for column, check, count in cases.iter_rows()}
    return {}


@given(rows=st.lists(any_row, max_size=4), as_codes=st.booleans())
@pytest.mark.slow
def test_what_breaks_a_rule_is_counted_as_pandera_counts_it(rows: list[tuple[object, ...]], as_codes: bool) -> None:
    table = table_of(rows, as_codes=as_codes)
    outcomes = check_arrow_tables(SHELF, [table])
    assert {one.rule: one.failed for one in outcomes if not one.has_passed} == broken_rows(table)
    assert all(one.checked == len(rows) for one in outcomes)


@given(rows=good_rows, as_codes=st.booleans())
def test_a_table_that_keeps_every_rule_needs_a_glance_alone(rows: list[tuple[object, ...]], as_codes: bool) -> None:
    table = table_of(rows, as_codes=as_codes)
    assert broken_rows(table) == {}
    assert keep_every_rule(SHELF, [table])


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        (0, None),
        (0, "1"),
        (1, "c"),
        (1, None),
        (2, 0),
        (2, 6),
        (2, None),
        (3, 0.0),
        (3, 1.0),
        (3, NAN),
        (4, 0.5),
        (4, NAN),
        (4, None),
        (5, None),
    ],
)
@pytest.mark.parametrize("at", [0, 2])
def test_no_glance_passes_a_row_with_a_fault(place: int, fault: object, at: int) -> None:
    rows = [(f"{number}", *A_ROW[1:]) for number in range(3)]
    assert keep_every_rule(SHELF, [table_of(rows)])
    rows[at] = (*rows[at][:place], fault, *rows[at][place + 1 :])
    for as_codes in (True, False):
        table = table_of(rows, as_codes=as_codes)
        assert broken_rows(table) and not keep_every_rule(SHELF, [table])


def test_columns_of_another_name_order_or_type_need_more_than_a_glance() -> None:
    table = table_of([A_ROW])
    assert not keep_every_rule(SHELF, [table.rename_columns(["name", "kind", "count", "share", "label", "others"])])
    assert not keep_every_rule(SHELF, [table.select(["kind", "name", "count", "share", "label", "names"])])
    assert not keep_every_rule(SHELF, [table.set_column(2, "count", pa.array([1], pa.int64()))])
    [outcome] = check_arrow_tables(SHELF, [table.set_column(2, "count", pa.array([1], pa.int64()))])
    assert not outcome.has_passed


def test_rows_of_all_pieces_are_counted() -> None:
    pieces = [table_of([A_ROW]), table_of([("m", "c", *A_ROW[2:])]), table_of([("l", "d", *A_ROW[2:]), A_ROW])]
    [outcome] = check_arrow_tables(SHELF, pieces)
    assert (outcome.failed, outcome.checked) == (2, 4)
    [outcome] = check_arrow_tables(SHELF, pieces[:1] * 3)
    assert outcome.has_passed and outcome.checked == 3


def test_values_that_are_in_a_dictionary_only_break_no_rule() -> None:
    table = table_of([A_ROW])
    spare = pa.DictionaryArray.from_arrays(pa.array([1], pa.int32()), pa.array(["c", "a"], pa.large_string()))
    [outcome] = check_arrow_tables(SHELF, [table.set_column(1, "kind", spare)])
    assert outcome.has_passed


def test_a_null_that_is_in_a_dictionary_is_a_null() -> None:
    codes = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array(["a", None], pa.large_string()))
    table = table_of([("m", *A_ROW[1:]), A_ROW]).set_column(1, "kind", codes)
    assert not keep_every_rule(SHELF, [table])
    [outcome] = check_arrow_tables(SHELF, [table])
    assert (outcome.failed, outcome.checked) == (1, 2)


def spec_of_fields(fields: dict[str, Any], **config: object) -> TableSpec:
    """A table of whole numbers with these fields and this Config."""
    columns = {name: field or pandera.Field() for name, field in fields.items()}
    hints = {"__annotations__": dict.fromkeys(columns, pl.Int64)}
    return read_model(
        type("Numbers", (pandera.DataFrameModel,), {**hints, **columns, "Config": type("Config", (), config)})
    )


def test_a_value_that_is_there_twice_is_found_between_nulls() -> None:
    spec = spec_of_fields({"name": pandera.Field(unique=True, nullable=True)})
    twice = pa.table({"name": [1, None, 1]})
    assert not keep_every_rule(spec, [twice])
    [outcome] = check_arrow_tables(spec, [twice])
    assert outcome.failed == 2


def test_a_value_that_is_there_twice_is_found_in_a_dictionary_and_across_tables() -> None:
    spec = read_model(
        type("Names", (pandera.DataFrameModel,), {"__annotations__": {"name": str}, "name": pandera.Field(unique=True)})
    )
    names = pa.array(["n", "m"], pa.large_string())
    distinct = pa.table({"name": names})
    assert keep_every_rule(spec, [distinct])
    twice = pa.table({"name": pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int32()), names)})
    assert not keep_every_rule(spec, [twice])
    assert check_arrow_tables(spec, [twice])[0].failed == 2
    # Each by itself is valid, together they may not be: that is left to the caller.
    assert not keep_every_rule(spec, [distinct, distinct])


def test_a_rule_without_an_expression_is_checked_by_pandera() -> None:
    class Numbers(pandera.DataFrameModel):
        count: int = pandera.Field(ge=1)

        @pandera.check("count", name="is_odd")
        def is_odd(cls, data: pandera.PolarsData) -> pl.LazyFrame:
            return data.lazyframe.select(pl.col(data.key) % 2 == 1)

    spec = read_model(Numbers)
    assert not keep_every_rule(spec, [pa.table({"count": [1, 2]})])
    assert check_arrow_tables(spec, [pa.table({"count": [1, 2]})])[0].failed == 1
    assert check_arrow_tables(spec, [pa.table({"count": [1, 3]})])[0].has_passed


def test_several_columns_that_are_unique_together_are_checked_by_pandera() -> None:
    table = pa.table({"one": [1, 1], "other": [2, 2]})
    assert keep_every_rule(spec_of_fields({"one": None, "other": None}), [table])
    spec = spec_of_fields({"one": None, "other": None}, unique=["one", "other"])
    assert not keep_every_rule(spec, [table])
    assert not check_arrow_tables(spec, [table])[0].has_passed


def test_a_rule_over_several_columns_is_checked_by_pandera() -> None:
    class Pairs(pandera.DataFrameModel):
        one: int
        other: int
        is_less = row_rule("one_is_less", pl.col("one") < pl.col("other"))

    spec, table = read_model(Pairs), pa.table({"one": [1, 3], "other": [2, 2]})
    assert not keep_every_rule(spec, [table.slice(0, 1)])
    assert check_arrow_tables(spec, [table.slice(0, 1)])[0].has_passed
    assert check_arrow_tables(spec, [table])[0].failed == 1


def test_rows_far_apart_are_compared_and_those_of_one_rule_are_counted_together() -> None:
    rows = 1 << 19
    table = pa.table({"name": np.arange(rows, dtype=np.int64), "count": np.ones(rows, dtype=np.int64)})
    spec = spec_of_fields({"name": pandera.Field(unique=True), "count": pandera.Field(ge=1)})
    assert check_arrow_tables(spec, [table])[0].has_passed
    far = np.arange(rows, dtype=np.int64)
    far[-1] = 0
    [outcome] = check_arrow_tables(spec, [table.set_column(0, "name", pa.array(far))])
    assert (outcome.failed, outcome.checked) == (2, rows)
    few = np.ones(rows, dtype=np.int64)
    few[[0, -1]] = 0
    [outcome] = check_arrow_tables(
        spec_of_fields({"name": None, "count": pandera.Field(ge=1)}), [table.set_column(1, "count", pa.array(few))]
    )
    assert (outcome.failed, outcome.checked) == (2, rows)
