"""Athena's types of columns: pure functions over declarations."""

from __future__ import annotations

from typing import Annotated

import pandera.polars as pa
import polars as pl
import pytest

from gata_assets.errors import TableSpecError
from gata_assets.storage.catalog.athena_types import athena_type, catalog_columns
from gata_assets.storage.catalog.base import CatalogColumn
from gata_assets.tables.declaration import read_model


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (pl.Decimal(18, 2), "decimal(18,2)"),
        (pl.Decimal(38, 2), "decimal(38,2)"),
        (pl.Datetime("us", "UTC"), "timestamp"),
        (pl.Date(), "date"),
        (pl.String(), "string"),
        (pl.Int64(), "bigint"),
        (pl.Int32(), "int"),
        (pl.Float64(), "double"),
        (pl.Boolean(), "boolean"),
    ],
)
def test_each_type_of_a_table_has_its_own_in_athena(dtype: pl.DataType, kind: str) -> None:
    assert athena_type(dtype, "facts.amount") == kind


@pytest.mark.parametrize(
    "dtype",
    [
        pl.UInt64(),
        pl.UInt32(),
        pl.Datetime("ns", "UTC"),
        pl.Datetime("us"),
        pl.List(pl.String()),
        pl.Binary(),
        pl.Time(),
    ],
)
def test_any_other_type_is_refused_by_the_name_of_its_column(dtype: pl.DataType) -> None:
    with pytest.raises(TableSpecError, match=r"facts\.amount is .*, which Athena has no type for"):
        athena_type(dtype, "facts.amount")


class Sums(pa.DataFrameModel):
    day: pl.Date = pa.Field(description="The day.")
    amount: Annotated[pl.Decimal, 18, 2] = pa.Field(description="Its sum.")

    class Config:
        name = "sums"


def test_the_columns_of_a_declared_table_are_those_of_the_catalog() -> None:
    assert catalog_columns(read_model(Sums)) == (
        CatalogColumn("day", "date", "The day."),
        CatalogColumn("amount", "decimal(18,2)", "Its sum."),
    )
