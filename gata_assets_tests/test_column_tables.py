"""What the UI says of a table's columns. Real: pandera models of both kinds; nothing is faked."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pandera.pandas
import pandera.polars
import polars as pl

from gata_assets.assets.column_tables import columns


class OfPandas(pandera.pandas.DataFrameModel):
    """A table of the ticket line's kind."""

    name: str = pandera.pandas.Field(unique=True, description="What it is called.")
    share: float = pandera.pandas.Field(nullable=True, gt=0, le=1)
    kind: str = pandera.pandas.Field(isin=("a", "b"))

    @pandera.pandas.dataframe_check(description="The shares sum to 1.")
    def shares_sum_to_one(cls, table: Any) -> bool:
        """The shares sum to 1."""
        return bool(table["share"].sum() == 1)


class OfPolars(pandera.polars.DataFrameModel):
    """A table of the interaction line's kind."""

    name: str = pandera.polars.Field(unique=True, description="What it is called.")
    share: float = pandera.polars.Field(nullable=True, ge=0, lt=1)
    count: pl.UInt8 = pandera.polars.Field()


def of(model: type[Any]) -> tuple[list[dg.TableColumn], list[str]]:
    schema = columns(model)["dagster/column_schema"].schema
    return list(schema.columns), list(schema.constraints.other)


def test_types_rules_and_descriptions_of_both_kinds_of_tables_are_told() -> None:
    told, of_table = of(OfPandas)
    assert [(one.name, one.type, one.description) for one in told] == [
        ("name", "str", "What it is called."),
        ("share", "float64", None),
        ("kind", "str", None),
    ]
    assert [(one.constraints.nullable, one.constraints.unique, one.constraints.other) for one in told] == [
        (False, True, []),
        (True, False, ["> 0", "<= 1"]),
        (False, False, ["isin(('a', 'b'))"]),
    ]
    assert of_table == ["The shares sum to 1."]
    told, of_table = of(OfPolars)
    assert [(one.name, one.type) for one in told] == [("name", "String"), ("share", "Float64"), ("count", "UInt8")]
    assert [one.constraints.other for one in told] == [[], [">= 0", "< 1"], []]
    assert of_table == []
